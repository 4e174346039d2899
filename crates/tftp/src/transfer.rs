//! One file on its way to one client.
//!
//! ```text
//!            no options             ACK 0                 last block acknowledged
//!   RRQ ──┬───────────────────────────────► Sending ────────────────────────────► Done
//!         └─ options ──► Negotiating ──────┘   │  ▲
//!                             │                │  └─ ACK: the window moves on, or restarts after a loss
//!                             └── ERROR, or too many repetitions ──► Aborted / TimedOut
//! ```
//!
//! The contract: after [`Transfer::new`], [`Transfer::handle`] or [`Transfer::handle_timeout`], call
//! [`Transfer::poll_transmit`] until it gives `None`, then wait until [`Transfer::poll_timeout`].

use std::array;
use std::io::{self, IoSliceMut};
use std::time::Duration;

use crate::options::Agreed;
use crate::{Limits, Request};

/// Where a file's bytes come from.
pub trait FileSource {
    /// Fills `buffers`, one behind the other, from `offset` on; fewer bytes than they hold only at the
    /// end of the file. Each is the place of one block, so that a window takes one system call.
    fn read_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client acknowledged the last block; the file's size in bytes.
    Done(u64),
    /// The client wanted only the size: it took our OACK and aborted, as EDK2 and most PXE ROMs do
    /// before they fetch a file for real.
    Probed,
    /// The client sent an ERROR in the middle; its code.
    Aborted(u16),
    /// The client fell silent. The number of bytes that it had acknowledged.
    TimedOut(u64),
    /// Our file could not be read.
    ReadFailed(io::ErrorKind),
}

/// Datagrams to send: the first `len` bytes of the buffer are datagrams of `segment` bytes, the last
/// may be shorter. One system call with UDP segmentation offload sends them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Bytes of all datagrams.
    pub len: usize,
    /// Bytes of each datagram but the last.
    pub segment: usize,
}

/// The largest batch handed out at once, in datagrams (`UDP_MAX_SEGMENTS`) and in bytes (an IPv4
/// datagram): the kernel's limits for segmentation offload.
const MAX_BATCH: usize = 64;
const MAX_BATCH_BYTES: usize = 65_000;

/// The state of one transfer.
#[derive(Debug)]
pub struct Transfer {
    agreed: Agreed,
    attempts: u8,
    len: u64,
    /// The OACK while it is not acknowledged.
    oack: Option<Vec<u8>>,
    /// Whether the OACK is to be sent (again).
    oack_due: bool,
    /// First block not acknowledged, counted from 1.
    base: u64,
    /// Next block to send.
    next: u64,
    /// How often the packets now outstanding have been sent.
    sends: u8,
    /// The window was sent again because the block before it was acknowledged twice; once is enough.
    restarted: bool,
    deadline: Duration,
    outcome: Option<Outcome>,
}

impl Transfer {
    /// Starts to send a file of `len` bytes. `now` is a time since any fixed moment.
    pub fn new(now: Duration, request: &Request, len: u64, limits: &Limits) -> Self {
        let (agreed, oack) = Agreed::negotiate(&request.options, limits, len);
        Self {
            agreed,
            attempts: limits.attempts,
            len,
            oack_due: oack.is_some(),
            oack,
            base: 1,
            next: 1,
            sends: 0,
            restarted: false,
            deadline: now + agreed.timeout,
            outcome: None,
        }
    }

    /// Bytes of data in a full block, as agreed.
    pub fn block_size(&self) -> usize {
        self.agreed.block_size.into()
    }

    /// How the transfer ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Bytes that the client has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        ((self.base - 1) * u64::from(self.agreed.block_size)).min(self.len)
    }

    fn last_block(&self) -> u64 {
        self.len / u64::from(self.agreed.block_size) + 1
    }

    /// Takes a datagram from the client's port.
    pub fn handle(&mut self, now: Duration, bytes: &[u8]) {
        if self.outcome.is_some() {
            return;
        }
        match *bytes {
            [0, 4, high, low, ..] => self.handle_ack(now, u16::from_be_bytes([high, low])),
            [0, 5, high, low, ..] => {
                let code = u16::from_be_bytes([high, low]);
                let nothing_taken = self.base == 1;
                self.outcome = Some(if nothing_taken {
                    Outcome::Probed
                } else {
                    Outcome::Aborted(code)
                });
            }
            // The client did not hear us and asks again; it will be sent again in time.
            _ => {}
        }
    }

    fn handle_ack(&mut self, now: Duration, number: u16) {
        if self.oack.is_some() {
            if number == 0 {
                self.oack = None;
                self.progress(now);
            }
            return;
        }
        // Block numbers roll over to 0 after 65535: find the one among those that are in flight.
        let before = self.base - 1;
        let acknowledged = before + u64::from(number.wrapping_sub(before as u16));
        if acknowledged >= self.next {
            return; // never sent: a stray
        }
        if acknowledged > before {
            self.base = acknowledged + 1;
            self.next = self.base;
            if acknowledged == self.last_block() {
                self.outcome = Some(Outcome::Done(self.len));
            } else {
                self.progress(now);
            }
        } else if self.agreed.window > 1 && !self.restarted {
            // The first block of the window was lost (RFC 7440 section 4). In lock step a second ACK
            // of a block must not be answered, or every packet doubles (RFC 1123 section 4.2.3.1).
            self.restarted = true;
            self.next = self.base;
            self.deadline = now + self.agreed.timeout;
        }
    }

    fn progress(&mut self, now: Duration) {
        self.sends = 0;
        self.restarted = false;
        self.deadline = now + self.agreed.timeout;
    }

    /// When to call [`Transfer::handle_timeout`]. Changes after every other call.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.outcome.is_none().then_some(self.deadline)
    }

    /// The client has been silent: sends again, or gives up.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.outcome.is_some() || now < self.deadline {
            return;
        }
        self.sends += 1;
        if self.sends >= self.attempts {
            self.outcome = Some(Outcome::TimedOut(self.acknowledged()));
            return;
        }
        self.next = self.base;
        self.deadline = now + self.agreed.timeout;
        self.oack_due = self.oack.is_some();
    }

    /// The next datagrams to send, written to the front of `buffer`, which grows as far as they need.
    pub fn poll_transmit(
        &mut self,
        source: &dyn FileSource,
        buffer: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if self.outcome.is_some() {
            return None;
        }
        if let Some(oack) = &self.oack {
            let due = std::mem::take(&mut self.oack_due);
            return due.then(|| whole(oack, buffer));
        }
        let block_size = usize::from(self.agreed.block_size);
        let end = (self.base + u64::from(self.agreed.window)).min(self.last_block() + 1);
        let segment = block_size + 4;
        let most = MAX_BATCH.min((MAX_BATCH_BYTES / segment).max(1));
        let batch = end.saturating_sub(self.next).min(most as u64) as usize;
        if batch == 0 {
            return None;
        }
        let offset = (self.next - 1) * block_size as u64;
        let wanted = (self.len - offset).min((batch * block_size) as u64) as usize;
        let len = wanted + 4 * batch;
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let mut places: [_; MAX_BATCH] = array::from_fn(|_| IoSliceMut::new(&mut []));
        let datagrams = buffer[..len].chunks_mut(segment).zip(&mut places);
        for (block, (datagram, place)) in (self.next..).zip(datagrams) {
            let (head, data) = datagram.split_at_mut(4);
            let [high, low] = (block as u16).to_be_bytes();
            head.copy_from_slice(&[0, 3, high, low]);
            *place = IoSliceMut::new(data);
        }
        match source.read_at(offset, &mut places[..batch]) {
            Ok(read) if read == wanted => {}
            Ok(_) => return Some(self.fail(io::ErrorKind::UnexpectedEof, buffer)),
            Err(error) => return Some(self.fail(error.kind(), buffer)),
        }
        self.next += batch as u64;
        Some(Transmit { len, segment })
    }

    fn fail(&mut self, kind: io::ErrorKind, buffer: &mut Vec<u8>) -> Transmit {
        self.outcome = Some(Outcome::ReadFailed(kind));
        let error = crate::error_packet(crate::ErrorCode::Undefined, "the file cannot be read");
        whole(&error, buffer)
    }
}

/// One datagram.
fn whole(packet: &[u8], buffer: &mut Vec<u8>) -> Transmit {
    buffer.clear();
    buffer.extend_from_slice(packet);
    Transmit {
        len: packet.len(),
        segment: packet.len(),
    }
}
