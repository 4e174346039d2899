//! Ethernet hardware addresses, the name by which an operator knows a client.

use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address (`chaddr` with `htype` 1 in RFC 2131).
///
/// Displays as `52:54:00:12:34:56`; parses that, hyphens instead of colons, and iPXE's bare hex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// The spelling used in URLs and in `BOOTIF`: lower case with hyphens.
    pub fn hyphenated(self) -> String {
        self.to_string().replace(':', "-")
    }

    /// Whether this is a group address (broadcast or multicast), which no client can have.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text was not six bytes in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseMacError;

impl fmt::Display for ParseMacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC address is six bytes in hexadecimal, like 52:54:00:12:34:56")
    }
}

impl std::error::Error for ParseMacError {}

impl FromStr for MacAddr {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let digits: Vec<u8> = match text.len() {
            12 => text.bytes().collect(),
            17 => {
                let separator = text.as_bytes()[2];
                if separator != b':' && separator != b'-' {
                    return Err(ParseMacError);
                }
                let mut digits = Vec::with_capacity(12);
                for (index, byte) in text.bytes().enumerate() {
                    match index % 3 {
                        2 if byte == separator => {}
                        2 => return Err(ParseMacError),
                        _ => digits.push(byte),
                    }
                }
                digits
            }
            _ => return Err(ParseMacError),
        };
        let mut bytes = [0; 6];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = (pair[0] as char).to_digit(16).ok_or(ParseMacError)?;
            let low = (pair[1] as char).to_digit(16).ok_or(ParseMacError)?;
            *byte = (high * 16 + low) as u8;
        }
        Ok(Self(bytes))
    }
}

crate::text::travels_as_text!(MacAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_means_the_same_address() {
        let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0xab]);
        for text in ["52:54:00:12:34:ab", "52-54-00-12-34-AB", "5254001234ab"] {
            assert_eq!(text.parse(), Ok(mac), "{text}");
        }
        assert_eq!(mac.to_string(), "52:54:00:12:34:ab");
        assert_eq!(mac.hyphenated(), "52-54-00-12-34-ab");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:5g",
            "52:54-00:12:34:56",
            "52.54.00.12.34.56",
            "ä2:54:00:12:34:5",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacError), "{text}");
        }
    }
}
