//! A tree in memory: the names of sources that do not hand them out in order, or not once.
//!
//! An archive says a name twice, an image of a container takes names of lower layers away, a disk's folders are
//! in the order of their hashes. So their names are put into a [`Listing`], which has two hundred bytes for each
//! of them and nothing of what files hold; the last word on a name counts. Paths from outside are judged here,
//! for all sources alike: nothing leads out of the tree, and nothing makes it larger than [`NODES_LIMIT`].

mod entries;

use std::collections::{BTreeMap, VecDeque};

use crate::entry::{DeviceNumber, Xattr};

pub(super) use entries::Entries;

/// The longest path: what Linux allows.
const PATH_LIMIT: usize = 4096;
const NAME_LIMIT: usize = 255;
/// More names than that need more memory than a server should spend on an image: 3 GB.
const NODES_LIMIT: usize = 1 << 24;
/// As many links as Linux follows in one path.
const LINKS_LIMIT: usize = 40;

/// Which node.
pub(super) type NodeId = u32;

/// Why a name cannot be taken.
pub(super) type Refused = String;

/// What belongs to a file and not to its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Meta {
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    /// Sorted by name.
    pub(super) xattrs: Box<[Xattr]>,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Body {
    Directory(BTreeMap<Box<[u8]>, Name>),
    File { size: u64, place: Place },
    Symlink(Box<[u8]>),
    BlockDevice(DeviceNumber),
    CharDevice(DeviceNumber),
    Fifo,
    Socket,
}

impl Body {
    pub(super) fn empty_directory() -> Self {
        Self::Directory(BTreeMap::new())
    }
}

/// Where a file's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a layer, which finds it by `token`.
    Layer { layer: u32, token: u64 },
    /// It was left out, so no name of it can be in the image.
    Nowhere,
}

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) node: NodeId,
    /// The layer that said it last.
    layer: u32,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) meta: Meta,
    pub(super) body: Body,
}

/// A tree in memory.
#[derive(Debug)]
pub(super) struct Listing {
    nodes: Vec<Node>,
    layer: u32,
}

impl Listing {
    /// An empty root directory.
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![implied(0)],
            layer: 0,
        }
    }

    /// What is said from now on belongs to the layer with this number.
    pub(super) fn begin_layer(&mut self, layer: u32) {
        self.layer = layer;
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The content of a file was put elsewhere.
    pub(super) fn set_place(&mut self, id: NodeId, new: Place) {
        if let Body::File { place, .. } = &mut self.nodes[id as usize].body {
            *place = new;
        }
    }

    /// The node at `path`, all links followed, and the names on the way to it: where it really is. `None` when
    /// it is not there.
    pub(super) fn resolve(&self, path: &[u8]) -> Option<(NodeId, Vec<Vec<u8>>)> {
        let names = path.split(|byte| *byte == b'/').map(<[u8]>::to_vec);
        match self.follow(names.collect()) {
            Ok(Followed::Found(node, names)) => Some((node, names)),
            _ => None,
        }
    }

    /// The names on the way to an entry that was put at `path`, links of its directories followed.
    pub(super) fn place_of(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let Ok(mut way) = components(path) else {
            return Vec::new();
        };
        let last = way.pop();
        let way = way.into_iter().map(<[u8]>::to_vec).collect();
        match (self.follow(way), last) {
            (Ok(Followed::Found(_, mut names)), Some(last)) => {
                names.push(last.to_vec());
                names
            }
            _ => Vec::new(),
        }
    }

    /// Puts something at `path`. What was there before is gone, but a directory keeps what is in it when
    /// another directory comes.
    pub(super) fn put(&mut self, path: &[u8], meta: Meta, body: Body) -> Result<NodeId, Refused> {
        let Some((parent, name)) = self.parent(path, meta.mtime)? else {
            let Body::Directory(_) = body else {
                return Err("the root is a directory".into());
            };
            self.nodes[0].meta = meta;
            return Ok(0);
        };
        if let Body::Symlink(target) = &body
            && (target.is_empty() || target.len() >= PATH_LIMIT || target.contains(&0))
        {
            return Err("a symbolic link's target has 1 to 4095 bytes and no zero".into());
        }
        let layer = self.layer;
        if let Body::Directory(_) = body
            && let Some(there) = self.names_mut(parent).get_mut(name)
        {
            let node = there.node;
            if let Body::Directory(_) = self.node(node).body {
                self.names_mut(parent)
                    .insert(name.into(), Name { node, layer });
                self.nodes[node as usize].meta = meta;
                return Ok(node);
            }
        }
        let node = self.new_node(Node { meta, body })?;
        self.names_mut(parent)
            .insert(name.into(), Name { node, layer });
        Ok(node)
    }

    /// Gives what is at `target` the name `path` as well.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) -> Result<NodeId, Refused> {
        let shown = || String::from_utf8_lossy(target).into_owned();
        let nowhere = || format!("it is another name of {}, which is not there", shown());
        let found = match self.parent_of(target) {
            Ok(Some((directory, name))) => self.names(directory).get(name).map(|name| name.node),
            Ok(None) => None,
            Err(why) => return Err(format!("it is another name of {}: {why}", shown())),
        };
        let node = found.ok_or_else(nowhere)?;
        if let Body::Directory(_) = self.node(node).body {
            return Err(format!("it is another name of {}, a directory", shown()));
        }
        let mtime = self.node(node).meta.mtime;
        let Some((parent, name)) = self.parent(path, mtime)? else {
            return Err("the root is a directory".into());
        };
        let layer = self.layer;
        self.names_mut(parent)
            .insert(name.into(), Name { node, layer });
        Ok(node)
    }

    /// Takes away what lower layers have at `path`.
    pub(super) fn whiteout(&mut self, path: &[u8]) -> Result<(), Refused> {
        let Ok(Some((parent, name))) = self.parent_of(path) else {
            return components(path).map(drop); // nothing is there
        };
        let Some(there) = self.names(parent).get(name).copied() else {
            return Ok(());
        };
        if there.layer == self.layer {
            self.prune(there.node);
        } else {
            self.names_mut(parent).remove(name);
        }
        Ok(())
    }

    /// Takes away what lower layers have in the directory at `path`.
    pub(super) fn make_opaque(&mut self, path: &[u8]) -> Result<(), Refused> {
        components(path)?;
        if let Some((directory, _)) = self.resolve(path) {
            self.prune(directory);
        }
        Ok(())
    }

    fn prune(&mut self, node: NodeId) {
        let layer = self.layer;
        let mut todo = vec![node];
        while let Some(node) = todo.pop() {
            if let Body::Directory(names) = &mut self.nodes[node as usize].body {
                names.retain(|_, name| name.layer == layer);
                todo.extend(names.values().map(|name| name.node));
            }
        }
    }

    /// The directory of `path`, made if it is missing, and the last name; `None` for the root.
    fn parent<'p>(
        &mut self,
        path: &'p [u8],
        mtime: i64,
    ) -> Result<Option<(NodeId, &'p [u8])>, Refused> {
        loop {
            match self.walk(path)? {
                Walked::Root => return Ok(None),
                Walked::Found(directory, name) => return Ok(Some((directory, name))),
                Walked::Missing(directory, name) => {
                    let node = self.new_node(implied(mtime))?;
                    let layer = self.layer;
                    self.names_mut(directory)
                        .insert(name.into(), Name { node, layer });
                }
            }
        }
    }

    /// The same, where nothing is made.
    fn parent_of<'p>(&self, path: &'p [u8]) -> Result<Option<(NodeId, &'p [u8])>, Refused> {
        match self.walk(path)? {
            Walked::Found(directory, name) => Ok(Some((directory, name))),
            Walked::Root | Walked::Missing(..) => Ok(None),
        }
    }

    /// Goes to the directory of `path`. Links on the way lead where the system in the tree would go.
    fn walk<'p>(&self, path: &'p [u8]) -> Result<Walked<'p>, Refused> {
        let mut way = components(path)?;
        let Some(last) = way.pop() else {
            return Ok(Walked::Root);
        };
        match self.follow(way.into_iter().map(<[u8]>::to_vec).collect())? {
            Followed::Found(node, _) => match self.node(node).body {
                Body::Directory(_) => Ok(Walked::Found(node, last)),
                _ => Err("it is inside something that is not a directory".into()),
            },
            Followed::Missing(directory, name) => Ok(Walked::Missing(directory, name)),
        }
    }

    /// Follows names from the root, links among them as well.
    fn follow(&self, mut todo: VecDeque<Vec<u8>>) -> Result<Followed, Refused> {
        let mut above = vec![0];
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            let here = *above.last().unwrap_or(&0);
            match &name[..] {
                b"" | b"." => continue,
                b".." => {
                    if above.len() > 1 {
                        above.pop();
                        names.pop();
                    }
                    continue;
                }
                name if name.len() > NAME_LIMIT => {
                    return Err("its directory is a link to too long a name".into());
                }
                _ => {}
            }
            let Body::Directory(children) = &self.node(here).body else {
                return Err("it is inside something that is not a directory".into());
            };
            let Some(next) = children.get(&name[..]) else {
                return Ok(Followed::Missing(here, name));
            };
            if let Body::Symlink(target) = &self.node(next.node).body {
                links += 1;
                if links > LINKS_LIMIT {
                    return Err("its directory is a loop of links".into());
                }
                if target.starts_with(b"/") {
                    above.truncate(1);
                    names.clear();
                }
                for name in target.split(|byte| *byte == b'/').rev() {
                    todo.push_front(name.to_vec());
                }
            } else {
                above.push(next.node);
                names.push(name);
            }
        }
        Ok(Followed::Found(*above.last().unwrap_or(&0), names))
    }

    fn new_node(&mut self, node: Node) -> Result<NodeId, Refused> {
        if self.nodes.len() >= NODES_LIMIT {
            return Err("the source has more than 16 million names".into());
        }
        self.nodes.push(node);
        Ok(self.nodes.len() as NodeId - 1)
    }

    fn names(&self, directory: NodeId) -> &BTreeMap<Box<[u8]>, Name> {
        match &self.node(directory).body {
            Body::Directory(names) => names,
            _ => unreachable!("walk only answers directories"),
        }
    }

    fn names_mut(&mut self, directory: NodeId) -> &mut BTreeMap<Box<[u8]>, Name> {
        match &mut self.nodes[directory as usize].body {
            Body::Directory(names) => names,
            _ => unreachable!("walk only answers directories"),
        }
    }
}

enum Followed {
    /// The node, and the names on the way without links.
    Found(NodeId, Vec<Vec<u8>>),
    /// A name on the way is missing: in which directory, and the name.
    Missing(NodeId, Vec<u8>),
}

enum Walked<'p> {
    Root,
    /// The directory, and the name in it that was asked for, which may or may not be there.
    Found(NodeId, &'p [u8]),
    /// A directory on the way is missing: where, and its name.
    Missing(NodeId, Vec<u8>),
}

/// A directory that nobody described.
fn implied(mtime: i64) -> Node {
    Node {
        meta: Meta {
            mode: 0o755,
            mtime,
            ..Meta::default()
        },
        body: Body::empty_directory(),
    }
}

/// The names of a path from outside.
fn components(path: &[u8]) -> Result<Vec<&[u8]>, Refused> {
    if path.len() > PATH_LIMIT {
        return Err("the path is longer than 4096 bytes".into());
    }
    if path.starts_with(b"/") {
        return Err(
            "the path is absolute; make the archive from inside its root (tar -C ROOT .)".into(),
        );
    }
    if path.contains(&0) {
        return Err("the path has a zero byte".into());
    }
    let names = path.split(|byte| *byte == b'/');
    let names: Vec<_> = names.filter(|name| !matches!(*name, b"" | b".")).collect();
    if names.contains(&b"..".as_slice()) {
        return Err("the path leads out of the source (..)".into());
    }
    if names.iter().any(|name| name.len() > NAME_LIMIT) {
        return Err("a name has at most 255 bytes".into());
    }
    Ok(names)
}
