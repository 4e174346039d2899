//! One connection: requests in, answers out, everything bounded in bytes and time.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::{Answer, Body};
use super::request::{MAX_HEAD, Method, Parsed, Refused, Request};
use crate::slice::Slice;

/// A head must be complete this long after its first byte.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// An idle connection is closed after this.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// A client that takes no byte for this long is gone.
const STALL_TIME: Duration = Duration::from_secs(60);
/// Longest body of a request: a report.
const MAX_BODY: u64 = model::Report::MAX_LEN as u64;
/// Most bytes handed to one `sendfile`, so that other connections get their turn.
const CHUNK: u64 = 1 << 20;

/// A body of a file up to this length leaves with its head, as one packet or few.
const SHORT: u64 = 16 << 10;

/// Answers requests. Asked once for each, with the body of the request; told when an answer went
/// out whole.
pub(super) trait Handler: Sync {
    /// The answer to a request from `peer` that arrived at our address `local`.
    fn answer(
        &self,
        peer: SocketAddrV4,
        local: SocketAddrV4,
        request: &Request,
        body: &[u8],
    ) -> Answer;
    /// The answer to a GET was sent to its last byte.
    fn sent(&self, peer: SocketAddrV4, request: &Request, answer: &Answer);
}

/// Serves a connection until it ends. Errors are the client's going away, and need no log.
pub(super) async fn serve(stream: TcpStream, handler: &impl Handler) -> io::Result<()> {
    let (std::net::SocketAddr::V4(peer), std::net::SocketAddr::V4(local)) =
        (stream.peer_addr()?, stream.local_addr()?)
    else {
        return Ok(());
    };
    stream.set_nodelay(true)?;
    let mut connection = Connection {
        stream,
        buffer: Vec::with_capacity(1024),
    };
    loop {
        let request = match connection.request().await? {
            Some(Ok(request)) => request,
            Some(Err(refused)) => return connection.refuse(refused).await,
            None => return Ok(()),
        };
        let body = match timeout(HEAD_TIME, connection.body(&request)).await {
            Ok(body) => body?,
            Err(_) => {
                return connection
                    .send(&Answer::text(408, "the body did not come"), false, false)
                    .await;
            }
        };
        let Some(body) = body else {
            return connection
                .send(&Answer::text(413, "too long"), false, false)
                .await;
        };
        let answer = handler.answer(peer, local, &request, &body);
        let keep_alive = request.keep_alive;
        connection
            .send(&answer, keep_alive, request.method == Method::Head)
            .await?;
        if request.method == Method::Get {
            handler.sent(peer, &request, &answer);
        }
        if !keep_alive {
            return connection.stream.shutdown().await;
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// Bytes received and not yet used.
    buffer: Vec<u8>,
}

impl Connection {
    /// The next request; `None` when the client closed or fell silent between requests.
    async fn request(&mut self) -> io::Result<Option<Result<Request, Refused>>> {
        if self.buffer.is_empty() {
            match timeout(IDLE_TIME, self.receive()).await {
                Ok(Ok(0)) | Err(_) => return Ok(None),
                Ok(received) => received?,
            };
        }
        let head = async {
            loop {
                match Request::decode(&self.buffer) {
                    Ok(Parsed::Whole(request, length)) => {
                        self.buffer.drain(..length);
                        return Ok(Some(Ok(request)));
                    }
                    Ok(Parsed::Partial) => {}
                    Err(refused) => return Ok(Some(Err(refused))),
                }
                if self.receive().await? == 0 {
                    return Ok(None);
                }
            }
        };
        timeout(HEAD_TIME, head).await.unwrap_or(Ok(None))
    }

    async fn receive(&mut self) -> io::Result<usize> {
        let room = (MAX_HEAD + 1024).saturating_sub(self.buffer.len()).max(1);
        (&mut self.stream)
            .take(room as u64)
            .read_buf(&mut self.buffer)
            .await
    }

    /// The request's body; `None` when it is longer than any report.
    async fn body(&mut self, request: &Request) -> io::Result<Option<Vec<u8>>> {
        if request.body_len > MAX_BODY {
            return Ok(None);
        }
        let length = request.body_len as usize;
        while self.buffer.len() < length {
            if self.receive().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Some(self.buffer.drain(..length).collect()))
    }

    async fn refuse(&mut self, refused: Refused) -> io::Result<()> {
        let answer = match refused {
            Refused::BadRequest => Answer::text(400, "bad request"),
            Refused::Method => {
                let mut answer = Answer::text(405, "only GET, HEAD and POST");
                answer.headers.push_str("Allow: GET, HEAD, POST\r\n");
                answer
            }
            Refused::TooLong => Answer::text(431, "the request head is too long"),
            Refused::Coding => Answer::text(501, "no transfer codings in requests"),
        };
        self.send(&answer, false, false).await
    }

    async fn send(&mut self, answer: &Answer, keep_alive: bool, head_only: bool) -> io::Result<()> {
        let mut head = answer.head(keep_alive);
        match &answer.body {
            _ if head_only => self.write(&head).await,
            Body::Bytes(bytes) => {
                head.extend_from_slice(bytes);
                self.write(&head).await
            }
            Body::Files { parts, .. } if answer.body.len() <= SHORT => {
                for part in parts {
                    let start = head.len();
                    head.resize(start + part.len as usize, 0);
                    part.file.read_exact_at(&mut head[start..], part.start)?;
                }
                self.write(&head).await
            }
            Body::Files { parts, .. } => {
                self.write(&head).await?;
                for part in parts {
                    self.send_file(part).await?;
                }
                Ok(())
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(STALL_TIME, self.stream.write_all(bytes))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// From the page cache to the socket, without passing through our memory.
    async fn send_file(&mut self, part: &Slice) -> io::Result<()> {
        let (mut offset, end) = (part.start, part.start + part.len);
        while offset < end {
            timeout(STALL_TIME, self.stream.writable())
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            let count = (end - offset).min(CHUNK) as usize;
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                let stream = self.stream.as_fd();
                Ok(rustix::fs::sendfile(
                    stream,
                    &*part.file,
                    Some(&mut offset),
                    count,
                )?)
            });
            match sent {
                // The file is shorter than it was: the client must not take what follows for it.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
