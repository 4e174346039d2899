//! A file's content that is looked at while somebody else reads it.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use md5::{Digest, Md5};

use super::look::Look;
use super::packages;
use crate::entry::Content;

/// A file in which something was found.
pub(super) struct Hit {
    pub(super) path: Vec<u8>,
    pub(super) what: &'static str,
    /// Of the whole file; `None` when it could not be read again.
    pub(super) md5: Option<packages::Md5>,
}

/// Where hits go. Everything happens on the thread that reads.
pub(super) type Hits = Rc<RefCell<Vec<Hit>>>;

/// Passes a file's bytes on and looks at them; says what it found when it is dropped, which is when the
/// file has been read.
pub(super) struct Watched {
    path: Vec<u8>,
    size: u64,
    inner: Box<dyn Content>,
    look: Look,
    hits: Hits,
}

impl Watched {
    pub(super) fn new(path: &[u8], size: u64, inner: Box<dyn Content>, hits: &Hits) -> Self {
        Self {
            look: Look::new(path, size),
            path: path.to_vec(),
            size,
            inner,
            hits: Rc::clone(hits),
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
        self.look.at(&buf[..count], offset);
        Ok(count)
    }

    fn data_after(&mut self, offset: u64) -> Option<Range<u64>> {
        self.inner.data_after(offset)
    }

    fn changed(&mut self) -> bool {
        self.inner.changed()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(what) = self.look.finish() {
            let md5 = self.md5();
            self.hits.borrow_mut().push(Hit {
                path: std::mem::take(&mut self.path),
                what,
                md5,
            });
        }
    }
}
