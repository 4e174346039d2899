//! What goes back: a head, and bytes from memory or from a file.

use crate::slice::Slice;

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// Bytes made for this answer.
    Bytes(Vec<u8>),
    /// Parts of open files, one behind the other, sent without a copy in user space.
    Files {
        /// The parts.
        parts: Vec<Slice>,
        /// Whether the last byte of what was asked for is among them.
        to_the_end: bool,
    },
}

impl Body {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Files { parts, .. } => parts.iter().map(|part| part.len).sum(),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header lines beyond length and connection, each ending in CR LF.
    pub headers: String,
    /// The body; not sent for HEAD, though its length is.
    pub body: Body,
}

impl Answer {
    /// A line of text with a status.
    pub fn text(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: "Content-Type: text/plain; charset=utf-8\r\n".to_owned(),
            body: Body::Bytes(format!("{text}\n").into_bytes()),
        }
    }

    /// Generated content that must not be kept by anybody.
    pub fn generated(content_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            status: 200,
            headers: format!("Content-Type: {content_type}\r\nCache-Control: no-store\r\n"),
            body: Body::Bytes(bytes),
        }
    }

    /// 204.
    pub fn no_content() -> Self {
        Self {
            status: 204,
            headers: String::new(),
            body: Body::Bytes(Vec::new()),
        }
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::text(404, "not found")
    }

    /// The head as it goes over the wire.
    pub fn head(&self, keep_alive: bool) -> Vec<u8> {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nServer: netbootd\r\nConnection: {connection}\r\n{}",
            self.status,
            reason(self.status),
            self.headers
        );
        if self.status != 204 {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        _ => "Internal Server Error",
    }
}
