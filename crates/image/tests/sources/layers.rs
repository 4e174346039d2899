//! One source over another.

use crate::harness::Lab;

#[test]
fn later_layers_win_and_folders_are_merged() {
    let lab = Lab::new();
    lab.put("base/etc/hostname", "base");
    lab.put("base/etc/keep", "keep");
    lab.put("base/usr/bin/tool", "tool");
    lab.put("over/etc/hostname", "over");
    lab.put("over/opt/new", "new");
    lab.put("top/opt/new", "newest");
    lab.sh("chmod 755 base; chmod 700 over; ln base/usr/bin/tool base/usr/bin/alias; tar -C base -cf base.tar .");
    for base in ["base", "base.tar"] {
        let image = lab.image(&[base, "over", "top"]);
        assert_eq!(
            image.paths(),
            [
                "etc",
                "etc/hostname",
                "etc/keep",
                "opt",
                "opt/new",
                "usr",
                "usr/bin",
                "usr/bin/alias",
                "usr/bin/tool"
            ]
        );
        assert_eq!(image.content("etc/hostname"), "over");
        assert_eq!(image.content("opt/new"), "newest");
        assert_eq!(image.notes, "", "{base}");
    }
}

#[test]
fn one_layer_over_nothing_is_the_directory_itself() {
    let lab = Lab::new();
    lab.nasty_tree().sh("mkdir nothing");
    lab.image(&["tree", "nothing"])
        .assert_same(&lab.image(&["tree"]), "over nothing");
}

#[test]
fn a_first_name_that_is_covered_leaves_the_others_whole() {
    let lab = Lab::new();
    lab.put("base/a", "of base");
    lab.sh("ln base/a base/b; ln base/a base/c");
    lab.put("over/a", "of over");
    let image = lab.image(&["base", "over"]);
    let content = ["a", "b", "c"].map(|name| image.content(name));
    assert_eq!(content, ["of over", "of base", "of base"]);
}

#[test]
fn whiteouts_of_both_kinds_take_away_what_lies_below() {
    let lab = Lab::new();
    for file in ["etc/a", "etc/b", "etc/c", "opt/x/y", "srv/old"] {
        lab.put(&format!("base/{file}"), "base");
    }
    lab.put("over/etc/.wh.a", "");
    lab.put("over/srv/.wh..wh..opq", "");
    lab.put("over/srv/new", "new");
    lab.put("over/opt/z", "z");
    lab.sh("mknod over/etc/b c 0 0; setfattr -n trusted.overlay.opaque -v y over/opt");
    let image = lab.image(&["base", "over"]);
    assert_eq!(
        image.paths(),
        ["etc", "etc/c", "opt", "opt/z", "srv", "srv/new"]
    );
    // In the base itself they mean nothing.
    assert!(
        lab.image(&["over"])
            .paths()
            .contains(&"etc/.wh.a".to_owned())
    );
}

#[test]
fn overlays_that_cannot_be_read_alone_are_refused_by_name() {
    let lab = Lab::new();
    lab.put("base/a", "");
    lab.put("over/moved/a", "");
    lab.sh("setfattr -n trusted.overlay.redirect -v a over/moved");
    let error = lab.refused(&["base", "over"]);
    assert!(
        error.contains("moved: overlays with trusted.overlay.redirect"),
        "{error}"
    );
}
