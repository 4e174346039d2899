//! curl.

use std::fs;

use anyhow::{Context, Result};

use crate::lab::{Client, Lab};
use crate::process::succeed;

/// A response.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines, as sent.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as text, invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks the lab's server for a path (or a whole URL); `words` are further arguments for curl.
pub fn curl(lab: &Lab, client: &Client, path: &str, words: &[&str]) -> Result<Response> {
    let url = if path.contains("://") {
        path.to_owned()
    } else {
        format!("http://{}{path}", Lab::SERVER)
    };
    let (head, body) = (
        lab.folder().join("http-head"),
        lab.folder().join("http-body"),
    );
    fs::write(&body, "")?;
    let mut command = client.command("curl")?;
    command.args([
        "--silent",
        "--show-error",
        "--path-as-is",
        "--max-time",
        "60",
    ]);
    command
        .arg("--dump-header")
        .arg(&head)
        .arg("--output")
        .arg(&body);
    succeed(command.args(words).arg(url))?;
    let headers = fs::read_to_string(&head)?;
    let status = headers
        .split_whitespace()
        .nth(1)
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("no status in {headers:?}"))?;
    Ok(Response {
        status,
        headers,
        body: fs::read(&body)?,
    })
}
