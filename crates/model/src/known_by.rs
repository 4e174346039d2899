//! By what a client is known: the names of its table in the configuration.

use std::fmt;
use std::str::FromStr;

use crate::MacAddr;
use crate::text::hex;

/// What a machine shows of itself and the operator knows it by.
///
/// Where one machine shows several that have a table, the first variant of these counts, whole. Displays as it is
/// written: `52:54:00:12:34:56`, `4c4c4544-0042-3510-8052-b4c04f384431`, `id:pc07` or `id:ff:00:01`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KnownBy {
    /// The address of its card.
    Mac(MacAddr),
    /// The number of its mainboard (SMBIOS), option 97 of its firmware's DHCP.
    Uuid(Uuid),
    /// The client identifier, option 61: 2 to 255 bytes.
    ClientId(Vec<u8>),
}

/// A mainboard's number in the order in which it is written.
///
/// SMBIOS keeps the first three fields with the low byte first. Firmware sends them so, iPXE turns them round, and so
/// one machine shows two numbers in one boot; see [`Uuid::turned`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The same number with the bytes of the first three fields in the other order.
    pub fn turned(self) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&[d, c, b, a, f, e, h, g]);
        bytes[8..].copy_from_slice(&rest);
        Self(bytes)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex(&self.0);
        let parts = [
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..],
        ];
        f.write_str(&parts.join("-"))
    }
}

impl fmt::Display for KnownBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => mac.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::ClientId(id) => {
                let text = std::str::from_utf8(id).unwrap_or_default();
                let is_text = !text.is_empty() && id.iter().all(u8::is_ascii_graphic);
                if is_text && bytes(text).is_none() {
                    return write!(f, "id:{text}");
                }
                let bytes: Vec<String> = id.iter().map(|byte| format!("{byte:02x}")).collect();
                write!(f, "id:{}", bytes.join(":"))
            }
        }
    }
}

impl From<MacAddr> for KnownBy {
    fn from(mac: MacAddr) -> Self {
        Self::Mac(mac)
    }
}

/// The text is none of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseKnownByError;

impl fmt::Display for ParseKnownByError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a client is known by the MAC address of its card, the UUID of its mainboard, or id: and its client identifier",
        )
    }
}

impl std::error::Error for ParseKnownByError {}

impl FromStr for KnownBy {
    type Err = ParseKnownByError;

    fn from_str(text: &str) -> Result<Self, ParseKnownByError> {
        if let Ok(mac) = text.parse() {
            return Ok(Self::Mac(mac));
        }
        match text.strip_prefix("id:") {
            None => uuid(text).map(Self::Uuid),
            Some(id) => {
                let is_text = id.bytes().all(|byte| byte.is_ascii_graphic());
                let id = bytes(id).or(is_text.then(|| id.as_bytes().to_vec()));
                id.filter(|id| (2..=255).contains(&id.len()))
                    .map(Self::ClientId)
            }
        }
        .ok_or(ParseKnownByError)
    }
}

/// Two digits for each byte, with colons between them.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let is_byte = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let byte = |part: &str| {
        is_byte(part)
            .then(|| u8::from_str_radix(part, 16).ok())
            .flatten()
    };
    text.split(':').map(byte).collect()
}

/// 8-4-4-4-12 digits, as `dmidecode` prints them.
fn uuid(text: &str) -> Option<Uuid> {
    let lengths = text.split('-').map(str::len);
    if !lengths.eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let digits = text.replace('-', "").to_ascii_lowercase();
    crate::text::bytes_from_hex(&digits).map(Uuid)
}

crate::text::travels_as_text!(KnownBy);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_as_it_is_written() {
        for text in [
            "52:54:00:12:34:56",
            "4c4c4544-0042-3510-8052-b4c04f384431",
            "id:pc07",
            "id:ff:00:01",
        ] {
            assert_eq!(text.parse::<KnownBy>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "pc07",
            "id:",
            "id:a",
            "id:pc 07",
            "4c4c4544-0042-3510-8052-b4c04f38443",
            "4c4c4544-0042-3510-8052b4c04f384431",
            "4c4c4544-0042-3510-8052-b4c04f38443g",
        ] {
            assert_eq!(text.parse::<KnownBy>(), Err(ParseKnownByError), "{text}");
        }
        assert!(
            format!("id:{}", "x".repeat(256))
                .parse::<KnownBy>()
                .is_err()
        );
    }

    #[test]
    fn a_number_turned_twice_is_itself() {
        let uuid = Uuid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(
            uuid.turned().to_string(),
            "03020100-0504-0706-0809-0a0b0c0d0e0f"
        );
        assert_eq!(uuid.turned().turned(), uuid);
    }
}
