//! Transfers on their way: many on one thread, a thread for each processor.
//!
//! In lock step a block costs a client's acknowledgement, a wait and a send, and nothing is left to be
//! cheaper than those: here they are one system call each, and a wait brings all clients that have said
//! something. A task of the runtime for each transfer needs a second receive to learn that there is
//! nothing more, and wakes other threads to look for work.

use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use net::Segments;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use tftp::{Outcome, Transfer};
use tokio::sync::oneshot;
use tracing::error;

use super::Content;
use super::ahead::Ahead;

/// How often it is looked whose client has been silent for too long.
const LOOK: Duration = Duration::from_millis(100);
/// What the event of a new transfer is called; the others are called by their place.
const NEW: u64 = u64::MAX;
/// Events that one wait brings.
const EVENTS: usize = 64;

/// One transfer: its socket, its state, its file.
pub(super) struct Driven {
    socket: Segments,
    machine: Transfer,
    file: Ahead<Content>,
    started: Instant,
}

impl Driven {
    /// A transfer of which nothing has been sent.
    pub(super) fn new(socket: UdpSocket, machine: Transfer, file: Content) -> Self {
        let segment = (machine.block_size() + 4) as u16;
        Self {
            socket: Segments::new(socket, segment),
            machine,
            file: Ahead::new(file),
            started: Instant::now(),
        }
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        self.socket.socket()
    }

    /// Sends what comes first, and returns the first datagram of it.
    pub(super) fn begin(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = Vec::new();
        let Some(first) = self.machine.poll_transmit(&self.file, &mut buffer) else {
            return Ok(None);
        };
        buffer.truncate(first.len);
        self.socket.send(&buffer)?;
        buffer.truncate(first.segment);
        Ok(Some(buffer))
    }

    /// Sends all that is to be sent now. How the transfer ended, if it has.
    fn send(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Outcome>> {
        while let Some(transmit) = self.machine.poll_transmit(&self.file, buffer) {
            self.socket.send(&buffer[..transmit.len])?;
        }
        Ok(self.machine.outcome().cloned())
    }

    /// Takes what the client says: one datagram, there will be another event for the next.
    fn hear(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Outcome>> {
        let mut packet = [0; 1024];
        match self.socket().recv(&mut packet) {
            Ok(length) => self
                .machine
                .handle(self.started.elapsed(), &packet[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            // The client's port is closed: it is gone (ICMP port unreachable).
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Ok(Some(Outcome::TimedOut(self.machine.acknowledged())));
            }
            Err(error) => return Err(error),
        }
        self.send(buffer)
    }

    /// Sends again where the client was silent for too long.
    fn look(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Outcome>> {
        self.machine.handle_timeout(self.started.elapsed());
        self.send(buffer)
    }
}

/// A transfer, and who waits for its end.
type Awaited = (Driven, oneshot::Sender<io::Result<Outcome>>);

/// Where a thread takes transfers from, and what wakes it.
struct Thread {
    new: Sender<Awaited>,
    bell: Arc<OwnedFd>,
}

/// The threads. They end when this is dropped, and with them what is on its way.
pub(super) struct Drivers {
    threads: Vec<Thread>,
    next: AtomicUsize,
}

impl Drivers {
    /// Starts a thread for each processor.
    pub(super) fn start() -> io::Result<Self> {
        let threads = (0..std::thread::available_parallelism()?.get())
            .map(|_| Driver::start())
            .collect::<io::Result<_>>()?;
        Ok(Self {
            threads,
            next: AtomicUsize::new(0),
        })
    }

    /// Brings a transfer to its end.
    pub(super) async fn drive(&self, driven: Driven) -> io::Result<Outcome> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        let thread = &self.threads[number];
        let (ended, end) = oneshot::channel();
        let sent = thread.new.send((driven, ended));
        sent.map_err(|_| io::Error::other("the thread for transfers has ended"))?;
        ring(&thread.bell)?;
        end.await
            .unwrap_or_else(|_| Err(io::Error::other("the transfer was given up")))
    }
}

impl Drop for Drivers {
    fn drop(&mut self) {
        for Thread { new, bell } in self.threads.drain(..) {
            drop(new);
            // A bell that does not ring leaves a thread that waits, in a process that ends.
            let _ = ring(&bell);
        }
    }
}

fn ring(bell: &OwnedFd) -> io::Result<()> {
    Ok(rustix::io::write(bell, &1_u64.to_ne_bytes()).map(drop)?)
}

/// What one thread has.
struct Driver {
    epoll: OwnedFd,
    bell: Arc<OwnedFd>,
    new: Receiver<Awaited>,
    /// A place for each transfer; its number is what its event is called.
    transfers: Vec<Option<Awaited>>,
    buffer: Vec<u8>,
}

impl Driver {
    fn start() -> io::Result<Thread> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &bell, EventData::new_u64(NEW), EventFlags::IN)?;
        let (sender, receiver) = channel();
        let driver = Self {
            epoll,
            bell: Arc::clone(&bell),
            new: receiver,
            transfers: Vec::new(),
            buffer: Vec::new(),
        };
        let run = || {
            if let Err(error) = driver.run() {
                error!(%error, "TFTP: a thread for transfers has ended");
            }
        };
        std::thread::Builder::new().name("tftp".into()).spawn(run)?;
        Ok(Thread { new: sender, bell })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        let mut looked = Instant::now();
        loop {
            let busy = self.transfers.iter().any(Option::is_some);
            let wait = busy.then_some(Timespec {
                tv_sec: 0,
                tv_nsec: LOOK.as_nanos() as i64,
            });
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), wait.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    NEW if !self.take_new()? => return Ok(()),
                    NEW => {}
                    place => self.step(place as usize, Driven::hear),
                }
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                (0..self.transfers.len()).for_each(|place| self.step(place, Driven::look));
            }
        }
    }

    /// Takes the transfers that have come. Whether there may be more.
    fn take_new(&mut self) -> io::Result<bool> {
        match rustix::io::read(&*self.bell, &mut [0; 8]) {
            Ok(_) | Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        loop {
            let new = match self.new.try_recv() {
                Ok(new) => new,
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            };
            let free = self.transfers.iter().position(Option::is_none);
            let place = free.unwrap_or_else(|| {
                self.transfers.push(None);
                self.transfers.len() - 1
            });
            let data = EventData::new_u64(place as u64);
            match epoll::add(&self.epoll, new.0.socket(), data, EventFlags::IN) {
                Ok(()) => self.transfers[place] = Some(new),
                // Whoever waits for its end hears nothing then, which is an error.
                Err(error) => drop(new.1.send(Err(error.into()))),
            }
            self.step(place, |driven, buffer| driven.send(buffer));
        }
    }

    /// Does something with a transfer, and lets it go when it has ended.
    fn step(
        &mut self,
        place: usize,
        act: impl FnOnce(&mut Driven, &mut Vec<u8>) -> io::Result<Option<Outcome>>,
    ) {
        let Some(Some((driven, _))) = self.transfers.get_mut(place) else {
            return;
        };
        let buffer = &mut self.buffer;
        // A packet that brings the code down costs its transfer.
        let done = catch_unwind(AssertUnwindSafe(|| act(driven, buffer)));
        let end = match done.unwrap_or_else(|_| Err(io::Error::other("a panic"))) {
            Ok(None) => return,
            Ok(Some(outcome)) => Ok(outcome),
            Err(error) => Err(error),
        };
        // Its socket is closed with it, which takes it from the events too.
        if let Some((_, ended)) = self.transfers[place].take() {
            let _ = ended.send(end);
        }
    }
}
