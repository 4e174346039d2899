//! Names that stay the same for a client without being kept anywhere.

use std::hash::Hasher;
use std::net::Ipv4Addr;

use model::MacAddr;
use siphasher::sip128::{Hasher128, SipHasher24};

/// The site's secret, 16 random bytes made at first start. Never leaves the server.
#[derive(Clone)]
pub struct SiteKey(pub [u8; 16]);

impl std::fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SiteKey(secret)")
    }
}

impl SiteKey {
    /// The client's machine-id(5): 32 hexadecimal digits, the same at every boot, not to be guessed
    /// from the MAC (the manual page asks that it be kept confidential), marked as a version 4 UUID.
    pub fn machine_id(&self, client: MacAddr) -> String {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(b"machine-id");
        hasher.write(&client.0);
        let mut bytes = hasher.finish128().as_bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The token of one boot attempt: the time it was made, and a keyed check over that time, the
    /// client and its address. 40 hexadecimal digits. Nothing has to be remembered to verify it, so a
    /// client in the middle of its boot survives a restart of the daemon.
    ///
    /// `now` is in seconds of Unix time.
    pub fn boot_token(&self, client: MacAddr, address: Ipv4Addr, now: u64) -> String {
        let now = now as u32;
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(b"boot-token");
        hasher.write(&client.0);
        hasher.write(&address.octets());
        hasher.write(&now.to_be_bytes());
        let check: String = hasher
            .finish128()
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{now:08x}{check}")
    }

    /// How old a token is, in seconds, or `None` if it is not one of this client at this address.
    pub fn token_age(
        &self,
        token: &str,
        client: MacAddr,
        address: Ipv4Addr,
        now: u64,
    ) -> Option<u64> {
        let made = u64::from(u32::from_str_radix(token.get(..8)?, 16).ok()?);
        let expected = self.boot_token(client, address, made);
        // Every byte is looked at, so that the time taken says nothing about the check.
        let same = token.len() == expected.len()
            && token
                .bytes()
                .zip(expected.bytes())
                .fold(0, |differ, (a, b)| differ | (a ^ b))
                == 0;
        same.then(|| now.saturating_sub(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_machine_id_is_stable_and_its_own() {
        let (key, other) = (SiteKey([1; 16]), SiteKey([2; 16]));
        assert_eq!(key.machine_id(PC), key.machine_id(PC));
        assert_ne!(key.machine_id(PC), key.machine_id(OTHER));
        assert_ne!(key.machine_id(PC), other.machine_id(PC));
        assert_eq!(key.machine_id(PC).len(), 32);
        assert_eq!(&key.machine_id(PC)[12..13], "4");
    }

    #[test]
    fn a_token_is_good_for_its_client_and_address_only() {
        let (key, address) = (SiteKey([1; 16]), Ipv4Addr::new(192, 168, 67, 20));
        let token = key.boot_token(PC, address, 1_000_000);
        assert_eq!(key.token_age(&token, PC, address, 1_000_060), Some(60));
        assert_eq!(key.token_age(&token, OTHER, address, 1_000_060), None);
        assert_eq!(
            key.token_age(&token, PC, Ipv4Addr::new(192, 168, 67, 21), 1_000_060),
            None
        );
        assert_eq!(
            SiteKey([2; 16]).token_age(&token, PC, address, 1_000_060),
            None
        );
        for index in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[index] = if forged[index] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(
                key.token_age(&forged, PC, address, 1_000_060),
                None,
                "{index}"
            );
        }
        for nonsense in ["", "00", "zzzzzzzz", "äääää"] {
            assert_eq!(key.token_age(nonsense, PC, address, 0), None);
        }
    }
}
