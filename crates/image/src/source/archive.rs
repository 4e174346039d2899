//! Tar archives as source: those on disk that are not compressed are read in place, the content of all others is
//! put aside as it comes.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::gathered::{Gathering, Layer};
use super::listing::{Body, Meta, NodeId, Place};
use super::packing::{OnDisk, Packing, Pipe};
use super::spool::{Spool, Spooled};
use super::{Error, file_changed};
use crate::entry::Content;
use crate::squash::shown;
use crate::tar::{self, Input, Member, MemberKind, Parts, Reader};

/// Says whether a stream that was read to its end was what it should be.
pub(super) type Verify = Box<dyn FnOnce() -> Result<(), Error>>;

/// A stream's beginning, and what is to be asked at its end.
pub(super) type Begun<'a> = (Box<dyn Input + 'a>, Option<Verify>);

/// An archive that is read from front to end.
pub(super) trait Stream: Send + Sync {
    /// As messages call it.
    fn name(&self) -> &str;

    /// Begins to read it; done once.
    fn begin<'a>(&'a self, stop: &'a AtomicBool) -> io::Result<Begun<'a>>;
}

/// A compressed archive on disk.
pub(super) struct PackedFile {
    pub(super) name: String,
    pub(super) file: Arc<File>,
    pub(super) packing: Packing,
}

impl Stream for PackedFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin<'a>(&'a self, _stop: &'a AtomicBool) -> io::Result<Begun<'a>> {
        let packed = FilePart::new(Arc::clone(&self.file), 0, u64::MAX);
        Ok((self.packing.open(Box::new(packed))?, None))
    }
}

/// Reads a part of a file, whoever else reads it.
pub(super) struct FilePart {
    file: Arc<File>,
    position: u64,
    rest: u64,
}

impl FilePart {
    pub(super) fn new(file: Arc<File>, position: u64, rest: u64) -> Self {
        Self {
            file,
            position,
            rest,
        }
    }
}

impl io::Read for FilePart {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = self.rest.min(buf.len() as u64) as usize;
        let count = self.file.read_at(&mut buf[..wanted], self.position)?;
        self.position += count as u64;
        self.rest -= count as u64;
        Ok(count)
    }
}

/// An archive that comes through a pipe.
pub(super) struct Piped {
    pub(super) name: String,
    pub(super) file: File,
    /// What was read already to see what it is.
    pub(super) head: Vec<u8>,
    pub(super) packing: Packing,
}

impl Stream for Piped {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin<'a>(&'a self, stop: &'a AtomicBool) -> io::Result<Begun<'a>> {
        let pipe = Pipe {
            file: &self.file,
            head: &self.head,
            stop,
        };
        Ok((self.packing.open(Box::new(pipe))?, None))
    }
}

/// A layer that comes as a stream. A file's token is its place in the spool.
pub(super) struct Streamed<S> {
    stream: S,
    spool: Option<Arc<File>>,
}

impl<S: Stream> Streamed<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            spool: None,
        }
    }
}

impl<S: Stream> Layer for Streamed<S> {
    fn list(&mut self, gathering: &mut Gathering<'_>) -> Result<(), Error> {
        let name = self.stream.name();
        let aside = |cause| Error::Io {
            action: "put aside in",
            path: gathering.spool_folder.display().to_string(),
            cause,
        };
        let mut spool = Spool::create(gathering.spool_folder).map_err(aside)?;
        let begun = self.stream.begin(gathering.stop);
        let (input, verify) = begun.map_err(|cause| failed(name, cause))?;
        let mut reader = Reader::new(input);
        while let Some(member) = reader.next_member().map_err(|error| broken(name, error))? {
            let file = match &member.kind {
                MemberKind::File { size, parts } => {
                    Some((member.path.clone(), *size, parts.clone()))
                }
                _ => None,
            };
            let node = add(gathering, member, 0)?;
            let (Some(node), Some((path, size, parts))) = (node, file) else {
                continue;
            };
            let place = if gathering.is_kept(&path, node) {
                let mut content = reader.content(size, &parts);
                let token = spool.put(size, &mut content);
                let token =
                    token.map_err(|cause| failed(&format!("{name}: {}", shown(&path)), cause))?;
                gathering.place(token)
            } else {
                Place::Nowhere
            };
            gathering.listing.set_place(node, place);
        }
        let drained = reader.drain();
        drained.map_err(|cause| failed(name, cause))?;
        drop(reader);
        verify.map_or(Ok(()), |verify| verify())?;
        self.spool = Some(spool.finish().map_err(|cause| failed(name, cause))?);
        Ok(())
    }

    fn open(&self, token: u64, size: u64, path: &[u8]) -> Result<Box<dyn Content>, Error> {
        let missing = || failed(&shown(path), io::ErrorKind::NotFound.into());
        let spool = self.spool.as_ref().ok_or_else(missing)?;
        Ok(Box::new(Spooled::new(Arc::clone(spool), token, size)))
    }
}

/// Adds a member to the listing; `None` when it only took something away.
fn add(gathering: &mut Gathering<'_>, member: Member, token: u64) -> Result<Option<NodeId>, Error> {
    let meta = Meta {
        mode: member.mode,
        uid: member.uid,
        gid: member.gid,
        mtime: member.mtime,
        xattrs: member.xattrs.into(),
    };
    let body = match member.kind {
        MemberKind::HardLink(target) => return gathering.link(&member.path, &target),
        MemberKind::File { size, .. } => gathering.file(size, token),
        MemberKind::Directory => Body::empty_directory(),
        MemberKind::Symlink(target) => Body::Symlink(target.into()),
        MemberKind::BlockDevice(number) => Body::BlockDevice(number),
        MemberKind::CharDevice(number) => Body::CharDevice(number),
        MemberKind::Fifo => Body::Fifo,
    };
    gathering.put(&member.path, meta, body)
}

/// An archive on disk that is not compressed. A file's token is where its content begins.
pub(super) struct Archive {
    name: String,
    file: Arc<File>,
    opened: Metadata,
    /// The parts of sparse files, by their tokens.
    sparse: HashMap<u64, Arc<Parts>>,
}

impl Archive {
    pub(super) fn new(name: String, file: Arc<File>) -> Result<Self, Error> {
        let opened = file.metadata().map_err(|cause| failed(&name, cause))?;
        Ok(Self {
            name,
            file,
            opened,
            sparse: HashMap::new(),
        })
    }
}

impl Layer for Archive {
    fn list(&mut self, gathering: &mut Gathering<'_>) -> Result<(), Error> {
        let file = self.file.try_clone().and_then(|mut file| {
            io::Seek::rewind(&mut file)?;
            Ok(file)
        });
        let file = file.map_err(|cause| failed(&self.name, cause))?;
        let mut reader = Reader::new(Box::new(OnDisk::new(file)));
        let length = self.opened.len();
        loop {
            let member = reader.next_member();
            let member = member.map_err(|error| broken(&self.name, error))?;
            let Some(mut member) = member else {
                return Ok(());
            };
            let offset = member.offset;
            if let MemberKind::File { size, parts } = &mut member.kind {
                if parts.stored(*size).saturating_add(offset) > length {
                    return Err(Error::Entry {
                        path: shown(&member.path),
                        why: format!("{} is cut off: it has {length} bytes", self.name),
                    });
                }
                if let Parts::Some(_) = parts {
                    let parts = std::mem::replace(parts, Parts::All);
                    self.sparse.insert(offset, Arc::new(parts));
                }
            }
            add(gathering, member, offset)?;
        }
    }

    fn open(&self, token: u64, size: u64, _path: &[u8]) -> Result<Box<dyn Content>, Error> {
        Ok(Box::new(Section {
            file: Arc::clone(&self.file),
            begin: token,
            size,
            parts: self.sparse.get(&token).cloned(),
            opened: self.opened.clone(),
        }))
    }
}

/// The content of a file in an archive on disk.
struct Section {
    file: Arc<File>,
    begin: u64,
    size: u64,
    parts: Option<Arc<Parts>>,
    opened: Metadata,
}

impl Section {
    fn parts(&self) -> &Parts {
        self.parts.as_deref().unwrap_or(&Parts::All)
    }
}

impl Content for Section {
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        tar::read_part(
            self.parts(),
            self.size,
            buf,
            offset,
            |buf, stored| match self.file.read_at(buf, self.begin + stored)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                count => Ok(count),
            },
        )
    }

    fn data_after(&mut self, offset: u64) -> Option<Range<u64>> {
        let part = self.parts().after(offset, self.size)?;
        Some(part.start.max(offset)..part.start + part.length)
    }

    fn changed(&mut self) -> bool {
        file_changed(&self.file, &self.opened)
    }
}

pub(super) fn broken(name: &str, error: tar::Error) -> Error {
    match error.what {
        tar::What::Io(cause) => failed(name, cause),
        tar::What::Broken(_) => Error::Broken {
            name: name.to_owned(),
            what: error.to_string(),
        },
    }
}

pub(super) fn failed(name: &str, cause: io::Error) -> Error {
    Error::Io {
        action: "read",
        path: name.to_owned(),
        cause,
    }
}
