//! Sources whose names are gathered first: archives, disks, images, and layers of them.
//!
//! ```text
//! layer ─┐
//! layer ─┼─► listing ─► rules ─► entries in order, each opened in its layer
//! layer ─┘
//! ```
//!
//! Once the names are known, the content of every layer can be had in any order: the image of a tar archive has the
//! same bytes as that of the directory that was packed into it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Error;
use super::listing::{Body, Entries, Listing, Meta, NodeId, Place};
use super::survey::Survey;
use crate::entry::{Content, Entry};
use crate::progress::Progress;
use crate::scrub::{Nature, Rules, Verdict};
use crate::squash::shown;
use crate::tree::{self, Tree};

/// A part of a source; later ones lie over earlier ones.
pub(super) trait Layer: Send + Sync {
    /// Hands out the names.
    fn list(&mut self, gathering: &mut Gathering<'_>) -> Result<(), Error>;

    /// The content of the file that was listed with `token`; `path` is for messages.
    fn open(&self, token: u64, size: u64, path: &[u8]) -> Result<Box<dyn Content>, Error>;
}

/// A layer, and which of its names take away what lies below it.
pub(super) type Placed = (Box<dyn Layer>, Whiteouts);

/// Which names of a layer take away what lower layers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whiteouts {
    /// None: there is no lower layer.
    None,
    /// Those of containers: `.wh.NAME` and `.wh..wh..opq`.
    Container,
    /// Those of overlayfs: devices 0/0, and the attribute `overlay.opaque`; and those of containers.
    Overlay,
}

/// A source that is not one directory, its names gathered.
pub struct Gathered {
    layers: Vec<Box<dyn Layer>>,
    listing: Listing,
    /// Files that lie beside the system, and are looked for where it has none of that name.
    beside: Listing,
}

impl Gathered {
    /// Gathers the names of `layers`. What has to be put aside goes into `spool_folder`, but not the content of
    /// files that `rules` leave out. `progress` is advanced by one for each name.
    pub(super) fn new(
        mut layers: Vec<Placed>,
        spool_folder: &Path,
        rules: &Rules,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Self, Error> {
        let (mut listing, mut beside) = (Listing::new(), Listing::new());
        for (number, (layer, whiteouts)) in layers.iter_mut().enumerate() {
            listing.begin_layer(number as u32);
            layer.list(&mut Gathering {
                listing: &mut listing,
                beside: &mut beside,
                spool_folder,
                stop,
                rules,
                progress,
                layer: number as u32,
                whiteouts: *whiteouts,
            })?;
        }
        Ok(Self {
            layers: layers.into_iter().map(|(layer, _)| layer).collect(),
            listing,
            beside,
        })
    }

    /// Counts what `rules` leave.
    pub fn survey(&self, rules: &Rules) -> Survey {
        self.listing.survey(rules)
    }

    /// Everything that goes into the image, the root first.
    pub fn entries<'a>(
        &'a self,
        rules: &'a Rules,
        progress: &'a dyn Progress,
    ) -> impl Iterator<Item = Result<Entry, Error>> + 'a {
        let open = |layer, token, size, path: &[u8]| self.open_in(layer, token, size, path);
        Entries::new(&self.listing, rules, progress, Box::new(open))
    }

    fn open_in(
        &self,
        layer: u32,
        token: u64,
        size: u64,
        path: &[u8],
    ) -> Result<Box<dyn Content>, Error> {
        self.layers[layer as usize].open(token, size, path)
    }

    /// What `path` means, links followed: in which listing, which node, and where it really is.
    fn look_up(&self, path: &str) -> Option<(&Listing, NodeId, Vec<Vec<u8>>)> {
        [&self.listing, &self.beside]
            .into_iter()
            .find_map(|listing| {
                let (node, names) = listing.resolve(path.as_bytes())?;
                Some((listing, node, names))
            })
    }

    fn content(&self, path: &str) -> io::Result<(u64, Box<dyn Content>)> {
        let (listing, node, _) = self.look_up(path).ok_or(io::ErrorKind::NotFound)?;
        let Body::File { size, place } = listing.node(node).body else {
            let why = "not a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        };
        let Place::Layer { layer, token } = place else {
            let why = "the rules leave it out";
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        };
        let content = self.open_in(layer, token, size, path.as_bytes());
        Ok((size, content.map_err(io::Error::other)?))
    }
}

impl Tree for Gathered {
    fn kind(&self, path: &str) -> io::Result<Option<tree::Kind>> {
        Ok(self
            .look_up(path)
            .map(|(listing, node, _)| match listing.node(node).body {
                Body::Directory(_) => tree::Kind::Folder,
                Body::File { size, .. } => tree::Kind::File(size),
                _ => tree::Kind::Other,
            }))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let (listing, node, _) = self.look_up(path).ok_or(io::ErrorKind::NotFound)?;
        let Body::Directory(names) = &listing.node(node).body else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let names = names.keys().filter_map(|name| str::from_utf8(name).ok());
        Ok(names.map(str::to_owned).collect())
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let (size, content) = self.content(path)?;
        if size > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::new();
        io::copy(&mut InOrder { content, offset: 0 }, &mut bytes)?;
        Ok(bytes)
    }

    fn head(&self, path: &str, len: usize) -> io::Result<Vec<u8>> {
        let (_, content) = self.content(path)?;
        let mut bytes = Vec::new();
        let mut head = io::Read::take(InOrder { content, offset: 0 }, len as u64);
        io::copy(&mut head, &mut bytes)?;
        Ok(bytes)
    }

    fn reader(&self, path: &str) -> io::Result<Box<dyn io::Read + '_>> {
        let (_, content) = self.content(path)?;
        Ok(Box::new(InOrder { content, offset: 0 }))
    }

    fn resolve(&self, path: &str) -> io::Result<String> {
        let (_, _, names) = self.look_up(path).ok_or(io::ErrorKind::NotFound)?;
        let path = String::from_utf8(names.join(&b'/'));
        path.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the name is not UTF-8"))
    }
}

/// Content from front to end.
struct InOrder {
    content: Box<dyn Content>,
    offset: u64,
}

impl io::Read for InOrder {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read_at(buf, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// What a layer hands its names to.
pub(super) struct Gathering<'a> {
    pub(super) listing: &'a mut Listing,
    /// See [`Gathered`]; every layer may add to it.
    pub(super) beside: &'a mut Listing,
    /// Where content is put aside.
    pub(super) spool_folder: &'a Path,
    pub(super) stop: &'a AtomicBool,
    pub(super) progress: &'a dyn Progress,
    rules: &'a Rules,
    layer: u32,
    whiteouts: Whiteouts,
}

impl Gathering<'_> {
    /// A file of this layer.
    pub(super) fn file(&self, size: u64, token: u64) -> Body {
        let place = self.place(token);
        Body::File { size, place }
    }

    /// A place in this layer.
    pub(super) fn place(&self, token: u64) -> Place {
        let layer = self.layer;
        Place::Layer { layer, token }
    }

    /// Takes an entry; `None` when it only took something away.
    pub(super) fn put(
        &mut self,
        path: &[u8],
        mut meta: Meta,
        body: Body,
    ) -> Result<Option<NodeId>, Error> {
        self.count()?;
        let refused = |why| entry(path, why);
        if self.take_away(path, &body).map_err(refused)? {
            return Ok(None);
        }
        let opaque = self.whiteouts == Whiteouts::Overlay
            && overlay_attributes(&mut meta).map_err(refused)?;
        let directory = matches!(body, Body::Directory(_));
        let node = self.listing.put(path, meta, body).map_err(refused)?;
        if opaque && directory {
            self.listing.make_opaque(path).map_err(refused)?;
        }
        Ok(Some(node))
    }

    /// Takes another name of an entry.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) -> Result<Option<NodeId>, Error> {
        self.count()?;
        let node = self.listing.link(path, target);
        node.map(Some).map_err(|why| entry(path, why))
    }

    /// Whether the rules leave the content of the file that was put at `path`.
    pub(super) fn is_kept(&self, path: &[u8], node: NodeId) -> bool {
        let mut place = Vec::new();
        let names = self.listing.place_of(path);
        let last = names.len().saturating_sub(1);
        names.iter().enumerate().all(|(number, name)| {
            if number > 0 {
                place.push(b'/');
            }
            place.extend_from_slice(name);
            let nature = match number == last {
                true => self.listing.nature(node),
                false => Nature::Directory,
            };
            match self.rules.judge(&place, Some(nature)) {
                Verdict::Keep => true,
                Verdict::Empty(_) => number != last,
                Verdict::LeaveOut(_) => false,
            }
        })
    }

    fn count(&self) -> Result<(), Error> {
        self.progress.advance(1);
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }

    /// Does what a whiteout says; `false` when it is none.
    fn take_away(&mut self, path: &[u8], body: &Body) -> Result<bool, String> {
        if self.whiteouts == Whiteouts::None {
            return Ok(false);
        }
        if self.whiteouts == Whiteouts::Overlay
            && let Body::CharDevice(number) = body
            && (number.major, number.minor) == (0, 0)
        {
            self.listing.whiteout(path)?;
            return Ok(true);
        }
        let slash = path.iter().rposition(|byte| *byte == b'/');
        let (folder, name) = path.split_at(slash.map_or(0, |slash| slash + 1));
        let Some(hidden) = name.strip_prefix(b".wh.") else {
            return Ok(false);
        };
        match hidden {
            b".wh..opq" => self.listing.make_opaque(folder)?,
            b"" => return Err("a whiteout of nothing".to_owned()),
            _ if hidden.starts_with(b".wh.") => {} // aufs keeps its own files under such names
            _ => self.listing.whiteout(&[folder, hidden].concat())?,
        }
        Ok(true)
    }
}

/// Takes the attributes of overlayfs away and answers whether the directory is opaque.
fn overlay_attributes(meta: &mut Meta) -> Result<bool, String> {
    let overlay = |name: &[u8]| -> Option<Vec<u8>> {
        let prefixes = [b"trusted.overlay.".as_slice(), b"user.overlay."];
        let rest = prefixes
            .iter()
            .find_map(|prefix| name.strip_prefix(*prefix));
        rest.map(<[u8]>::to_vec)
    };
    let mut opaque = false;
    let mut kept = Vec::new();
    for xattr in std::mem::take(&mut meta.xattrs) {
        match overlay(&xattr.name).as_deref() {
            None => kept.push(xattr),
            Some(b"opaque") => opaque |= xattr.value == b"y",
            Some(b"redirect" | b"metacopy") => {
                return Err(format!(
                    "overlays with {} cannot be read",
                    shown(&xattr.name)
                ));
            }
            Some(_) => {}
        }
    }
    meta.xattrs = kept.into();
    Ok(opaque)
}

fn entry(path: &[u8], why: String) -> Error {
    Error::Entry {
        path: shown(path),
        why,
    }
}
