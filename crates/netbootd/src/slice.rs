//! Part of an open file: what is sent without a copy in user space.

use std::fs::File;
use std::sync::Arc;

/// Part of an open file.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The file.
    pub file: Arc<File>,
    /// First byte.
    pub start: u64,
    /// Number of bytes.
    pub len: u64,
}

impl Slice {
    /// The first `len` bytes of a file.
    pub fn head(file: &Arc<File>, len: u64) -> Self {
        Self {
            file: Arc::clone(file),
            start: 0,
            len,
        }
    }

    /// `len` bytes from `start` on of what `slices` make when they are put one behind the other.
    pub fn cut(slices: &[Self], start: u64, len: u64) -> Vec<Self> {
        let (mut skip, mut left) = (start, len);
        let mut cut = Vec::new();
        for slice in slices {
            let skipped = skip.min(slice.len);
            let taken = (slice.len - skipped).min(left);
            if taken > 0 {
                cut.push(Self {
                    file: Arc::clone(&slice.file),
                    start: slice.start + skipped,
                    len: taken,
                });
            }
            skip -= skipped;
            left -= taken;
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_may_begin_and_end_in_any_part() {
        let file = Arc::new(File::open("/dev/null").unwrap());
        let slice = |start, len| Slice {
            file: Arc::clone(&file),
            start,
            len,
        };
        let slices = [slice(0, 10), slice(100, 5), slice(200, 10)];
        let cut = |start, len| {
            let cut = Slice::cut(&slices, start, len);
            let plain = cut.iter().map(|slice| (slice.start, slice.len));
            plain.collect::<Vec<_>>()
        };
        assert_eq!(cut(0, 25), [(0, 10), (100, 5), (200, 10)]);
        assert_eq!(cut(3, 4), [(3, 4)]);
        assert_eq!(cut(10, 5), [(100, 5)]);
        assert_eq!(cut(9, 7), [(9, 1), (100, 5), (200, 1)]);
        assert_eq!(cut(24, 1), [(209, 1)]);
        assert_eq!(cut(25, 0), []);
    }
}
