//! Handles that nobody was given, and handles that only who has the key could make.

use std::cell::Cell;

use nfs::{DirEntry, FileHandle, ReadOnlyFs};

use super::super::{Access, ExportFs, Folder, HandleKey};
use super::{KEY, Lab, client};

/// Asks for everything that can be asked with a handle.
fn explore(fs: &ExportFs, handle: &FileHandle) -> bool {
    let attributes = fs.attributes(handle);
    let mut out = Vec::new();
    for offset in [0, 5000] {
        out.clear();
        if fs.read(handle, offset, 1000, &mut out).is_ok() {
            assert!(out.len() <= 1000);
        }
    }
    let mut room = 50;
    let visit = &mut |_: DirEntry<'_>| {
        room -= 1;
        room > 0
    };
    // Answers or errors, whichever.
    let _ = (
        fs.allowed(client(), handle),
        fs.lookup(handle, b"etc"),
        fs.lookup(handle, b".."),
        fs.read_link(handle),
        fs.fs_stat(handle),
        fs.file_range(handle, 0, 100),
        fs.read_dir(handle, 0, visit, true),
    );
    attributes.is_ok()
}

#[test]
fn handles() {
    let lab = Lab::new();
    let folder = Folder::new("data".into(), lab.folder.path().join("new"), Vec::new());
    let access = Access {
        folders: vec![folder],
        ..Access::default()
    };
    let key = HandleKey::new(KEY);
    let fs = ExportFs::new(key.clone(), access);
    fs.publish(lab.snapshot(true));
    let paths = [
        "/",
        "/images/demo",
        "/roots/demo",
        "/roots/demo/etc/deep",
        "/exports/data",
        "/exports/data/etc",
    ];
    let mut known: Vec<FileHandle> = paths
        .iter()
        .map(|path| fs.mount(client(), path.as_bytes()).unwrap())
        .collect();
    for (directory, name) in [(1, "root.squashfs"), (2, "link"), (4, "link"), (5, "motd")] {
        known.push(fs.lookup(&known[directory], name.as_bytes()).unwrap().0);
    }
    let seeds: Vec<_> = known.iter().map(|it| it.as_bytes().to_vec()).collect();
    let good = Cell::new(0);
    fuzz::run("handles", &seeds, |bytes| {
        let Some(handle) = FileHandle::new(&bytes[..bytes.len().min(32)]) else {
            return;
        };
        let accepted = explore(&fs, &handle);
        assert!(
            !accepted || known.contains(&handle),
            "a forged one is accepted"
        );
        if let Some(sealed) = key.sealed(bytes) {
            good.set(good.get() + u32::from(explore(&fs, &sealed)));
        }
    });
    assert!(good.get() > 0, "no sealed handle led anywhere");
}
