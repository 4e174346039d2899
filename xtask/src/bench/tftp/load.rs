//! Clients that fetch a file, all on one thread.

use std::io::ErrorKind;
use std::net::{SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use integration::Lab;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::super::ground::Ground;
use super::super::turns::Brought;

/// The file's name.
pub(super) const FILE: &str = "f60m";
/// Its length in bytes.
const LENGTH: usize = 60_000_000;
/// Bytes of data in a block: a multiple of four, so that each begins with a whole number of the content.
const BLOCK: usize = 1468;
/// How long a client waits before it says again what it said last.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it does so.
const REPETITIONS: u32 = 5;

/// The file: every four bytes are the number of those before them, divided by four.
pub(super) fn content() -> Vec<u8> {
    (0..LENGTH as u32 / 4).flat_map(u32::to_le_bytes).collect()
}

/// Lets so many clients fetch the file again and again.
pub(super) fn fetch(window: u16, clients: u8, length: Duration) -> Result<Brought> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut fetches = Vec::new();
    for number in 0..clients {
        let fetch = Fetch::begin(number, window)?;
        epoll::add(
            &epoll,
            &fetch.socket,
            EventData::new_u64(number.into()),
            EventFlags::IN,
        )?;
        fetches.push(fetch);
    }
    let start = Instant::now();
    let mut events = Vec::with_capacity(clients.into());
    let mut looked = start;
    while start.elapsed() < length {
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        events.clear();
        epoll::wait(
            &epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&wait),
        )?;
        let now = Instant::now();
        for event in &events {
            let number = event.data.u64() as usize;
            if fetches[number].hear(now)? {
                epoll::delete(&epoll, &fetches[number].socket)?;
                let bytes = fetches[number].bytes;
                fetches[number] = Fetch::begin(number as u8, window)?;
                fetches[number].bytes = bytes;
                let (data, flags) = (EventData::new_u64(number as u64), EventFlags::IN);
                epoll::add(&epoll, &fetches[number].socket, data, flags)?;
            }
        }
        if now - looked > PATIENCE / 4 {
            looked = now;
            fetches.iter_mut().try_for_each(|fetch| fetch.look(now))?;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let mut bytes = 0;
    for fetch in fetches {
        bytes += fetch.bytes;
        fetch.give_up();
    }
    ensure!(bytes > 0, "no block came");
    Ok(Brought {
        units: bytes as f64,
        seconds,
    })
}

/// One client's fetch.
struct Fetch {
    socket: UdpSocket,
    request: String,
    /// Whether the server's port for this transfer is known.
    connected: bool,
    window: u64,
    /// Blocks that have come in order.
    have: u64,
    /// The block at which the last acknowledgement was sent.
    acknowledged: u64,
    /// Bytes of data in all.
    bytes: u64,
    heard: Instant,
    repeated: u32,
}

impl Fetch {
    fn begin(number: u8, window: u16) -> Result<Self> {
        let socket = UdpSocket::bind(SocketAddrV4::new(Ground::client(number), 0))?;
        set_socket_recv_buffer_size(&socket, 1 << 20)?;
        socket.set_nonblocking(true)?;
        let mut request = format!("\0\x01{FILE}\0octet\0blksize\0{BLOCK}\0");
        if window > 1 {
            request.push_str(&format!("windowsize\0{window}\0"));
        }
        let fetch = Self {
            socket,
            request,
            connected: false,
            window: 1,
            have: 0,
            acknowledged: 0,
            bytes: 0,
            heard: Instant::now(),
            repeated: 0,
        };
        fetch.ask()?;
        Ok(fetch)
    }

    fn ask(&self) -> Result<()> {
        let request = self.request.as_bytes();
        self.socket.send_to(request, (Lab::SERVER, 69))?;
        Ok(())
    }

    /// Takes what has come. Whether the file is whole.
    fn hear(&mut self, now: Instant) -> Result<bool> {
        let mut packet = [0; 2048];
        loop {
            let (length, from) = match self.socket.recv_from(&mut packet) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error).context("receive"),
            };
            if !self.connected {
                self.socket.connect(from)?;
                self.connected = true;
            }
            (self.heard, self.repeated) = (now, 0);
            let packet = &packet[..length];
            match packet {
                [0, 3, high, low, data @ ..] => {
                    if u16::from_be_bytes([*high, *low]) != (self.have + 1) as u16 {
                        // After a gap, once: the window begins anew behind what we have.
                        if self.acknowledged != self.have {
                            self.acknowledge()?;
                        }
                        continue;
                    }
                    let place = (self.have as usize * BLOCK / 4) as u32;
                    ensure!(
                        data.is_empty() || data.get(..4) == Some(&place.to_le_bytes()),
                        "block {} is not what it must be",
                        self.have + 1
                    );
                    self.have += 1;
                    self.bytes += data.len() as u64;
                    let last = data.len() < BLOCK;
                    if last || self.have - self.acknowledged >= self.window {
                        self.acknowledge()?;
                    }
                    if last {
                        return Ok(true);
                    }
                }
                [0, 6, options @ ..] => {
                    let mut words = options.split(|byte| *byte == 0);
                    while let (Some(name), Some(value)) = (words.next(), words.next()) {
                        if name == b"windowsize" {
                            self.window = std::str::from_utf8(value)?.parse()?;
                        }
                    }
                    self.acknowledge()?;
                }
                other => bail!("the server said {:?}", String::from_utf8_lossy(other)),
            }
        }
    }

    fn acknowledge(&mut self) -> Result<()> {
        self.acknowledged = self.have;
        let [high, low] = (self.have as u16).to_be_bytes();
        self.socket.send(&[0, 4, high, low])?;
        Ok(())
    }

    /// Repeats itself where nothing has come for long.
    fn look(&mut self, now: Instant) -> Result<()> {
        if now - self.heard < PATIENCE * (self.repeated + 1) {
            return Ok(());
        }
        self.repeated += 1;
        ensure!(
            self.repeated < REPETITIONS,
            "the server has fallen silent at block {}",
            self.have
        );
        if self.connected {
            self.acknowledge()
        } else {
            self.ask()
        }
    }

    /// Lets the server know that nobody waits for the rest.
    fn give_up(self) {
        if self.connected {
            let _ = self.socket.send(b"\0\x05\0\0enough\0");
        }
    }
}
