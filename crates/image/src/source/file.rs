//! The content of a file on disk.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{SeekFrom, Stat};
use rustix::io::Errno;

use crate::entry::{Content, Stamp};

/// A file that changed less than so many seconds ago has no stamp: clocks of file systems tick slowly, and two
/// writes within one tick look like one.
const SETTLED: i64 = 2;

/// An open file and what it was when it was opened.
pub(super) struct DiskFile {
    file: File,
    opened: Stat,
    /// Less is allocated than the file is long, so it pays to ask for its holes.
    sparse: bool,
}

impl DiskFile {
    pub(super) fn new(file: File, opened: Stat) -> Self {
        Self {
            sparse: opened.st_blocks.saturating_mul(512) < opened.st_size,
            file,
            opened,
        }
    }
}

impl Content for DiskFile {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn data_after(&mut self, offset: u64) -> Option<Range<u64>> {
        if !self.sparse {
            return Some(offset..u64::MAX);
        }
        match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Err(Errno::NXIO) => None,
            Err(_) => Some(offset..u64::MAX),
            Ok(start) => Some(start..u64::MAX),
        }
    }

    fn changed(&mut self) -> bool {
        let of = |stat: &Stat| {
            (
                stat.st_size,
                stat.st_mtime,
                stat.st_mtime_nsec,
                stat.st_ctime,
                stat.st_ctime_nsec,
            )
        };
        // A link count that changes moves ctime as well; that is not a change of content, but so rare
        // while an image is built that a note too many is better than one too few.
        rustix::fs::fstat(&self.file).is_ok_and(|now| of(&now) != of(&self.opened))
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let stat = &self.opened;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs() as i64;
        (stat.st_ctime < now.saturating_sub(SETTLED)).then_some(Stamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size as u64,
            mtime: (stat.st_mtime, stat.st_mtime_nsec as i64),
            ctime: (stat.st_ctime, stat.st_ctime_nsec as i64),
        })
    }
}
