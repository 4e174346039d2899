//! The exported file system, as the `nfs` crate asks for it.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::ImageName;
use nfs::{
    Attributes, DirEntry, Export, FileHandle, FileKind, FileRange, FileToken, FsStat, ReadOnlyFs,
    Status,
};
use squashfs::{Inode, InodeKind, InodeRef, Slice};

use super::access::{Access, holds};
use super::folder::{FileId, Folder, FolderId, Listed};
use super::handle::{Handle, HandleKey};
use super::namespace::{Directory, Target};
use super::network::Network;
use super::snapshot::{ExportSnapshot, ExportedGeneration};
use super::tree;

/// The published images as a read-only file system. Shared by all connections; reading takes no
/// lock but those of the block cache, and a call sees one snapshot from beginning to end.
#[derive(Debug)]
pub struct ExportFs {
    key: HandleKey,
    access: Arc<Access>,
    /// Whether everybody may use everything.
    open: bool,
    snapshot: ArcSwap<ExportSnapshot>,
    /// The same for those who must not wait; that one has none itself.
    at_once: Option<Box<ExportFs>>,
}

/// What a handle names, found.
pub(super) enum Node<'a> {
    Directory(&'a Directory),
    Image(&'a ExportedGeneration),
    Tree(&'a ExportedGeneration, InodeRef),
    File(&'a Folder, FileId),
}

impl ExportFs {
    /// A file system without images as yet, for those who may.
    pub fn new(key: HandleKey, access: Access) -> Self {
        let access = Arc::new(access);
        let empty = |at_once| Self {
            key: key.clone(),
            open: access.is_open(),
            access: Arc::clone(&access),
            snapshot: ArcSwap::from_pointee(ExportSnapshot::new(Vec::new(), &access.folders)),
            at_once,
        };
        empty(Some(Box::new(empty(None))))
    }

    /// The same files for those who must not wait: what would have to be read from a disk,
    /// decompressed, or waited for is [`Status::JukeBox`]. Listings may lack what is not in memory.
    pub fn at_once(&self) -> &Self {
        self.at_once.as_deref().unwrap_or(self)
    }

    /// Exports these generations from the next call on. Calls under way finish with what they began
    /// with.
    pub fn publish(&self, generations: Vec<ExportedGeneration>) {
        if let Some(at_once) = &self.at_once {
            let in_memory = generations.iter().map(ExportedGeneration::in_memory);
            at_once.publish(in_memory.collect());
        }
        let snapshot = ExportSnapshot::new(generations, &self.access.folders);
        self.snapshot.store(Arc::new(snapshot));
    }

    /// Whether an image's own list of networks, if it has one, lets this address have it.
    pub fn may_have(&self, image: &ImageName, address: IpAddr) -> bool {
        let networks = self.access.images.get(image);
        networks.is_none_or(|networks| holds(networks, address))
    }

    /// The open file behind the token of a [`FileRange`]; `None` if its generation has just been
    /// taken back.
    pub fn file(&self, token: FileToken) -> Option<Arc<File>> {
        self.snapshot.load().file(token).cloned()
    }

    fn node<'a>(
        &'a self,
        snapshot: &'a ExportSnapshot,
        handle: &FileHandle,
    ) -> Result<Node<'a>, Status> {
        let found = match self.key.decode(handle)? {
            Handle::Directory(path) => snapshot.namespace.get(path).map(Node::Directory),
            Handle::ImageFile(id) => snapshot.generation(id).map(Node::Image),
            Handle::TreeInode(id, inode) => snapshot
                .generation(id)
                .map(|generation| Node::Tree(generation, inode)),
            // The kernel may have to ask a disk for anything that is in a folder.
            Handle::File(..) if self.at_once.is_none() => return Err(Status::JukeBox),
            Handle::File(folder, file) => self.folder(folder).map(|it| Node::File(it, file)),
        };
        found.ok_or(Status::Stale)
    }

    /// What the file is counted under in figures: its generation as a file or as a tree, or its
    /// folder; nothing for the directories above them.
    pub fn place(&self, handle: &FileHandle) -> Option<Arc<str>> {
        let snapshot = self.snapshot.load();
        match self.key.decode(handle).ok()? {
            Handle::Directory(_) => None,
            Handle::ImageFile(id) => Some(Arc::clone(&snapshot.generation(id)?.places[0])),
            Handle::TreeInode(id, _) => Some(Arc::clone(&snapshot.generation(id)?.places[1])),
            Handle::File(id, _) => Some(format!("/exports/{}", self.folder(id)?.name()).into()),
        }
    }

    /// Brings what is likely to be read next of a tree's file into the cache. Blocks.
    pub fn prefetch(&self, handle: &FileHandle, offset: u64, len: u32) {
        let snapshot = self.snapshot.load();
        if let Ok(Node::Tree(generation, inode)) = self.node(&snapshot, handle)
            && let Ok(inode) = inode_at(generation, inode)
            && inode.kind == InodeKind::File
        {
            // Whoever reads there will be told what is wrong.
            let _ = generation.archive.prefetch(&inode, offset, len as usize);
        }
    }

    /// A piece of a tree's file, not copied, and whether the file ends with it; `None` where there
    /// is no such thing, and [`ReadOnlyFs::read`] is to be called.
    pub fn slices(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
    ) -> Option<Result<(Vec<Slice>, bool), Status>> {
        let snapshot = self.snapshot.load();
        match self.node(&snapshot, handle) {
            Ok(Node::Tree(generation, inode)) => tree::slices(generation, inode, offset, count),
            _ => None,
        }
    }

    fn folder(&self, id: FolderId) -> Option<&Folder> {
        self.access.folders.iter().find(|folder| folder.id() == id)
    }

    /// What an entry of the namespace leads to.
    pub(super) fn target<'a>(
        &'a self,
        snapshot: &'a ExportSnapshot,
        target: Target,
    ) -> Result<Node<'a>, Status> {
        match target {
            Target::Directory(path) => snapshot.namespace.get(path).map(Node::Directory),
            Target::Image(id) => snapshot.generation(id).map(Node::Image),
            Target::Root(id) => snapshot
                .generation(id)
                .map(|generation| Node::Tree(generation, generation.archive.root_ref())),
            Target::Folder(_) if self.at_once.is_none() => return Err(Status::JukeBox),
            Target::Folder(id) => match self.folder(id) {
                Some(folder) => Some(Node::File(folder, folder.root_id()?)),
                None => None,
            },
        }
        .ok_or(Status::Stale)
    }

    /// Whether an address may use what a handle names.
    fn may(&self, snapshot: &ExportSnapshot, address: IpAddr, handle: Handle) -> bool {
        let networks = match handle {
            Handle::Directory(path) => match snapshot.namespace.get(path) {
                Some(Directory {
                    image: Some(image), ..
                }) => self.access.image_networks(image),
                _ => return self.access.anything(address),
            },
            // Two images with the same content: who may have one has the other.
            Handle::ImageFile(id) | Handle::TreeInode(id, _) => {
                let mut images = snapshot.generations().iter().filter(|image| image.id == id);
                return images.any(|image| holds(self.access.image_networks(&image.name), address))
                    || snapshot.generation(id).is_none() && self.access.anything(address);
            }
            Handle::File(folder, _) => match self.folder(folder) {
                Some(folder) => self.access.folder_networks(folder),
                None => return self.access.anything(address),
            },
        };
        holds(networks, address)
    }

    pub(super) fn handle(&self, node: &Node<'_>) -> FileHandle {
        self.key.encode(match node {
            Node::Directory(directory) => Handle::Directory(directory.path),
            Node::Image(generation) => Handle::ImageFile(generation.id),
            Node::Tree(generation, inode) => Handle::TreeInode(generation.id, *inode),
            Node::File(folder, file) => Handle::File(folder.id(), *file),
        })
    }
}

impl Node<'_> {
    pub(super) fn attributes(&self) -> Result<Attributes, Status> {
        match self {
            Node::Directory(directory) => Ok(directory.attributes()),
            Node::Image(generation) => Ok(tree::image_attributes(generation)),
            Node::Tree(generation, inode) => {
                inode_at(generation, *inode).map(|inode| tree::attributes(generation, &inode))
            }
            Node::File(folder, file) => folder.attributes(*file),
        }
    }
}

pub(super) fn inode_at(generation: &ExportedGeneration, inode: InodeRef) -> Result<Inode, Status> {
    generation
        .archive
        .inode(inode)
        .map_err(|error| tree::failed(generation, &error))
}

impl ReadOnlyFs for ExportFs {
    fn mount(&self, client: SocketAddr, path: &[u8]) -> Result<FileHandle, Status> {
        let snapshot = self.snapshot.load();
        let mut node = self.target(&snapshot, Target::Directory(snapshot.namespace.root()))?;
        let mut rest = path;
        loop {
            if !self.allowed(client, &self.handle(&node)) {
                return Err(Status::Access);
            }
            let Node::Directory(directory) = node else {
                break;
            };
            rest = rest.strip_prefix(b"/").unwrap_or(rest);
            if rest.is_empty() {
                return Ok(self.handle(&node));
            }
            let end = rest.iter().position(|byte| *byte == b'/');
            let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let entry = directory.find(name).ok_or(Status::NoEnt)?;
            node = self.target(&snapshot, entry.target)?;
            rest = behind;
        }
        let generation = match node {
            Node::Tree(generation, _) => generation,
            Node::File(folder, root) => {
                let names = rest
                    .split(|byte| *byte == b'/')
                    .filter(|name| !name.is_empty());
                let mut file = root;
                for name in names {
                    file = folder.lookup(file, name)?.0;
                }
                return match folder.attributes(file)?.kind {
                    FileKind::Directory => Ok(self.handle(&Node::File(folder, file))),
                    _ => Err(Status::NotDir),
                };
            }
            _ => return Err(Status::NotDir),
        };
        let inode = generation
            .archive
            .resolve(rest, true)
            .map_err(|error| tree::failed(generation, &error))?
            .ok_or(Status::NoEnt)?;
        if inode.kind != InodeKind::Directory {
            return Err(Status::NotDir);
        }
        Ok(self.handle(&Node::Tree(generation, inode.reference)))
    }

    fn exports(&self, client: SocketAddr) -> Vec<Export> {
        let address = client.ip();
        if !self.access.anything(address) {
            return Vec::new();
        }
        let snapshot = self.snapshot.load();
        let mut exports = vec![export("/".to_owned(), &self.access.networks)];
        for generation in snapshot.generations() {
            let networks = self.access.image_networks(&generation.name);
            if generation.current && holds(networks, address) {
                exports.push(export(format!("/images/{}", generation.name), networks));
                exports.push(export(format!("/roots/{}", generation.name), networks));
            }
        }
        for folder in &self.access.folders {
            let networks = self.access.folder_networks(folder);
            if holds(networks, address) {
                exports.push(export(format!("/exports/{}", folder.name()), networks));
            }
        }
        exports.sort_by(|one, other| one.path.cmp(&other.path));
        exports.dedup_by(|one, other| one.path == other.path);
        exports
    }

    fn allowed(&self, client: SocketAddr, handle: &FileHandle) -> bool {
        if self.open {
            return true;
        }
        match self.key.decode(handle) {
            Ok(handle) => self.may(&self.snapshot.load(), client.ip(), handle),
            // Who may use anything is told that this handle is none.
            Err(_) => self.access.anything(client.ip()),
        }
    }

    fn attributes(&self, handle: &FileHandle) -> Result<Attributes, Status> {
        let snapshot = self.snapshot.load();
        self.node(&snapshot, handle)?.attributes()
    }

    fn lookup(
        &self,
        directory: &FileHandle,
        name: &[u8],
    ) -> Result<(FileHandle, Attributes), Status> {
        let snapshot = self.snapshot.load();
        let node = self.node(&snapshot, directory)?;
        let found = match node {
            Node::Image(_) => return Err(Status::NotDir),
            Node::Directory(directory) => {
                let target = match name {
                    b"." => Target::Directory(directory.path),
                    b".." => Target::Directory(directory.parent),
                    name => directory.find(name).ok_or(Status::NoEnt)?.target,
                };
                self.target(&snapshot, target)?
            }
            Node::Tree(generation, dir) => {
                let dir = inode_at(generation, dir)?;
                let inode = tree_lookup(generation, &dir, name)?;
                let handle = self.handle(&Node::Tree(generation, inode.reference));
                return Ok((handle, tree::attributes(generation, &inode)));
            }
            Node::File(folder, directory) => {
                let (file, attributes) = folder.lookup(directory, name)?;
                return Ok((self.handle(&Node::File(folder, file)), attributes));
            }
        };
        Ok((self.handle(&found), found.attributes()?))
    }

    fn read_link(&self, link: &FileHandle) -> Result<Vec<u8>, Status> {
        let snapshot = self.snapshot.load();
        let (generation, inode) = match self.node(&snapshot, link)? {
            Node::Tree(generation, inode) => (generation, inode),
            Node::File(folder, file) => return folder.read_link(file),
            _ => return Err(Status::Inval),
        };
        let inode = inode_at(generation, inode)?;
        generation
            .archive
            .symlink_target(&inode)
            .map_err(|error| tree::failed(generation, &error))
    }

    fn read_dir(
        &self,
        directory: &FileHandle,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
        plus: bool,
    ) -> Result<bool, Status> {
        let snapshot = self.snapshot.load();
        match self.node(&snapshot, directory)? {
            Node::Image(_) => Err(Status::NotDir),
            Node::Directory(directory) => {
                self.list_namespace(&snapshot, directory, cookie, visit, plus)
            }
            Node::Tree(generation, dir) => self.list_tree(generation, dir, cookie, visit, plus),
            Node::File(folder, directory) => {
                let handle = |file| self.handle(&Node::File(folder, file));
                let mut show = |listed: Listed<'_>| visit(listed.entry(handle));
                folder.read_dir(directory, cookie, &mut show, plus)
            }
        }
    }

    fn read(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, Status> {
        let snapshot = self.snapshot.load();
        match self.node(&snapshot, handle)? {
            Node::Directory(_) => Err(Status::IsDir),
            Node::Image(generation) => read_image(generation, offset, count, out),
            Node::Tree(generation, inode) => {
                let inode = inode_at(generation, inode)?;
                if inode.kind == InodeKind::Directory {
                    return Err(Status::IsDir);
                }
                let count = generation
                    .archive
                    .read(&inode, offset, count as usize, out)
                    .map_err(|error| tree::failed(generation, &error))?;
                Ok(offset.saturating_add(count as u64) >= inode.size)
            }
            Node::File(folder, file) => folder.read(file, offset, count, out),
        }
    }

    fn file_range(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
    ) -> Option<Result<FileRange, Status>> {
        let snapshot = self.snapshot.load();
        match self.node(&snapshot, handle) {
            Ok(Node::Image(generation)) => {
                let rest = generation.len.saturating_sub(offset);
                Some(Ok(FileRange {
                    file: generation.token(),
                    offset,
                    len: rest.min(count.into()) as u32,
                    eof: rest <= count.into(),
                }))
            }
            Ok(_) => None,
            Err(status) => Some(Err(status)),
        }
    }

    fn fs_stat(&self, handle: &FileHandle) -> Result<FsStat, Status> {
        let snapshot = self.snapshot.load();
        Ok(match self.node(&snapshot, handle)? {
            Node::Tree(generation, _) => {
                let superblock = generation.archive.superblock();
                FsStat {
                    bytes: superblock.bytes_used,
                    files: superblock.inode_count.into(),
                }
            }
            Node::File(folder, _) => folder.fs_stat()?,
            Node::Directory(_) | Node::Image(_) => FsStat {
                bytes: snapshot.generations().iter().map(|image| image.len).sum(),
                files: snapshot.generations().len() as u64,
            },
        })
    }
}

/// One line of the list of exports.
fn export(path: String, networks: &[Network]) -> Export {
    Export {
        path,
        networks: networks.iter().map(ToString::to_string).collect(),
    }
}

fn tree_lookup(generation: &ExportedGeneration, dir: &Inode, name: &[u8]) -> Result<Inode, Status> {
    let failed = |error| tree::failed(generation, &error);
    match name {
        _ if dir.kind != InodeKind::Directory => Err(Status::NotDir),
        b"." => Ok(dir.clone()),
        b".." => generation.archive.parent(dir).map_err(failed),
        name => {
            let found = generation.archive.lookup(dir, name).map_err(failed)?;
            inode_at(generation, found.ok_or(Status::NoEnt)?)
        }
    }
}

/// Appends a piece of the image file: for those who cannot send it from the file itself.
fn read_image(
    generation: &ExportedGeneration,
    offset: u64,
    count: u32,
    out: &mut Vec<u8>,
) -> Result<bool, Status> {
    let rest = generation.len.saturating_sub(offset);
    let len = rest.min(count.into()) as usize;
    let before = out.len();
    out.resize(before + len, 0);
    match generation.file.read_exact_at(&mut out[before..], offset) {
        Ok(()) => Ok(rest <= count.into()),
        Err(error) => {
            out.truncate(before);
            generation.report(&error);
            Err(Status::Io)
        }
    }
}
