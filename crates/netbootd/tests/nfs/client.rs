//! A client that says exactly what a test tells it to.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

/// `READ` of NFS version 3.
pub(crate) const READ: u32 = 6;

impl Client {
    pub(crate) fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// The results of a call, after the accepted head.
    pub(crate) fn call(&mut self, program: u32, number: u32, arguments: &[u8]) -> Vec<u8> {
        self.stream
            .write_all(&record(1, program, number, arguments))
            .unwrap();
        self.reply().unwrap().1
    }

    /// Transaction number and results of the next reply.
    pub(crate) fn reply(&mut self) -> io::Result<(u32, Vec<u8>)> {
        let mut mark = [0; 4];
        self.stream.read_exact(&mut mark)?;
        let len = u32::from_be_bytes(mark) & 0x7fff_ffff;
        let mut reply = vec![0; len as usize];
        self.stream.read_exact(&mut reply)?;
        assert_eq!(
            reply[4..24],
            [[0, 0, 0, 1], [0; 4], [0; 4], [0; 4], [0; 4]].concat()
        );
        Ok((word(&reply, 0), reply.split_off(24)))
    }

    /// The root handle of a path, as an argument.
    pub(crate) fn mount(&mut self, path: &str) -> Vec<u8> {
        let results = self.call(100_005, 1, &opaque(path.as_bytes()));
        assert_eq!(word(&results, 0), 0, "mount {path}");
        let len = word(&results, 4) as usize;
        opaque(&results[8..8 + len])
    }

    /// The handle of a name in a directory, as an argument.
    pub(crate) fn lookup(&mut self, directory: &[u8], name: &str) -> Vec<u8> {
        let results = self.call(100_003, 3, &[directory, &opaque(name.as_bytes())].concat());
        assert_eq!(word(&results, 0), 0, "lookup {name}");
        let len = word(&results, 4) as usize;
        opaque(&results[8..8 + len])
    }
}

/// The arguments of READ.
pub(crate) fn read_arguments(file: &[u8], offset: u64, count: u32) -> Vec<u8> {
    [file, &offset.to_be_bytes(), &count.to_be_bytes()].concat()
}

/// The data in the results of READ, checked against its length.
pub(crate) fn data(results: &[u8]) -> &[u8] {
    assert_eq!(word(results, 0), 0, "READ");
    let len = word(results, 92) as usize;
    assert_eq!(word(results, 100) as usize, len);
    assert_eq!(results.len(), 104 + len.next_multiple_of(4));
    &results[104..104 + len]
}

/// A call as one record; MOUNT and NFS version 3, the port mapper version 2, from root.
pub(crate) fn record(xid: u32, program: u32, number: u32, arguments: &[u8]) -> Vec<u8> {
    let version = if program == 100_000 { 2 } else { 3 };
    let words = [
        xid, 0, 2, program, version, number, 1, 20, 0, 0, 0, 0, 0, 0, 0,
    ];
    let mut record = vec![0; 4];
    record.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    record.extend(arguments);
    let mark = 1 << 31 | (record.len() - 4) as u32;
    record[..4].copy_from_slice(&mark.to_be_bytes());
    record
}

pub(crate) fn opaque(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = (bytes.len() as u32).to_be_bytes().to_vec();
    encoded.extend(bytes);
    encoded.resize(encoded.len().next_multiple_of(4), 0);
    encoded
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}
