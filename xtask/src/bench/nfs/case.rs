//! The cases: what is asked for, how, and on how many connections.

use super::client::Work;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// The image as one file.
    Image,
    /// Every file of the tree's `/usr` above 32 KiB, once: far more than any block cache holds.
    Tree,
    /// So few of them that they stay in a block cache, over and over.
    FewOfTheTree,
}

/// One case.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) files: Files,
    pub(super) work: Work,
    /// Bytes of a READ.
    pub(super) size: u32,
    /// Calls on their way on each connection.
    pub(super) depth: usize,
    /// Connections, and what is added to the case's name.
    pub(super) connections: &'static [(usize, &'static str)],
    /// Milliseconds between a reply and the next call.
    pub(super) pause: u64,
    /// Whether a greedy client reads beside them.
    pub(super) greedy: bool,
}

const ONE_AND_FOUR: &[(usize, &str)] = &[(1, ""), (4, "_c4")];

const fn image(name: &'static str, work: Work, size: u32, depth: usize) -> Case {
    Case {
        name,
        files: Files::Image,
        work,
        size,
        depth,
        connections: ONE_AND_FOUR,
        pause: 0,
        greedy: false,
    }
}

const fn tree(name: &'static str, files: Files, work: Work, depth: usize) -> Case {
    Case {
        files,
        ..image(name, work, 128 * 1024, depth)
    }
}

/// Thirty clients that boot: each wants 16 KiB now and then.
const fn thirty(name: &'static str, greedy: bool) -> Case {
    Case {
        connections: &[(30, "")],
        pause: 5,
        greedy,
        ..image(name, Work::Scattered, 16 * 1024, 1)
    }
}

/// All cases, in the order in which they are measured: the thirty first, so that what their server
/// holds in memory is theirs, the tree last, because it fills the block cache.
pub(super) const CASES: &[Case] = &[
    thirty("clients_30", false),
    thirty("clients_30_greedy", true),
    image("image_1m_d1", Work::Read, 1 << 20, 1),
    image("image_1m_d8", Work::Read, 1 << 20, 8),
    image("image_128k_x16", Work::Read, 128 * 1024, 16),
    image("image_4k_x16", Work::Scattered, 4096, 16),
    tree("meta", Files::Tree, Work::Metadata, 4),
    tree("tree_cached", Files::FewOfTheTree, Work::Read, 8),
    tree("tree_cold", Files::Tree, Work::Read, 8),
];
