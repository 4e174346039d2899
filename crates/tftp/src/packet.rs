//! Read and write requests (RFC 1350 section 5, options by RFC 2347).
//!
//! ```text
//!   2 bytes    string   1 byte   string  1 byte   string  1 byte  string  1 byte
//!  +--------+----------+-------+--------+-------+--------+-------+-------+-------+
//!  | opcode | filename |   0   |  mode  |   0   | option |   0   | value |   0   |  ...
//!  +--------+----------+-------+--------+-------+--------+-------+-------+-------+
//! ```

use crate::{Discard, ErrorCode, Options};

/// Longest request: RFC 2347 asks for requests of at most 512 bytes; some firmware sends a little more.
const MAX_REQUEST: usize = 1024;
/// Options beyond this many are ignored.
const MAX_OPTIONS: usize = 16;

/// Transfer mode. Both are sent as octets; netascii comes only from clients that want text and
/// get bytes, as every server for loaders does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes as they are.
    Octet,
    /// Asked for as text.
    Netascii,
}

/// A request to read a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name as it was sent; not yet safe to open (see [`crate::path::confined`]).
    pub path: String,
    /// The transfer mode.
    pub mode: Mode,
    /// The options that parsed; the others are as if they had not been sent (RFC 2347).
    pub options: Options,
}

impl Request {
    /// Decodes a datagram from port 69. `Err(Ok(..))` is an error to send back, `Err(Err(..))` a
    /// datagram to drop.
    pub fn decode(bytes: &[u8]) -> Result<Self, Result<(ErrorCode, &'static str), Discard>> {
        if bytes.len() < 4 || bytes.len() > MAX_REQUEST {
            return Err(Err(Discard::Length));
        }
        match bytes[..2] {
            [0, 1] => {}
            [0, 2] => return Err(Ok((ErrorCode::AccessViolation, "this server is read-only"))),
            [0, 3..=6] => return Err(Err(Discard::NotARequest)),
            _ => return Err(Ok((ErrorCode::IllegalOperation, "unknown operation"))),
        }
        let mut strings = bytes[2..].split_inclusive(|&byte| byte == 0).map(|string| {
            let text = string.strip_suffix(&[0]).ok_or(Discard::Malformed)?;
            std::str::from_utf8(text).map_err(|_| Discard::Malformed)
        });
        let mut next = || {
            strings
                .next()
                .unwrap_or(Err(Discard::Malformed))
                .map_err(Err)
        };
        let path = next()?.to_owned();
        let mode = next()?.to_ascii_lowercase();
        let mode = match mode.as_str() {
            "octet" => Mode::Octet,
            "netascii" => Mode::Netascii,
            _ => {
                return Err(Ok((
                    ErrorCode::IllegalOperation,
                    "only octet mode is served",
                )));
            }
        };
        if path.is_empty() {
            return Err(Ok((ErrorCode::NotFound, "no file name")));
        }
        // Some ROMs pad the packet with zeros or cut it: what does not parse as a pair ends the list.
        let mut options = Options::default();
        for _ in 0..MAX_OPTIONS {
            let (Ok(name), Ok(value)) = (next(), next()) else {
                break;
            };
            options.read(name, value);
        }
        Ok(Self {
            path,
            mode,
            options,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &[u8]) -> Result<Request, Result<(ErrorCode, &'static str), Discard>> {
        Request::decode(text)
    }

    #[test]
    fn a_request_of_ovmf_is_read() {
        let request =
            decode(b"\0\x01snponly.efi\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0")
                .unwrap();
        assert_eq!(request.path, "snponly.efi");
        assert_eq!(request.options.block_size, Some(1468));
        assert_eq!(request.options.window, Some(4));
        assert!(request.options.wants_size);
    }

    #[test]
    fn writes_are_refused_and_strangers_dropped() {
        assert!(matches!(
            decode(b"\0\x02x\0octet\0"),
            Err(Ok((ErrorCode::AccessViolation, _)))
        ));
        assert!(matches!(
            decode(b"\0\x09x\0octet\0"),
            Err(Ok((ErrorCode::IllegalOperation, _)))
        ));
        for opcode in 3..=6 {
            assert_eq!(
                decode(&[0, opcode, 0, 1, 0]),
                Err(Err(Discard::NotARequest))
            );
        }
        assert_eq!(decode(b"\0\x01"), Err(Err(Discard::Length)));
        assert_eq!(decode(&[0; 60_000]), Err(Err(Discard::Length)));
        assert_eq!(decode(b"\0\x01name"), Err(Err(Discard::Malformed)));
        assert_eq!(decode(b"\0\x01name\0octet"), Err(Err(Discard::Malformed)));
        assert!(matches!(decode(b"\0\x01name\0mail\0"), Err(Ok(_))));
    }

    #[test]
    fn padding_and_odd_options_do_not_lose_the_request() {
        let request = decode(b"\0\x01a\0octet\0blksize\x001024\0\0\0\0").unwrap();
        assert_eq!(request.options.block_size, Some(1024));
        let request = decode(b"\0\x01a\0octet\0blksize").unwrap();
        assert_eq!(request.options, Options::default());
    }
}
