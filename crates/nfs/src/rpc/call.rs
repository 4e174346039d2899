//! The head of a call (`rpc_msg` with `mtype` CALL, RFC 5531 section 9).

use super::auth::{Credential, skip_verifier};
use super::reply::Denial;
use crate::xdr::{Malformed, Reader};
use crate::{Discard, Procedure};

const CALL: u32 = 0;
const RPC_VERSION: u32 = 2;

/// A call, its arguments not yet read.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    /// Transaction number, copied into the reply.
    pub(crate) xid: u32,
    pub(crate) procedure: Procedure,
    pub(crate) credential: Credential,
    pub(crate) arguments: Reader<'a>,
}

/// A message that is not a call we can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// Not worth an answer.
    Discard(Discard),
    /// To be answered with a denial.
    Deny { xid: u32, denial: Denial },
}

impl<'a> Call<'a> {
    pub(crate) fn decode(message: &'a [u8]) -> Result<Self, Undecodable> {
        let short = |_: Malformed| Undecodable::Discard(Discard::Short);
        let mut reader = Reader::new(message);
        let xid = reader.u32().map_err(short)?;
        if reader.u32().map_err(short)? != CALL {
            return Err(Undecodable::Discard(Discard::NotACall));
        }
        let deny = |denial| Undecodable::Deny { xid, denial };
        if reader.u32().map_err(short)? != RPC_VERSION {
            return Err(deny(Denial::RpcMismatch));
        }
        let procedure = Procedure {
            program: reader.u32().map_err(short)?,
            version: reader.u32().map_err(short)?,
            number: reader.u32().map_err(short)?,
        };
        let credential =
            Credential::decode(&mut reader).map_err(|Malformed| deny(Denial::BadCredential))?;
        skip_verifier(&mut reader).map_err(|Malformed| deny(Denial::BadVerifier))?;
        Ok(Self {
            xid,
            procedure,
            credential,
            arguments: reader,
        })
    }
}
