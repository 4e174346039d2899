//! Clients that fetch the long file and let the kernel throw it away.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::Lab;
use rustix::net::{RecvFlags, recv};

use super::super::turns::Brought;
use super::LONG;

/// A server that sends nothing for so long has stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets so many clients fetch the file again and again, each on a connection that stays open.
pub(super) fn fetch(clients: usize, length: Duration) -> Result<Brought> {
    let start = Instant::now();
    let end = start + length;
    let bytes = thread::scope(|scope| {
        let all: Vec<_> = (0..clients).map(|_| scope.spawn(|| one(end))).collect();
        all.into_iter()
            .map(|one| one.join().ok().context("a client panicked")?)
            .sum::<Result<u64>>()
    })?;
    ensure!(bytes > 0, "no byte came");
    Ok(Brought {
        units: bytes as f64,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Bytes of the file that one client got.
fn one(end: Instant) -> Result<u64> {
    let mut stream = TcpStream::connect(SocketAddr::from((Lab::SERVER, 80)))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut scratch = vec![0; 1 << 20];
    let mut bytes = 0;
    while Instant::now() < end {
        stream.write_all(b"GET /loader/f60m HTTP/1.1\r\nHost: lab\r\n\r\n")?;
        let mut left = LONG - head(&mut stream)?;
        while left > 0 && Instant::now() < end {
            let most = left.min(scratch.len());
            let (_, dropped) = recv(&stream, &mut scratch[..most], RecvFlags::TRUNC)?;
            ensure!(dropped > 0, "the server has closed the connection");
            left -= dropped;
        }
        bytes += (LONG - left) as u64;
    }
    Ok(bytes)
}

/// Reads the head of an answer, and how much of its body came with it.
fn head(stream: &mut TcpStream) -> Result<usize> {
    let mut buffer = [0; 2048];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        ensure!(read > 0, "no head of at most {} bytes", buffer.len());
        filled += read;
        let head = &buffer[..filled];
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            ensure!(head.starts_with(b"HTTP/1.1 200 "), "not 200");
            return Ok(filled - end - 4);
        }
    }
}
