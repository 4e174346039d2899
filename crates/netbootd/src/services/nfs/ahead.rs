//! Who reads a file in order and has to wait for it, and what they will ask for next.
//!
//! Blocks that are decompressed while a READ is answered are not fetched ahead: the client has more
//! READs on their way meanwhile, and waking another thread costs a third of decompressing a block.
//! Where a READ had to wait for a disk, a slow compressor or large blocks, that is worth it.

use ::nfs::{About, Asked, FileHandle};

/// Files of one connection that are watched at once.
const WATCHED: usize = 8;
/// How far ahead of a reader the cache is filled, at first and at most, in bytes.
const FIRST: u64 = 256 * 1024;
const MOST: u64 = 1 << 20;

/// The files that a connection has read last.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    runs: Vec<Run>,
    /// The one to forget next.
    oldest: usize,
}

/// Somebody reading a file in order.
#[derive(Debug)]
struct Run {
    file: FileHandle,
    /// Where the next READ will begin.
    next: u64,
    /// How far the file has been fetched, or will soon be.
    until: u64,
    /// How far ahead to fetch.
    window: u64,
    /// Whether a READ of it has had to wait.
    waits: bool,
}

/// What to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) file: FileHandle,
    pub(super) offset: u64,
    pub(super) len: u32,
}

impl Ahead {
    /// Somebody reads, and has to wait or not: what should be fetched for them now, if anything.
    pub(super) fn read(&mut self, about: &About, had_to_wait: bool) -> Option<Fetch> {
        let (file, asked) = (about.file, about.read?);
        let next = asked.offset.saturating_add(asked.count.into());
        let run = self.run(file, asked)?;
        run.waits |= had_to_wait;
        if run.next != asked.offset {
            // Not where they were expected: they may begin to read in order here.
            (run.next, run.until, run.window) = (next, next, FIRST);
            return None;
        }
        run.next = next;
        if !run.waits {
            return None;
        }
        let offset = run.until.max(next);
        let end = next.saturating_add(run.window.min(asked.behind));
        // In few large pieces, not a little with every READ.
        let len = end.saturating_sub(offset);
        if len == 0 || (len < run.window / 2 && asked.behind > run.window) {
            return None;
        }
        run.until = end;
        run.window = (run.window * 2).min(MOST);
        Some(Fetch {
            file,
            offset,
            len: u32::try_from(len).ok()?,
        })
    }

    /// The run of this file. Who begins at the beginning is expected to go on.
    fn run(&mut self, file: FileHandle, asked: Asked) -> Option<&mut Run> {
        if let Some(at) = self.runs.iter().position(|run| run.file == file) {
            return self.runs.get_mut(at);
        }
        let next = if asked.offset == 0 { 0 } else { u64::MAX };
        let run = Run {
            file,
            next,
            until: 0,
            window: FIRST,
            waits: false,
        };
        if self.runs.len() < WATCHED {
            self.runs.push(run);
            return self.runs.last_mut();
        }
        self.oldest = (self.oldest + 1) % WATCHED;
        let place = self.runs.get_mut(self.oldest)?;
        *place = run;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: u64 = 1024;

    fn file(number: u8) -> FileHandle {
        FileHandle::new(&[number; 8]).unwrap()
    }

    fn read(ahead: &mut Ahead, number: u8, offset: u64, size: u64) -> Option<(u64, u64)> {
        let count = 128 * 1024;
        let about = About {
            file: file(number),
            read: Some(Asked {
                offset,
                count,
                behind: size.saturating_sub(offset + u64::from(count)),
            }),
        };
        let fetch = ahead.read(&about, true)?;
        Some((fetch.offset / K, u64::from(fetch.len) / K))
    }

    #[test]
    fn a_reader_in_order_is_kept_ahead_of_and_nothing_is_fetched_twice() {
        let mut ahead = Ahead::default();
        let (mut fetched, mut far) = (128, 0);
        for offset in (0..16 << 20).step_by(128 * 1024) {
            if let Some((start, len)) = read(&mut ahead, 1, offset, 16 << 20) {
                assert_eq!(start, fetched, "at {offset}");
                fetched += len;
            }
            far = far.max(fetched - offset / K - 128);
        }
        assert_eq!(fetched, 16 * K);
        assert_eq!(far, MOST / K);
    }

    #[test]
    fn a_small_file_and_a_reader_here_and_there_fetch_nothing() {
        let mut ahead = Ahead::default();
        assert_eq!(read(&mut ahead, 1, 0, 100 * K), None);
        for offset in [5 << 20, 1 << 20, 9 << 20, 3 << 20] {
            assert_eq!(read(&mut ahead, 2, offset, 16 << 20), None);
        }
        assert!(read(&mut ahead, 2, (3 << 20) + 128 * K, 16 << 20).is_some());
    }

    #[test]
    fn who_never_waits_is_not_fetched_for_and_who_did_once_is() {
        let mut ahead = Ahead::default();
        let about = |offset| About {
            file: file(1),
            read: Some(Asked {
                offset,
                count: 1 << 17,
                behind: 1 << 30,
            }),
        };
        let mut read = |number: u64, waits| ahead.read(&about(number << 17), waits).is_some();
        assert!((0..100).all(|number| !read(number, false)));
        assert!(read(100, true));
        assert!((101..110).any(|number| read(number, false)));
    }

    #[test]
    fn only_so_many_files_are_watched() {
        let mut ahead = Ahead::default();
        for number in 0..=255 {
            read(&mut ahead, number, 0, 1 << 20);
        }
        assert_eq!(ahead.runs.len(), WATCHED);
    }
}
