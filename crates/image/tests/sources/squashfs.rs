//! Existing squashfs images, and live media with one in them.

use std::fs;

use image::scrub::Rules;
use image::source::{Source, SourceOptions};

use crate::harness::Lab;

#[test]
fn an_image_of_mksquashfs_makes_the_image_of_its_tree() {
    let lab = Lab::new();
    lab.nasty_tree().sh("touch -d @5 tree/z");
    let expected = lab.image(&["tree"]);
    for compressor in ["gzip", "xz", "zstd"] {
        lab.sh(&format!(
            "rm -f old.sfs; mksquashfs tree old.sfs -quiet -no-progress -comp {compressor}"
        ));
        let image = lab.image(&["old.sfs"]);
        assert_eq!(image.description, "squashfs image");
        image.assert_same(&expected, compressor);
    }
}

#[test]
fn our_own_image_makes_itself() {
    let lab = Lab::new();
    lab.nasty_tree();
    let first = lab.image(&["tree"]);
    lab.put("own.sfs", &*first.bytes);
    lab.image(&["own.sfs"]).assert_same(&first, "own");
}

#[test]
fn a_live_medium_gives_its_system_and_the_kernel_beside_it() {
    let lab = Lab::new();
    lab.put("tree/etc/hostname", "live");
    lab.put("medium/casper/vmlinuz", "the kernel");
    lab.put("medium/readme", "x");
    lab.sh("mksquashfs tree medium/casper/filesystem.squashfs -quiet -no-progress");
    for arguments in ["-R", "-J", "-iso-level 3"] {
        lab.sh(&format!(
            "xorrisofs -quiet {arguments} -o live.iso medium 2>/dev/null"
        ));
        let image = lab.image(&["live.iso"]);
        assert_eq!(
            image.description, "live medium with casper/filesystem.squashfs",
            "{arguments}"
        );
        image.assert_same(&lab.image(&["tree"]), arguments);
        let paths = [lab.at("live.iso")];
        let (options, stop) = (SourceOptions::default(), Default::default());
        let source = Source::open(
            &paths,
            &options,
            Rules::none(),
            &lab.at("state"),
            &(),
            &stop,
        );
        let source = source.unwrap();
        let kernel = source.tree().read("casper/vmlinuz", 100).unwrap();
        assert_eq!(kernel, b"the kernel");
        assert_eq!(source.tree().list("casper").unwrap(), ["vmlinuz"]);
    }
}

#[test]
fn media_and_images_that_do_not_serve_say_why() {
    let lab = Lab::new();
    lab.put("medium/casper/minimal.squashfs", "");
    lab.sh("xorrisofs -quiet -R -o layers.iso medium 2>/dev/null; mkdir empty; echo x > empty/readme; xorrisofs -quiet -R -o none.iso empty 2>/dev/null");
    let error = lab.refused(&["layers.iso"]);
    assert!(error.contains("casper/minimal.squashfs"), "{error}");
    let error = lab.refused(&["none.iso"]);
    assert!(error.contains("without a live system"), "{error}");
    lab.put("tree/a", "a");
    lab.sh("mksquashfs tree whole.sfs -quiet -no-progress -noappend");
    let whole = fs::read(lab.at("whole.sfs")).unwrap();
    for length in [4, 95, 96, 200] {
        lab.put("cut.sfs", &whole[..length]);
        let error = lab.refused(&["cut.sfs"]);
        assert!(error.contains("cut.sfs"), "{error}");
    }
}

#[test]
fn no_mutation_of_a_medium_does_more_than_fail() {
    let lab = Lab::new();
    lab.put("medium/live/vmlinuz", "the kernel");
    lab.put("tree/etc/hostname", "live");
    lab.sh("mksquashfs tree medium/live/filesystem.squashfs -quiet -no-progress; xorrisofs -quiet -R -o live.iso medium 2>/dev/null");
    let whole = fs::read(lab.at("live.iso")).unwrap();
    let used: Vec<_> = (0x8000..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut random = crate::harness::Random::new(3);
    let (mut made, mut refused) = (0, 0);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(3) {
            bytes[used[random.below(used.len())]] = random.byte();
        }
        lab.put("mutated.iso", &bytes);
        match lab.try_image(&["mutated.iso"]) {
            Ok(_) => made += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(made > 10 && refused > 10, "{made} made, {refused} refused");
}
