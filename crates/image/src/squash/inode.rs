//! Inodes as the image holds them: short forms, and long ones where a short one cannot tell all.

use super::blocks::Extent;
use super::directory::Listing;
use super::fragment;
use super::tree::{Body, Inode, InodeId};
use super::xattr;

/// The kind of inode that directory entries name; the long form of each is 7 more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Directory = 1,
    File = 2,
    Symlink = 3,
    BlockDevice = 4,
    CharDevice = 5,
    Fifo = 6,
    Socket = 7,
}

const LONG: u16 = 7;

/// What an inode's body refers to, found before the inode is written.
pub(super) enum Target<'a> {
    Listing(&'a Listing),
    Extent(&'a Extent, &'a [u32]),
    None,
}

impl Body {
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Directory(_) => Type::Directory,
            Self::File(_) => Type::File,
            Self::Symlink(_) => Type::Symlink,
            Self::BlockDevice(_) => Type::BlockDevice,
            Self::CharDevice(_) => Type::CharDevice,
            Self::Fifo => Type::Fifo,
            Self::Socket => Type::Socket,
        }
    }
}

/// Appends little-endian words.
struct Words<'o>(&'o mut Vec<u8>);

impl Words<'_> {
    fn u16(&mut self, word: u16) {
        self.0.extend(word.to_le_bytes());
    }
    fn u32(&mut self, word: u32) {
        self.0.extend(word.to_le_bytes());
    }
    fn u64(&mut self, word: u64) {
        self.0.extend(word.to_le_bytes());
    }
}

/// Puts the inode's bytes into `out`. `parent` is the inode number that a directory names as its parent's.
pub(super) fn encode(
    id: InodeId,
    inode: &Inode,
    parent: u32,
    target: &Target<'_>,
    out: &mut Vec<u8>,
) {
    out.clear();
    let long = is_long(inode, target);
    let mut words = Words(out);
    words.u16(inode.body.kind() as u16 + if long { LONG } else { 0 });
    words.u16(inode.mode);
    words.u16(inode.uid);
    words.u16(inode.gid);
    words.u32(inode.mtime);
    words.u32(id + 1);
    match (&inode.body, target) {
        (Body::Directory(directory), Target::Listing(listing)) => {
            let links = directory.directories + 2;
            if long {
                words.u32(links);
                words.u32(listing.size());
                words.u32(listing.place.start);
                words.u32(parent);
                words.u16(listing.index_count);
                words.u16(listing.place.offset);
                words.u32(inode.xattrs);
                words.0.extend_from_slice(&listing.index);
            } else {
                words.u32(listing.place.start);
                words.u32(links);
                words.u16(listing.size() as u16);
                words.u16(listing.place.offset);
                words.u32(parent);
            }
        }
        (Body::File(_), Target::Extent(extent, size_words)) => {
            let (block, offset) = match extent.fragment {
                Some(fragment) => (fragment.block, fragment.offset),
                None => (fragment::NONE, 0),
            };
            if long {
                words.u64(extent.start);
                words.u64(extent.size);
                // A file of nothing but holes would claim no space at all.
                words.u64(extent.sparse.min(extent.size.saturating_sub(1)));
                words.u32(inode.links);
                words.u32(block);
                words.u32(offset);
                words.u32(inode.xattrs);
            } else {
                words.u32(extent.start as u32);
                words.u32(block);
                words.u32(offset);
                words.u32(extent.size as u32);
            }
            for word in *size_words {
                words.u32(*word);
            }
        }
        (Body::Symlink(target), _) => {
            words.u32(inode.links);
            words.u32(target.len() as u32);
            words.0.extend_from_slice(target);
            if long {
                words.u32(inode.xattrs);
            }
        }
        (Body::BlockDevice(device) | Body::CharDevice(device), _) => {
            words.u32(inode.links);
            words.u32(*device);
            if long {
                words.u32(inode.xattrs);
            }
        }
        (Body::Fifo | Body::Socket, _) => {
            words.u32(inode.links);
            if long {
                words.u32(inode.xattrs);
            }
        }
        _ => unreachable!("directories come with a listing and files with an extent"),
    }
}

fn is_long(inode: &Inode, target: &Target<'_>) -> bool {
    const LIMIT: u64 = u32::MAX as u64;
    inode.xattrs != xattr::NONE
        || match target {
            Target::Listing(listing) => {
                listing.index_count > 0 || listing.size() > u32::from(u16::MAX)
            }
            Target::Extent(extent, _) => {
                inode.links > 1 || extent.sparse > 0 || extent.size > LIMIT || extent.start > LIMIT
            }
            Target::None => false,
        }
}
