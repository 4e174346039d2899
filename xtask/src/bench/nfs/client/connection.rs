//! One connection: calls one at a time while preparing, pipelined under load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::net::{RecvFlags, recv};

use super::wire::{self, Handle};

/// A reply that has not come by then will not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// What of a reply's data is longer than this is thrown away in the kernel instead of read.
const WORTH_DROPPING: usize = 16 * 1024;

/// A connection to a server.
pub(super) struct Connection {
    stream: TcpStream,
    xid: u32,
    /// Bytes received and not looked at: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    scratch: Vec<u8>,
}

/// A call to make.
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) arguments: Vec<u8>,
    /// For READ, the bytes that it must bring.
    pub(super) data: Option<u32>,
}

/// A call that was made.
struct Pending {
    xid: u32,
    since: Instant,
    data: Option<u32>,
}

/// What a load brought.
#[derive(Default)]
pub(super) struct Brought {
    /// Calls answered.
    pub(super) calls: u64,
    /// Bytes of files in them.
    pub(super) bytes: u64,
    /// How long each took, in microseconds.
    pub(super) latencies: Vec<u32>,
}

impl Connection {
    pub(super) fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).with_context(|| format!("no {server}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            xid: std::process::id() << 16,
            buffer: vec![0; 256 * 1024],
            start: 0,
            end: 0,
            scratch: vec![0; 1 << 20],
        })
    }

    /// The root handle of an export.
    pub(super) fn mount(&mut self, path: &str) -> Result<Handle> {
        let reply = self.ask(wire::MOUNT, wire::MNT, &wire::opaque(path.as_bytes()))?;
        let results = wire::success(wire::results(&reply)?);
        let results = results.with_context(|| format!("cannot mount {path}"))?;
        Ok(wire::opaque_at(results)?.to_vec())
    }

    /// The handle of a name in a directory, and the file's length.
    pub(super) fn lookup(&mut self, directory: &[u8], name: &str) -> Result<(Handle, u64)> {
        let arguments = wire::lookup(directory, name.as_bytes());
        let reply = self.ask(wire::NFS, wire::LOOKUP, &arguments)?;
        let results = wire::success(wire::results(&reply)?);
        let results = results.with_context(|| format!("cannot look up {name}"))?;
        let handle = wire::opaque_at(results)?.to_vec();
        let attributes = 4 + handle.len().next_multiple_of(4);
        ensure!(wire::word(results, attributes)? == 1, "no attributes");
        let [high, low] = [24, 28].map(|at| wire::word(results, attributes + at));
        Ok((handle, u64::from(high?) << 32 | u64::from(low?)))
    }

    /// One call and its whole reply, without the record mark.
    fn ask(&mut self, program: [u32; 2], number: u32, arguments: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.xid += 1;
        wire::call(&mut out, self.xid, program, number, arguments);
        self.stream.write_all(&out)?;
        let mut mark = [0; 4];
        self.stream.read_exact(&mut mark)?;
        let mut reply = vec![0; record_len(&mark)?];
        self.stream.read_exact(&mut reply)?;
        ensure!(wire::word(&reply, 0)? == self.xid, "another call's reply");
        Ok(reply)
    }

    /// Keeps `depth` calls on their way until `next` has no more, and all replies have come.
    pub(super) fn pipeline(
        &mut self,
        depth: usize,
        next: &mut dyn FnMut() -> Option<Call>,
    ) -> Result<Brought> {
        let mut brought = Brought::default();
        let mut pending: Vec<Pending> = Vec::with_capacity(depth);
        let mut out = Vec::new();
        loop {
            out.clear();
            while pending.len() < depth
                && let Some(call) = next()
            {
                let since = Instant::now();
                self.xid = self.xid.wrapping_add(1);
                wire::call(&mut out, self.xid, wire::NFS, call.number, &call.arguments);
                pending.push(Pending {
                    xid: self.xid,
                    since,
                    data: call.data,
                });
            }
            if pending.is_empty() {
                return Ok(brought);
            }
            self.stream.write_all(&out)?;
            // At least one reply, and all others that have come with it.
            self.reply(&mut pending, &mut brought)?;
            while !pending.is_empty() && self.has_head(&pending) {
                self.reply(&mut pending, &mut brought)?;
            }
        }
    }

    /// Takes one reply, whichever comes.
    fn reply(&mut self, pending: &mut Vec<Pending>, brought: &mut Brought) -> Result<()> {
        self.need(8, pending)?;
        let len = record_len(&self.buffer[self.start..self.end])?;
        let head = len.min(wire::READ_HEAD - 4);
        self.need(4 + head, pending)?;
        let record = &self.buffer[self.start + 4..self.start + 4 + head];
        let xid = wire::word(record, 0)?;
        let at = pending.iter().position(|call| call.xid == xid);
        let call = pending.swap_remove(at.context("a reply to no call of ours")?);
        match call.data {
            Some(wanted) => {
                let count = wire::read_count(record)?;
                ensure!(
                    count == wanted,
                    "{count} bytes where {wanted} were asked for"
                );
                brought.bytes += u64::from(count);
            }
            None => {
                wire::success(wire::results(record)?)?;
            }
        }
        self.skip(4 + len)?;
        brought.calls += 1;
        let took = call.since.elapsed().as_micros();
        brought
            .latencies
            .push(u32::try_from(took).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Whether what has been received says whose the next reply is and how long.
    fn has_head(&self, pending: &[Pending]) -> bool {
        let smallest = if pending.iter().all(|call| call.data.is_some()) {
            wire::READ_HEAD
        } else {
            32
        };
        self.end - self.start >= smallest
    }

    /// Receives until `len` bytes are in the buffer.
    fn need(&mut self, len: usize, pending: &[Pending]) -> Result<()> {
        if self.end - self.start >= len {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        // Of long replies only the head is wanted here; many short ones come in one go.
        let long = |call: &Pending| call.data.is_some_and(|data| data as usize > WORTH_DROPPING);
        let room = if pending.iter().any(long) {
            len
        } else {
            self.buffer.len()
        };
        while self.end < len {
            match self.stream.read(&mut self.buffer[self.end..room]) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(count) => self.end += count,
                Err(error) => return Err(error).context("no reply"),
            }
        }
        Ok(())
    }

    /// Throws `len` bytes away: MSG_TRUNC lets the kernel drop what we would not look at, as a
    /// network card's client costs this machine nothing either.
    fn skip(&mut self, len: usize) -> Result<()> {
        let here = len.min(self.end - self.start);
        self.start += here;
        let mut rest = len - here;
        while rest > 0 {
            let want = rest.min(self.scratch.len());
            let scratch = &mut self.scratch[..want];
            let (_, dropped) = recv(&self.stream, scratch, RecvFlags::TRUNC)?;
            ensure!(dropped > 0, "the server closed the connection");
            rest -= dropped;
        }
        Ok(())
    }
}

/// The length that a record mark tells. Servers that split replies into fragments are not for us.
fn record_len(bytes: &[u8]) -> Result<usize> {
    let mark = wire::word(bytes, 0)?;
    ensure!(mark >> 31 == 1, "a reply in several fragments");
    Ok((mark & 0x7fff_ffff) as usize)
}
