//! From received bytes to replies, without a socket.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use ::nfs::{Body, Discard, Endpoint, Event, FileRange, Records, Reply, Transport};
use rustix::io::ReadWriteFlags;

use super::Service;
use super::ahead::Ahead;
use super::counters::Answered;
use super::eager::Eager;
use super::patient::Patient;

/// Replies are sent once they are this long together, in bytes. One more may be added to them, so
/// the buffer holds this and one longest reply at most.
const ENOUGH: usize = 256 * 1024;
/// Pieces of a file up to this length are cheaper to copy behind their head than to send apart.
pub(super) const COPIED: u32 = 32 * 1024;

/// What one connection has received and is about to send.
pub(super) struct Session {
    clerk: Clerk,
    pub(super) records: Records,
    /// Replies not yet sent.
    pub(super) out: Vec<u8>,
    /// Calls answered since they were last counted.
    pub(super) calls: u64,
    /// When the latest of them came.
    pub(super) since: Instant,
    /// Buffers of earlier answers, for the threads that make the next ones.
    pub(super) spare: Vec<Vec<u8>>,
    ahead: Ahead,
}

/// Why no more replies are being made.
pub(super) enum Pause {
    /// Every whole record is answered, or as many wait as may.
    Starved,
    /// There is enough to send.
    Enough,
    /// The piece of this file comes after what is in [`Session::out`].
    Send(Piece),
    /// The same of a file that is in memory, with so many zero bytes behind it.
    SendSlices(Vec<squashfs::Slice>, usize),
}

/// A piece of a file to be sent, and zero bytes after it.
pub(super) struct Piece {
    pub(super) file: Arc<File>,
    pub(super) range: FileRange,
    pub(super) padding: usize,
}

impl Session {
    pub(super) fn new(clerk: Clerk) -> Self {
        Self {
            clerk,
            records: Records::new(),
            out: Vec::new(),
            calls: 0,
            since: Instant::now(),
            spare: Vec::new(),
            ahead: Ahead::default(),
        }
    }

    /// Answers what can be answered on a runtime thread; the rest goes to `patient`.
    pub(super) fn answer(&mut self, patient: &mut Patient) -> io::Result<Pause> {
        while self.out.len() < ENOUGH {
            if patient.is_full() {
                return Ok(Pause::Starved);
            }
            let Some(record) = self.records.next_record().map_err(unusable)? else {
                return Ok(Pause::Starved);
            };
            let eager = Eager::new(&*self.clerk.service.files);
            let before = self.out.len();
            let reply = ::nfs::serve(record, &self.clerk.endpoint, &eager, &mut self.out);
            let (had_to_wait, slices) = (eager.had_to_wait(), eager.slices());
            if let Ok(reply) = &reply
                && (reply.body == Body::Bytes || !slices.is_empty())
                && let Some(about) = &reply.about
                && let Some(fetch) = self.ahead.read(about, had_to_wait)
            {
                patient.prefetch(fetch);
            }
            if had_to_wait {
                self.out.truncate(before);
                patient.wait(record, reply.as_ref().ok(), self.since);
                continue;
            }
            self.calls += 1;
            let reply = reply.map_err(unusable)?;
            self.clerk.count(&reply, self.out.len() - before);
            if let Body::Range { padding, .. } = reply.body
                && !slices.is_empty()
            {
                return Ok(Pause::SendSlices(slices, padding));
            }
            let piece = self.clerk.piece(&reply, Copies::AtOnce, &mut self.out)?;
            if let Some(piece) = piece {
                return Ok(Pause::Send(piece));
            }
        }
        Ok(Pause::Enough)
    }
}

/// Serves calls, reports and counts them: one for a connection, one for each thread that it has.
pub(super) struct Clerk {
    pub(super) service: Arc<Service>,
    pub(super) endpoint: Endpoint,
    by_export: Answered,
}

/// Which pieces of files are copied behind their heads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    /// Short ones that are in the page cache.
    AtOnce,
    /// All, however long the disk takes.
    All,
}

impl Clerk {
    pub(super) fn new(
        service: Arc<Service>,
        peer: SocketAddr,
        local: SocketAddr,
        by_export: Answered,
    ) -> Self {
        let endpoint = Endpoint {
            peer,
            local,
            transport: Transport::Tcp,
            ports: service.options.ports,
        };
        Self {
            service,
            endpoint,
            by_export,
        }
    }

    /// Appends the whole answer to a call. Blocks as long as that takes.
    pub(super) fn answer(&mut self, record: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let before = out.len();
        let reply = ::nfs::serve(record, &self.endpoint, &*self.service.files, out);
        let reply = reply.map_err(unusable)?;
        self.count(&reply, out.len() - before);
        match self.piece(&reply, Copies::All, out)? {
            None => Ok(()),
            // The head has promised more than there is.
            Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Counts and reports a reply, of which so many bytes are in memory.
    fn count(&mut self, reply: &Reply, bytes: usize) {
        if let Some(about) = &reply.about {
            let bytes = (bytes + reply.body.len_outside()) as u64;
            self.by_export
                .call(&*self.service.files, &about.file, bytes);
        }
        if let Some(Event::Mounted { path }) = &reply.event {
            (self.service.on_mount)(self.endpoint.peer, path);
        }
    }

    /// The piece of a file that must follow a reply, unless it could be copied behind its head.
    fn piece(&self, reply: &Reply, copies: Copies, out: &mut Vec<u8>) -> io::Result<Option<Piece>> {
        let Body::Range { range, padding } = reply.body else {
            return Ok(None);
        };
        let file = self.service.files.file(range.file);
        let file = file.ok_or_else(|| io::Error::other("the image's generation is gone"))?;
        if (copies == Copies::All || range.len <= COPIED) && copy(&file, &range, copies, out) {
            out.extend_from_slice(&[0; 3][..padding.min(3)]);
            return Ok(None);
        }
        Ok(Some(Piece {
            file,
            range,
            padding,
        }))
    }
}

/// Appends the piece, if all of it can be had at once, or at all.
fn copy(file: &File, range: &FileRange, copies: Copies, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.resize(start + range.len as usize, 0);
    let Some(space) = out.get_mut(start..) else {
        return false;
    };
    let whole = match copies {
        Copies::All => file.read_exact_at(space, range.offset).is_ok(),
        Copies::AtOnce => {
            let buffers = &mut [IoSliceMut::new(space)];
            let read = rustix::io::preadv2(file, buffers, range.offset, ReadWriteFlags::NOWAIT);
            read == Ok(range.len as usize)
        }
    };
    if !whole {
        out.truncate(start);
    }
    whole
}

/// A stream that cannot be followed, or a peer that sends what is no call.
fn unusable(discard: Discard) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, discard)
}
