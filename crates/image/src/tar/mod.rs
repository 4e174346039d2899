//! Reading tar archives as a stream, in bounded memory.
//!
//! What people make images from: `mmdebstrap`, `docker export`, GNU tar, bsdtar, the layers of containers. So
//! v7, ustar, GNU (long names, sparse files, numbers in base 256) and pax (long names, large numbers,
//! `SCHILY.xattr`, sparse 0.0, 0.1 and 1.0) are read. Nothing is trusted: a length is only believed once its
//! bytes have come, names are handed out as they are and judged by whoever puts them into a tree.

mod content;
mod error;
mod header;
mod pax;
mod sparse;

use std::io::{self, Read};

use crate::entry::{DeviceNumber, Xattr};

pub use content::StreamContent;
pub(crate) use content::read_part;
pub use error::{Error, What};
use header::{BLOCK, Header};
use pax::Records;
pub use sparse::{Part, Parts};

/// The longest name, and link target, that is read: what Linux allows for a path.
const NAME_LIMIT: u64 = 4096;
/// The largest pax header: attributes can have 64 KiB each.
const PAX_LIMIT: u64 = 2 << 20;
/// The longest file: what ext4 allows.
const SIZE_LIMIT: u64 = 16 << 40;

/// Whether an archive may begin with this block.
pub fn is_header(block: &[u8; BLOCK]) -> bool {
    block[0] != 0 && Header::new(*block).is_some()
}

/// Where an archive's bytes come from.
pub trait Input: Read + Send {
    /// Reads over `count` bytes. Where that goes beyond the end, the next read says so.
    ///
    /// # Errors
    /// What the operating system says.
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let mut rest = count;
        let mut buffer = [0; 16 << 10];
        while rest > 0 {
            let wanted = rest.min(buffer.len() as u64) as usize;
            match self.read(&mut buffer[..wanted]) {
                Ok(0) => return Ok(()),
                Ok(count) => rest -= count as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// One name in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As it stands in the archive: possibly with `./` in front, `..` inside, or a slash at the end.
    pub path: Vec<u8>,
    /// Permission bits with set-user-id, set-group-id and sticky.
    pub mode: u16,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Sorted by name.
    pub xattrs: Vec<Xattr>,
    /// What it is.
    pub kind: MemberKind,
    /// Where its content begins, in bytes from the archive's beginning.
    pub offset: u64,
}

/// What a [`Member`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File {
        /// Bytes of content, holes counted.
        size: u64,
        /// Which of them are in the archive.
        parts: Parts,
    },
    /// A directory.
    Directory,
    /// A symbolic link to these bytes.
    Symlink(Vec<u8>),
    /// Another name of the file with this name.
    HardLink(Vec<u8>),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A character device.
    CharDevice(DeviceNumber),
    /// A named pipe.
    Fifo,
}

/// An archive that is being read.
pub struct Reader<'i> {
    input: Box<dyn Input + 'i>,
    /// Bytes read so far.
    position: u64,
    /// Bytes of the current member's content, and their padding, that were not read yet.
    rest: u64,
    padding: u64,
    /// Records of global pax headers.
    global: Records,
    ended: bool,
}

impl<'i> Reader<'i> {
    /// Reads the archive in `input`.
    pub fn new(input: Box<dyn Input + 'i>) -> Self {
        Self {
            input,
            position: 0,
            rest: 0,
            padding: 0,
            global: Records::default(),
            ended: false,
        }
    }

    /// The next member; what was not read of the one before is skipped.
    ///
    /// # Errors
    /// What is wrong with the archive, and where; after that nothing more can be read.
    pub fn next_member(&mut self) -> Result<Option<Member>, Error> {
        if self.ended {
            return Ok(None);
        }
        let mut long = Long::default();
        loop {
            self.skip(self.rest + self.padding)?;
            (self.rest, self.padding) = (0, 0);
            let begin = self.position;
            let Some(header) = self.header()? else {
                if long.any() {
                    return Err(Error::at(begin, "the archive ends behind a long name"));
                }
                self.ended = true;
                return Ok(None);
            };
            let at = |what: &'static str| Error::named(begin, &header.path(), what);
            let size = header
                .size()
                .ok_or_else(|| at("its size is not a number"))?;
            match header.kind() {
                b'L' => long.path = Some(self.name(size, begin)?),
                b'K' => long.link = Some(self.name(size, begin)?),
                b'x' | b'X' => long.pax = pax::parse(&self.small(size, PAX_LIMIT, begin)?, begin)?,
                b'g' => {
                    let records = pax::parse(&self.small(size, PAX_LIMIT, begin)?, begin)?;
                    self.global.update(records);
                }
                b'V' => self.expect(size), // a volume's label
                b'M' => return Err(at("it began on another volume")),
                _ => return self.member(&header, long, begin).map(Some),
            }
        }
    }

    /// The content of the member that came last, whose parts these are.
    pub fn content<'a>(&'a mut self, size: u64, parts: &'a Parts) -> StreamContent<'a, 'i> {
        StreamContent::new(self, size, parts)
    }

    /// Reads what follows the archive, so that its writer does not see a closed pipe.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.input, &mut io::sink()).map(drop)
    }

    fn member(&mut self, header: &Header, mut long: Long, begin: u64) -> Result<Member, Error> {
        let mut records = self.global.clone();
        records.update(std::mem::take(&mut long.pax));
        let sparse = records.sparse_name().is_some() || records.sparse_size().is_some();
        let path = records
            .sparse_name()
            .or(records.path.take())
            .or(long.path)
            .unwrap_or_else(|| header.path());
        let error = |what: &'static str| Error::named(begin, &path, what);
        let link = records.link.take().or(long.link);
        let link = link.unwrap_or_else(|| header.link());
        if path.len() as u64 > NAME_LIMIT || link.len() as u64 > NAME_LIMIT {
            return Err(error("the name is longer than 4096 bytes"));
        }
        let number = |pax: Option<u64>, header: Option<i64>, what| match (pax, header) {
            (Some(number), _) => u32::try_from(number).map_err(|_| error(what)),
            (None, Some(number)) => u32::try_from(number).map_err(|_| error(what)),
            (None, None) => Err(error(what)),
        };
        let uid = number(
            records.uid,
            header.uid(),
            "its owner is not a number of 32 bits",
        )?;
        let gid = number(
            records.gid,
            header.gid(),
            "its group is not a number of 32 bits",
        )?;
        let mtime = records.mtime.or(header.mtime());
        let mtime = mtime.ok_or_else(|| error("its time is not a number"))?;
        let mode = header
            .mode()
            .ok_or_else(|| error("its mode is not a number"))?;
        let stored = match records.size {
            Some(size) => size,
            None => header.size().unwrap_or(0),
        };
        if stored > SIZE_LIMIT {
            return Err(error("it is longer than 16 TiB"));
        }
        let directory = path.ends_with(b"/");
        let kind = match header.kind() {
            0 | b'0' if directory => MemberKind::Directory,
            0 | b'0' | b'7' if sparse => {
                self.expect(stored);
                let (size, parts) = self.pax_sparse(&mut records, stored, &path, begin)?;
                MemberKind::File { size, parts }
            }
            0 | b'0' | b'7' => {
                self.expect(stored);
                let parts = Parts::All;
                MemberKind::File {
                    size: stored,
                    parts,
                }
            }
            b'S' => {
                let (size, parts) = self.gnu_sparse(header, stored, &path, begin)?;
                self.expect(stored);
                MemberKind::File { size, parts }
            }
            b'1' => MemberKind::HardLink(link),
            b'2' => MemberKind::Symlink(link),
            kind @ (b'3' | b'4') => {
                let number = header.device();
                let number = number.ok_or_else(|| error("its device is not a number"))?;
                match kind {
                    b'3' => MemberKind::CharDevice(number),
                    _ => MemberKind::BlockDevice(number),
                }
            }
            b'5' => MemberKind::Directory,
            b'D' => {
                self.expect(stored); // GNU's list of what was in it
                MemberKind::Directory
            }
            b'6' => MemberKind::Fifo,
            _ => return Err(error("it is of a kind that is not known")),
        };
        Ok(Member {
            mode,
            uid,
            gid,
            mtime,
            xattrs: records.xattrs(),
            kind,
            offset: self.position,
            path,
        })
    }

    /// The next header, `None` at the end mark.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let begin = self.position;
        let block = self.block(begin, "the archive is cut off: its end mark is missing")?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        Header::new(block)
            .map(Some)
            .ok_or_else(|| Error::at(begin, "not a tar header: the checksum is wrong"))
    }

    fn block(&mut self, begin: u64, missing: &'static str) -> Result<[u8; BLOCK], Error> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) => return Err(Error::at(begin, missing)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(self.position, error)),
            }
        }
        self.position += BLOCK as u64;
        Ok(block)
    }

    /// `size` bytes of content follow.
    fn expect(&mut self, size: u64) {
        self.rest = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    /// Content that is wanted in memory.
    fn small(&mut self, size: u64, limit: u64, begin: u64) -> Result<Vec<u8>, Error> {
        if size > limit {
            return Err(Error::at(begin, "an extended header is too long"));
        }
        self.expect(size);
        let mut bytes = Vec::new();
        while self.rest > 0 {
            let mut chunk = [0; 4096];
            let count = self.read(&mut chunk).map_err(|e| Error::io(begin, e))?;
            bytes.extend_from_slice(&chunk[..count]);
        }
        Ok(bytes)
    }

    fn name(&mut self, size: u64, begin: u64) -> Result<Vec<u8>, Error> {
        let mut name = self.small(size, NAME_LIMIT + 1, begin)?;
        if let Some(end) = name.iter().position(|byte| *byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    /// Reads content of the current member; an archive that ends inside it is an error.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = self.rest.min(buffer.len() as u64) as usize;
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..wanted])?;
        if count == 0 {
            let what = format!("the archive is cut off at byte {}", self.position);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        self.rest -= count as u64;
        self.position += count as u64;
        Ok(count)
    }

    fn skip(&mut self, count: u64) -> Result<(), Error> {
        if count > 0 {
            let skipped = self.input.skip(count);
            skipped.map_err(|error| Error::io(self.position, error))?;
            self.position += count;
        }
        Ok(())
    }
}

/// What extended headers say of the member that follows them.
#[derive(Default)]
struct Long {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Records,
}

impl Long {
    fn any(&self) -> bool {
        self.path.is_some() || self.link.is_some()
    }
}
