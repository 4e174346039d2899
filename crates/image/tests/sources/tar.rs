//! Tar archives, as people's tools write them.

use image::scrub::Rules;
use image::source::SourceOptions;

use crate::harness::{Image, Lab};

const PAX: &str = "tar -C tree --format=pax --xattrs --xattrs-include='*' --sparse";

/// The image of the tree that was packed.
fn expected(lab: &Lab) -> Image {
    lab.image(&["tree"])
}

#[test]
fn an_archive_makes_the_image_of_the_tree_that_was_packed() {
    let lab = Lab::new();
    lab.nasty_tree().sh(&format!("{PAX} -cf all.tar ."));
    let image = lab.image(&["all.tar"]);
    assert_eq!(image.description, "tar archive");
    image.assert_same(&expected(&lab), "pax");
}

#[test]
fn so_does_one_that_is_compressed_or_sorted_otherwise() {
    let lab = Lab::new();
    lab.nasty_tree().sh(&format!(
        "{PAX} -cf all.tar .; zstd -q all.tar; gzip -k all.tar; xz -k0 all.tar;
        cd tree; find . | sort -r | tar --format=pax --xattrs --xattrs-include='*' --no-recursion -cf ../reverse.tar -T -"
    ));
    for (name, description) in [
        ("all.tar.zst", "tar archive, zstd"),
        ("all.tar.gz", "tar archive, gzip"),
        ("all.tar.xz", "tar archive, xz"),
        ("reverse.tar", "tar archive"),
    ] {
        let image = lab.image(&[name]);
        assert_eq!(image.description, description);
        image.assert_same(&expected(&lab), name);
    }
}

#[test]
fn so_does_a_pipe() {
    let lab = Lab::new();
    lab.nasty_tree().sh("mkfifo fifo");
    for (filter, description) in [("cat", "tar stream"), ("zstd -q", "tar stream, zstd")] {
        let image = std::thread::scope(|scope| {
            scope.spawn(|| lab.sh(&format!("{PAX} -c . | {filter} > fifo")));
            lab.image(&["fifo"])
        });
        assert_eq!(image.description, description);
        image.assert_same(&expected(&lab), description);
    }
}

#[test]
fn older_formats_carry_what_they_can() {
    let lab = Lab::new();
    lab.nasty_tree();
    lab.sh("cd tree; setfattr -x security.capability usr/bin/tool; setfattr -x user.of-a-folder a;
        setfattr -x user.large z; setfattr -x user.empty z; touch -d @5 z; touch -d @6 a; touch -d @7 .");
    lab.sh("tar -C tree --format=gnu --sparse -cf gnu.tar .");
    let expected = expected(&lab);
    lab.image(&["gnu.tar"]).assert_same(&expected, "gnu");
    for version in ["0.0", "0.1", "1.0"] {
        lab.sh(&format!(
            "tar -C tree --format=pax --sparse --sparse-version={version} -cf sparse.tar ."
        ));
        lab.image(&["sparse.tar"]).assert_same(&expected, version);
    }
    lab.sh(
        "cd tree; chown 1:1 a.b; chmod 600 disk; rm -r deep dangling disk not-utf8*; touch -d @7 .",
    );
    lab.sh("tar -C tree --format=ustar -cf ustar.tar .; tar -C tree --format=v7 --exclude=./null --exclude=./pipe -cf v7.tar .");
    let tree = lab.image(&["tree"]);
    lab.image(&["ustar.tar"]).assert_same(&tree, "ustar");
    lab.sh("rm tree/null tree/pipe; touch -d @7 tree");
    let tree = lab.image(&["tree"]);
    lab.image(&["v7.tar"]).assert_same(&tree, "v7");
}

#[test]
fn the_last_word_on_a_name_counts() {
    let lab = Lab::new();
    lab.put("tree/file", "first");
    lab.put("tree/gone/x", "x");
    lab.sh("tar -C tree -cf twice.tar .; echo second > tree/file; rm -r tree/gone; echo now a file > tree/gone;
        tar -C tree -rf twice.tar ./file ./gone; gzip -k twice.tar");
    for archive in ["twice.tar", "twice.tar.gz"] {
        let image = lab.image(&[archive]);
        assert_eq!(image.paths(), ["file", "gone"], "{archive}");
        assert_eq!(image.content("file"), "second\n");
    }
}

#[test]
fn folders_that_nobody_described_are_there_and_links_among_them_are_followed() {
    let lab = Lab::new();
    lab.put("tree/usr/lib/a", "a");
    lab.put("other/lib/b", "b");
    lab.sh("ln -s usr/lib tree/lib; tar -C tree -cf all.tar lib usr/lib/a; tar -C other -rf all.tar lib/b");
    let image = lab.image(&["all.tar"]);
    assert_eq!(
        image.paths(),
        ["lib", "usr", "usr/lib", "usr/lib/a", "usr/lib/b"]
    );
}

#[test]
fn what_the_rules_leave_out_is_not_put_aside() {
    let lab = Lab::new();
    lab.put("tree/etc/ssh/ssh_host_rsa_key", "secret");
    lab.put("tree/etc/machine-id", "me\n");
    lab.put("tree/etc/hostname", "template\n");
    lab.sh("ln tree/etc/ssh/ssh_host_rsa_key tree/etc/other-name");
    lab.sh("tar -C tree -cf all.tar .; gzip -k all.tar");
    let image = |source: &str| {
        let options = SourceOptions::default();
        lab.image_with(&[source], &options, Rules::standard())
            .unwrap()
    };
    let (stream, directory) = (image("all.tar.gz"), image("tree"));
    assert_eq!(
        stream.paths(),
        ["etc", "etc/hostname", "etc/machine-id", "etc/ssh"]
    );
    assert!(stream.notes.contains("etc/other-name"), "{}", stream.notes);
    assert_eq!(stream.content("etc/machine-id"), "");
    // Where the content can still be had, another name of it is a file of its own right.
    image("all.tar").assert_same(&directory, "at random");
    assert!(directory.paths().contains(&"etc/other-name".to_owned()));
}
