use std::io::{Read, Write};

use super::*;
use crate::manifest::{FileRecord, Files, KernelRecord, RootRecord, generation_id};
use crate::{INITRD_FILE, KERNEL_FILE, ROOT_FILE};

struct State {
    folder: tempfile::TempDir,
    catalogue: Catalogue,
}

fn name() -> ImageName {
    "demo".parse().unwrap()
}

impl State {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(folder.path());
        Self { folder, catalogue }
    }

    /// Publishes a generation whose root holds `content`, built at the time `created`.
    fn publish(&self, content: &str, created: u64) -> Published {
        let draft = self.catalogue.begin(&name()).unwrap();
        let record = |text: &str| FileRecord {
            bytes: text.len() as u64,
            sha256: String::new(),
            piece: 0,
        };
        for (file, text) in [(ROOT_FILE, content), (KERNEL_FILE, "k"), (INITRD_FILE, "i")] {
            let mut file = draft.create(file).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
        let mut root = [0; 32];
        root[..content.len()].copy_from_slice(content.as_bytes());
        let manifest = Manifest {
            format: FORMAT,
            name: name(),
            generation: generation_id(root, [1; 32], [2; 32]),
            created,
            source: "/".into(),
            built_by: "test".into(),
            kernel: KernelRecord {
                version: "6.1".into(),
                path: "boot/vmlinuz-6.1".into(),
                format: crate::kernel::Format::BzImage,
            },
            files: Files {
                root: record(content),
                kernel: record("k"),
                initrd: record("i"),
                drivers: None,
                driver_index: None,
            },
            root: RootRecord {
                compression: "zstd".into(),
                block_size: 131_072,
                inodes: 1,
                files: 1,
                file_bytes: 1,
                blocks: 1,
                reused_blocks: 0,
                unread_files: 0,
                directories: Vec::new(),
                verity: None,
            },
            initrd: crate::initrd::Report::default(),
            initrd_content: String::new(),
            init_sha256: String::new(),
            left_out: Vec::new(),
            rules: Vec::new(),
            secrets: Vec::new(),
            unreadable: Vec::new(),
        };
        draft.publish(manifest).unwrap()
    }

    fn current(&self) -> GenerationId {
        self.catalogue.image(&name()).unwrap().current.unwrap()
    }

    fn image_folder(&self) -> PathBuf {
        self.folder.path().join("images/demo")
    }
}

#[test]
fn what_is_published_is_listed_and_current() {
    let state = State::new();
    let (old, new) = (state.publish("old", 1), state.publish("new", 2));
    let listing = state.catalogue.list().unwrap();
    assert_eq!(listing.warnings, [""; 0]);
    let image = &listing.images[0];
    assert_eq!(image.current, Some(new.generation));
    assert_eq!(image.previous, Some(old.generation));
    let ids: Vec<_> = image.generations.iter().map(|g| g.id).collect();
    assert_eq!(ids, [new.generation, old.generation]);
    assert_eq!(image.current().unwrap().manifest, new.manifest);
    assert_eq!(fs::read(new.folder.join(ROOT_FILE)).unwrap(), b"new");
}

#[test]
fn the_same_content_twice_is_one_generation() {
    let state = State::new();
    let first = state.publish("same", 1);
    let again = state.publish("same", 2);
    assert!(!first.known && again.known);
    assert_eq!(again.generation, first.generation);
    assert_eq!(again.manifest.created, 1);
    let image = state.catalogue.image(&name()).unwrap();
    assert_eq!(image.generations.len(), 1);
}

#[test]
fn a_running_client_keeps_the_generation_that_it_has_open() {
    let state = State::new();
    let old = state.publish("old", 1);
    let mut open = fs::File::open(old.folder.join(ROOT_FILE)).unwrap();
    state.publish("new", 2);
    assert_eq!(fs::read(old.folder.join(ROOT_FILE)).unwrap(), b"old");
    state.publish("newest", 3);
    let removed = state.catalogue.prune(&name(), 1, &|_| None).unwrap();
    assert_eq!(removed, [old.generation]);
    let mut content = String::new();
    open.read_to_string(&mut content).unwrap();
    assert_eq!(content, "old");
}

#[test]
fn nothing_in_use_or_pointed_at_is_pruned() {
    let state = State::new();
    let used = state.publish("used", 1);
    for (created, content) in [(2, "a"), (3, "b"), (4, "c")] {
        state.publish(content, created);
    }
    let in_use = |id| (id == used.generation).then_some("a client runs it");
    let removed = state.catalogue.prune(&name(), 0, &in_use).unwrap();
    assert_eq!(removed.len(), 1); // "a"; "b" is the previous and "c" the current one
    assert_eq!(state.catalogue.image(&name()).unwrap().generations.len(), 3);
}

#[test]
fn rolling_back_twice_changes_nothing() {
    let state = State::new();
    let old = state.publish("old", 1);
    let only = state.catalogue.rollback(&name()).unwrap_err();
    assert!(matches!(only, CatalogueError::NothingBefore(_)));
    let new = state.publish("new", 2);
    assert_eq!(state.catalogue.rollback(&name()).unwrap(), old.generation);
    assert_eq!(state.current(), old.generation);
    assert_eq!(state.catalogue.rollback(&name()).unwrap(), new.generation);
    assert_eq!(state.current(), new.generation);
}

#[test]
fn a_damaged_generation_is_skipped_with_a_warning_and_replaced_by_a_build() {
    let state = State::new();
    let (old, new) = (state.publish("old", 1), state.publish("new", 2));
    fs::write(new.folder.join(ROOT_FILE), "ne").unwrap();
    let listing = state.catalogue.list().unwrap();
    let ids: Vec<_> = listing.images[0].generations.iter().map(|g| g.id).collect();
    assert_eq!(ids, [old.generation]);
    assert_eq!(listing.images[0].current, None);
    assert!(
        listing.warnings[0].contains("2 bytes instead of 3"),
        "{listing:?}"
    );
    assert!(
        listing.warnings[1].contains("missing or damaged"),
        "{listing:?}"
    );

    assert!(!state.publish("new", 3).known);
    assert_eq!(state.current(), new.generation);
    assert_eq!(state.catalogue.list().unwrap().warnings, [""; 0]);
}

#[test]
fn a_foreign_manifest_or_pointer_is_not_believed() {
    let state = State::new();
    let good = state.publish("good", 1);
    let other = GenerationId([7; 16]).to_string();
    fs::create_dir(state.image_folder().join(&other)).unwrap();
    let manifest = good.folder.join(MANIFEST_FILE);
    let copy = state.image_folder().join(&other).join(MANIFEST_FILE);
    fs::copy(manifest, copy).unwrap();
    let link = state.image_folder().join("current");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("../../../etc", &link).unwrap();
    let listing = state.catalogue.list().unwrap();
    assert!(
        listing.warnings[0].contains("is that of generation"),
        "{listing:?}"
    );
    assert_eq!(listing.images[0].current, None);
}

#[test]
fn two_builds_of_one_image_do_not_meet() {
    let state = State::new();
    let draft = state.catalogue.begin(&name()).unwrap();
    let busy = state.catalogue.begin(&name()).unwrap_err().to_string();
    let own = std::process::id().to_string();
    assert!(busy.contains("demo") && busy.contains(&own), "{busy}");
    assert!(state.catalogue.begin(&"other".parse().unwrap()).is_ok());
    state.catalogue.clean().unwrap();
    assert!(draft.folder().exists());
}

#[test]
fn a_broken_off_build_leaves_nothing() {
    let state = State::new();
    drop(state.catalogue.begin(&name()).unwrap());
    assert!(!state.image_folder().exists());

    // One that was killed, so that nobody cleaned up.
    state.publish("good", 1);
    let killed = state.image_folder().join(".tmp-999999999");
    fs::create_dir(&killed).unwrap();
    fs::write(killed.join(ROOT_FILE), "half").unwrap();
    state.catalogue.clean().unwrap();
    assert!(!killed.exists());
    assert_eq!(state.catalogue.list().unwrap().images.len(), 1);
}

#[test]
fn an_empty_or_missing_state_directory_has_no_images() {
    let state = State::new();
    assert_eq!(state.catalogue.list().unwrap(), Listing::default());
    let error = state.catalogue.image(&name()).unwrap_err();
    assert_eq!(error.to_string(), "there is no image demo");
    assert!(!state.folder.path().join("images").exists());
}
