use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::*;

/// A file of `blocks` blocks with its tree behind it.
struct Lab {
    folder: tempfile::TempDir,
    verity: Verity,
}

impl Lab {
    fn new(blocks: usize) -> Self {
        let mut bytes: Vec<u8> = (0..blocks * BLOCK)
            .map(|at| (at / 7 + at / BLOCK) as u8)
            .collect();
        let tree = Tree::of(Hashes::of(&bytes));
        tree.parts().for_each(|part| bytes.extend_from_slice(part));
        assert_eq!(
            bytes.len() as u64,
            (blocks * BLOCK) as u64 + length(blocks as u64)
        );
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), bytes).unwrap();
        Self {
            folder,
            verity: tree.verity,
        }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("file")
    }

    fn flip(&self, at: usize) {
        let mut bytes = fs::read(self.file()).unwrap();
        bytes[at] ^= 1;
        fs::write(self.file(), bytes).unwrap();
    }

    fn veritysetup(&self, words: &[&str]) -> Output {
        let files = words[1].parse().unwrap();
        veritysetup(&self.file(), &self.verity, words[0], files, &words[2..])
    }

    fn verifies(&self) -> bool {
        verifies(&self.file(), &self.verity)
    }
}

/// `veritysetup COMMAND FILE… WORDS`: the file is data and tree.
fn veritysetup(
    file: &Path,
    verity: &Verity,
    command: &str,
    files: usize,
    words: &[&str],
) -> Output {
    let offset = verity.blocks * BLOCK as u64;
    Command::new("veritysetup")
        .arg(command)
        .args(vec![file; files])
        .args(words)
        .arg(format!("--hash-offset={offset}"))
        .output()
        .expect("veritysetup(8) of package cryptsetup-bin is needed")
}

/// What `veritysetup` says of a file with its tree.
pub(crate) fn verifies(file: &Path, verity: &Verity) -> bool {
    let output = veritysetup(file, verity, "verify", 2, &[&verity.digits()]);
    output.status.success()
}

#[test]
fn veritysetup_finds_our_tree_good_and_one_changed_byte_bad() {
    for blocks in [1, 2, 128, 129, 128 * 128, 128 * 128 + 1] {
        let lab = Lab::new(blocks);
        assert!(lab.verifies(), "{blocks} blocks");
        lab.flip(blocks * BLOCK - 1);
        assert!(!lab.verifies(), "{blocks} blocks, the last byte changed");
    }
}

#[test]
fn veritysetup_shows_what_the_superblock_says() {
    let shown = Lab::new(200).veritysetup(&["dump", "1"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let value = |key: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_else(|| panic!("no {key} in {shown}")).trim()
    };
    assert_eq!(value("Hash type:"), "1");
    assert_eq!(value("Data blocks:"), "200");
    assert_eq!(value("Data block size:"), "4096");
    assert_eq!(value("Hash block size:"), "4096");
    assert_eq!(value("Hash algorithm:"), "sha256");
    assert_eq!(value("Salt:"), "-");
}

#[test]
fn our_tree_is_the_one_that_veritysetup_makes() {
    let lab = Lab::new(300);
    let ours = fs::read(lab.file()).unwrap();
    let uuid = "--uuid=00112233-4455-6677-8899-aabbccddeeff";
    let made = lab.veritysetup(&["format", "2", "--salt=-", "--data-blocks=300", uuid]);
    let said = String::from_utf8(made.stdout).unwrap();
    assert!(said.contains(&lab.verity.digits()), "{said}");
    let theirs = fs::read(lab.file()).unwrap();
    let tree = lab.verity.tree_block() as usize * BLOCK;
    assert!(ours[tree..] == theirs[tree..]);
    // But for the UUID the superblocks are equal too.
    let superblock = 300 * BLOCK;
    assert!(ours[superblock + 32..] == theirs[superblock + 32..]);
    assert!(ours[superblock..superblock + 16] == theirs[superblock..superblock + 16]);
}

#[test]
fn a_tree_with_another_top_is_told() {
    let top = |lab: &Lab| has_its_top(&File::open(lab.file()).unwrap(), &lab.verity).unwrap();
    for (blocks, at) in [(1, 7), (300, 301 * BLOCK)] {
        let lab = Lab::new(blocks);
        assert!(top(&lab));
        lab.flip(at);
        assert!(!top(&lab), "{blocks} blocks");
        fs::write(lab.file(), b"short").unwrap();
        assert!(!top(&lab), "{blocks} blocks, cut off");
    }
}

#[test]
fn a_damaged_block_is_told_from_its_neighbours() {
    for blocks in [1, 2, 129, 128 * 128 + 1] {
        let lab = Lab::new(blocks);
        let sound = |block: u64| {
            let file = File::open(lab.file()).unwrap();
            is_sound(&file, &lab.verity, block).unwrap()
        };
        let all = blocks as u64 + length(blocks as u64) / BLOCK as u64;
        for block in 0..all {
            // The superblock is nobody's.
            assert_eq!(sound(block), block != blocks as u64, "{block} of {blocks}");
        }
        assert!(!sound(all) && !sound(u64::MAX));
        lab.flip((blocks - 1) * BLOCK);
        let damaged: Vec<u64> = (0..blocks as u64).filter(|block| !sound(*block)).collect();
        assert_eq!(damaged, [blocks as u64 - 1]);
    }
}
