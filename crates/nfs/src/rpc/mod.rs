//! ONC RPC version 2 (RFC 5531): records, calls, credentials and replies.

mod auth;
mod call;
mod record;
mod reply;

pub(crate) use auth::Credential;
pub(crate) use call::{Call, Undecodable};
pub use record::{MAX_RECORD, Records};
pub(crate) use reply::{Refusal, accept, deny, refuse};
