//! A lease as it lies on disk.

use std::net::Ipv4Addr;

use model::MacAddr;
use serde::{Deserialize, Serialize};

/// Whether an address is a client's or kept from everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordState {
    /// Acknowledged to the client.
    Bound,
    /// Given back; kept so that the client gets the same address when it returns.
    Released,
    /// A client found the address in use by someone else (DHCPDECLINE).
    Declined,
}

/// One lease. Unknown fields of a later version are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// The leased address; records are found by it.
    pub address: Ipv4Addr,
    /// The client's hardware address.
    pub mac: MacAddr,
    /// DHCP option 61, in hexadecimal, if the client sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The client's name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// End of the lease, in seconds of Unix time.
    pub expires: u64,
    /// Whose it is.
    pub state: RecordState,
    /// When the record was written, in seconds of Unix time; 0 in those of an early version.
    #[serde(default)]
    pub written: u64,
}

/// Between a record and its check sum: no byte of JSON text outside a string.
const MARK: u8 = b'#';
/// The mark, and eight hexadecimal digits.
pub(crate) const CHECK_LEN: usize = 9;

impl LeaseRecord {
    /// JSON, `#` and a check sum (CRC-32) in hexadecimal: each record proves itself, so that those of a file
    /// that is damaged elsewhere can be told from damaged ones.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Plain data: strings and numbers only.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        let sum = crc32fast::hash(&bytes);
        bytes.extend(format!("#{sum:08x}").as_bytes());
        bytes
    }

    /// Reads [`LeaseRecord::to_bytes`]; a record from before there were check sums is taken as it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let json = match bytes.split_at_checked(bytes.len().saturating_sub(CHECK_LEN)) {
            Some((json, check)) if is_check(check) => {
                if check != format!("#{:08x}", crc32fast::hash(json)).as_bytes() {
                    return Err("its check sum is wrong".to_owned());
                }
                json
            }
            _ => bytes,
        };
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }
}

/// Whether these bytes look like a mark and a check sum.
pub(crate) fn is_check(bytes: &[u8]) -> bool {
    bytes.len() == CHECK_LEN && bytes[0] == MARK && bytes[1..].iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> LeaseRecord {
        LeaseRecord {
            address: Ipv4Addr::new(192, 168, 67, 20),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            client_id: Some("ff00".into()),
            hostname: Some("pc1".into()),
            expires: 1000,
            state: RecordState::Bound,
            written: 0,
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let good = record().to_bytes();
        assert_eq!(LeaseRecord::from_bytes(&good), Ok(record()));
        for at in 0..good.len() {
            for mask in [1, 0x20, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= mask;
                assert!(LeaseRecord::from_bytes(&bad).is_err(), "byte {at} ^ {mask}");
            }
        }
    }

    #[test]
    fn a_record_without_a_check_sum_and_of_a_later_version_is_read() {
        let old = br#"{"address":"192.168.67.20","mac":"02:00:00:00:00:01","client_id":"ff00","hostname":"pc1","expires":1000,"state":"bound","colour":"red"}"#;
        assert_eq!(LeaseRecord::from_bytes(old), Ok(record()));
    }
}
