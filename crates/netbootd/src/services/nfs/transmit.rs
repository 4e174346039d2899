//! Sending replies: bytes from memory, and pieces of files from the page cache.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::fs::Advice;
use rustix::io::ReadWriteFlags;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::session::Piece;

/// A peer that takes nothing for so long has gone; it will connect again if it has not.
const STALLED: Duration = Duration::from_secs(60);
/// The page cache is asked once per this many bytes.
const PROBE: u64 = 128 * 1024;
/// How much is fetched beyond a piece that was not in the page cache, in bytes.
const AHEAD: u64 = 2 << 20;

/// How much a connection sends before it lets others go first, in bytes: the longest READ. A socket
/// that drains as fast as it is filled would keep a thread for as long as its peer asks: beside a
/// client with 32 READs of 1 MiB on their way, 1 % of small READs took longer than 18 ms without
/// turns and than 5 ms with turns of 256 KiB (nfs-ganesha: 11 to 12 ms). Those made a client that reads
/// 1 MiB at a time cost 1.1 times what nfs-ganesha takes for it, 0.7 times without turns.
const TURN: usize = 1 << 20;

/// What a byte from memory counts in a turn: it may have been decompressed for this reply, which takes
/// about as long as sending so many from the page cache.
const FROM_MEMORY: usize = 4;

/// A connection's turn: it ends after so many bytes.
#[derive(Debug, Default)]
pub(super) struct Turn(usize);

impl Turn {
    /// Whoever has waited has let others go first.
    pub(super) fn begin(&mut self) {
        self.0 = 0;
    }

    /// So many bytes were sent. What follows the end of a turn is the next one's.
    async fn sent(&mut self, bytes: usize) {
        if self.0 >= TURN {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
        self.0 += bytes;
    }
}

/// Sends all bytes. With `more`, they wait in the socket for what follows.
pub(super) async fn bytes(
    stream: &TcpStream,
    bytes: &[u8],
    more: bool,
    turn: &mut Turn,
) -> io::Result<()> {
    let mut flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    if more {
        flags |= SendFlags::MORE;
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let now = rest.get(..TURN / FROM_MEMORY).unwrap_or(rest);
        let send = || Ok(rustix::net::send(stream, now, flags)?);
        let sent = drained(stream.async_io(Interest::WRITABLE, send)).await?;
        rest = rest.get(sent..).unwrap_or_default();
        turn.sent(sent * FROM_MEMORY).await;
    }
    Ok(())
}

/// Sends a head, a piece of a file that is in memory, and zero bytes; returns how many in all.
pub(super) async fn slices(
    stream: &TcpStream,
    head: &[u8],
    slices: &[squashfs::Slice],
    padding: usize,
    turn: &mut Turn,
) -> io::Result<usize> {
    let body = slices.iter().map(|slice| IoSlice::new(slice));
    let mut parts: Vec<_> = std::iter::once(IoSlice::new(head)).chain(body).collect();
    parts.push(IoSlice::new([0; 3].get(..padding).unwrap_or_default()));
    let all: usize = parts.iter().map(|part| part.len()).sum();
    let (mut rest, mut left) = (&mut parts[..], all);
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    while left > 0 {
        let send = || {
            let nothing = &mut SendAncillaryBuffer::default();
            Ok(rustix::net::sendmsg(stream, rest, nothing, flags)?)
        };
        let sent = drained(stream.async_io(Interest::WRITABLE, send)).await?;
        left = left.saturating_sub(sent);
        IoSlice::advance_slices(&mut rest, sent);
        turn.sent(sent * FROM_MEMORY).await;
    }
    Ok(all)
}

/// Sends a piece of a file without copying it into user space.
pub(super) async fn piece(stream: &TcpStream, piece: &Piece, turn: &mut Turn) -> io::Result<()> {
    let mut offset = piece.range.offset;
    let end = offset + u64::from(piece.range.len);
    while offset < end {
        let before = offset;
        let send = || {
            let left = (end - offset).min(TURN as u64) as usize;
            Ok(rustix::fs::sendfile(
                stream,
                &piece.file,
                Some(&mut offset),
                left,
            )?)
        };
        let sent = drained(stream.async_io(Interest::WRITABLE, send)).await?;
        turn.sent(sent).await;
        if offset == before {
            // The head has promised more. Nothing but closing the connection is true now.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    bytes(stream, &[0; 3][..piece.padding.min(3)], false, turn).await
}

async fn drained(sent: impl Future<Output = io::Result<usize>>) -> io::Result<usize> {
    match timeout(STALLED, sent).await {
        Ok(sent) => sent,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Whether the piece is in the page cache, as far as a probe here and there can tell.
pub(super) fn is_cached(piece: &Piece) -> bool {
    probes(piece).all(|offset| {
        let byte = &mut [0];
        let buffers = &mut [IoSliceMut::new(byte)];
        rustix::io::preadv2(&piece.file, buffers, offset, ReadWriteFlags::NOWAIT) == Ok(1)
    })
}

/// Brings the piece, and what will be asked for next, into the page cache. Blocks.
pub(super) fn fetch(piece: &Piece) -> io::Result<()> {
    let file: &File = &piece.file;
    let len = NonZeroU64::new(u64::from(piece.range.len) + AHEAD);
    // Advice only: whether it is taken is told by the reads below.
    let _ = rustix::fs::fadvise(file, piece.range.offset, len, Advice::WillNeed);
    probes(piece).try_for_each(|offset| file.read_exact_at(&mut [0], offset))
}

/// Offsets at which to probe: one in every [`PROBE`] bytes, and the last byte.
fn probes(piece: &Piece) -> impl Iterator<Item = u64> {
    let start = piece.range.offset;
    let end = start + u64::from(piece.range.len);
    let within = (start..end).step_by(PROBE as usize);
    within.chain((end > start).then(|| end - 1))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_turn_ends_after_so_many_bytes() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let order = Arc::<Mutex<Vec<char>>>::default();
        let connection = |name: char, piece: usize| {
            let order = Arc::clone(&order);
            async move {
                let mut turn = Turn::default();
                for _ in 0..16 {
                    order.lock().unwrap().push(name);
                    turn.sent(piece).await;
                }
            }
        };
        runtime.unwrap().block_on(async {
            let greedy = tokio::spawn(connection('g', TURN / 4));
            let small = tokio::spawn(connection('s', TURN));
            greedy.await.unwrap();
            small.await.unwrap();
        });
        let order: String = order.lock().unwrap().iter().collect();
        // tokio may let a task that yields run twice before it looks at the others again.
        let longest = order.trim_end_matches('s').split('s').map(str::len).max();
        assert!(longest <= Some(2 * 4), "{order}");
    }
}
