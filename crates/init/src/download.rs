//! Mode `ram`: the whole image over HTTP into memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::digest::Digester;
use model::{BootArguments, FileDigest};

use crate::http::{self, Answer, HttpError, Patience};
use crate::retry::Failure;
use crate::say;

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(3),
    read: Duration::from_secs(10),
};
const PROGRESS: Duration = Duration::from_secs(2);
const MIB: f64 = 1024.0 * 1024.0;

/// A download that goes on where it broke off.
pub(crate) struct Download {
    path: String,
    file: Option<(File, PathBuf)>,
    have: u64,
    size: u64,
    /// What it has to be, and what passed so far.
    digest: Option<(FileDigest, Digester)>,
}

impl Download {
    /// Of the generation's `root.squashfs`.
    pub(crate) fn of_image(arguments: &BootArguments) -> Self {
        Self {
            path: format!(
                "/images/{}/{}/root.squashfs",
                arguments.image, arguments.generation
            ),
            file: None,
            have: 0,
            size: 0,
            digest: arguments.digest.map(started),
        }
    }

    /// Fetches what is missing. Called again after a failure, it asks for the rest only. `create`
    /// makes the file, once its size is known.
    pub(crate) fn run(
        &mut self,
        server: SocketAddrV4,
        create: impl FnOnce(u64) -> Result<(File, PathBuf), Failure>,
    ) -> Result<PathBuf, Failure> {
        let from = format!("http://{server}{}", self.path);
        let broken = |error: HttpError| Failure::Passing(format!("fetching {from}: {error}"));
        let mut answer = http::get(server, &self.path, self.have, PATIENCE).map_err(broken)?;
        self.check(&answer, &from)?;
        let (mut file, path) = match self.file.take() {
            Some(open) => open,
            None => create(self.size)?,
        };
        let result = self.copy(&mut answer, &mut file);
        self.file = Some((file, path.clone()));
        match result {
            Ok(()) if self.have == self.size => self.judge(&from).map(|()| path),
            Ok(()) => Err(Failure::Passing(format!(
                "fetching {from}: the connection ended after {} of {} bytes",
                self.have, self.size
            ))),
            Err(error) => Err(Failure::Passing(format!(
                "fetching {from}: broke off after {} of {} bytes: {}",
                self.have,
                self.size,
                HttpError::Io(error)
            ))),
        }
    }

    /// Whether the answer is the piece that was asked for.
    fn check(&mut self, answer: &Answer, from: &str) -> Result<(), Failure> {
        let head = &answer.head;
        match (head.status, head.length, head.range) {
            (200, Some(length), _) if length > 0 => {
                // The whole file, asked for or not: what came before is written again.
                (self.have, self.size) = (0, length);
                self.digest = self.digest.take().map(|(wanted, _)| started(wanted));
                Ok(())
            }
            (206, _, Some((first, whole))) if first == self.have && whole == self.size => Ok(()),
            (200 | 206, _, _) => Err(Failure::Refused(format!(
                "fetching {from}: the answer is not the piece that was asked for"
            ))),
            (404 | 410, _, _) => Err(Failure::Refused(format!(
                "fetching {from}: the server no longer has this generation of the image"
            ))),
            (status @ 400..=499, _, _) => Err(Failure::Refused(format!(
                "fetching {from}: the server answered {status}"
            ))),
            (status, _, _) => Err(Failure::Passing(format!(
                "fetching {from}: the server answered {status}"
            ))),
        }
    }

    /// Whether what came is what the server has published. If not, the next try fetches all of it.
    fn judge(&mut self, from: &str) -> Result<(), Failure> {
        let Some((wanted, digester)) = self.digest.take() else {
            say!("image: the server named no digest to check it against");
            return Ok(());
        };
        let found = digester.finish();
        if found == wanted.sha256 {
            say!("image: its digest is right");
            return Ok(());
        }
        self.digest = Some(started(wanted));
        self.have = 0;
        let found = FileDigest {
            sha256: found,
            ..wanted
        };
        Err(Failure::Refused(format!(
            "fetching {from}: damaged on the way or on the server's disk: its digest is {found} and must be {wanted}"
        )))
    }

    fn copy(&mut self, answer: &mut Answer, file: &mut File) -> std::io::Result<()> {
        file.seek(SeekFrom::Start(self.have))?;
        let mut buffer = vec![0; 256 * 1024];
        let (started, at_start) = (Instant::now(), self.have);
        let mut next_word = PROGRESS;
        while self.have < self.size {
            let room = usize::try_from(self.size - self.have).unwrap_or(usize::MAX);
            let piece = room.min(buffer.len());
            let length = answer.body().read(&mut buffer[..piece])?;
            if length == 0 {
                break;
            }
            file.write_all(&buffer[..length])?;
            self.have += length as u64;
            if let Some((_, digester)) = &mut self.digest {
                digester.update(&buffer[..length]);
            }
            let elapsed = started.elapsed();
            if elapsed >= next_word || self.have == self.size {
                next_word = elapsed + PROGRESS;
                let speed = (self.have - at_start) as f64 / MIB / elapsed.as_secs_f64().max(0.001);
                say!(
                    "image: {:.0} of {:.0} MiB in memory, {speed:.0} MiB/s",
                    self.have as f64 / MIB,
                    self.size as f64 / MIB
                );
            }
        }
        Ok(())
    }
}

fn started(wanted: FileDigest) -> (FileDigest, Digester) {
    (wanted, Digester::new(wanted.piece))
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::thread::JoinHandle;

    use super::*;

    /// Answers one request after the other as told; joins to the requests' heads.
    fn server(answers: &'static [&'static str]) -> (SocketAddrV4, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            unreachable!("bound to an IPv4 address");
        };
        let thread = std::thread::spawn(move || {
            let answer = |text: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            };
            answers.iter().map(answer).collect()
        });
        (address, thread)
    }

    fn download() -> Download {
        Download {
            path: "/x".into(),
            file: None,
            have: 0,
            size: 0,
            // SHA-256 of 0123456789.
            digest: "0:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
                .parse()
                .ok()
                .map(started),
        }
    }

    fn in_temporary_file(name: &str) -> (File, PathBuf) {
        let path = std::env::temp_dir().join(format!("init-{name}-{}", std::process::id()));
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        (options.open(&path).unwrap(), path)
    }

    fn failure(result: Result<PathBuf, Failure>) -> &'static str {
        match result {
            Err(Failure::Passing(_)) => "passing",
            Err(Failure::Refused(_)) => "refused",
            Err(Failure::Final(_)) => "final",
            Ok(_) => "none",
        }
    }

    #[test]
    fn a_broken_download_goes_on_where_it_broke_off() {
        let (address, thread) = server(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123",
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789",
        ]);
        let mut download = download();
        let first = download.run(address, |_| Ok(in_temporary_file("resume")));
        assert_eq!(failure(first), "passing");
        let path = download
            .run(address, |_| unreachable!("there is a file"))
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
        std::fs::remove_file(path).unwrap();
        assert!(thread.join().unwrap()[1].contains("Range: bytes=4-\r\n"));
    }

    #[test]
    fn a_server_without_ranges_is_read_from_the_start_again() {
        let (address, thread) = server(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
        ]);
        let mut download = download();
        let first = download.run(address, |_| Ok(in_temporary_file("again")));
        assert_eq!(failure(first), "passing");
        let path = download
            .run(address, |_| unreachable!("there is a file"))
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
        std::fs::remove_file(path).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_damaged_image_is_fetched_again() {
        let (address, thread) = server(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456780",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
        ]);
        let mut download = download();
        let first = download.run(address, |_| Ok(in_temporary_file("damaged")));
        assert_eq!(failure(first), "refused");
        let path = download
            .run(address, |_| unreachable!("there is a file"))
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
        std::fs::remove_file(path).unwrap();
        assert!(!thread.join().unwrap()[1].contains("Range"));
    }

    #[test]
    fn an_answer_that_is_no_image_takes_no_memory() {
        for (answer, want) in [
            (["HTTP/1.1 404 Not Found\r\n\r\n"].as_slice(), "refused"),
            (&["HTTP/1.1 503 Busy\r\n\r\n"], "passing"),
            (&["HTTP/1.1 200 OK\r\n\r\nhello"], "refused"),
            (
                &["HTTP/1.1 206 X\r\nContent-Range: bytes 7-9/10\r\n\r\n"],
                "refused",
            ),
            (&["SSH-2.0-OpenSSH\r\n\r\n"], "passing"),
        ] {
            let (address, thread) = server(answer);
            let result = download().run(address, |_| unreachable!("no room is asked for"));
            assert_eq!(failure(result), want, "{answer:?}");
            thread.join().unwrap();
        }
    }
}
