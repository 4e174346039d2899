//! What this crate asks of the file system behind it.

use std::net::SocketAddr;

use crate::FileHandle;

/// The files that are served. Upper layers implement it; a call may block.
///
/// Handles are the implementer's: it must tell its own from forged ones ([`Status::BadHandle`]) and
/// from those of something that is gone ([`Status::Stale`]). This crate asks [`ReadOnlyFs::allowed`]
/// and [`ReadOnlyFs::attributes`] before anything else, checks kinds, permission bits and bounds,
/// and never passes a name that is empty, longer than 255 bytes, or contains `/` or NUL.
pub trait ReadOnlyFs {
    /// The root handle of an export (MNT). `path` is absolute and tidy: no empty, `.` or `..`
    /// components, no NUL, no trailing slash except in `/` itself.
    fn mount(&self, client: SocketAddr, path: &[u8]) -> Result<FileHandle, Status>;

    /// What `client` may mount, for `showmount -e`.
    fn exports(&self, client: SocketAddr) -> Vec<Export>;

    /// Whether `client` may use this handle at all. Asked on every call, so that a handle learned
    /// elsewhere opens nothing.
    fn allowed(&self, client: SocketAddr, handle: &FileHandle) -> bool;

    /// The attributes of a file, or [`Status::BadHandle`] or [`Status::Stale`].
    fn attributes(&self, handle: &FileHandle) -> Result<Attributes, Status>;

    /// Finds `name` in a directory; `.` and `..` too. `..` of an export's root is the root itself.
    fn lookup(
        &self,
        directory: &FileHandle,
        name: &[u8],
    ) -> Result<(FileHandle, Attributes), Status>;

    /// The target of a symbolic link, not followed.
    fn read_link(&self, link: &FileHandle) -> Result<Vec<u8>, Status>;

    /// Lists a directory from `cookie` on: 0 is the beginning, any other value the
    /// [`DirEntry::cookie`] after which to continue. `.` and `..` come first.
    ///
    /// `visit` says `false` when there is no room for the entry it was given; the listing then
    /// ends, that entry not counted. With `plus`, entries carry handle and attributes.
    /// Returns whether the end was reached.
    fn read_dir(
        &self,
        directory: &FileHandle,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
        plus: bool,
    ) -> Result<bool, Status>;

    /// Appends at most `count` bytes from `offset` to `out` and touches nothing else in it. Returns
    /// whether the file ends there. Never called beyond the size that [`ReadOnlyFs::attributes`] told.
    fn read(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, Status>;

    /// The same as a piece of a plain file that the shell can send itself; `None` if this file is
    /// not one, and [`ReadOnlyFs::read`] is to be called. The range has at most `count` bytes.
    fn file_range(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
    ) -> Option<Result<FileRange, Status>>;

    /// Size of the file system that the handle is in.
    fn fs_stat(&self, handle: &FileHandle) -> Result<FsStat, Status>;
}

/// One line of `showmount -e`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The path to mount.
    pub path: String,
    /// Networks that may, as text (`192.168.67.0/24`); none means everybody.
    pub networks: Vec<String>,
}

/// The kind of a file (`ftype3`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FileKind {
    /// Plain file.
    Regular = 1,
    /// Directory.
    Directory = 2,
    /// Block device.
    BlockDevice = 3,
    /// Character device.
    CharDevice = 4,
    /// Symbolic link.
    Symlink = 5,
    /// Socket.
    Socket = 6,
    /// Named pipe.
    Fifo = 7,
}

/// A moment since 1970 (`nfstime3`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds.
    pub seconds: u32,
    /// Nanoseconds, below one thousand million.
    pub nanos: u32,
}

/// The attributes of a file (`fattr3`, RFC 1813 section 2.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, set-id and sticky bits: `0o7777`.
    pub mode: u32,
    /// Number of names.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Bytes on disk.
    pub used: u64,
    /// Major and minor number of a device.
    pub rdev: (u32, u32),
    /// Which file system: one value per generation.
    pub fsid: u64,
    /// Number of the file in it.
    pub fileid: u64,
    /// Last read.
    pub atime: Time,
    /// Last change of the contents.
    pub mtime: Time,
    /// Last change of the attributes.
    pub ctime: Time,
}

/// One name in a directory.
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    /// Number of the file.
    pub fileid: u64,
    /// Its name, not empty.
    pub name: &'a [u8],
    /// Where the listing goes on after this entry. Never 0, and the same after a restart.
    pub cookie: u64,
    /// Its handle (READDIRPLUS).
    pub handle: Option<FileHandle>,
    /// Its attributes (READDIRPLUS).
    pub attributes: Option<Attributes>,
}

/// A file that the shell knows by this number and can send from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileToken(pub u64);

/// A piece of a plain file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Which file.
    pub file: FileToken,
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; the file must have as many.
    pub len: u32,
    /// Whether the file ends with it.
    pub eof: bool,
}

/// Size of a file system. Nothing is free in ours: they cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsStat {
    /// Bytes in it.
    pub bytes: u64,
    /// Files in it.
    pub files: u64,
}

/// Why a call failed (`nfsstat3`, RFC 1813 section 2.6; MOUNT's `mountstat3` uses the same numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// Not the owner.
    Perm = 1,
    /// No such file.
    NoEnt = 2,
    /// The disk failed, or the image is damaged.
    Io = 5,
    /// Not for this client or user.
    Access = 13,
    /// Not a directory.
    NotDir = 20,
    /// A directory.
    IsDir = 21,
    /// Not for this kind of file.
    Inval = 22,
    /// Read-only file system.
    RoFs = 30,
    /// A name of more than 255, or a path of more than 1024 bytes.
    NameTooLong = 63,
    /// Our handle, of something that is gone.
    Stale = 70,
    /// Not a handle of ours.
    BadHandle = 10001,
    /// Not a place in this directory.
    BadCookie = 10003,
    /// Not supported.
    NotSupp = 10004,
    /// Not even one entry fits in what the client allows.
    TooSmall = 10005,
    /// We are at fault.
    ServerFault = 10006,
    /// Try again later.
    JukeBox = 10008,
}
