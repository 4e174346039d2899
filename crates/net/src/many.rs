//! Many datagrams by one system call.

use std::io;
use std::net::{SocketAddrV4, UdpSocket};

use crate::sys;

/// Most datagrams of one call.
pub(crate) const MOST: usize = 32;

/// Datagrams that were received by one call.
#[derive(Debug)]
pub struct Received {
    space: Vec<u8>,
    size: usize,
    found: Vec<(usize, SocketAddrV4)>,
}

impl Received {
    /// Room for datagrams of at most `size` bytes; what is longer is cut.
    pub fn new(size: usize) -> Self {
        let size = size.max(1);
        Self {
            space: vec![0; MOST * size],
            size,
            found: Vec::with_capacity(MOST),
        }
    }

    /// Waits for a datagram as the socket does, and takes those that are there by then too.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        sys::receive_many(socket, &mut self.space, self.size, &mut self.found)
    }

    /// The datagrams, and where each came from.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], SocketAddrV4)> {
        let spaces = self.space.chunks(self.size);
        let found = spaces.zip(&self.found);
        found.map(|(space, (len, from))| (&space[..*len], *from))
    }
}

/// Sends datagrams. Those that cannot be sent are lost, as they may be on any wire; returns the last
/// reason.
pub fn send_many(socket: &UdpSocket, datagrams: &[(Vec<u8>, SocketAddrV4)]) -> io::Result<()> {
    let (mut rest, mut result) = (datagrams, Ok(()));
    while !rest.is_empty() {
        let sent = match sys::send_many(socket, rest) {
            Ok(sent) => sent,
            Err(error) => {
                // It is about the first of them.
                result = Err(error);
                1
            }
        };
        rest = rest.get(sent..).unwrap_or_default();
    }
    result
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn datagrams_arrive_with_their_sources_and_an_answer_that_cannot_leave_stops_no_other() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let clients = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        for (number, client) in (0..).zip(&clients) {
            client
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let question = vec![number; 10 + usize::from(number)];
            client
                .send_to(&question, server.local_addr().unwrap())
                .unwrap();
        }
        let mut received = Received::new(11);
        let mut answers = Vec::new();
        while answers.len() < 3 {
            received.receive(&server).unwrap();
            answers.extend(received.iter().map(|(bytes, from)| (bytes.to_vec(), from)));
        }
        let nowhere = "255.255.255.255:9".parse().unwrap();
        answers.insert(1, (vec![0], nowhere));
        assert!(send_many(&server, &answers).is_err());
        for (number, client) in (0..).zip(&clients) {
            let mut buffer = [0; 64];
            let length = client.recv(&mut buffer).unwrap();
            // The last was cut.
            assert_eq!(
                buffer[..length],
                vec![number; (10 + usize::from(number)).min(11)]
            );
        }
    }

    #[test]
    fn nothing_to_receive_is_told_after_the_sockets_time() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        let error = Received::new(16).receive(&socket).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
