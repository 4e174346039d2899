//! From received bytes to replies, without a socket.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ::nfs::{Body, Discard, Endpoint, Event, FileRange, Records, Reply, Transport};
use rustix::io::ReadWriteFlags;

use super::Service;
use super::eager::Eager;

/// Replies are sent once they are this long together, in bytes. One more may be added to them, so
/// the buffer holds this and one longest reply at most.
const ENOUGH: usize = 256 * 1024;
/// Pieces of a file up to this length are cheaper to copy behind their head than to send apart.
const COPIED: u32 = 32 * 1024;

/// What one connection has received and is about to send.
pub(super) struct Session {
    service: Arc<Service>,
    endpoint: Endpoint,
    pub(super) records: Records,
    /// Replies not yet sent.
    pub(super) out: Vec<u8>,
    /// Calls answered since they were last counted.
    pub(super) calls: u64,
}

/// Why no more replies are being made.
pub(super) enum Pause {
    /// Every whole record is answered.
    Starved,
    /// There is enough to send.
    Enough,
    /// The piece of this file comes after what is in [`Session::out`].
    Send(Piece),
    /// The latest record needs a thread that may block.
    MustBlock,
}

/// A piece of a file to be sent, and zero bytes after it.
pub(super) struct Piece {
    pub(super) file: Arc<File>,
    pub(super) range: FileRange,
    pub(super) padding: usize,
}

impl Session {
    pub(super) fn new(service: Arc<Service>, peer: SocketAddr, local: SocketAddr) -> Self {
        let endpoint = Endpoint {
            peer,
            local,
            transport: Transport::Tcp,
            ports: service.options.ports,
        };
        Self {
            service,
            endpoint,
            records: Records::new(),
            out: Vec::new(),
            calls: 0,
        }
    }

    /// Answers what can be answered on a runtime thread.
    pub(super) fn answer_eagerly(&mut self) -> io::Result<Pause> {
        while self.out.len() < ENOUGH {
            let Some(record) = self.records.next_record().map_err(unusable)? else {
                return Ok(Pause::Starved);
            };
            let eager = Eager::new(&*self.service.files);
            let before = self.out.len();
            let reply = ::nfs::serve(record, &self.endpoint, &eager, &mut self.out);
            if eager.had_to_wait() {
                self.out.truncate(before);
                return Ok(Pause::MustBlock);
            }
            if let Some(piece) = self.answered(reply, ReadWriteFlags::NOWAIT)? {
                return Ok(Pause::Send(piece));
            }
        }
        Ok(Pause::Enough)
    }

    /// Answers the latest record, which [`Session::answer_eagerly`] could not, and those after it.
    pub(super) fn answer_patiently(&mut self) -> io::Result<Pause> {
        let mut record = self.records.latest();
        loop {
            let files = &*self.service.files;
            let reply = ::nfs::serve(record, &self.endpoint, files, &mut self.out);
            if let Some(piece) = self.answered(reply, ReadWriteFlags::empty())? {
                return Ok(Pause::Send(piece));
            }
            if self.out.len() >= ENOUGH {
                return Ok(Pause::Enough);
            }
            record = match self.records.next_record().map_err(unusable)? {
                Some(record) => record,
                None => return Ok(Pause::Starved),
            };
        }
    }

    /// Counts and reports a reply; gives back the piece of a file that must follow it, unless it
    /// could be copied behind its head.
    fn answered(
        &mut self,
        reply: Result<Reply, Discard>,
        flags: ReadWriteFlags,
    ) -> io::Result<Option<Piece>> {
        let reply = reply.map_err(unusable)?;
        self.calls += 1;
        if let Some(Event::Mounted { path }) = &reply.event {
            (self.service.on_mount)(self.endpoint.peer, path);
        }
        let Body::Range { range, padding } = reply.body else {
            return Ok(None);
        };
        let file = self.service.files.file(range.file);
        let file = file.ok_or_else(|| io::Error::other("the image's generation is gone"))?;
        if range.len <= COPIED && copy(&file, &range, flags, &mut self.out) {
            self.out.extend_from_slice(&[0; 3][..padding.min(3)]);
            return Ok(None);
        }
        Ok(Some(Piece {
            file,
            range,
            padding,
        }))
    }
}

/// Appends the piece, if all of it can be had at once (`NOWAIT`) or at all.
fn copy(file: &File, range: &FileRange, flags: ReadWriteFlags, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.resize(start + range.len as usize, 0);
    let Some(space) = out.get_mut(start..) else {
        return false;
    };
    let whole = if flags.is_empty() {
        file.read_exact_at(space, range.offset).is_ok()
    } else {
        let buffers = &mut [IoSliceMut::new(space)];
        rustix::io::preadv2(file, buffers, range.offset, flags) == Ok(range.len as usize)
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
