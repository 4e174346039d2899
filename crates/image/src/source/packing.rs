//! Streams that come compressed, and where they come from.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::tar::Input;

/// What xz may use: `xz -9` makes files that need 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;
const BUFFER: usize = 256 << 10;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
    Xz,
}

impl Packing {
    /// By its first bytes.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "not compressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }

    /// The content of `packed`.
    pub(super) fn open<'a>(
        self,
        packed: Box<dyn Read + Send + 'a>,
    ) -> io::Result<Box<dyn Input + 'a>> {
        Ok(match self {
            Self::None => Box::new(Plain(BufReader::with_capacity(BUFFER, packed))),
            Self::Gzip => {
                let packed = BufReader::with_capacity(BUFFER, packed);
                Box::new(Plain(BufReader::with_capacity(
                    BUFFER,
                    MultiGzDecoder::new(packed),
                )))
            }
            Self::Zstd => {
                let unpacked = zstd::Decoder::new(packed)?;
                Box::new(Plain(BufReader::with_capacity(BUFFER, unpacked)))
            }
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                let unpacked = XzDecoder::new_stream(packed, stream);
                Box::new(Plain(BufReader::with_capacity(BUFFER, unpacked)))
            }
        })
    }
}

/// Bytes that can only be read one after another.
struct Plain<R: Read>(BufReader<R>);

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl<R: Read + Send> Input for Plain<R> {}

/// A file on disk, in which skipping costs nothing.
pub(super) struct OnDisk(BufReader<File>);

impl OnDisk {
    pub(super) fn new(file: File) -> Self {
        Self(BufReader::with_capacity(64 << 10, file))
    }
}

impl Read for OnDisk {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Input for OnDisk {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = i64::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.0.seek_relative(count)
    }
}

/// A pipe whose writer may think for a long time: waiting ends when `stop` becomes true.
pub(super) struct Pipe<'a> {
    pub(super) file: &'a File,
    /// What was read to see what it is.
    pub(super) head: &'a [u8],
    pub(super) stop: &'a AtomicBool,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.head.is_empty() {
            return self.head.read(buf);
        }
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("stopped"));
            }
            let mut fds = [PollFd::new(self.file, PollFlags::IN)];
            let quarter = Timespec {
                tv_sec: 0,
                tv_nsec: 250_000_000,
            };
            match poll(&mut fds, Some(&quarter)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return (&mut &*self.file).read(buf),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
