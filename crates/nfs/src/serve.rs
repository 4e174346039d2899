//! The one door: a message in, a reply appended to the caller's buffer.

use std::fmt;

use crate::nfs3::acl;
use crate::rpc::{self, Call, Refusal, Undecodable};
use crate::xdr::Writer;
use crate::{
    Endpoint, FileHandle, FileRange, MAX_READ, ReadOnlyFs, Transport, mount, nfs3, portmap, rpcbind,
};

/// Longest reply, in bytes, a [`Body::Range`] included: a READ of [`MAX_READ`] bytes and its head.
pub const MAX_REPLY: usize = MAX_READ as usize + 4096;

/// The program, version and procedure that a call names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Procedure {
    /// Program number; 100003 is NFS.
    pub program: u32,
    /// Version of the program.
    pub version: u32,
    /// Procedure number; 0 is NULL everywhere.
    pub number: u32,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What was called, for counters.
    pub procedure: Procedure,
    /// How the reply is to be sent.
    pub body: Body,
    /// Something that people want to know.
    pub event: Option<Event>,
    /// What an NFS call was about, once it is sure that the client may use it.
    pub about: Option<About>,
}

/// What an NFS call was about: for counters, and for fetching what will be asked for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The file, or the directory.
    pub file: FileHandle,
    /// For READ, what was asked for.
    pub read: Option<Asked>,
}

/// What a READ asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes, at most [`MAX_READ`].
    pub count: u32,
    /// Bytes of the file behind it; 0 where nothing is known of the file yet.
    pub behind: u64,
}

/// How a reply is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it was appended to the buffer.
    Bytes,
    /// What was appended is followed by a piece of a file, then by zero bytes. The record mark
    /// counts both, so exactly these must be sent, or the connection closed.
    Range {
        /// The piece; its length may be 0.
        range: FileRange,
        /// Zero bytes after it, 0 to 3.
        padding: usize,
    },
}

/// Something that people want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client was given the root handle of `path`.
    Mounted {
        /// The path, tidied.
        path: Vec<u8>,
    },
    /// The client says that it no longer uses `path`. No state is kept, so nothing else happens.
    Unmounted {
        /// The path, tidied; `/` for all.
        path: Vec<u8>,
    },
}

/// Why a message gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Discard {
    /// It ends before the head of a call does.
    #[error("the message is shorter than the head of an RPC call")]
    Short,
    /// A reply sent to a server; answering would start a loop.
    #[error("the message is not an RPC call")]
    NotACall,
    /// The stream cannot be followed any more: close it.
    #[error("the record is longer than 64 KiB")]
    RecordTooLong,
}

/// Answers one message.
///
/// The reply is appended to `out`, on TCP with its record mark; what was in `out` stays, so that
/// replies to pipelined calls may share one send. Blocks only as long as `fs` does.
///
/// A panic can come only from `fs`; what `out` then holds past its former length is no reply.
pub fn serve(
    message: &[u8],
    endpoint: &Endpoint,
    fs: &dyn ReadOnlyFs,
    out: &mut Vec<u8>,
) -> Result<Reply, Discard> {
    let mark = out.len();
    let mut out = Writer { out };
    if endpoint.transport == Transport::Tcp {
        out.u32(0);
    }
    let head = out.position();
    let reply = match Call::decode(message) {
        Ok(call) => {
            rpc::accept(call.xid, &mut out);
            answer(&call, endpoint, fs, &mut out).unwrap_or_else(|refusal| {
                out.truncate(head);
                rpc::refuse(call.xid, refusal, &mut out);
                Reply::of(&call)
            })
        }
        Err(Undecodable::Deny { xid, denial }) => {
            rpc::deny(xid, denial, &mut out);
            Reply {
                procedure: Procedure::UNKNOWN,
                body: Body::Bytes,
                event: None,
                about: None,
            }
        }
        Err(Undecodable::Discard(discard)) => {
            out.truncate(mark);
            return Err(discard);
        }
    };
    if endpoint.transport == Transport::Tcp {
        let len = out.position() - head + reply.body.len_outside();
        out.patch(mark, 1 << 31 | len as u32);
    }
    Ok(reply)
}

fn answer(
    call: &Call<'_>,
    endpoint: &Endpoint,
    fs: &dyn ReadOnlyFs,
    out: &mut Writer<'_>,
) -> Result<Reply, Refusal> {
    let Procedure {
        program, version, ..
    } = call.procedure;
    let mut reply = Reply::of(call);
    match (program, version, endpoint.transport) {
        (nfs3::PROGRAM, nfs3::VERSION, Transport::Tcp) => {
            (reply.body, reply.about) = nfs3::serve(call, endpoint, fs, out)?;
        }
        (mount::PROGRAM, 1 | 3, Transport::Tcp) => {
            reply.event = mount::serve(call, endpoint, fs, out)?;
        }
        (acl::PROGRAM, acl::VERSION, Transport::Tcp) => acl::serve(call, endpoint, fs, out)?,
        (portmap::PROGRAM, 2, _) => portmap::serve(call, endpoint, out)?,
        (portmap::PROGRAM, 3 | 4, _) => rpcbind::serve(call, endpoint, out)?,
        (nfs3::PROGRAM, _, Transport::Tcp) => {
            return Err(Refusal::ProgramMismatch { low: 3, high: 3 });
        }
        (acl::PROGRAM, _, Transport::Tcp) => {
            return Err(Refusal::ProgramMismatch { low: 3, high: 3 });
        }
        (mount::PROGRAM, _, Transport::Tcp) => {
            return Err(Refusal::ProgramMismatch { low: 1, high: 3 });
        }
        (portmap::PROGRAM, ..) => return Err(Refusal::ProgramMismatch { low: 2, high: 4 }),
        _ => return Err(Refusal::ProgramUnavailable),
    }
    Ok(reply)
}

impl Reply {
    fn of(call: &Call<'_>) -> Self {
        Self {
            procedure: call.procedure,
            body: Body::Bytes,
            event: None,
            about: None,
        }
    }
}

impl Body {
    /// Bytes of the reply that are not in the buffer.
    pub fn len_outside(&self) -> usize {
        match self {
            Self::Bytes => 0,
            Self::Range { range, padding } => range.len as usize + padding,
        }
    }
}

impl Procedure {
    /// Of a call whose head was denied.
    const UNKNOWN: Self = Self {
        program: 0,
        version: 0,
        number: 0,
    };

    /// The RFC's name in lower case, like `nfs3 read`; `other` for what we do not serve.
    pub fn name(&self) -> &'static str {
        let names: &[&str] = match (self.program, self.version) {
            (nfs3::PROGRAM, nfs3::VERSION) => &nfs3::NAMES,
            (mount::PROGRAM, 1 | 3) => &mount::NAMES,
            (portmap::PROGRAM, 2) => &portmap::NAMES,
            (portmap::PROGRAM, 3 | 4) => &rpcbind::NAMES,
            _ => &[],
        };
        let name = usize::try_from(self.number)
            .ok()
            .and_then(|number| names.get(number));
        name.unwrap_or(&"other")
    }
}

impl fmt::Display for Procedure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "other" => write!(
                f,
                "program {} version {} procedure {}",
                self.program, self.version, self.number
            ),
            name => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Client, opaque, sys, word};

    #[test]
    fn another_rpc_version_is_denied_with_2_to_2() {
        let mut client = Client::new();
        let mut message = client.message([100_003, 3, 0], &[]);
        message[11] = 3;
        let words = [7_u32, 1, 1, 0, 2, 2].map(u32::to_be_bytes).concat();
        assert_eq!(client.send(&message), Ok(words));
    }

    #[test]
    fn broken_and_unknown_credentials_are_denied() {
        let mut client = Client::new();
        let denied = |status: u32| Ok([7_u32, 1, 1, 1, status].map(u32::to_be_bytes).concat());
        for credential in [
            // SHORT, DH (DES), GSS, and one that there is not.
            [vec![0, 0, 0, 2], opaque(&[0; 8])].concat(),
            [vec![0, 0, 0, 3], opaque(&[0; 40])].concat(),
            [vec![0, 0, 0, 6], opaque(&[0; 20])].concat(),
            [vec![0, 0, 0, 7], opaque(&[])].concat(),
            [vec![0, 0, 0, 1], opaque(&[0; 401])].concat(),
            [vec![0, 0, 0, 1], opaque(&[0; 4000])].concat(),
            vec![0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff],
            sys(0, 0, &[0; 17]),
        ] {
            client.credential = credential;
            let message = client.message([100_003, 3, 1], &opaque(b"/export"));
            assert_eq!(client.send(&message), denied(1));
        }
        client.credential = sys(0, 0, &[]);
        let mut message = client.message([100_003, 3, 0], &[]);
        let verifier_len = message.len() - 4;
        message[verifier_len] = 0xff;
        assert_eq!(client.send(&message), denied(3));
    }

    #[test]
    fn what_we_do_not_serve_is_said_at_once() {
        let mut client = Client::new();
        for program in [100_021, 100_024, 0, u32::MAX] {
            assert_eq!(client.accept_status(program, 3, 0, &[]), 1, "{program}");
        }
        for (program, version, range) in [
            (100_003, 2, [3, 3]),
            (100_003, 4, [3, 3]),
            (100_005, 2, [1, 3]),
            (100_000, 1, [2, 4]),
        ] {
            let message = client.message([program, version, 0], &[]);
            let reply = client.send(&message).unwrap();
            let found = [word(&reply, 24), word(&reply, 28)];
            assert_eq!((word(&reply, 20), found), (2, range));
        }
        for (program, version, number) in [(100_003, 3, 22), (100_005, 3, 6), (100_000, 2, 5)] {
            assert_eq!(client.accept_status(program, version, number, &[]), 3);
        }
    }

    #[test]
    fn what_is_no_call_gets_no_answer() {
        let mut client = Client::new();
        for message in [&b""[..], b"ab", b"abcdef"] {
            assert_eq!(client.send(message), Err(Discard::Short));
        }
        let mut reply = client.message([100_003, 3, 0], &[]);
        reply[7] = 1;
        assert_eq!(client.send(&reply), Err(Discard::NotACall));
    }

    #[test]
    fn garbage_after_the_arguments_changes_nothing() {
        let mut client = Client::new();
        let clean = client.nfs(1, &opaque(b"/export"));
        let mut arguments = opaque(b"/export");
        arguments.extend([0xff; 50_000]);
        assert_eq!(client.nfs(1, &arguments), clean);
    }

    #[test]
    fn a_transaction_number_is_not_a_memory() {
        let mut client = Client::new();
        let first = client.nfs(1, &opaque(b"/export"));
        assert_ne!(client.nfs(19, &opaque(b"/export")), first);
        assert_eq!(client.nfs(1, &opaque(b"/export")), first);
    }

    #[test]
    fn procedures_have_names() {
        let procedure = |program, version, number| Procedure {
            program,
            version,
            number,
        };
        assert_eq!(procedure(100_003, 3, 6).to_string(), "nfs3 read");
        assert_eq!(procedure(100_005, 1, 5).to_string(), "mount export");
        assert_eq!(procedure(100_000, 4, 3).to_string(), "rpcbind getaddr");
        let strange = procedure(100_227, 3, 9).to_string();
        assert_eq!(strange, "program 100227 version 3 procedure 9");
    }

    /// Calls of every procedure, most of them well formed.
    fn calls() -> impl Strategy<Value = Vec<u8>> {
        let program = prop::sample::select(vec![
            (100_003, 3),
            (100_005, 3),
            (100_005, 1),
            (100_000, 2),
            (100_000, 4),
        ]);
        let path = prop::sample::select(vec![
            "/export",
            "/export/big",
            "/export/dir",
            "/export/image",
            "gone",
        ]);
        let rest = prop::collection::vec(any::<u32>(), 0..12);
        (program, 0..24_u32, path, rest).prop_map(|((program, version), number, path, rest)| {
            let mut arguments = opaque(path.as_bytes());
            arguments.extend(rest.iter().flat_map(|word| word.to_be_bytes()));
            Client::new().message([program, version, number], &arguments)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn random_bytes_never_panic(message in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Client::new().send(&message);
        }

        #[test]
        fn mutated_calls_never_panic_and_replies_are_bounded(
            mut message in calls(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
            is_cut in any::<bool>(),
        ) {
            for (at, value) in flips {
                let at = at.index(message.len());
                message[at] = value;
            }
            if is_cut {
                message.truncate(cut.index(message.len()));
            }
            // `send` checks the mark and the bound.
            let _ = Client::new().send(&message);
        }
    }
}
