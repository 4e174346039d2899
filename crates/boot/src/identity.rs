//! Names that stay the same for a client without being kept anywhere.

use std::hash::Hasher;

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_id_is_stable_and_its_own() {
        let (key, other) = (SiteKey([1; 16]), SiteKey([2; 16]));
        let (a, b) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        assert_eq!(key.machine_id(a), key.machine_id(a));
        assert_ne!(key.machine_id(a), key.machine_id(b));
        assert_ne!(key.machine_id(a), other.machine_id(a));
        assert_eq!(key.machine_id(a).len(), 32);
        assert_eq!(&key.machine_id(a)[12..13], "4");
    }
}
