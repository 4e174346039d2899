//! What a source is, told by its content.

use std::fmt;
use std::str::FromStr;

use super::packing::Packing;
use crate::ext4::Ext4;
use crate::tar;

/// The kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A folder.
    Directory,
    /// A tar archive or stream.
    Tar,
    /// The disk of a virtual machine, or a file system of ext2, ext3 or ext4.
    Disk,
    /// A squashfs image.
    Squashfs,
    /// A live medium.
    Iso,
    /// An image of a container: an OCI layout, or what `docker save` writes.
    Oci,
}

const NAMES: [(SourceKind, &str); 6] = [
    (SourceKind::Directory, "directory"),
    (SourceKind::Tar, "tar"),
    (SourceKind::Disk, "disk"),
    (SourceKind::Squashfs, "squashfs"),
    (SourceKind::Iso, "iso"),
    (SourceKind::Oci, "oci"),
];

impl SourceKind {
    /// As it is named on the command line.
    pub fn as_str(self) -> &'static str {
        let named = NAMES.iter().find(|(kind, _)| *kind == self);
        named.map_or("", |(_, name)| name)
    }

    /// As one would say it.
    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Tar => "tar archive",
            Self::Disk => "disk",
            Self::Squashfs => "squashfs image",
            Self::Iso => "live medium",
            Self::Oci => "image of a container",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SourceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = NAMES.iter().find(|(_, name)| *name == text);
        named.map(|(kind, _)| *kind).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(_, name)| *name).collect();
            format!("the kinds of sources are {}", names.join(", "))
        })
    }
}

/// Bytes from the beginning of a file that tell what it is.
pub(super) const HEAD: usize = 68 << 10;

/// What a file's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    /// It can be read.
    Like(SourceKind),
    /// Something compressed; only an archive can be read so.
    Packed(Packing),
    /// It cannot be read: what it is, and what to do.
    Foreign(&'static str, &'static str),
    Unknown,
}

/// What a file that begins with `head` is.
pub(super) fn recognise(head: &[u8]) -> Looks {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|h| h.starts_with(magic));
    let packing = Packing::of(head);
    if packing != Packing::None {
        return Looks::Packed(packing);
    }
    let convert = "convert it first: qemu-img convert -O raw FROM TO";
    let unpack = "unpack it first, or pipe it: bzcat FILE | netbootd image build --name NAME -";
    for (offset, magic, name, remedy) in [
        (0, b"QFI\xfb".as_slice(), "a qcow2 image", convert),
        (0, b"KDMV", "a VMDK image", convert),
        (
            0,
            b"# Disk DescriptorFile",
            "the description of a VMDK image",
            convert,
        ),
        (0x40, b"\x7f\x10\xda\xbe", "a VirtualBox image", convert),
        (0, b"vhdxfile", "a VHDX image", convert),
        (0, b"conectix", "a VHD image", convert),
        (0, b"BZh", "compressed with bzip2", unpack),
        (0, b"LZIP", "compressed with lzip", unpack),
        (0, b"\x04\x22\x4d\x18", "compressed with lz4", unpack),
        (
            0,
            b"PK\x03\x04",
            "a zip archive",
            "unpack it into a folder first",
        ),
        (
            0,
            b"070701",
            "a cpio archive",
            "unpack it into a folder first",
        ),
    ] {
        if at(offset, magic) {
            return Looks::Foreign(name, remedy);
        }
    }
    // Live media have a partition table as well, and disks may have anything in their first sector.
    if at(0x8001, b"CD001") {
        return Looks::Like(SourceKind::Iso);
    }
    if at(0, b"hsqs") {
        return Looks::Like(SourceKind::Squashfs);
    }
    if head.first_chunk().is_some_and(tar::is_header) {
        return Looks::Like(SourceKind::Tar);
    }
    if at(510, &[0x55, 0xaa]) || Ext4::is_likely(head) {
        return Looks::Like(SourceKind::Disk);
    }
    Looks::Unknown
}
