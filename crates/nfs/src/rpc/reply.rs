//! The head of a reply (RFC 5531 section 9).

use crate::xdr::Writer;

const REPLY: u32 = 1;
const MSG_ACCEPTED: u32 = 0;
const MSG_DENIED: u32 = 1;

/// A message whose head we do not accept (`rejected_reply`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// RPC_MISMATCH: we speak version 2 only.
    RpcMismatch,
    /// AUTH_ERROR, AUTH_BADCRED: a flavour other than NONE and SYS, or a broken one of these.
    BadCredential,
    /// AUTH_ERROR, AUTH_BADVERF.
    BadVerifier,
}

/// A call that was understood and cannot be served (`accept_stat` other than SUCCESS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// PROG_UNAVAIL.
    ProgramUnavailable,
    /// PROG_MISMATCH, and the lowest and highest version there is.
    ProgramMismatch { low: u32, high: u32 },
    /// PROC_UNAVAIL.
    ProcedureUnavailable,
    /// GARBAGE_ARGS.
    GarbageArguments,
}

impl From<crate::xdr::Malformed> for Refusal {
    fn from(_: crate::xdr::Malformed) -> Self {
        Self::GarbageArguments
    }
}

/// The head of a successful reply; results follow.
pub(crate) fn accept(xid: u32, out: &mut Writer<'_>) {
    accepted(xid, 0, out);
}

pub(crate) fn refuse(xid: u32, refusal: Refusal, out: &mut Writer<'_>) {
    match refusal {
        Refusal::ProgramUnavailable => accepted(xid, 1, out),
        Refusal::ProgramMismatch { low, high } => {
            accepted(xid, 2, out);
            out.u32(low);
            out.u32(high);
        }
        Refusal::ProcedureUnavailable => accepted(xid, 3, out),
        Refusal::GarbageArguments => accepted(xid, 4, out),
    }
}

pub(crate) fn deny(xid: u32, denial: Denial, out: &mut Writer<'_>) {
    let words: &[u32] = match denial {
        Denial::RpcMismatch => &[0, 2, 2],
        Denial::BadCredential => &[1, 1],
        Denial::BadVerifier => &[1, 3],
    };
    for word in [xid, REPLY, MSG_DENIED].iter().chain(words) {
        out.u32(*word);
    }
}

fn accepted(xid: u32, status: u32, out: &mut Writer<'_>) {
    // The two zeros are our verifier: AUTH_NONE of no bytes.
    for word in [xid, REPLY, MSG_ACCEPTED, 0, 0, status] {
        out.u32(word);
    }
}
