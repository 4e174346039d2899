//! Asking the running daemon over its control socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The answer to `GET path`.
pub fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> anyhow::Result<T> {
    ask(socket, &format!("GET {path}"), "")
}

/// The answer to an order. What cannot be done is an error with the daemon's reason.
pub fn post<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    order: &impl Serialize,
) -> anyhow::Result<T> {
    let body = serde_json::to_string(order).context("an order is plain data")?;
    ask(socket, &format!("POST {path}"), &body)
}

/// The bytes of the answer to `GET path`.
pub fn get_bytes(socket: &Path, path: &str) -> anyhow::Result<Vec<u8>> {
    exchange(socket, &format!("GET {path}"), "")
}

fn ask<T: DeserializeOwned>(socket: &Path, what: &str, body: &str) -> anyhow::Result<T> {
    serde_json::from_slice(&exchange(socket, what, body)?)
        .context("the daemon's answer is not understood; is it another version?")
}

fn exchange(socket: &Path, what: &str, body: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).with_context(|| {
        format!(
            "no netbootd answers on {} (is it running? may you use it? root and group netbootd may)",
            socket.display()
        )
    })?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: netbootd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .context("the daemon did not answer in time")?;
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("the answer is cut")?;
    let (head, body) = answer.split_at(end + 4);
    if !head.starts_with(b"HTTP/1.1 200") {
        bail!("{}", String::from_utf8_lossy(body).trim());
    }
    Ok(body.to_vec())
}
