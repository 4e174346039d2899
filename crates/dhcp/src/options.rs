//! The options of a message as raw bytes: overload followed, split options joined.

use dhcproto::v4::borrowed::DhcpOptionIterator;

use crate::option_code;

/// The options of one message, each code once.
///
/// Reading is tolerant on purpose: a length that points past its field ends that field, and what
/// was read before it counts. A message has at most 255 codes and no more bytes than the packet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    found: Vec<(u8, Vec<u8>)>,
}

impl Options {
    /// Reads the options field, then `file` and `sname` where option 52 says that they hold options
    /// too (RFC 2131 section 4.1: in that order). Option 52 inside those is ignored, so there is
    /// nothing to recurse into.
    pub(crate) fn decode(options: &[u8], file: &[u8], sname: &[u8]) -> Self {
        let mut place = [None; 256];
        let mut read = Self::default();
        read.gather(options, &mut place);
        let overload = read.byte(option_code::OVERLOAD).unwrap_or(0);
        if overload & 1 != 0 {
            read.gather(file, &mut place);
        }
        if overload & 2 != 0 {
            read.gather(sname, &mut place);
        }
        read
    }

    /// Joins repeated options, adjacent or not, in the order they came (RFC 3396 section 7).
    fn gather(&mut self, field: &[u8], place: &mut [Option<u8>; 256]) {
        for option in DhcpOptionIterator::new(field) {
            let code = u8::from(option.code());
            match place[usize::from(code)] {
                Some(index) => {
                    if let Some((_, bytes)) = self.found.get_mut(usize::from(index)) {
                        bytes.extend_from_slice(option.data());
                    }
                }
                None => {
                    // At most 255 distinct codes: 0 and 255 never come out of the iterator.
                    place[usize::from(code)] = u8::try_from(self.found.len()).ok();
                    self.found.push((code, option.data().to_vec()));
                }
            }
        }
    }

    /// The bytes of an option; `None` when it is absent.
    pub(crate) fn bytes(&self, code: u8) -> Option<&[u8]> {
        let (_, bytes) = self.found.iter().find(|(found, _)| *found == code)?;
        Some(bytes)
    }

    /// An option that must be exactly one byte.
    pub(crate) fn byte(&self, code: u8) -> Option<u8> {
        match self.bytes(code)? {
            [byte] => Some(*byte),
            _ => None,
        }
    }

    /// An option that must be exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.bytes(code)?.try_into().ok()
    }

    /// An option that must be one IPv4 address, and not 0.0.0.0.
    pub(crate) fn address(&self, code: u8) -> Option<std::net::Ipv4Addr> {
        let address = std::net::Ipv4Addr::from(self.array::<4>(code)?);
        (!address.is_unspecified()).then_some(address)
    }
}
