//! ERROR packets, and requests that deserve not even one.

use std::fmt;

/// Error codes of RFC 1350 (appendix) and RFC 2347.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// 0: see the message.
    Undefined = 0,
    /// 1: file not found.
    NotFound = 1,
    /// 2: access violation; also our answer to every write.
    AccessViolation = 2,
    /// 4: illegal operation.
    IllegalOperation = 4,
    /// 5: unknown transfer ID.
    UnknownTransfer = 5,
    /// 8: option negotiation failed.
    OptionNegotiation = 8,
}

/// Builds an ERROR packet. The message is fixed text of ours: an error must not tell a stranger
/// where our files lie.
pub fn error_packet(code: ErrorCode, message: &'static str) -> Vec<u8> {
    let mut packet = vec![0, 5, 0, code as u8];
    packet.extend_from_slice(message.as_bytes());
    packet.push(0);
    packet
}

/// Why a datagram on port 69 was dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// Shorter than an opcode, or longer than a request can be.
    Length,
    /// DATA, ACK, OACK or ERROR outside a transfer. Answering an ERROR with an ERROR is how two
    /// servers come to talk for ever (CVE-2024-2169).
    NotARequest,
    /// A file name, mode or option without its terminating zero, or not text.
    Malformed,
}

impl Discard {
    /// The name of the counter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::NotARequest => "not-a-request",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "the datagram is too short or too long for a request",
            Self::NotARequest => "the datagram belongs to no transfer and is no request",
            Self::Malformed => "the request's strings are not terminated text",
        })
    }
}

impl std::error::Error for Discard {}
