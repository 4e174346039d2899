//! Opening a source: what it is, and what lies over it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::archive::{Archive, PackedFile, Piped, Streamed, failed};
use super::blobs::Blobs;
use super::disk::FileSystem;
use super::gathered::{Layer, Placed, Whiteouts};
use super::iso::LiveMedium;
use super::kind::{HEAD, Looks, SourceKind, recognise};
use super::layer::Folder;
use super::oci;
use super::packing::Packing;
use super::squashfs::Image;
use super::window::{Disk, Whole};
use super::{Directory, Error, Gathered, Survey, Unreadable};
use crate::entry::Entry;
use crate::progress::{Progress, Stage};
use crate::scrub::Rules;
use crate::tree::{self, Tree};

/// How sources are to be read.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// What the first one is, when its content does not tell.
    pub kind: Option<SourceKind>,
    /// Which partition of a disk is the root, where that does not tell itself.
    pub partition: Option<u32>,
    /// What is mounted at these paths of the first source, a directory, goes in as well.
    pub mounts: Vec<PathBuf>,
    /// What becomes of files and folders that cannot be opened.
    pub unreadable: Unreadable,
}

impl SourceOptions {
    /// The directory at `path`; `base` says that it is the first source.
    fn directory(&self, path: &Path, rules: &Rules, base: bool) -> Result<Directory, Error> {
        let directory = Directory::open(path, rules.clone())?;
        let mounts = if base { &self.mounts[..] } else { &[] };
        let directory = directory.with_mounts(mounts)?;
        Ok(directory.with_unreadable(self.unreadable))
    }
}

/// A source that was opened.
///
/// ```
/// use image::scrub::Rules;
/// use image::source::{Source, SourceOptions};
///
/// # let lab = tempfile::tempdir()?;
/// let made = std::process::Command::new("sh").arg("-euc").arg("
///     mkdir -p tree/etc over/etc medium/live; echo demo > tree/etc/hostname; echo word > over/etc/motd
///     tar -cf tree.tar -C tree .                                    # also compressed, also through a pipe
///     truncate -s 8M disk.raw; mkfs.ext4 -q -F -d tree disk.raw     # also with partitions
///     mksquashfs tree tree.squashfs -quiet -no-progress
///     cp tree.squashfs medium/live/filesystem.squashfs; xorrisofs -quiet -o live.iso medium
///     digest() { sha256sum < $1 | cut -c 1-64; }
///     layer=$(digest tree.tar); cp tree.tar $layer.tar
///     echo '{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:'$layer'\"]}}' > config
///     config=$(digest config); mv config $config.json
///     echo '[{\"Config\":\"'$config'.json\",\"Layers\":[\"'$layer'.tar\"]}]' > manifest.json
///     tar -cf saved.tar manifest.json $config.json $layer.tar       # also as an OCI layout
/// ").current_dir(lab.path()).status()?;
/// assert!(made.success());
///
/// let names = |sources: &[&str]| -> Result<_, Box<dyn std::error::Error>> {
///     let paths: Vec<_> = sources.iter().map(|name| lab.path().join(name)).collect();
///     let (rules, stop) = (Rules::none(), Default::default());
///     let source = Source::open(&paths, &SourceOptions::default(), rules, lab.path(), &(), &stop)?;
///     let mut names = Vec::new();
///     for entry in source.entries(&()) {
///         names.push(String::from_utf8(entry?.path)?);
///     }
///     Ok((source.description().to_owned(), names.join(" ")))
/// };
/// let tree = " etc etc/hostname"; // the root has no name
/// assert_eq!(names(&["tree"])?, ("directory".into(), tree.into()));
/// assert_eq!(names(&["tree.tar"])?, ("tar archive".into(), tree.into()));
/// assert_eq!(names(&["disk.raw"])?.1, " etc etc/hostname lost+found");
/// assert_eq!(names(&["tree.squashfs"])?.1, tree);
/// assert_eq!(names(&["live.iso"])?.1, tree);
/// assert_eq!(names(&["saved.tar"])?.1, tree);
/// assert_eq!(names(&["saved.tar", "over"])?.1, " etc etc/hostname etc/motd");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Source {
    inner: Inner,
    rules: Rules,
    description: String,
}

enum Inner {
    Directory(Directory, tree::Directory),
    Gathered(Box<Gathered>),
}

impl Source {
    /// Opens `paths`: the first is the base, each other one lies over what comes before it. `-` is the standard
    /// input.
    ///
    /// What is not one directory is read here, as far as its names. `spool_folder` is where content is put aside
    /// that comes as a stream.
    ///
    /// # Errors
    /// What is wrong with the source, or [`Error::Stopped`] soon after `stop` became true.
    pub fn open(
        paths: &[PathBuf],
        options: &SourceOptions,
        rules: Rules,
        spool_folder: &Path,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Self, Error> {
        let kinds = paths.iter().enumerate().map(|(number, path)| {
            let kind = options.kind.filter(|_| number == 0);
            Opened::new(path, kind)
        });
        let opened = kinds.collect::<Result<Vec<_>, _>>()?;
        if let (
            [
                Opened {
                    found: Found::Directory,
                    ..
                },
            ],
            [path],
        ) = (&opened[..], paths)
        {
            let tree = tree::Directory::open(path).map_err(|cause| Error::Io {
                action: "open",
                path: path.display().to_string(),
                cause,
            })?;
            return Ok(Self {
                inner: Inner::Directory(options.directory(path, &rules, true)?, tree),
                rules,
                description: SourceKind::Directory.described().to_owned(),
            });
        }
        progress.stage(Stage::Scan, None);
        let (mut layers, mut descriptions) = (Vec::new(), Vec::new());
        for (number, (opened, path)) in opened.into_iter().zip(paths).enumerate() {
            let whiteouts = match number {
                0 => Whiteouts::None,
                _ => Whiteouts::Overlay,
            };
            let (found, description) = opened.layers(path, &rules, whiteouts, options)?;
            layers.extend(found);
            descriptions.push(description);
        }
        let gathered = Gathered::new(layers, spool_folder, &rules, progress, stop)?;
        let is_there = |path| matches!(gathered.kind(path), Ok(Some(_)));
        if !is_there("etc") && (is_there("manifest.json") || is_there("oci-layout")) {
            let what =
                "is an image of a container, which has to be in a file that is not compressed";
            return Err(Error::Broken {
                name: paths[0].display().to_string(),
                what: what.to_owned(),
            });
        }
        Ok(Self {
            inner: Inner::Gathered(Box::new(gathered)),
            rules,
            description: descriptions.join("; over it a "),
        })
    }

    /// What it is, as one would say it: `tar stream, zstd`.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Its files, for whoever looks for some of them.
    pub fn tree(&self) -> &dyn Tree {
        match &self.inner {
            Inner::Directory(_, tree) => tree,
            Inner::Gathered(gathered) => &**gathered,
        }
    }

    /// The directory, if it is just one.
    pub fn directory(&self) -> Option<&tree::Directory> {
        match &self.inner {
            Inner::Directory(_, tree) => Some(tree),
            Inner::Gathered(_) => None,
        }
    }

    /// Counts what it holds. `progress` is advanced by one for each name.
    ///
    /// # Errors
    /// As [`Directory::survey`].
    pub fn survey(&self, progress: &dyn Progress, stop: &AtomicBool) -> Result<Survey, Error> {
        match &self.inner {
            Inner::Directory(directory, _) => directory.survey(progress, stop),
            Inner::Gathered(gathered) => Ok(gathered.survey(&self.rules)),
        }
    }

    /// Everything that goes into the image, the root first.
    pub fn entries<'a>(
        &'a self,
        progress: &'a dyn Progress,
    ) -> Box<dyn Iterator<Item = Result<Entry, Error>> + 'a> {
        match &self.inner {
            Inner::Directory(directory, _) => Box::new(directory.entries(progress)),
            Inner::Gathered(gathered) => Box::new(gathered.entries(&self.rules, progress)),
        }
    }
}

/// A path, and what is there.
struct Opened {
    found: Found,
    description: String,
}

enum Found {
    Directory,
    Container(Arc<Blobs>),
    Archive(Arc<File>),
    File(File, SourceKind),
    Packed(File, Packing),
    Pipe(File, Vec<u8>, Packing),
}

impl Opened {
    fn new(path: &Path, asked: Option<SourceKind>) -> Result<Self, Error> {
        let name = path.display().to_string();
        let open = |cause| Error::Io {
            action: "open",
            path: name.clone(),
            cause,
        };
        let refuse = |what: String| Error::Broken {
            name: name.clone(),
            what,
        };
        let file = match path.as_os_str() == "-" {
            true => rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 0)
                .map(File::from)
                .map_err(|errno| open(errno.into()))?,
            false => File::open(path).map_err(open)?,
        };
        let metadata = file.metadata().map_err(open)?;
        if metadata.is_dir() {
            let container = match asked {
                None | Some(SourceKind::Oci) => Blobs::in_folder(path).map_err(open)?,
                Some(_) => None,
            };
            if let Some(blobs) = container {
                return Ok(Self::container(blobs));
            }
            return match asked {
                None | Some(SourceKind::Directory) => Ok(Self {
                    found: Found::Directory,
                    description: "directory".to_owned(),
                }),
                Some(kind) => Err(refuse(format!("is a folder, not a source of kind {kind}"))),
            };
        }
        let at_random = metadata.is_file() || metadata.file_type().is_block_device();
        let head = match at_random {
            true => head_of(|buf, at| file.read_at(buf, at), HEAD),
            false => head_of(|buf, _| io::Read::read(&mut &file, buf), 512),
        };
        let head = head.map_err(|cause| failed(&name, cause))?;
        let looks = match (recognise(&head), asked) {
            (Looks::Packed(packing), None | Some(SourceKind::Tar)) => Looks::Packed(packing),
            (_, Some(SourceKind::Directory)) => return Err(refuse("is not a folder".to_owned())),
            (_, Some(kind)) => Looks::Like(kind),
            (looks, None) => looks,
        };
        if matches!(looks, Looks::Like(SourceKind::Tar | SourceKind::Oci)) && at_random {
            let file = Arc::new(file);
            let container = match asked {
                None | Some(SourceKind::Oci) => Blobs::in_archive(&file),
                Some(_) => None,
            };
            return match (container, looks) {
                (Some(blobs), _) => Ok(Self::container(blobs)),
                (None, Looks::Like(SourceKind::Oci)) => {
                    Err(refuse("is not an image of a container".to_owned()))
                }
                (None, _) => Ok(Self {
                    found: Found::Archive(file),
                    description: SourceKind::Tar.described().to_owned(),
                }),
            };
        }
        let (found, description) = match (looks, at_random) {
            (Looks::Like(SourceKind::Tar), false) => (
                Found::Pipe(file, head, Packing::None),
                "tar stream".to_owned(),
            ),
            (Looks::Packed(packing), false) => {
                let packed = format!("tar stream, {}", packing.as_str());
                (Found::Pipe(file, head, packing), packed)
            }
            (Looks::Packed(packing), true) => {
                let packed = format!("tar archive, {}", packing.as_str());
                (Found::Packed(file, packing), packed)
            }
            (Looks::Like(kind), true) => (Found::File(file, kind), kind.described().to_owned()),
            (Looks::Like(kind), false) => {
                let kind = kind.described();
                let what = format!(
                    "a pipe can only bring a tar stream, and this is a {kind}: name the file"
                );
                return Err(refuse(what));
            }
            (Looks::Foreign(what, remedy), _) => {
                return Err(refuse(format!("is {what}; {remedy}")));
            }
            (Looks::Unknown, _) if head.is_empty() => return Err(refuse("is empty".to_owned())),
            (Looks::Unknown, _) => {
                let what = "is nothing that an image can be made from; --kind says what it is";
                return Err(refuse(what.to_owned()));
            }
        };
        Ok(Self { found, description })
    }

    fn container(blobs: Blobs) -> Self {
        Self {
            found: Found::Container(Arc::new(blobs)),
            description: SourceKind::Oci.described().to_owned(),
        }
    }

    fn layers(
        self,
        path: &Path,
        rules: &Rules,
        whiteouts: Whiteouts,
        options: &SourceOptions,
    ) -> Result<(Vec<Placed>, String), Error> {
        let mut description = self.description;
        let name = match path.as_os_str() == "-" {
            true => "standard input".to_owned(),
            false => path.display().to_string(),
        };
        let layer: Box<dyn Layer> = match self.found {
            Found::Directory => {
                let above = whiteouts != Whiteouts::None;
                Box::new(Folder::new(options.directory(path, rules, !above)?, above))
            }
            Found::Container(blobs) => {
                let layers = oci::layers(&name, &blobs)?;
                let description = format!("{description}, {} layers", layers.len());
                return Ok((layers, description));
            }
            Found::Archive(file) => Box::new(Archive::new(name, file)?),
            Found::File(file, kind) => {
                let disk = Whole::new(file).map_err(|cause| failed(&name, cause))?;
                let disk: Disk = Arc::new(disk);
                match kind {
                    SourceKind::Iso => live_medium(&name, disk, &mut description)?,
                    SourceKind::Squashfs => Box::new(Image::open(name, disk)?),
                    _ => {
                        let (system, taken) = FileSystem::find(&name, &disk, options.partition)?;
                        description = taken;
                        Box::new(system)
                    }
                }
            }
            Found::Packed(file, packing) => Box::new(Streamed::new(PackedFile {
                name,
                file: Arc::new(file),
                packing,
            })),
            Found::Pipe(file, head, packing) => Box::new(Streamed::new(Piped {
                name,
                file,
                head,
                packing,
            })),
        };
        Ok((vec![(layer, whiteouts)], description))
    }
}

/// The system of a live medium: a squashfs, or a file system inside of one.
fn live_medium(name: &str, disk: Disk, description: &mut String) -> Result<Box<dyn Layer>, Error> {
    let (medium, path) = LiveMedium::open(name, disk)?;
    *description += &format!(" with {path}");
    Ok(match medium.inner()? {
        Some(inner) => Box::new(FileSystem::open(format!("{name}: {path}"), inner)?),
        None => Box::new(medium),
    })
}

/// The first bytes, at most `limit` of them.
fn head_of(
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
    limit: usize,
) -> io::Result<Vec<u8>> {
    let mut head = vec![0; limit];
    let mut filled = 0;
    while filled < limit {
        match read(&mut head[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(filled);
    Ok(head)
}
