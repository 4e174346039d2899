//! Disks of virtual machines, made by the tools that make them for everybody.

use std::fs;

use image::scrub::{Action, Rule, Rules};
use image::source::{Source, SourceOptions};

use crate::harness::{Image, Lab, Random};

/// Without what every new ext4 has.
fn rules() -> Rules {
    let rule = Rule::new(
        "new",
        "every ext4 has it",
        Action::LeaveOut,
        &["lost+found"],
    );
    Rules::none().with(rule.unwrap())
}

fn image_of(lab: &Lab, disk: &str, partition: Option<u32>) -> Image {
    let options = SourceOptions {
        partition,
        ..SourceOptions::default()
    };
    lab.image_with(&[disk], &options, rules()).unwrap()
}

/// Puts the tree into a file system of so many megabytes, and gives its root the tree's own time.
fn make_fs(lab: &Lab, name: &str, kind: &str, arguments: &str, megabytes: u32) {
    lab.sh(&format!(
        "rm -f {name}; truncate -s {megabytes}M {name}; mkfs.{kind} -q -F -d tree {arguments} {name};
        debugfs -w -R 'set_inode_field <2> mtime @1234567890' {name} 2>/dev/null"
    ));
}

/// The nasty tree as far as mkfs copies it: no links of links, and no times before 1970.
fn tree(lab: &Lab) -> Image {
    lab.nasty_tree()
        .sh("rm tree/usr/lib-link; touch -d @5 tree/z tree/usr; touch -h -d @1234567890 tree");
    lab.image(&["tree"])
}

#[test]
fn a_file_system_makes_the_image_of_its_tree_whatever_its_features() {
    let lab = Lab::new();
    let expected = tree(&lab);
    for (kind, arguments) in [
        ("ext4", ""),
        ("ext4", "-b 1024 -I 512"),
        ("ext4", "-O ^64bit,^metadata_csum,^flex_bg"),
        ("ext4", "-O meta_bg,^resize_inode -b 1024"),
        ("ext4", "-O sparse_super2,^resize_inode -b 1024"),
        ("ext4", "-b 4096"),
        ("ext3", "-b 1024"),
        ("ext2", "-I 256"),
    ] {
        make_fs(&lab, "disk.img", kind, arguments, 64);
        let image = image_of(&lab, "disk.img", None);
        assert_eq!(image.description, "disk without partitions");
        image.assert_same(&expected, &format!("{kind} {arguments}"));
    }
}

#[test]
fn data_in_inodes_is_found() {
    let lab = Lab::new();
    for length in [0, 1, 59, 60, 61, 100, 150, 161, 200, 5000] {
        lab.put(
            &format!("tree/files/{length}"),
            crate::harness::noise(length),
        );
        lab.put(&format!("tree/few-{length}/x"), "x");
        lab.sh(&format!(
            "ln -s $(printf 't%.0s' $(seq 1 {})) tree/link-{length}",
            length.clamp(1, 900)
        ));
    }
    lab.sh("touch -h -d @1234567890 tree");
    let expected = lab.image(&["tree"]);
    for size in [256, 512, 1024] {
        make_fs(
            &lab,
            "disk.img",
            "ext4",
            &format!("-O inline_data -I {size}"),
            16,
        );
        image_of(&lab, "disk.img", None).assert_same(&expected, &format!("inodes of {size}"));
    }
}

#[test]
fn an_attribute_that_has_an_inode_of_its_own_is_found() {
    let lab = Lab::new();
    lab.put("tree/z", "z");
    lab.sh(
        "setfattr -n user.large -v $(printf 'v%.0s' $(seq 2000)) tree/z; touch -d @1234567890 tree",
    );
    make_fs(&lab, "disk.img", "ext4", "-O ea_inode", 16);
    image_of(&lab, "disk.img", None).assert_same(&lab.image(&["tree"]), "ea_inode");
}

#[test]
fn the_root_partition_is_found_or_named() {
    let lab = Lab::new();
    tree(&lab);
    lab.put("tree/etc/hostname", "vm");
    lab.put("boot/vmlinuz", "kernel");
    lab.sh(
        "touch -h -d @1234567890 tree; truncate -s 20M boot.img; mkfs.ext4 -q -F -d boot boot.img",
    );
    let expected = lab.image(&["tree"]);
    make_fs(&lab, "root.img", "ext4", "", 64);
    for (label, lines, start, number) in [
        ("gpt", "size=20M\\nsize=64M", 21, 2),
        ("dos", "size=20M\\nsize=64M", 21, 2),
        (
            "dos",
            "disk.img1 : size=20M, type=83\\ndisk.img2 : size=70M, type=5\\ndisk.img5 : size=64M, type=83",
            22,
            5,
        ),
    ] {
        lab.sh(&format!(
            "rm -f disk.img; truncate -s 100M disk.img; printf 'label: {label}\\n{lines}\\n' | sfdisk -q disk.img;
            dd if=boot.img of=disk.img bs=1M seek=1 conv=notrunc status=none;
            dd if=root.img of=disk.img bs=1M seek={start} conv=notrunc status=none"
        ));
        let found = image_of(&lab, "disk.img", None);
        assert_eq!(found.description, format!("disk, partition {number}"));
        found.assert_same(&expected, label);
        let named = image_of(&lab, "disk.img", Some(1));
        assert_eq!(named.paths(), ["vmlinuz"]);
        let options = SourceOptions {
            partition: Some(9),
            ..SourceOptions::default()
        };
        let error = lab
            .image_with(&["disk.img"], &options, rules())
            .err()
            .unwrap();
        let error = error.to_string();
        assert!(error.contains("no partition 9: 1 (ext4, 20 MB)"), "{error}");
    }
    // Two roots: nobody guesses.
    lab.sh("rm -f disk.img; truncate -s 150M disk.img; printf 'label: gpt\\nsize=64M\\nsize=64M\\n' | sfdisk -q disk.img;
        for at in 1 65; do dd if=root.img of=disk.img bs=1M seek=$at conv=notrunc status=none; done");
    let error = lab.refused(&["disk.img"]);
    assert!(
        error.contains("--partition: 1 (ext4, 67 MB), 2 (ext4, 67 MB)"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let lab = Lab::new();
    lab.sh("mkdir tree");
    for (magic, place, word) in [
        ("XFSB", 1 << 20, "XFS"),
        ("_BHRfS_M", (1 << 20) + 0x10040, "btrfs"),
        ("LABELONE", (1 << 20) + 0x200, "LVM"),
        ("SWAPSPACE2", (1 << 20) + 0xff6, "swap"),
    ] {
        lab.sh(&format!(
            "rm -f disk.img; truncate -s 10M disk.img; printf 'label: gpt\\n,\\n' | sfdisk -q disk.img;
            printf {magic} | dd of=disk.img bs=1 seek={place} conv=notrunc status=none"
        ));
        let error = lab.refused(&["disk.img"]);
        assert!(error.contains(word), "{error}");
    }
    for (magic, word) in [
        ("QFI\u{fb}", "qemu-img convert"),
        ("KDMV", "VMDK"),
        ("vhdxfile", "VHDX"),
    ] {
        let mut bytes = magic.chars().map(|c| c as u8).collect::<Vec<_>>();
        bytes.resize(4096, 0);
        lab.put("disk.img", bytes);
        let error = lab.refused(&["disk.img"]);
        assert!(
            error.contains(word) && error.contains("disk.img"),
            "{error}"
        );
    }
    make_fs(&lab, "dirty.img", "ext4", "", 16);
    lab.sh("debugfs -w -R 'feature needs_recovery' dirty.img 2>/dev/null >&2");
    let error = lab.refused(&["dirty.img"]);
    assert!(error.contains("not unmounted cleanly"), "{error}");
    lab.put("noise", crate::harness::noise(100_000));
    let error = lab.refused(&["noise"]);
    assert!(error.contains("--kind"), "{error}");
    lab.put("empty", "");
    assert!(lab.refused(&["empty"]).contains("is empty"));
}

#[test]
fn broken_tables_give_errors_with_their_place() {
    let lab = Lab::new();
    lab.sh("truncate -s 10M gpt.img; printf 'label: gpt\\n,\\n' | sfdisk -q gpt.img;
        truncate -s 10M dos.img; printf 'label: dos\\ndos.img1 : size=1M, type=83\\ndos.img2 : size=5M, type=5\\ndos.img5 : size=1M, type=83\\n' | sfdisk -q dos.img");
    let (gpt, dos) = (
        fs::read(lab.at("gpt.img")).unwrap(),
        fs::read(lab.at("dos.img")).unwrap(),
    );
    let refused = |mut bytes: Vec<u8>, changes: &[(usize, u8)]| {
        for (at, value) in changes {
            bytes[*at] = *value;
        }
        lab.put("bad.img", bytes);
        lab.refused(&["bad.img"])
    };
    // One copy is enough, and without both nothing is believed.
    let both = [(512 + 72, 9), (gpt.len() - 512 + 72, 9)];
    assert!(refused(gpt.clone(), &both[..1]).contains("has no partition that can be read"));
    let error = refused(gpt, &both);
    assert!(
        error.contains("wrong checksum (partition table, byte 512)"),
        "{error}"
    );
    let start = 446 + 8;
    let error = refused(dos.clone(), &[(start + 3, 0xff)]);
    assert!(
        error.contains("behind the disk's end (partition table, byte 446)"),
        "{error}"
    );
    let extended = 462 + 8;
    let error = refused(dos.clone(), &[(extended + 3, 0xff)]);
    assert!(
        error.contains("the disk ends here (partition table"),
        "{error}"
    );
    // A logical partition that is followed by itself.
    let first = usize::from(dos[extended]) + (usize::from(dos[extended + 1]) << 8);
    let next = first * 512 + 462;
    let error = refused(dos, &[(next + 4, 5), (next + 8, 0), (next + 12, 1)]);
    assert!(error.contains("without end"), "{error}");
}

#[test]
fn no_mutation_of_a_disk_does_more_than_fail() {
    let lab = Lab::new();
    tree(&lab);
    lab.sh("rm -r tree/usr tree/z tree/A-first-name tree/sparse");
    for (kind, arguments) in [("ext4", "-b 1024 -O inline_data"), ("ext2", "-b 1024")] {
        make_fs(&lab, "disk.img", kind, arguments, 4);
        image_of(&lab, "disk.img", None);
        let whole = fs::read(lab.at("disk.img")).unwrap();
        let used: Vec<_> = (1024..whole.len()).filter(|at| whole[*at] != 0).collect();
        let mut random = Random::new(11);
        let (mut made, mut refused) = (0, 0);
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.below(3) {
                bytes[used[random.below(used.len())]] = random.byte();
            }
            lab.put("mutated.img", &bytes);
            let paths = [lab.at("mutated.img")];
            let options = SourceOptions::default();
            let stop = Default::default();
            let source = Source::open(&paths, &options, rules(), &lab.at("state"), &(), &stop);
            // The longest sparse file would take a while to write, and reading is what is tried here.
            let bytes = source
                .and_then(|source| source.survey(&(), &stop))
                .map(|s| s.bytes);
            let result = match bytes {
                Ok(bytes) if bytes > 1 << 30 => Ok(()),
                Ok(_) => lab
                    .try_image(&["mutated.img"])
                    .map(drop)
                    .map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match result {
                Ok(()) => made += 1,
                Err(error) => {
                    assert!(
                        error.contains("mutated.img") || !error.is_empty(),
                        "{error}"
                    );
                    refused += 1;
                }
            }
        }
        assert!(made > 10 && refused > 10, "{made} made, {refused} refused");
    }
}
