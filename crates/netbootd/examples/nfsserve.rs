//! Folders of this machine, read-only, served by the crate `nfsserve`: a peer for `cargo xtask bench nfs`.
//!
//! `nfsserve ADDRESS:PORT /NAME=FOLDER…` serves each folder under its name. Files stay open and are
//! read with one `pread`, so that what is measured is the crate.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use async_trait::async_trait;
use nfsserve::fs_util::metadata_to_fattr3;
use nfsserve::nfs::{fattr3, fileid3, filename3, ftype3, nfspath3, nfsstat3, sattr3};
use nfsserve::tcp::{NFSTcp, NFSTcpListener};
use nfsserve::vfs::{DirEntry, NFSFileSystem, ReadDirResult, VFSCapabilities};
use rustix::process::{Resource, getrlimit, setrlimit};

/// What an id stands for.
#[derive(Clone)]
struct Node {
    /// A file of this machine; `None` for the folders above the served ones.
    path: Option<PathBuf>,
    children: HashMap<Vec<u8>, fileid3>,
    file: Option<Arc<File>>,
}

/// Every file that was ever looked up. Ids are places in the list, from 1 on.
struct Folders(Mutex<Vec<Node>>);

impl Folders {
    fn nodes(&self) -> MutexGuard<'_, Vec<Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, id: fileid3) -> Result<Node, nfsstat3> {
        let nodes = self.nodes();
        let node = usize::try_from(id - 1).ok().and_then(|at| nodes.get(at));
        node.cloned().ok_or(nfsstat3::NFS3ERR_STALE)
    }

    /// The id of a name in a folder, if the folder has it.
    fn child(&self, folder: fileid3, name: &[u8]) -> Result<fileid3, nfsstat3> {
        let node = self.node(folder)?;
        if let Some(id) = node.children.get(name) {
            return Ok(*id);
        }
        let path = node.path.ok_or(nfsstat3::NFS3ERR_NOENT)?;
        let path = path.join(OsStr::from_bytes(name));
        path.symlink_metadata()
            .map_err(|_| nfsstat3::NFS3ERR_NOENT)?;
        Ok(self.add(folder, name, Some(path)))
    }

    fn add(&self, folder: fileid3, name: &[u8], path: Option<PathBuf>) -> fileid3 {
        let mut nodes = self.nodes();
        nodes.push(Node {
            path,
            children: HashMap::new(),
            file: None,
        });
        let id = nodes.len() as fileid3;
        if let Some(parent) = nodes.get_mut(folder as usize - 1) {
            parent.children.insert(name.to_vec(), id);
        }
        id
    }

    fn attributes(&self, id: fileid3) -> Result<fattr3, nfsstat3> {
        let metadata: Metadata = match self.node(id)?.path {
            Some(path) => path.symlink_metadata(),
            None => PathBuf::from("/").symlink_metadata(),
        }
        .map_err(|_| nfsstat3::NFS3ERR_IO)?;
        Ok(metadata_to_fattr3(id, &metadata))
    }

    fn file(&self, id: fileid3) -> Result<Arc<File>, nfsstat3> {
        let node = self.node(id)?;
        if let Some(file) = node.file {
            return Ok(file);
        }
        let path = node.path.ok_or(nfsstat3::NFS3ERR_ISDIR)?;
        let file = Arc::new(File::open(path).map_err(|_| nfsstat3::NFS3ERR_IO)?);
        if let Some(node) = self.nodes().get_mut(id as usize - 1) {
            node.file = Some(Arc::clone(&file));
        }
        Ok(file)
    }
}

#[async_trait]
impl NFSFileSystem for Folders {
    fn capabilities(&self) -> VFSCapabilities {
        VFSCapabilities::ReadOnly
    }

    fn root_dir(&self) -> fileid3 {
        1
    }

    async fn lookup(&self, folder: fileid3, name: &filename3) -> Result<fileid3, nfsstat3> {
        self.child(folder, name)
    }

    async fn getattr(&self, id: fileid3) -> Result<fattr3, nfsstat3> {
        self.attributes(id)
    }

    async fn read(
        &self,
        id: fileid3,
        offset: u64,
        count: u32,
    ) -> Result<(Vec<u8>, bool), nfsstat3> {
        let file = self.file(id)?;
        let failed = |_| nfsstat3::NFS3ERR_IO;
        let len = file.metadata().map_err(failed)?.len();
        let count = len.saturating_sub(offset).min(count.into());
        let mut bytes = vec![0; count as usize];
        file.read_exact_at(&mut bytes, offset).map_err(failed)?;
        Ok((bytes, offset + count >= len))
    }

    async fn readdir(
        &self,
        folder: fileid3,
        after: fileid3,
        max: usize,
    ) -> Result<ReadDirResult, nfsstat3> {
        let mut names: Vec<Vec<u8>> = match self.node(folder)? {
            Node {
                path: Some(path), ..
            } => std::fs::read_dir(path)
                .map_err(|_| nfsstat3::NFS3ERR_NOTDIR)?
                .filter_map(|entry| Some(entry.ok()?.file_name().as_bytes().to_vec()))
                .collect(),
            node => node.children.into_keys().collect(),
        };
        names.sort();
        let mut entries = Vec::new();
        for name in names {
            let fileid = self.child(folder, &name)?;
            entries.push((fileid, name));
        }
        entries.sort();
        let rest: Vec<_> = entries.into_iter().filter(|(id, _)| *id > after).collect();
        let mut result = ReadDirResult {
            entries: Vec::new(),
            end: rest.len() <= max,
        };
        for (fileid, name) in rest.into_iter().take(max) {
            result.entries.push(DirEntry {
                fileid,
                name: name.as_slice().into(),
                attr: self.attributes(fileid)?,
            });
        }
        Ok(result)
    }

    async fn readlink(&self, id: fileid3) -> Result<nfspath3, nfsstat3> {
        if self.attributes(id)?.ftype as u32 != ftype3::NF3LNK as u32 {
            return Err(nfsstat3::NFS3ERR_INVAL);
        }
        let path = self.node(id)?.path.ok_or(nfsstat3::NFS3ERR_INVAL)?;
        let target = path.read_link().map_err(|_| nfsstat3::NFS3ERR_IO)?;
        Ok(target.as_os_str().as_bytes().into())
    }

    async fn setattr(&self, _: fileid3, _: sattr3) -> Result<fattr3, nfsstat3> {
        Err(nfsstat3::NFS3ERR_ROFS)
    }

    async fn write(&self, _: fileid3, _: u64, _: &[u8]) -> Result<fattr3, nfsstat3> {
        Err(nfsstat3::NFS3ERR_ROFS)
    }

    async fn create(
        &self,
        _: fileid3,
        _: &filename3,
        _: sattr3,
    ) -> Result<(fileid3, fattr3), nfsstat3> {
        Err(nfsstat3::NFS3ERR_ROFS)
    }

    async fn create_exclusive(&self, _: fileid3, _: &filename3) -> Result<fileid3, nfsstat3> {
        Err(nfsstat3::NFS3ERR_ROFS)
    }

    async fn mkdir(&self, _: fileid3, _: &filename3) -> Result<(fileid3, fattr3), nfsstat3> {
        Err(nfsstat3::NFS3ERR_ROFS)
    }

    async fn remove(&self, _: fileid3, _: &filename3) -> Result<(), nfsstat3> {
        Err(nfsstat3::NFS3ERR_ROFS)
    }

    async fn rename(
        &self,
        _: fileid3,
        _: &filename3,
        _: fileid3,
        _: &filename3,
    ) -> Result<(), nfsstat3> {
        Err(nfsstat3::NFS3ERR_ROFS)
    }

    async fn symlink(
        &self,
        _: fileid3,
        _: &filename3,
        _: &nfspath3,
        _: &sattr3,
    ) -> Result<(fileid3, fattr3), nfsstat3> {
        Err(nfsstat3::NFS3ERR_ROFS)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("no ADDRESS:PORT")?;
    let mut descriptors = getrlimit(Resource::Nofile);
    descriptors.current = descriptors.maximum;
    setrlimit(Resource::Nofile, descriptors)?;
    let folders = Folders(Mutex::default());
    folders.add(1, b"", None);
    for argument in arguments {
        let (name, folder) = argument.split_once('=').context("/NAME=FOLDER")?;
        let mut at = 1;
        let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
        for (number, part) in parts.iter().enumerate() {
            let path = (number + 1 == parts.len()).then(|| PathBuf::from(folder));
            at = match folders.child(at, part.as_bytes()) {
                Ok(known) => known,
                Err(_) => folders.add(at, part.as_bytes(), path),
            };
        }
    }
    let listener = NFSTcpListener::bind(&address, folders).await?;
    println!("serving on {address}");
    listener.handle_forever().await?;
    Ok(())
}
