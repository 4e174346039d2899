//! The entries of a listing, judged and in order.

use std::collections::{HashMap, HashSet, btree_map};

use super::{Body, Listing, NodeId, Place};
use crate::entry::{Content, Entry, Kind};
use crate::progress::Progress;
use crate::scrub::{Nature, Rules, Verdict};
use crate::source::Error;
use crate::source::survey::Survey;
use crate::squash::shown;

/// Finds the content of the file that a layer knows by a token: layer, token, size, path.
pub(in crate::source) type Open<'a> =
    dyn Fn(u32, u64, u64, &[u8]) -> Result<Box<dyn Content>, Error> + 'a;

impl Listing {
    /// Counts what stays and what does not.
    pub(in crate::source) fn survey(&self, rules: &Rules) -> Survey {
        let mut survey = Survey::default();
        let mut counted = HashSet::new();
        let mut walk = Walk::new(self);
        survey.entries += 1;
        // The length of the path of the directory that is left out, and the rule.
        let mut left_out = None;
        while let Some((path, id)) = walk.next() {
            let bytes = match &self.node(id).body {
                Body::File { size, .. } => *size,
                _ => 0,
            };
            if let Some((length, rule)) = left_out
                && path.len() > length
                && path[length] == b'/'
            {
                let tally = survey.left_out.tally(rule);
                tally.entries += 1;
                tally.bytes += bytes;
                continue;
            }
            left_out = None;
            let rule = match rules.judge(path, Some(self.nature(id))) {
                Verdict::Keep => {
                    if self.is_nowhere(id) {
                        continue;
                    }
                    survey.entries += 1;
                    if let Body::File { .. } = self.node(id).body
                        && counted.insert(id)
                    {
                        survey.bytes += bytes;
                    }
                    continue;
                }
                Verdict::Empty(rule) => {
                    survey.entries += 1;
                    rule
                }
                Verdict::LeaveOut(rule) => {
                    left_out = Some((path.len(), rule));
                    rule
                }
            };
            let tally = survey.left_out.tally(rule);
            tally.entries += 1;
            tally.bytes += bytes;
        }
        survey
    }

    /// Whether it is a file whose content was left out with another name of it.
    fn is_nowhere(&self, id: NodeId) -> bool {
        matches!(
            self.node(id).body,
            Body::File {
                place: Place::Nowhere,
                ..
            }
        )
    }

    pub(in crate::source) fn nature(&self, id: NodeId) -> Nature {
        match self.node(id).body {
            Body::Directory(_) => Nature::Directory,
            Body::File { .. } => Nature::File,
            _ => Nature::Other,
        }
    }
}

type Names<'a> = btree_map::Iter<'a, Box<[u8]>, super::Name>;

/// Goes through a listing, depth first, names in order; the root itself is not among what it comes to.
struct Walk<'a> {
    listing: &'a Listing,
    /// The directories that are open: the length of each one's path, and what is still to come.
    levels: Vec<(usize, Names<'a>)>,
    path: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(listing: &'a Listing) -> Self {
        Self {
            listing,
            levels: vec![(0, listing.names(0).iter())],
            path: Vec::new(),
        }
    }

    fn next(&mut self) -> Option<(&[u8], NodeId)> {
        loop {
            let (length, names) = self.levels.last_mut()?;
            self.path.truncate(*length);
            let Some((name, id)) = names.next() else {
                self.levels.pop();
                continue;
            };
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name);
            if let Body::Directory(names) = &self.listing.node(id.node).body {
                self.levels.push((self.path.len(), names.iter()));
            }
            return Some((&self.path, id.node));
        }
    }

    /// Does not enter the directory that came last.
    fn pass_over(&mut self, id: NodeId) {
        if let Body::Directory(_) = self.listing.node(id).body {
            self.levels.pop();
        }
    }
}

/// The entries of a listing that the rules leave, in order.
pub(in crate::source) struct Entries<'a> {
    listing: &'a Listing,
    rules: &'a Rules,
    progress: &'a dyn Progress,
    open: Box<Open<'a>>,
    /// `None` before the root.
    walk: Option<Walk<'a>>,
    /// Names that nodes have, all of the tree counted.
    names: HashMap<NodeId, u32>,
    /// The first path of each node that has several.
    first: HashMap<NodeId, Vec<u8>>,
}

impl<'a> Entries<'a> {
    pub(in crate::source) fn new(
        listing: &'a Listing,
        rules: &'a Rules,
        progress: &'a dyn Progress,
        open: Box<Open<'a>>,
    ) -> Self {
        // Only those with several names are remembered: few have them.
        let mut seen = HashSet::new();
        let mut names = HashMap::new();
        let mut walk = Walk::new(listing);
        while let Some((_, id)) = walk.next() {
            if !seen.insert(id) {
                *names.entry(id).or_insert(1) += 1;
            }
        }
        Self {
            listing,
            rules,
            progress,
            open,
            walk: None,
            names,
            first: HashMap::new(),
        }
    }

    fn root(&mut self) -> Entry {
        self.walk = Some(Walk::new(self.listing));
        let mut entry = self.entry(Vec::new(), 0, Kind::Directory);
        if crate::source::open_root(&mut entry) {
            self.progress.note(crate::source::OPENED_ROOT);
        }
        entry
    }

    fn entry(&self, path: Vec<u8>, id: NodeId, kind: Kind) -> Entry {
        let meta = &self.listing.node(id).meta;
        Entry {
            path,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            mtime: meta.mtime,
            xattrs: meta.xattrs.to_vec(),
            linked: false,
            kind,
        }
    }

    fn visit(&mut self, path: Vec<u8>, id: NodeId, emptied: bool) -> Result<Entry, Error> {
        let linked = !emptied && self.names.contains_key(&id);
        if linked && let Some(first) = self.first.get(&id) {
            let kind = Kind::HardLink(first.clone());
            return Ok(self.entry(path, id, kind));
        }
        let kind = match &self.listing.node(id).body {
            Body::Directory(_) => Kind::Directory,
            Body::File { .. } if emptied => Kind::File {
                size: 0,
                content: Box::new(Vec::new()),
            },
            Body::File { size, place } => match *place {
                Place::Layer { layer, token } => Kind::File {
                    size: *size,
                    content: (self.open)(layer, token, *size, &path)?,
                },
                Place::Nowhere => unreachable!("such entries are passed over"),
            },
            Body::Symlink(target) => Kind::Symlink(target.to_vec()),
            Body::BlockDevice(number) => Kind::BlockDevice(*number),
            Body::CharDevice(number) => Kind::CharDevice(*number),
            Body::Fifo => Kind::Fifo,
            Body::Socket => Kind::Socket,
        };
        let mut entry = self.entry(path, id, kind);
        if linked {
            self.first.insert(id, entry.path.clone());
            entry.linked = true;
        }
        Ok(entry)
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(walk) = &mut self.walk else {
            return Some(Ok(self.root()));
        };
        loop {
            let (path, id) = walk.next()?;
            let path = path.to_vec();
            let emptied = match self.rules.judge(&path, Some(self.listing.nature(id))) {
                Verdict::Keep => false,
                Verdict::Empty(_) => true,
                Verdict::LeaveOut(_) => {
                    walk.pass_over(id);
                    continue;
                }
            };
            if self.listing.is_nowhere(id) && !emptied {
                self.progress.note(&format!(
                    "{} is another name of a file that is left out; it is not in the image",
                    shown(&path)
                ));
                continue;
            }
            return Some(self.visit(path, id, emptied));
        }
    }
}
