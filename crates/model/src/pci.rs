//! Which network card a client booted from.

use std::fmt;
use std::str::FromStr;

/// The numbers that a PCI card is known by: its maker's and the maker's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciId {
    /// Given to the maker by the PCI-SIG.
    pub vendor: u16,
    /// Given by the maker.
    pub device: u16,
}

/// A text that names no PCI card: cards on USB and virtual ones have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPci;

impl fmt::Display for NotPci {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this names no PCI card")
    }
}

impl std::error::Error for NotPci {}

impl PciId {
    /// From what iPXE writes for `${netX/busid:hexraw}`: the number of the bus's kind (1 is PCI),
    /// maker and card, five bytes in hexadecimal. Also the content of DHCP option 175.177.
    pub fn from_bus_id(text: &str) -> Result<Self, NotPci> {
        let numbers = text.strip_prefix("01").ok_or(NotPci)?;
        let plain = numbers.len() == 8 && numbers.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = |digits: &str| u16::from_str_radix(digits, 16).map_err(|_| NotPci);
        match plain {
            true => Ok(Self {
                vendor: number(&numbers[..4])?,
                device: number(&numbers[4..])?,
            }),
            false => Err(NotPci),
        }
    }
}

/// `8086:100e`, as lspci writes it.
impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

impl FromStr for PciId {
    type Err = NotPci;

    fn from_str(text: &str) -> Result<Self, NotPci> {
        let (vendor, device) = text.split_once(':').ok_or(NotPci)?;
        if vendor.len() != 4 || device.len() != 4 {
            return Err(NotPci);
        }
        Self::from_bus_id(&format!("01{vendor}{device}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipxe_names_a_card_by_its_bus_id() {
        let card = PciId::from_bus_id("018086100e").unwrap();
        assert_eq!((card.vendor, card.device), (0x8086, 0x100e));
        assert_eq!(card.to_string(), "8086:100e");
        assert_eq!("8086:100e".parse(), Ok(card));
    }

    #[test]
    fn cards_on_other_buses_and_rubbish_have_no_numbers() {
        for text in [
            "",
            "07",
            "0780861234",
            "01808610",
            "01+0861+23",
            "018086100e00",
            "01é086100",
        ] {
            assert_eq!(PciId::from_bus_id(text), Err(NotPci), "{text}");
        }
        for text in ["8086", "8086:1", "8086:100e:1", ":"] {
            assert_eq!(text.parse::<PciId>(), Err(NotPci), "{text}");
        }
    }
}
