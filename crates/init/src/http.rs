//! As much of an HTTP/1.1 client (RFC 9112) as talking to netbootd takes: one request on one
//! connection, an answer whose length is known.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

/// Longest head of an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// How long to wait for a server before giving this try up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the connection.
    pub(crate) connect: Duration,
    /// For each piece of the answer.
    pub(crate) read: Duration,
}

/// Why there was no answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// Connecting, sending or receiving failed.
    Io(io::Error),
    /// What came back is not an answer that this client reads; says what is wrong with it.
    Malformed(&'static str),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    f.write_str("no answer in time")
                }
                _ => write!(f, "{error}"),
            },
            Self::Malformed(what) => write!(f, "the answer makes no sense: {what}"),
        }
    }
}

impl From<io::Error> for HttpError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Status code, 100 to 599.
    pub(crate) status: u16,
    /// Length of the body in bytes, when it is told.
    pub(crate) length: Option<u64>,
    /// First byte and whole length, of `Content-Range: bytes 5-9/10`.
    pub(crate) range: Option<(u64, u64)>,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its head.
    pub(crate) head: Head,
    body: BufReader<TcpStream>,
}

impl Answer {
    /// The whole body; an error when it is longer than `limit` or breaks off.
    pub(crate) fn into_body(self, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        let told = self.head.length;
        if told.is_some_and(|length| length > limit as u64) {
            return Err(HttpError::Malformed("the body is too long"));
        }
        let end = told.unwrap_or(limit as u64 + 1);
        self.body.take(end).read_to_end(&mut body)?;
        if body.len() > limit {
            return Err(HttpError::Malformed("the body is too long"));
        }
        if told.is_some_and(|length| length != body.len() as u64) {
            return Err(HttpError::Malformed("the body breaks off"));
        }
        Ok(body)
    }

    /// The body as it comes, without regard to its length.
    pub(crate) fn body(&mut self) -> &mut impl Read {
        &mut self.body
    }
}

/// `GET path`, from byte `from` on.
pub(crate) fn get(
    server: SocketAddrV4,
    path: &str,
    from: u64,
    patience: Patience,
) -> Result<Answer, HttpError> {
    let range = match from {
        0 => String::new(),
        from => format!("Range: bytes={from}-\r\n"),
    };
    let request = format!("GET {path} HTTP/1.1\r\n{}{range}\r\n", fields(server));
    exchange(server, request.as_bytes(), patience)
}

/// `POST path` with a text.
pub(crate) fn post(
    server: SocketAddrV4,
    path: &str,
    body: &str,
    patience: Patience,
) -> Result<Answer, HttpError> {
    let request = format!(
        "POST {path} HTTP/1.1\r\n{}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        fields(server),
        body.len(),
    );
    exchange(server, request.as_bytes(), patience)
}

fn fields(server: SocketAddrV4) -> String {
    format!(
        "Host: {server}\r\nUser-Agent: netbootd-init/{}\r\nConnection: close\r\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn exchange(server: SocketAddrV4, request: &[u8], patience: Patience) -> Result<Answer, HttpError> {
    let mut stream = TcpStream::connect_timeout(&server.into(), patience.connect)?;
    stream.set_read_timeout(Some(patience.read))?;
    stream.set_write_timeout(Some(patience.read))?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    let mut body = BufReader::with_capacity(64 * 1024, stream);
    let head = parse_head(&read_head(&mut body)?)?;
    Ok(Answer { head, body })
}

fn read_head(stream: &mut impl Read) -> Result<Vec<u8>, HttpError> {
    let mut head = Vec::with_capacity(512);
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Err(HttpError::Malformed("its head does not end"));
        }
        match stream.read(&mut byte) {
            Ok(0) => return Err(HttpError::Malformed("it breaks off in its head")),
            Ok(_) => head.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(head)
}

/// Reads a status line and the three fields that matter.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Head, HttpError> {
    let text = std::str::from_utf8(bytes).map_err(|_| HttpError::Malformed("it is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .filter(|status| (100..=599).contains(status))
        .ok_or(HttpError::Malformed("it is not HTTP/1"))?;
    let mut head = Head {
        status,
        length: None,
        range: None,
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let length = value.parse();
                head.length =
                    Some(length.map_err(|_| HttpError::Malformed("its length is no number"))?);
            }
            "content-range" => head.range = parse_range(value),
            "transfer-encoding" => return Err(HttpError::Malformed("its body is encoded")),
            _ => {}
        }
    }
    Ok(head)
}

fn parse_range(value: &str) -> Option<(u64, u64)> {
    let (range, whole) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, whole.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, HttpError> {
        parse_head(text.as_bytes())
    }

    #[test]
    fn the_head_of_an_answer_is_read() {
        let text = "HTTP/1.1 206 Partial Content\r\ncontent-LENGTH: 5\r\nContent-Range: bytes 5-9/10\r\n\r\n";
        let want = Head {
            status: 206,
            length: Some(5),
            range: Some((5, 10)),
        };
        assert_eq!(head(text).unwrap(), want);
        assert_eq!(head("HTTP/1.0 204\r\n\r\n").unwrap().status, 204);
    }

    #[test]
    fn strange_heads_are_refused() {
        for text in [
            "",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 999 x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(head(text).is_err(), "{text:?}");
        }
        assert!(parse_head(b"HTTP/1.1 200 \xff\r\n\r\n").is_err());
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let mut endless = io::repeat(b'x');
        assert!(matches!(
            read_head(&mut endless),
            Err(HttpError::Malformed(_))
        ));
        let mut short = &b"HTTP/1.1 200"[..];
        assert!(matches!(
            read_head(&mut short),
            Err(HttpError::Malformed(_))
        ));
    }

    /// Answers one connection with `answer`, and gives the address to ask.
    fn server(answer: &'static str) -> SocketAddrV4 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            unreachable!("bound to an IPv4 address");
        };
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        });
        address
    }

    fn body(answer: &'static str, limit: usize) -> Result<Vec<u8>, HttpError> {
        let second = Duration::from_secs(5);
        let patience = Patience {
            connect: second,
            read: second,
        };
        get(server(answer), "/x", 0, patience)?.into_body(limit)
    }

    #[test]
    fn a_body_is_whole_or_an_error() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(body(whole, 2).unwrap(), b"hi");
        assert!(body(whole, 1).is_err());
        assert!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", 9).is_err());
        assert_eq!(body("HTTP/1.0 200 OK\r\n\r\nhi", 9).unwrap(), b"hi");
        assert!(body("HTTP/1.0 200 OK\r\n\r\nhi there", 3).is_err());
    }
}
