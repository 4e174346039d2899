//! Several blocks of a file for one call to the system, where its client takes one block at a time.

use std::cell::RefCell;
use std::io::{self, IoSliceMut, Read};

use tftp::FileSource;

/// How much is read at once. Each transfer in lock step holds this.
const AHEAD: usize = 8 << 10;

/// A source that is read ahead of requests for single blocks. A window is one call as it is.
pub(super) struct Ahead<S> {
    source: S,
    kept: RefCell<Kept>,
}

/// Bytes of the file, from an offset on.
#[derive(Default)]
struct Kept {
    offset: u64,
    bytes: Vec<u8>,
}

impl<S> Ahead<S> {
    pub(super) fn new(source: S) -> Self {
        Self {
            source,
            kept: RefCell::default(),
        }
    }
}

impl Kept {
    /// What is kept from `offset` on, if that is `len` bytes.
    fn get(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let begin = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(begin..begin.checked_add(len)?)
    }
}

impl<S: FileSource> FileSource for Ahead<S> {
    fn read_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let [buffer] = buffers else {
            return self.source.read_at(offset, buffers);
        };
        if buffer.len() > AHEAD / 2 {
            return self.source.read_at(offset, buffers);
        }
        let mut kept = self.kept.borrow_mut();
        if let Some(mut bytes) = kept.get(offset, buffer.len()) {
            return bytes.read(buffer);
        }
        kept.offset = offset;
        kept.bytes.resize(AHEAD, 0);
        let read = self
            .source
            .read_at(offset, &mut [IoSliceMut::new(&mut kept.bytes)]);
        // Nothing is kept where nothing could be read.
        kept.bytes.truncate(*read.as_ref().unwrap_or(&0));
        read?;
        kept.bytes.as_slice().read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// 20 000 bytes, each the low byte of its place, and how often they were read.
    #[derive(Default)]
    struct File(Cell<usize>);

    impl File {
        const LEN: u64 = 20_000;
    }

    impl FileSource for &File {
        fn read_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            self.0.set(self.0.get() + 1);
            let bytes: Vec<u8> = (offset..File::LEN).map(|place| place as u8).collect();
            bytes.as_slice().read_vectored(buffers)
        }
    }

    fn block(source: &impl FileSource, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let read = source.read_at(offset, &mut [IoSliceMut::new(&mut bytes)]);
        bytes.truncate(read.unwrap());
        bytes
    }

    #[test]
    fn a_file_block_by_block_is_read_in_an_eighth_of_the_calls_or_fewer_and_is_the_same() {
        for len in [8, 512, 1024] {
            let file = File::default();
            let ahead = Ahead::new(&file);
            let blocks = (0..=File::LEN).step_by(len);
            for offset in blocks.clone() {
                assert_eq!(
                    block(&ahead, offset, len),
                    block(&&File::default(), offset, len)
                );
            }
            assert!(
                file.0.get() <= blocks.count() / 8 + 2,
                "{len}: {} calls",
                file.0.get()
            );
        }
    }

    #[test]
    fn any_block_may_be_asked_for_next() {
        let file = File::default();
        let ahead = Ahead::new(&file);
        for offset in [
            0,
            1468,
            99_000,
            1468,
            50_000,
            49_999,
            100_000,
            200_000,
            7 << 30,
        ] {
            assert_eq!(block(&ahead, offset, 1468), block(&&file, offset, 1468));
        }
    }

    #[test]
    fn a_window_and_a_block_that_is_long_are_read_as_they_are() {
        let file = File::default();
        let ahead = Ahead::new(&file);
        let (mut one, mut two) = ([0; 10], [0; 10]);
        let mut window = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!(ahead.read_at(250, &mut window).unwrap(), 20);
        assert_eq!((one[5], two[9]), (255, 13));
        assert_eq!(block(&ahead, 0, 8_000).len(), 8_000);
        assert_eq!(file.0.get(), 2);
    }
}
