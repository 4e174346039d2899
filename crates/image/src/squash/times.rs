//! Which blocks a file consists of, remembered from build to build by the file's stamp, so that a file that nobody
//! has written to need not be read.
//!
//! ```text
//! magic 8, fingerprint 16
//! (digest of path and stamp 16, blocks u32, key of each block 16)*    zeros for a block of zeros
//! digest of everything before 16
//! ```
//!
//! The fingerprint stands for the block size and for what the search for secrets finds: a file that was not
//! remembered then is read and searched again. Whatever is wrong with the list, it is not used.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use blake3::Hasher;

use super::dedup::{Key, ZEROS, digest};
use super::options::Options;
use crate::entry::Stamp;
use crate::secrets;

const MAGIC: [u8; 8] = *b"nbtimes1";
const KEY: usize = size_of::<Key>();
const HEAD: usize = MAGIC.len() + KEY;
/// Longer lists are not read: some ten million files.
const LIMIT: u64 = 1 << 30;

/// What an earlier build remembered.
pub(super) struct Times {
    block_size: u64,
    list: Vec<u8>,
    /// Where the blocks of a file begin in the list.
    places: HashMap<Key, u32>,
}

impl Times {
    /// What is in `options.trusted`: none unless a build with the same settings wrote it.
    pub(super) fn open(options: &Options) -> Option<Self> {
        let file = options.trusted.as_ref()?;
        let length = file.metadata().ok()?.len();
        if length > LIMIT {
            return None;
        }
        let mut list = Vec::new();
        file.as_ref().take(length).read_to_end(&mut list).ok()?;
        let end = list.len().checked_sub(KEY)?;
        if list.get(..HEAD)? != head(options) || list[end..] != checksum(&list[..end]) {
            return None;
        }
        list.truncate(end);
        let mut places = HashMap::new();
        let mut at = HEAD;
        while at < list.len() {
            let key = Key::try_from(list.get(at..at + KEY)?).ok()?;
            at += KEY;
            places.insert(key, at as u32); // less than `LIMIT`
            let count = u32::from_le_bytes(list.get(at..at + 4)?.try_into().ok()?);
            at += 4 + count as usize * KEY;
        }
        Some(Self {
            block_size: options.block_size.bytes() as u64,
            list,
            places,
        })
    }

    /// The keys of the blocks of a file, `None` for a block of zeros.
    pub(super) fn find(&self, path: &[u8], stamp: &Stamp) -> Option<Box<[Option<Key>]>> {
        let at = *self.places.get(&name(path, stamp))? as usize;
        let count = stamp.size.div_ceil(self.block_size) as usize;
        let (length, keys) = self.list.get(at..)?.split_at_checked(4)?;
        let keys = keys.get(..count.checked_mul(KEY)?)?;
        let known = |key: &Key| (*key != ZEROS).then_some(*key);
        (*length == (count as u32).to_le_bytes())
            .then(|| keys.as_chunks::<KEY>().0.iter().map(known).collect())
    }
}

/// Remembers the files of this build.
pub(super) struct Remember {
    out: BufWriter<File>,
    hash: Hasher,
}

impl Remember {
    /// Begins to write into `options.remember`, if that is an empty file.
    pub(super) fn begin(options: &Options) -> io::Result<Option<Self>> {
        let Some(file) = &options.remember else {
            return Ok(None);
        };
        let mut remember = Self {
            out: BufWriter::new(file.try_clone()?),
            hash: Hasher::new(),
        };
        remember.write(&head(options))?;
        Ok(Some(remember))
    }

    /// A file and the keys of its blocks.
    pub(super) fn file(&mut self, path: &[u8], stamp: &Stamp, keys: &[Key]) -> io::Result<()> {
        self.write(&name(path, stamp))?;
        self.write(&(keys.len() as u32).to_le_bytes())?;
        self.write(keys.as_flattened())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        let sum = short(&self.hash);
        self.out.write_all(&sum)?;
        self.out.flush()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }
}

fn head(options: &Options) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend(digest([
        (options.block_size.bytes() as u64).to_le_bytes().as_slice(),
        &secrets::REVISION.to_le_bytes(),
    ]));
    head
}

/// What a file goes by. The path is part of it, as names say what is secret.
fn name(path: &[u8], stamp: &Stamp) -> Key {
    let Stamp {
        device,
        inode,
        size,
        mtime,
        ctime,
    } = stamp;
    let times = [mtime.0, mtime.1, ctime.0, ctime.1];
    let mut fixed = Vec::with_capacity(56);
    [*device, *inode, *size]
        .iter()
        .for_each(|number| fixed.extend(number.to_le_bytes()));
    times
        .iter()
        .for_each(|number| fixed.extend(number.to_le_bytes()));
    digest([&fixed, path])
}

fn checksum(bytes: &[u8]) -> Key {
    let mut hash = Hasher::new();
    hash.update(bytes);
    short(&hash)
}

fn short(hash: &Hasher) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&hash.finalize().as_bytes()[..KEY]);
    key
}
