//! The content of streams, kept until it is wanted: compressed, in a file without a name.
//!
//! A stream hands its files out in an order of its own, and an image wants them in the order of their names; what
//! is in `/etc/passwd` decides about a file that came before it. So content is put aside as it comes, as blocks
//! that LZ4 has made smaller, and read back at random. The file takes about half of what the files hold. It is
//! unlinked before the first byte is in it, and readable by nobody else: it ends with the build, however that ends.
//!
//! ```text
//! block:  word u32, bytes        word: 0 = zeros, bit 31 = stored as it is, else the compressed length
//! ```

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::entry::Content;

/// Bytes of content in one block.
const BLOCK: usize = 128 << 10;
const STORED: u32 = 1 << 31;

/// Content that is being put aside.
pub(super) struct Spool {
    out: BufWriter<File>,
    position: u64,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Spool {
    /// An empty one in `folder`, which is made if it is not there.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self {
            out: BufWriter::with_capacity(BLOCK, nameless(folder)?),
            position: 0,
            raw: vec![0; BLOCK],
            packed: vec![0; lz4::block::compress_bound(BLOCK)?],
        })
    }

    /// Puts a file of `size` bytes aside and answers where it begins.
    pub(super) fn put(&mut self, size: u64, content: &mut dyn Content) -> io::Result<u64> {
        let begin = self.position;
        let mut offset = 0;
        while offset < size {
            let length = (size - offset).min(BLOCK as u64) as usize;
            let hole = content.is_hole(offset, length);
            if !hole && content.fill(&mut self.raw[..length], offset)? < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.block(length, hole)?;
            offset += length as u64;
        }
        Ok(begin)
    }

    fn block(&mut self, length: usize, hole: bool) -> io::Result<()> {
        let raw = &self.raw[..length];
        let packed = if hole || raw.iter().all(|byte| *byte == 0) {
            return self.write(0, 0..0);
        } else {
            lz4::block::compress_to_buffer(raw, None, false, &mut self.packed)?
        };
        if packed < length {
            self.write(packed as u32, 0..packed)
        } else {
            self.packed[..length].copy_from_slice(&self.raw[..length]);
            self.write(length as u32 | STORED, 0..length)
        }
    }

    fn write(&mut self, word: u32, bytes: std::ops::Range<usize>) -> io::Result<()> {
        self.position += 4 + bytes.len() as u64;
        self.out.write_all(&word.to_le_bytes())?;
        self.out.write_all(&self.packed[bytes])
    }

    /// What was put aside, to be read.
    pub(super) fn finish(self) -> io::Result<Arc<File>> {
        let file = self.out.into_inner();
        Ok(Arc::new(file.map_err(io::IntoInnerError::into_error)?))
    }
}

/// A file in `folder` that has no name.
fn nameless(folder: &Path) -> io::Result<File> {
    let (flags, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    match rustix::fs::open(folder, flags | OFlags::TMPFILE, mode) {
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
        file => return Ok(file?.into()),
    }
    // Some file systems cannot do that: a name for a moment.
    let path = folder.join(format!(".spool-{}", std::process::id()));
    let file = rustix::fs::open(&path, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
    rustix::fs::unlinkat(CWD, &path, AtFlags::empty())?;
    Ok(file.into())
}

/// A file that was put aside.
pub(super) struct Spooled {
    file: Arc<File>,
    size: u64,
    /// The block that was read last: where it begins in the file, where in the spool the next one begins.
    block: u64,
    raw: Vec<u8>,
    next: u64,
    begin: u64,
}

impl Spooled {
    /// The file of `size` bytes that begins at `begin`.
    pub(super) fn new(file: Arc<File>, begin: u64, size: u64) -> Self {
        Self {
            file,
            size,
            block: 0,
            raw: Vec::new(),
            next: begin,
            begin,
        }
    }

    /// Reads the block at `self.next`, which holds the bytes from `offset` of the file.
    fn load(&mut self, offset: u64) -> io::Result<()> {
        let length = (self.size - offset).min(BLOCK as u64) as usize;
        let mut word = [0; 4];
        self.file.read_exact_at(&mut word, self.next)?;
        let word = u32::from_le_bytes(word);
        self.block = offset;
        self.raw.clear();
        self.raw.resize(length, 0);
        let stored = (word & !STORED) as usize;
        if word & STORED != 0 {
            self.file.read_exact_at(&mut self.raw, self.next + 4)?;
        } else if word != 0 {
            let mut packed = vec![0; stored];
            self.file.read_exact_at(&mut packed, self.next + 4)?;
            lz4::block::decompress_to_buffer(&packed, Some(length as i32), &mut self.raw)?;
        }
        self.next += 4 + stored as u64;
        Ok(())
    }
}

impl Content for Spooled {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size {
            return Ok(0);
        }
        if offset < self.block {
            (self.block, self.next) = (0, self.begin);
            self.raw.clear();
        }
        while offset >= self.block + self.raw.len() as u64 {
            self.load(self.block + self.raw.len() as u64)?;
        }
        let inside = (offset - self.block) as usize;
        let count = (self.raw.len() - inside).min(buf.len());
        buf[..count].copy_from_slice(&self.raw[inside..inside + count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_comes_back_from_any_place_and_more_than_once() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .take(BLOCK + 5)
        .collect();
        let files = [
            Vec::new(),
            b"small".to_vec(),
            noise,
            vec![0; 3 * BLOCK],
            [vec![7; 2 * BLOCK], vec![0; BLOCK], b"end".to_vec()].concat(),
        ];
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(folder.path()).unwrap();
        let put = |content: &Vec<u8>| spool.put(content.len() as u64, &mut content.clone());
        let places: Vec<_> = files.iter().map(put).collect();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let spool = spool.finish().unwrap();
        for (file, place) in files.iter().zip(places) {
            let mut content = Spooled::new(Arc::clone(&spool), place.unwrap(), file.len() as u64);
            for begin in [file.len() / 2, 0, file.len() / 3] {
                let (mut read, mut at) = (Vec::new(), begin);
                let mut buf = [0; 10_000];
                while let count @ 1.. = content.read_at(&mut buf, at as u64).unwrap() {
                    read.extend_from_slice(&buf[..count]);
                    at += count;
                }
                assert!(read == file[begin..], "{} from {begin}", file.len());
            }
        }
    }
}
