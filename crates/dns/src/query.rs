//! Reading a query: the header, one question, and EDNS.
//!
//! ```text
//! +------------+----------+--------------------------+
//! | header, 12 | question | additional: OPT, others  |
//! +------------+----------+--------------------------+
//! ```
//!
//! The question's name is decoded by hickory-proto. The records behind it are only walked: nothing of
//! them matters but the one OPT record (RFC 6891 section 6.1.1), and every step takes its bytes from
//! what is left, so that no length in a packet is believed.

use hickory_proto::op::{Header, MessageType, OpCode, Query as Question, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::answer::Discard;

/// Type number of OPT (RFC 6891 section 6.1.2).
const OPT: u16 = 41;

/// A query that can be answered.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) head: Head,
    pub(crate) question: Question,
    pub(crate) edns: Option<Edns>,
}

/// What a reply repeats from the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: u16,
    pub(crate) op_code: OpCode,
    pub(crate) recursion_desired: bool,
    pub(crate) checking_disabled: bool,
}

/// What the asker's OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    /// Bytes of UDP payload that the asker takes; less than 512 means 512 (RFC 6891 section 6.2.3).
    pub(crate) udp_size: u16,
    pub(crate) version: u8,
    /// Copied into the reply (RFC 3225 section 3).
    pub(crate) dnssec_ok: bool,
}

/// Why there is no [`Query`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unanswerable {
    /// Not even an error is sent.
    Discard(Discard),
    /// This error is sent.
    Error(Head, ResponseCode),
}

/// Reads one message. Everything that is not a plain query with one question is an error here.
pub(crate) fn decode(bytes: &[u8]) -> Result<Query, Unanswerable> {
    let mut decoder = BinDecoder::new(bytes);
    let header =
        Header::read(&mut decoder).map_err(|_| Unanswerable::Discard(Discard::TooShort))?;
    // A reply to a reply is a loop between two servers.
    if header.metadata.message_type == MessageType::Response {
        return Err(Unanswerable::Discard(Discard::NotAQuery));
    }
    let head = Head {
        id: header.metadata.id,
        op_code: header.metadata.op_code,
        recursion_desired: header.metadata.recursion_desired,
        checking_disabled: header.metadata.checking_disabled,
    };
    let error = |code| Unanswerable::Error(head, code);
    if head.op_code != OpCode::Query {
        return Err(error(ResponseCode::NotImp));
    }
    let counts = header.counts;
    // RFC 9619: QDCOUNT of a query is 1; and a query answers nothing.
    if counts.queries != 1 || counts.answers != 0 || counts.authorities != 0 {
        return Err(error(ResponseCode::FormErr));
    }
    let malformed = || error(ResponseCode::FormErr);
    let question = Question::read(&mut decoder).map_err(|_| malformed())?;
    let rest = bytes.get(decoder.index()..).ok_or_else(malformed)?;
    let edns = additional(rest, counts.additionals).ok_or_else(malformed)?;
    Ok(Query {
        head,
        question,
        edns,
    })
}

/// Walks the additional section. `None` if it is not whole, holds two OPT records, or has bytes left.
fn additional(bytes: &[u8], count: u16) -> Option<Option<Edns>> {
    let mut rest = bytes;
    let mut edns = None;
    for _ in 0..count {
        let is_root = rest.first() == Some(&0);
        rest = skip_name(rest)?;
        let (fixed, tail) = rest.split_first_chunk::<10>()?;
        let [
            type_high,
            type_low,
            class_high,
            class_low,
            _,
            version,
            flags,
            _,
            length_high,
            length_low,
        ] = *fixed;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (data, tail) = tail.split_at_checked(length)?;
        rest = tail;
        if u16::from_be_bytes([type_high, type_low]) != OPT {
            continue;
        }
        if edns.is_some() || !is_root || !options_are_whole(data) {
            return None;
        }
        edns = Some(Edns {
            udp_size: u16::from_be_bytes([class_high, class_low]).max(512),
            version,
            dnssec_ok: flags & 0x80 != 0,
        });
    }
    rest.is_empty().then_some(edns)
}

/// What follows a name; a compression pointer ends it (RFC 1035 section 4.1.4).
fn skip_name(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let (&length, tail) = rest.split_first()?;
        match length {
            0 => return Some(tail),
            1..=63 => rest = tail.get(usize::from(length)..)?,
            0xc0.. => return tail.get(1..),
            _ => return None,
        }
    }
}

/// Whether the option lengths of an OPT record add up (RFC 6891 section 6.1.2). What the options say
/// does not matter: unknown ones are ignored, and we know none.
fn options_are_whole(data: &[u8]) -> bool {
    let mut rest = data;
    while let Some((&[_, _, high, low], tail)) = rest.split_first_chunk::<4>() {
        let Some(tail) = tail.get(usize::from(u16::from_be_bytes([high, low]))..) else {
            return false;
        };
        rest = tail;
    }
    rest.is_empty()
}
