//! The directories above the images: made up by us, listed like any other.

use std::collections::{BTreeMap, HashMap};

use model::{GenerationId, ImageName};
use nfs::{Attributes, FileKind, Time};
use siphasher::sip::SipHasher24;
use siphasher::sip128::SipHasher24 as SipHasher128;

use super::folder::{Folder, FolderId};
use super::handle::PathHash;
use super::snapshot::ExportedGeneration;

/// The name of the image in its generation's directory.
pub(super) const IMAGE_FILE: &str = "root.squashfs";

/// The directories of a snapshot, by the hash of their path.
#[derive(Debug)]
pub(super) struct Namespace(HashMap<PathHash, Directory>);

/// One directory of the namespace.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathHash,
    pub(super) parent: PathHash,
    /// In the order of their cookies.
    pub(super) entries: Vec<Entry>,
    /// The image that it belongs to, if it does to one alone.
    pub(super) image: Option<ImageName>,
    mtime: Time,
}

/// One name in such a directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Where a listing goes on behind it: a number of the name alone, so that a listing that is
    /// read while images come and go shows what stayed, once.
    pub(super) cookie: u64,
    pub(super) target: Target,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Directory(PathHash),
    Image(GenerationId),
    Root(GenerationId),
    Folder(FolderId),
}

/// Number of the file system that holds these directories, and the image files in them.
pub(super) fn fsid() -> u64 {
    number(&[b"namespace"])
}

/// Number of a generation's image file in the namespace.
pub(super) fn image_fileid(id: GenerationId) -> u64 {
    number(&[IMAGE_FILE.as_bytes(), &id.0])
}

/// A number for things, the same on every server: 63 bits, above all small ones.
pub(super) fn number(things: &[&[u8]]) -> u64 {
    let hash = SipHasher24::new().hash(&things.concat());
    (hash >> 2) | 1 << 62
}

fn hash(path: &str) -> PathHash {
    PathHash(SipHasher128::new().hash(path.as_bytes()).as_bytes())
}

impl Namespace {
    pub(super) fn new(generations: &[ExportedGeneration], folders: &[Folder]) -> Self {
        let mut namespace = Self(HashMap::new());
        let mut listings: BTreeMap<String, BTreeMap<String, (Target, u32)>> = BTreeMap::new();
        let mut add = |directory: &str, name: &str, target: Target, made: u32| {
            let listing = listings.entry(directory.to_owned()).or_default();
            listing.entry(name.to_owned()).or_insert((target, made));
        };
        for name in ["images", "roots"] {
            add("/", name, Target::Directory(hash(&format!("/{name}"))), 0);
        }
        for generation in generations {
            let (name, id) = (&generation.name, generation.id);
            let made = generation.archive.superblock().made;
            let image = format!("/images/{name}");
            let directory = format!("{image}/{id}");
            add(
                "/images",
                name.as_str(),
                Target::Directory(hash(&image)),
                made,
            );
            add(
                &image,
                &id.to_string(),
                Target::Directory(hash(&directory)),
                made,
            );
            add(&directory, IMAGE_FILE, Target::Image(id), made);
            add("/roots", &format!("{name}@{id}"), Target::Root(id), made);
            if generation.current {
                add(&image, IMAGE_FILE, Target::Image(id), made);
                add("/roots", name.as_str(), Target::Root(id), made);
            }
        }
        for folder in folders {
            add("/", "exports", Target::Directory(hash("/exports")), 0);
            add("/exports", folder.name(), Target::Folder(folder.id()), 0);
        }
        for empty in ["/images", "/roots"] {
            listings.entry(empty.to_owned()).or_default();
        }
        for (path, listing) in listings {
            let mut directory = Directory::new(&path, listing);
            let below = path.strip_prefix("/images/");
            let image = below.and_then(|names| names.split('/').next()?.parse().ok());
            directory.image = image;
            namespace.0.insert(directory.path, directory);
        }
        namespace
    }

    /// The directory `/`.
    pub(super) fn root(&self) -> PathHash {
        hash("/")
    }

    pub(super) fn get(&self, path: PathHash) -> Option<&Directory> {
        self.0.get(&path)
    }
}

impl Directory {
    fn new(path: &str, listing: BTreeMap<String, (Target, u32)>) -> Self {
        let parent = match path.rsplit_once('/') {
            Some(("", _)) | None => "/",
            Some((parent, _)) => parent,
        };
        let seconds = listing.values().map(|(_, made)| *made).max().unwrap_or(0);
        let mut entries: Vec<Entry> = listing
            .into_iter()
            .map(|(name, (target, _))| Entry {
                cookie: number(&[b"cookie", name.as_bytes()]),
                name,
                target,
            })
            .collect();
        entries.sort_by_key(|entry| entry.cookie);
        // Clients keep what they know of a directory until its time of change is another. These
        // directories have no clock, so the time is made of what is in them.
        let state = number(&[format!("{entries:?}").as_bytes()]);
        Self {
            path: hash(path),
            parent: hash(parent),
            entries,
            image: None,
            mtime: Time {
                seconds,
                nanos: (state % 1_000_000_000) as u32,
            },
        }
    }

    /// The entry with this name.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.name.as_bytes() == name)
    }

    pub(super) fn fileid(&self) -> u64 {
        number(&[b"directory", &self.path.0])
    }

    pub(super) fn attributes(&self) -> Attributes {
        let directory = |entry: &&Entry| !matches!(entry.target, Target::Image(_));
        Attributes {
            kind: FileKind::Directory,
            mode: 0o555,
            nlink: 2 + self.entries.iter().filter(directory).count() as u32,
            uid: 0,
            gid: 0,
            size: 4096,
            used: 4096,
            rdev: (0, 0),
            fsid: fsid(),
            fileid: self.fileid(),
            atime: self.mtime,
            mtime: self.mtime,
            ctime: self.mtime,
        }
    }
}
