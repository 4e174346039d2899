//! Telling a port mapper that is not ours where we are (RFC 1833 section 3.2).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use ::nfs::Ports;

const PORT_MAPPER: u32 = 100_000;
const SET: u32 = 1;
const UNSET: u32 = 2;
const TCP: u32 = 6;
/// It is on this machine, so it answers at once or not at all.
const PATIENCE: Duration = Duration::from_millis(500);

/// Program, version and TCP port.
type Mapping = (u32, u32, u16);

/// Our programs in another's registry, until the value is dropped.
#[derive(Debug)]
pub struct Registration {
    socket: UdpSocket,
    mappings: Vec<Mapping>,
}

impl Registration {
    /// Registers NFS and MOUNT with the port mapper at `port_mapper`, an address of this machine.
    ///
    /// Over the loopback and never over rpcbind's socket file, which is shared by network
    /// namespaces that have nothing else in common. Waits half a second for each answer at most.
    pub(super) fn new(port_mapper: SocketAddr, ports: Ports) -> io::Result<Self> {
        Self::from(reserved()?, port_mapper, ports)
    }

    fn from(socket: UdpSocket, port_mapper: SocketAddr, ports: Ports) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(port_mapper)?;
        let mut registration = Self {
            socket,
            mappings: Vec::new(),
        };
        for mapping in [
            (100_003, 3, ports.nfs),
            (100_005, 3, ports.mount),
            (100_005, 1, ports.mount),
        ] {
            registration.set(mapping)?;
            // Only what is ours is taken back at the end.
            registration.mappings.push(mapping);
        }
        Ok(registration)
    }

    fn set(&self, mapping: Mapping) -> io::Result<()> {
        let call = call(SET, mapping);
        self.socket.send(&call)?;
        let mut reply = [0; 64];
        loop {
            let len = self.socket.recv(&mut reply)?;
            if len < 4 || reply[..4] != call[..4] {
                continue;
            }
            // Accepted, with no verifier, successfully: true.
            let expected = [1_u32, 0, 0, 0, 0, 1].map(u32::to_be_bytes).concat();
            return if reply.get(4..len) == Some(&expected[..]) {
                Ok(())
            } else {
                Err(io::Error::other("another server has registered the same"))
            };
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        for mapping in &self.mappings {
            // There is nobody to tell if it fails.
            let _ = self.socket.send(&call(UNSET, *mapping));
        }
    }
}

/// A call with the mapping as its arguments; the transaction number tells the mappings apart.
fn call(procedure: u32, (program, version, port): Mapping) -> Vec<u8> {
    let transaction = program << 8 | version << 4 | procedure;
    let head = [transaction, 0, 2, PORT_MAPPER, 2, procedure, 0, 0, 0, 0];
    let arguments = [program, version, TCP, u32::from(port)];
    let words = head.iter().chain(&arguments);
    words.flat_map(|word| word.to_be_bytes()).collect()
}

/// A socket with a port below 1024, by which a port mapper knows the privileged.
fn reserved() -> io::Result<UdpSocket> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in (600..1024).rev() {
        match UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports {
        nfs: 2049,
        mount: 2050,
    };

    /// A port mapper that says `answers` to SET in turn, and what it was asked: procedure,
    /// program, port.
    fn registered(answers: &'static [u32]) -> (bool, Vec<(u32, u32, u32)>) {
        let mapper = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = mapper.local_addr().unwrap();
        mapper.set_read_timeout(Some(PATIENCE)).unwrap();
        let mapper = std::thread::spawn(move || {
            let (mut asked, mut answers, mut call) = (Vec::new(), answers.iter(), [0; 64]);
            while let Ok((56, from)) = mapper.recv_from(&mut call) {
                let word = |at: usize| u32::from_be_bytes(call[at..at + 4].try_into().unwrap());
                asked.push((word(20), word(40), word(52)));
                if let (SET, Some(answer)) = (word(20), answers.next()) {
                    let reply = [word(0), 1, 0, 0, 0, 0, *answer];
                    let reply = reply.map(u32::to_be_bytes).concat();
                    mapper.send_to(&reply, from).unwrap();
                }
            }
            asked
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let registration = Registration::from(socket, address, PORTS);
        let is_ok = registration.is_ok();
        drop(registration);
        (is_ok, mapper.join().unwrap())
    }

    #[test]
    fn what_was_registered_is_taken_back_at_the_end() {
        let (is_ok, asked) = registered(&[1, 1, 1]);
        assert!(is_ok);
        let (set, unset) = asked.split_at(3);
        assert_eq!(
            set,
            [(1, 100_003, 2049), (1, 100_005, 2050), (1, 100_005, 2050)]
        );
        assert_eq!(
            unset,
            [(2, 100_003, 2049), (2, 100_005, 2050), (2, 100_005, 2050)]
        );
    }

    #[test]
    fn what_another_server_has_registered_stays_its_own() {
        let (is_ok, asked) = registered(&[0]);
        assert!(!is_ok);
        assert_eq!(asked, [(1, 100_003, 2049)]);
    }
}
