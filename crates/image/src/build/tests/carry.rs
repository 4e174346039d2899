//! Generations that are carried about, compared, kept and removed.

use super::*;
use crate::catalogue::CatalogueError;
use crate::contents::{self, What};

fn catalogue(lab: &Lab) -> Catalogue {
    Catalogue::open(&lab.at("state"))
}

fn export(lab: &Lab) -> Vec<u8> {
    let image = catalogue(lab).image(&"demo".parse().unwrap()).unwrap();
    let mut archive = Vec::new();
    image.current().unwrap().export(&mut archive).unwrap();
    archive
}

#[test]
fn what_is_exported_is_imported_whole_and_the_archive_is_a_tar_and_always_the_same() {
    let lab = Lab::new();
    let published = lab.build().unwrap();
    let archive = export(&lab);
    assert_eq!(archive, export(&lab));

    let other = Catalogue::open(&lab.at("other"));
    let name = "copy".parse().unwrap();
    let imported = other.import(&mut &archive[..], Some(&name)).unwrap();
    assert_eq!(imported.generation, published.generation);
    let image = other.image(&name).unwrap();
    assert_eq!(image.current().unwrap().verify().unwrap(), [""; 0]);

    std::fs::write(lab.at("a.tar"), &archive).unwrap();
    let tar = std::process::Command::new("tar")
        .arg("tf")
        .arg(lab.at("a.tar"))
        .output()
        .unwrap();
    let listed = String::from_utf8(tar.stdout).unwrap();
    assert!(
        listed.starts_with("manifest.json\nroot.squashfs\nvmlinuz\ninitrd.img\n"),
        "{listed}"
    );
}

#[test]
fn a_cut_or_changed_archive_publishes_nothing() {
    let lab = Lab::new();
    lab.build().unwrap();
    let archive = export(&lab);
    let other = Catalogue::open(&lab.at("other"));
    for cut in (0..archive.len() - 1024).step_by(700) {
        let error = other.import(&mut &archive[..cut], None).unwrap_err();
        assert!(
            matches!(error, CatalogueError::Archive(_)),
            "cut at {cut}: {error}"
        );
    }
    for at in (0..archive.len() - 1024).step_by(311) {
        let mut changed = archive.clone();
        changed[at] ^= 1;
        if let Ok(imported) = other.import(&mut &changed[..], None) {
            // A byte of the manifest that no digest covers: the files are still what they were.
            let image = other.image(&imported.name).unwrap();
            assert_eq!(
                image.current().unwrap().verify().unwrap(),
                [""; 0],
                "changed at {at}"
            );
            other.remove_image(&imported.name, &|_| None).unwrap();
        }
    }
    assert_eq!(other.list().unwrap(), crate::catalogue::Listing::default());
}

#[test]
fn two_generations_differ_in_what_was_changed() {
    let lab = Lab::new();
    lab.put("root/usr/share/same", &[7; 300_000])
        .put("root/usr/share/gone", b"x");
    lab.put("root/usr/share/longer", b"x")
        .put("root/usr/share/mode", b"x");
    let before = lab.build().unwrap();
    std::fs::remove_file(lab.at("root/usr/share/gone")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(lab.at("root/usr/share/mode"), mode).unwrap();
    lab.put("root/usr/share/longer", b"longer")
        .put("root/usr/share-new/file", b"x");
    let after = lab.build().unwrap();
    let image = catalogue(&lab).image(&before.name).unwrap();
    let open = |id| contents::open(image.generation(id).unwrap()).unwrap();
    let mut changes = Vec::new();
    let (a, b) = (open(before.generation), open(after.generation));
    contents::diff(&a, &b, &mut |change| {
        changes.push((change.path, change.what));
    })
    .unwrap();
    let changes: Vec<_> = changes
        .iter()
        .map(|(path, what)| (path.as_str(), *what))
        .collect();
    assert_eq!(
        changes,
        [
            ("usr/share/gone", What::Removed),
            ("usr/share/longer", What::Content),
            ("usr/share/mode", What::Attributes),
            ("usr/share-new", What::Added),
            ("usr/share-new/file", What::Added),
        ]
    );
}

#[test]
fn what_is_needed_is_not_removed_and_what_is_pinned_stays() {
    let lab = Lab::new();
    let mut ids = Vec::new();
    for content in ["1", "2", "3", "4"] {
        lab.put("root/etc/hostname", content.as_bytes());
        ids.push(lab.build().unwrap().generation);
    }
    let (catalogue, name) = (catalogue(&lab), "demo".parse().unwrap());
    catalogue.pin(&name, ids[0]).unwrap();
    let needed = |id, in_use: bool| {
        let error = catalogue
            .remove(&name, id, &|_| in_use.then_some("a client runs it"))
            .unwrap_err();
        error.to_string()
    };
    assert!(needed(ids[0], false).contains("pinned"));
    assert!(needed(ids[1], true).contains("a client runs it"));
    assert!(needed(ids[3], false).contains("new boots get it"));
    assert!(catalogue.remove_image(&name, &|_| None).is_err());
    assert_eq!(catalogue.prune(&name, 0, &|_| None).unwrap(), [ids[1]]);

    catalogue.unpin(&name, ids[0]).unwrap();
    catalogue.remove(&name, ids[0], &|_| None).unwrap();
    catalogue.remove(&name, ids[2], &|_| None).unwrap(); // the previous one
    let listing = catalogue.list().unwrap();
    assert_eq!(listing.warnings, [""; 0]);
    assert_eq!(listing.images[0].generations.len(), 1);
    catalogue.remove_image(&name, &|_| None).unwrap();
    assert!(catalogue.image(&name).is_err());
}

#[test]
fn a_manifest_says_where_the_bytes_are_and_how_many_blocks_came_from_before() {
    let lab = Lab::new();
    let random = |seed: u8| -> Vec<u8> {
        let mut state = u32::from(seed) + 1;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(400_000).collect()
    };
    lab.put("root/usr/share/large", &random(1))
        .put("root/opt/app/copy", &random(1));
    let first = lab.build().unwrap().manifest.root;
    assert_eq!(first.reused_blocks, 0);
    let find = |path: &str| first.directories.iter().find(|it| it.path == path).unwrap();
    let (share, app) = (find("usr/share"), find("opt/app"));
    assert_eq!((share.bytes, app.bytes), (400_000, 400_000));
    // Content that is there twice is stored once.
    assert_eq!(share.packed.min(app.packed), 0, "{first:?}");
    assert!(share.packed.max(app.packed) > 390_000, "{first:?}");

    lab.put("root/etc/hostname", b"changed");
    let second = lab.build().unwrap().manifest.root;
    assert_eq!(second.blocks, first.blocks);
    assert!(
        second.reused_blocks > 0 && second.reused_blocks < second.blocks,
        "{second:?}"
    );
}
