//! Machines that ask for an address, all by one socket.

use std::collections::HashMap;
use std::net::{SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use integration::Lab;
use integration::room::message::{ACK, Kind, OFFER, Seen, ask};

/// Machines that wait for an answer at once.
const OUTSTANDING: usize = 64;
/// How long a machine waits before it asks again from the beginning.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nobody may be answered.
const GIVE_UP: Duration = Duration::from_secs(30);

pub(super) struct Load {
    socket: UdpSocket,
    to: SocketAddrV4,
}

/// What a load came to.
pub(super) struct Figures {
    pub(super) seconds: f64,
    pub(super) p50_ms: f64,
}

struct Waiting {
    begun: Instant,
    asked: Instant,
}

impl Load {
    pub(super) fn new(socket: UdpSocket) -> Self {
        let to = SocketAddrV4::new(Lab::SERVER, 67);
        Self { socket, to }
    }

    /// Gets addresses for the machines from `first` on: as many at once as may wait, or `rate` of them
    /// in a second.
    pub(super) fn run(&mut self, first: u32, machines: u32, rate: Option<u32>) -> Result<Figures> {
        let (start, mut heard) = (Instant::now(), Instant::now());
        let mut waiting: HashMap<u32, Waiting> = HashMap::new();
        let (mut begun, mut took) = (0, Vec::new());
        let mut buffer = [0; 1500];
        while took.len() < machines as usize {
            let now = Instant::now();
            if now - heard > GIVE_UP {
                bail!("{} of {machines} machines have an address", took.len());
            }
            for (machine, waiting) in &mut waiting {
                if now - waiting.asked > PATIENCE {
                    waiting.asked = now;
                    self.send(*machine, Kind::Discover);
                }
            }
            let may_begin = |begun: u32| match rate {
                Some(rate) => start.elapsed().as_secs_f64() * f64::from(rate) >= f64::from(begun),
                None => true,
            };
            while begun < machines && waiting.len() < OUTSTANDING && may_begin(begun) {
                let (machine, begun_at) = (first + begun, Instant::now());
                let begins = Waiting {
                    begun: begun_at,
                    asked: begun_at,
                };
                waiting.insert(machine, begins);
                self.send(machine, Kind::Discover);
                begun += 1;
            }
            // As many answers as there are, before the clock is looked at again.
            let mut received = self.socket.recv(&mut buffer);
            self.socket.set_nonblocking(true)?;
            while let Ok(length) = received {
                heard = Instant::now();
                self.hear(&buffer[..length], &mut waiting, &mut took);
                received = self.socket.recv(&mut buffer);
            }
            self.socket.set_nonblocking(false)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        took.sort_by(f64::total_cmp);
        Ok(Figures {
            seconds,
            p50_ms: took[took.len() / 2] * 1000.0,
        })
    }

    fn hear(&self, bytes: &[u8], waiting: &mut HashMap<u32, Waiting>, took: &mut Vec<f64>) {
        let Some(seen) = Seen::read(bytes) else {
            return;
        };
        match seen.kind {
            OFFER => {
                if let Some(waiting) = waiting.get_mut(&seen.machine) {
                    waiting.asked = Instant::now();
                    self.send(seen.machine, Kind::Select(seen.address));
                }
            }
            ACK => {
                let waited = waiting.remove(&seen.machine);
                took.extend(waited.map(|waiting| waiting.begun.elapsed().as_secs_f64()));
            }
            _ => {}
        }
    }

    fn send(&self, machine: u32, kind: Kind) {
        // What is not sent is asked again, as what got lost.
        let _ = self.socket.send_to(&ask(machine, machine, kind), self.to);
    }
}
