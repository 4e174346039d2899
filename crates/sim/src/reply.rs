//! A server's message as a client reads it.

use std::fmt;
use std::net::Ipv4Addr;

use crate::machine::{ACK, OFFER};

/// Where the options begin: header and magic cookie.
const OPTIONS: usize = 240;

/// An answer, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The address that is given; unspecified in a proxy's answer.
    pub yiaddr: Ipv4Addr,
    /// The next server in the header.
    pub siaddr: Ipv4Addr,
    /// The file in the header, up to its NUL.
    pub file: String,
    options: Vec<(u8, Vec<u8>)>,
}

impl Reply {
    /// Reads it; `None`: no client would make anything of it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
        if bytes.first() != Some(&2) || word(236)? != [99, 130, 83, 99] {
            return None;
        }
        let mut options = Vec::new();
        read_options(bytes.get(OPTIONS..)?, &mut options);
        // RFC 2132 section 9.3: the fields hold more options.
        let overload = options.iter().find(|(code, _)| *code == 52);
        let overload = overload
            .and_then(|(_, value)| value.first().copied())
            .unwrap_or(0);
        let (sname, file) = (bytes.get(44..108)?, bytes.get(108..236)?);
        if overload & 1 != 0 {
            read_options(file, &mut options);
        }
        if overload & 2 != 0 {
            read_options(sname, &mut options);
        }
        Some(Self {
            yiaddr: word(16)?.into(),
            siaddr: word(20)?.into(),
            file: match overload & 1 {
                0 => text(file),
                _ => String::new(),
            },
            options,
        })
    }

    /// The first option of this code.
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        let found = self.options.iter().find(|(found, _)| *found == code);
        found.map(|(_, value)| value.as_slice())
    }

    /// A sub-option of an option that holds some.
    pub(crate) fn sub_option(&self, code: u8, sub: u8) -> Option<Vec<u8>> {
        let mut found = Vec::new();
        read_options(self.option(code)?, &mut found);
        found
            .into_iter()
            .find(|(found, _)| *found == sub)
            .map(|(_, value)| value)
    }

    pub(crate) fn is_a(&self, kind: u8) -> bool {
        self.option(53) == Some(&[kind])
    }

    /// Whether it gives no address: a proxy's.
    pub(crate) fn is_proxy(&self) -> bool {
        self.yiaddr.is_unspecified()
    }

    /// Whether option 60 begins with this name.
    pub(crate) fn is_for(&self, class: &str) -> bool {
        self.option(60)
            .is_some_and(|value| value.starts_with(class.as_bytes()))
    }

    /// Option 54.
    pub(crate) fn server(&self) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.option(54)?.try_into().ok()?;
        Some(octets.into())
    }

    /// `siaddr`, else option 54.
    pub(crate) fn next_server(&self) -> Option<Ipv4Addr> {
        match self.siaddr.is_unspecified() {
            true => self.server(),
            false => Some(self.siaddr),
        }
    }

    /// Option 67, up to its NUL.
    pub(crate) fn named_file(&self) -> Option<String> {
        self.option(67).map(text).filter(|file| !file.is_empty())
    }

    /// The header's file, if there is one.
    pub(crate) fn header_file(&self) -> Option<String> {
        Some(self.file.clone()).filter(|file| !file.is_empty())
    }
}

/// Everything up to the first lying length.
fn read_options(mut rest: &[u8], into: &mut Vec<(u8, Vec<u8>)>) {
    loop {
        rest = match rest {
            [0, tail @ ..] => tail,
            [code @ 1..=254, len, tail @ ..] => {
                let Some((value, next)) = tail.split_at_checked(usize::from(*len)) else {
                    return;
                };
                into.push((*code, value.to_vec()));
                next
            }
            _ => return,
        };
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.option(53) {
            Some([OFFER]) => "OFFER",
            Some([ACK]) => "ACK",
            Some([6]) => "NAK",
            _ => "message",
        };
        write!(f, "{kind}")?;
        if let Some(server) = self.server() {
            write!(f, " from {server}")?;
        }
        match self.is_proxy() {
            true => write!(f, ": no address")?,
            false => write!(f, ": address {}", self.yiaddr)?,
        }
        write!(f, ", next server {}", self.siaddr)?;
        if !self.file.is_empty() {
            write!(f, ", file {}", self.file)?;
        }
        for code in [60, 67] {
            if let Some(value) = self.option(code) {
                write!(f, ", {code} = {}", text(value))?;
            }
        }
        for code in [43, 175] {
            if let Some(value) = self.option(code) {
                write!(f, ", {code} =")?;
                value.iter().try_for_each(|byte| write!(f, " {byte:02x}"))?;
            }
        }
        Ok(())
    }
}
