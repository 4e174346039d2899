//! The exported file system, as the `nfs` crate asks for it.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use nfs::{
    Attributes, DirEntry, Export, FileHandle, FileRange, FileToken, FsStat, ReadOnlyFs, Status,
};
use squashfs::{Inode, InodeKind, InodeRef};

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
    /// Who may; empty means everybody.
    networks: Vec<Network>,
    snapshot: ArcSwap<ExportSnapshot>,
}

/// What a handle names, found.
pub(super) enum Node<'a> {
    Directory(&'a Directory),
    Image(&'a ExportedGeneration),
    Tree(&'a ExportedGeneration, InodeRef),
}

impl ExportFs {
    /// A file system without images, for the clients of these networks (none given: for all).
    pub fn new(key: HandleKey, networks: Vec<Network>) -> Self {
        Self {
            key,
            networks,
            snapshot: ArcSwap::default(),
        }
    }

    /// Exports `snapshot` from the next call on. Calls under way finish with what they began with.
    pub fn publish(&self, snapshot: ExportSnapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// The open file behind the token of a [`FileRange`]; `None` if its generation has just been
    /// taken back.
    pub fn file(&self, token: FileToken) -> Option<Arc<File>> {
        self.snapshot.load().file(token).cloned()
    }

    fn node<'a>(
        &self,
        snapshot: &'a ExportSnapshot,
        handle: &FileHandle,
    ) -> Result<Node<'a>, Status> {
        let found = match self.key.decode(handle)? {
            Handle::Directory(path) => snapshot.namespace.get(path).map(Node::Directory),
            Handle::ImageFile(id) => snapshot.generation(id).map(Node::Image),
            Handle::TreeInode(id, inode) => snapshot
                .generation(id)
                .map(|generation| Node::Tree(generation, inode)),
        };
        found.ok_or(Status::Stale)
    }

    pub(super) fn handle(&self, node: &Node<'_>) -> FileHandle {
        self.key.encode(match node {
            Node::Directory(directory) => Handle::Directory(directory.path),
            Node::Image(generation) => Handle::ImageFile(generation.id),
            Node::Tree(generation, inode) => Handle::TreeInode(generation.id, *inode),
        })
    }
}

impl<'a> Node<'a> {
    /// What an entry of the namespace leads to.
    pub(super) fn target(snapshot: &'a ExportSnapshot, target: Target) -> Result<Self, Status> {
        match target {
            Target::Directory(path) => snapshot.namespace.get(path).map(Node::Directory),
            Target::Image(id) => snapshot.generation(id).map(Node::Image),
            Target::Root(id) => snapshot
                .generation(id)
                .map(|generation| Node::Tree(generation, generation.archive.root_ref())),
        }
        .ok_or(Status::Stale)
    }

    pub(super) fn attributes(&self) -> Result<Attributes, Status> {
        match self {
            Node::Directory(directory) => Ok(directory.attributes()),
            Node::Image(generation) => Ok(tree::image_attributes(generation)),
            Node::Tree(generation, inode) => {
                inode_at(generation, *inode).map(|inode| tree::attributes(generation, &inode))
            }
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
        if !self.may(client) {
            return Err(Status::Access);
        }
        let snapshot = self.snapshot.load();
        let mut node = Node::target(&snapshot, Target::Directory(snapshot.namespace.root()))?;
        let mut rest = path;
        while let Node::Directory(directory) = node {
            rest = rest.strip_prefix(b"/").unwrap_or(rest);
            if rest.is_empty() {
                return Ok(self.handle(&node));
            }
            let end = rest.iter().position(|byte| *byte == b'/');
            let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let entry = directory.find(name).ok_or(Status::NoEnt)?;
            node = Node::target(&snapshot, entry.target)?;
            rest = behind;
        }
        let Node::Tree(generation, _) = node else {
            return Err(Status::NotDir);
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
        if !self.may(client) {
            return Vec::new();
        }
        let snapshot = self.snapshot.load();
        let mut paths = vec!["/".to_owned()];
        for generation in snapshot.generations() {
            if generation.current {
                paths.push(format!("/images/{}", generation.name));
                paths.push(format!("/roots/{}", generation.name));
            }
        }
        paths.sort();
        paths.dedup();
        let networks: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
        let export = |path| Export {
            path,
            networks: networks.clone(),
        };
        paths.into_iter().map(export).collect()
    }

    fn allowed(&self, client: SocketAddr, _handle: &FileHandle) -> bool {
        self.may(client)
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
                Node::target(&snapshot, target)?
            }
            Node::Tree(generation, dir) => {
                let dir = inode_at(generation, dir)?;
                let inode = tree_lookup(generation, &dir, name)?;
                let handle = self.handle(&Node::Tree(generation, inode.reference));
                return Ok((handle, tree::attributes(generation, &inode)));
            }
        };
        Ok((self.handle(&found), found.attributes()?))
    }

    fn read_link(&self, link: &FileHandle) -> Result<Vec<u8>, Status> {
        let snapshot = self.snapshot.load();
        let Node::Tree(generation, inode) = self.node(&snapshot, link)? else {
            return Err(Status::Inval);
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
            Node::Directory(_) | Node::Image(_) => FsStat {
                bytes: snapshot.generations().iter().map(|image| image.len).sum(),
                files: snapshot.generations().len() as u64,
            },
        })
    }
}

impl ExportFs {
    fn may(&self, client: SocketAddr) -> bool {
        self.networks.is_empty()
            || self
                .networks
                .iter()
                .any(|network| network.contains(client.ip()))
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
