//! A file's content that is looked at while somebody else reads it.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use md5::{Digest, Md5};

use super::look::Look;
use super::packages;
use crate::entry::{Content, Stamp};

/// A file in which something was found.
pub(super) struct Hit {
    /// How many files came before it.
    pub(super) number: u64,
    pub(super) path: Vec<u8>,
    pub(super) what: &'static str,
    /// Of the whole file; `None` when it could not be read again.
    pub(super) md5: Option<packages::Md5>,
}

/// Where hits go, from whichever thread reads.
pub(super) type Hits = Arc<Mutex<Vec<Hit>>>;

/// Passes a file's bytes on and looks at them; says what it found when it is dropped, which is when the
/// file has been read.
pub(super) struct Watched {
    number: u64,
    path: Vec<u8>,
    size: u64,
    inner: Box<dyn Content>,
    /// From the first bytes on: whoever reads the file sees what its name says, not who lists it.
    look: Option<Look>,
    hits: Hits,
}

impl Watched {
    pub(super) fn new(
        number: u64,
        path: &[u8],
        size: u64,
        inner: Box<dyn Content>,
        hits: &Hits,
    ) -> Self {
        Self {
            number,
            look: None,
            path: path.to_vec(),
            size,
            inner,
            hits: Arc::clone(hits),
        }
    }

    /// Only of files with a hit, to see whether their package ships them so.
    fn md5(&mut self) -> Option<packages::Md5> {
        let mut md5 = Md5::new();
        let mut buffer = vec![0; 64 << 10];
        let mut offset = 0;
        while offset < self.size {
            match self.inner.read_at(&mut buffer, offset) {
                Ok(0) => return None,
                Ok(count) => {
                    md5.update(&buffer[..count]);
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        (offset == self.size).then(|| md5.finalize().into())
    }
}

impl Content for Watched {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.inner.read_at(buf, offset)?;
        let look = self
            .look
            .get_or_insert_with(|| Look::new(&self.path, self.size));
        look.at(&buf[..count], offset);
        Ok(count)
    }

    fn data_after(&mut self, offset: u64) -> Option<Range<u64>> {
        self.inner.data_after(offset)
    }

    fn changed(&mut self) -> bool {
        self.inner.changed()
    }

    /// None where something was found: that is to be found every time.
    fn stamp(&mut self) -> Option<Stamp> {
        match self.look.as_ref().and_then(Look::finish) {
            Some(_) => None,
            None => self.inner.stamp(),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(what) = self.look.as_ref().and_then(Look::finish) {
            let md5 = self.md5();
            let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
            hits.push(Hit {
                number: self.number,
                path: std::mem::take(&mut self.path),
                what,
                md5,
            });
        }
    }
}
