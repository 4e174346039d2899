//! Where the blocks of a file are: from an extent tree, or from a map of blocks.

use super::inode::EXTENTS;
use super::{Error, Ext4, Inode, joined, u16_at, u32_at};

/// More runs than that has no file that anybody wants in an image, and they take 100 MB.
const LIMIT: usize = 4 << 20;
/// Levels of an extent tree: what Linux allows.
const DEPTH: u16 = 5;

/// Blocks that follow each other in the file and on the disk.
#[derive(Clone, Copy, Debug)]
struct Run {
    logical: u64,
    physical: u64,
    count: u64,
}

/// The runs of a file, sorted; between them are holes.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// Where the byte at `offset` is (`None` in a hole), and how many bytes are alike from there on.
    pub(super) fn find(&self, offset: u64, block_size: u64) -> (Option<u64>, u64) {
        match self.after(offset, block_size) {
            None => (None, u64::MAX),
            Some(run) => {
                let begin = run.logical * block_size;
                if begin > offset {
                    return (None, begin - offset);
                }
                let inside = offset - begin;
                let rest = run.count * block_size - inside;
                (Some(run.physical * block_size + inside), rest)
            }
        }
    }

    pub(super) fn data_after(&self, offset: u64, block_size: u64) -> Option<std::ops::Range<u64>> {
        let run = self.after(offset, block_size)?;
        let begin = run.logical * block_size;
        Some(begin.max(offset)..begin + run.count * block_size)
    }

    /// The run with the byte at `offset`, or the next one.
    fn after(&self, offset: u64, block_size: u64) -> Option<Run> {
        let block = offset / block_size;
        let index = self
            .0
            .partition_point(|run| run.logical + run.count <= block);
        self.0.get(index).copied()
    }

    /// Adds blocks behind all others.
    fn push(&mut self, disk: &Ext4, run: Run) -> Result<(), Error> {
        disk.place(run.physical, run.count)?;
        if let Some(last) = self.0.last_mut() {
            let follows = last.logical + last.count == run.logical;
            if follows && last.physical + last.count == run.physical {
                last.count += run.count;
                return Ok(());
            }
        }
        if self.0.len() >= LIMIT {
            return Err(Error::Unsupported(
                "a file in more than 4 million pieces".into(),
            ));
        }
        self.0.push(run);
        Ok(())
    }

    fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.logical + last.count)
    }
}

impl Ext4 {
    /// The runs of a file. Blocks behind its end do not count.
    pub(super) fn runs(&self, inode: &Inode) -> Result<Runs, Error> {
        let mut runs = Runs::default();
        if inode.flags & EXTENTS != 0 {
            let mut next = 0;
            self.extents(
                inode.blocks(),
                inode.place + 0x28,
                None,
                &mut runs,
                &mut next,
            )?;
        } else {
            self.block_map(inode, &mut runs)?;
        }
        Ok(runs)
    }

    /// Reads a node of an extent tree. `next` is the first block of the file that may still come: extents are
    /// sorted, which also keeps a tree with a loop from being read for ever.
    fn extents(
        &self,
        node: &[u8],
        offset: u64,
        level: Option<u16>,
        runs: &mut Runs,
        next: &mut u64,
    ) -> Result<(), Error> {
        let broken = |what| Error::Broken { offset, what };
        let (count, depth) = (usize::from(u16_at(node, 2)), u16_at(node, 6));
        if u16_at(node, 0) != 0xf30a {
            return Err(broken("not an extent tree"));
        }
        if depth > DEPTH || level.is_some_and(|level| depth + 1 != level) {
            return Err(broken("an extent tree of the wrong depth"));
        }
        let entries = node.get(12..12 + 12 * count);
        let entries = entries.ok_or_else(|| broken("too many extents for their node"))?;
        for entry in entries.chunks_exact(12) {
            let logical = u64::from(u32_at(entry, 0));
            if logical < *next {
                return Err(broken("extents out of order"));
            }
            if depth > 0 {
                let child = joined(u32_at(entry, 4), u16_at(entry, 8).into());
                let place = self.place(child, 1)?;
                let before = *next;
                let block = self.block(child)?;
                self.extents(&block, place, Some(depth), runs, next)?;
                if *next == before {
                    return Err(broken("an empty node in an extent tree"));
                }
                continue;
            }
            let length = u64::from(u16_at(entry, 4));
            // Beyond 32768 blocks: they were set aside, and never written.
            let (length, written) = match length {
                0 => return Err(broken("an extent of no blocks")),
                1..=32768 => (length, true),
                _ => (length - 32768, false),
            };
            *next = logical + length;
            if written {
                let physical = joined(u32_at(entry, 8), u16_at(entry, 6).into());
                let run = Run {
                    logical,
                    physical,
                    count: length,
                };
                runs.push(self, run)?;
            }
        }
        Ok(())
    }

    /// Reads a map as ext2 and ext3 have it: 12 blocks, then one, two and three levels.
    fn block_map(&self, inode: &Inode, runs: &mut Runs) -> Result<(), Error> {
        let wanted = inode.size.div_ceil(self.superblock.block_size);
        let mut logical = 0;
        for (index, word) in inode.blocks().chunks_exact(4).enumerate() {
            let level = index.saturating_sub(11) as u32;
            if logical >= wanted {
                break;
            }
            self.mapped(u32_at(word, 0), level, wanted, &mut logical, runs)?;
        }
        if logical < wanted {
            return Err(inode.broken("a file that is longer than its map of blocks"));
        }
        Ok(())
    }

    fn mapped(
        &self,
        block: u32,
        level: u32,
        wanted: u64,
        logical: &mut u64,
        runs: &mut Runs,
    ) -> Result<(), Error> {
        if block == 0 {
            let pointers = self.superblock.block_size / 4;
            *logical += pointers.pow(level);
            return Ok(());
        }
        if level == 0 {
            let run = Run {
                logical: *logical,
                physical: block.into(),
                count: 1,
            };
            debug_assert!(runs.end() <= *logical, "a map is read in order");
            runs.push(self, run)?;
            *logical += 1;
            return Ok(());
        }
        for word in self.block(block.into())?.chunks_exact(4) {
            if *logical >= wanted {
                break;
            }
            self.mapped(u32_at(word, 0), level - 1, wanted, logical, runs)?;
        }
        Ok(())
    }
}
