//! Who a client is in the lease book.

use model::MacAddr;

/// A client's identity: its hardware address and, for operating systems that send one, the client
/// identifier (option 61).
///
/// One machine speaks DHCP several times in one boot: a PXE ROM without an identifier or with its
/// UUID, iPXE with the hardware address, an operating system with a DUID. It must keep one address
/// through all of them. Two machines must never share one, and cloned disks make machines with equal
/// DUIDs, so the identifier alone never identifies. Hence:
///
/// * the hardware address always counts;
/// * firmware, and identifiers that only repeat the hardware address, count as "no identifier";
/// * "no identifier" and an identifier behind the same hardware address are stages of one machine;
/// * two different identifiers behind one hardware address are two clients (containers on a shared
///   interface), and each has its own address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey {
    /// `chaddr`.
    pub mac: MacAddr,
    /// Option 61 where it says more than `chaddr`.
    pub client_id: Option<Vec<u8>>,
}

impl ClientKey {
    /// From `chaddr`, option 61 as it came (an empty one counts as absent; RFC 2132 section 9.14
    /// wants two bytes), and whether firmware or iPXE is asking.
    pub fn new(mac: MacAddr, client_id: Option<&[u8]>, is_firmware: bool) -> Self {
        let tells_more = |id: &&[u8]| {
            let repeats_mac = matches!(id, [_, rest @ ..] if rest == mac.0);
            id.len() >= 2 && id.len() <= 255 && !repeats_mac && !is_firmware
        };
        Self {
            mac,
            client_id: client_id.filter(tells_more).map(<[u8]>::to_vec),
        }
    }

    /// Whether `other` can be a stage of the same machine's boot.
    pub fn is_same_machine(&self, other: &Self) -> bool {
        self.mac == other.mac
            && (self.client_id == other.client_id
                || self.client_id.is_none()
                || other.client_id.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn an_identifier_that_repeats_the_hardware_address_says_nothing() {
        let repeated = [1, 0x52, 0x54, 0, 0x12, 0x34, 0x56];
        assert_eq!(ClientKey::new(MAC, Some(&repeated), false).client_id, None);
        assert_eq!(ClientKey::new(MAC, Some(&[]), false).client_id, None);
    }

    #[test]
    fn firmware_is_known_by_its_hardware_address_alone() {
        let uuid = [0, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!(ClientKey::new(MAC, Some(&uuid), true).client_id, None);
        assert!(ClientKey::new(MAC, Some(&uuid), false).client_id.is_some());
    }

    #[test]
    fn two_identifiers_behind_one_address_are_two_clients() {
        let rom = ClientKey::new(MAC, None, true);
        let one = ClientKey::new(MAC, Some(&[255, 1]), false);
        let two = ClientKey::new(MAC, Some(&[255, 2]), false);
        assert!(rom.is_same_machine(&one) && two.is_same_machine(&rom));
        assert!(!one.is_same_machine(&two));
    }
}
