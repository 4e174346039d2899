//! Archives that were made to do harm, or cut off.

use std::fs;

use crate::harness::{Lab, Random, noise};

/// A header of ustar; `content` follows it.
fn member(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut header);
    let mut bytes = header.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn seal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

/// What is said of an archive of these members: the same, however it comes.
fn refused(members: &[Vec<u8>]) -> String {
    let lab = Lab::new();
    lab.put("bad.tar", archive(members));
    lab.sh("gzip -k bad.tar");
    let (plain, packed) = (lab.refused(&["bad.tar"]), lab.refused(&["bad.tar.gz"]));
    let folder = lab.at("").display().to_string();
    assert_eq!(
        plain.replace("bad.tar", "X").replace(&folder, ""),
        packed.replace("bad.tar.gz", "X").replace(&folder, "")
    );
    plain
}

fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    member("pax", b'x', "", format!("{length}{rest}").as_bytes())
}

#[test]
fn names_that_lead_out_are_refused_by_name() {
    let file = |name| member(name, b'0', "", b"x");
    for name in ["../evil", "a/../../evil", "a/..", "/etc/evil", "//evil"] {
        let error = refused(&[file("good"), file(name)]);
        assert!(error.contains(name), "{error}");
        assert!(
            error.contains("leads out") || error.contains("absolute"),
            "{error}"
        );
    }
    let error = refused(&[pax("path", "../evil"), file("good")]);
    assert!(error.contains("../evil"), "{error}");
}

#[test]
fn hard_links_to_nowhere_out_or_to_folders_are_refused_by_name() {
    for (target, word) in [
        ("nowhere", "nowhere, which is not there"),
        ("../../etc/shadow", "leads out"),
        ("/etc/shadow", "absolute"),
        ("folder", "a directory"),
        ("evil", "evil, which is not there"),
    ] {
        let error = refused(&[
            member("folder/", b'5', "", b""),
            member("evil", b'1', target, b""),
        ]);
        assert!(error.contains("evil: it is another name of"), "{error}");
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_link_cannot_be_used_to_write_outside() {
    let lab = Lab::new();
    let out = [
        member("out", b'2', "../../../../../../tmp", b""),
        member("out/file", b'0', "", b"inside"),
        member("abs", b'2', "/etc", b""),
        member("abs/passwd", b'0', "", b"inside"),
    ];
    lab.put("links.tar", archive(&out));
    let image = lab.image(&["links.tar"]);
    assert_eq!(
        image.paths(),
        ["abs", "etc", "etc/passwd", "out", "tmp", "tmp/file"]
    );
    let error = refused(&[
        member("loop", b'2', "loop", b""),
        member("loop/file", b'0', "", b""),
    ]);
    assert!(
        error.contains("loop/file") && error.contains("loop of links"),
        "{error}"
    );
    let error = refused(&[member("f", b'0', "", b""), member("f/x", b'0', "", b"")]);
    assert!(
        error.contains("f/x") && error.contains("not a directory"),
        "{error}"
    );
}

#[test]
fn endless_names_and_paths_are_refused() {
    let deep = "d/".repeat(100_000);
    let error = refused(&[pax("path", &deep), member("x", b'5', "", b"")]);
    assert!(
        error.contains("d/d/d") && error.contains("longer than 4096"),
        "{error}"
    );
    let error = refused(&[
        member("L", b'L', "", &noise(70_000)),
        member("x", b'0', "", b""),
    ]);
    assert!(error.contains("too long"), "{error}");
    let error = refused(&[pax("path", &"n".repeat(256)), member("x", b'0', "", b"")]);
    assert!(error.contains("at most 255 bytes"), "{error}");
    // As deep as Linux allows is deep, and works.
    let lab = Lab::new();
    lab.put(
        "deep.tar",
        archive(&[pax("path", &"d/".repeat(2047)), member("x", b'5', "", b"")]),
    );
    assert_eq!(lab.image(&["deep.tar"]).paths().len(), 2047);
}

#[test]
fn numbers_that_lie_are_refused() {
    let header = |change: &dyn Fn(&mut [u8])| {
        let mut header = member("liar", b'0', "", b"");
        change(&mut header);
        seal(&mut header);
        header
    };
    let all_ones = header(&|h| h[124..136].fill(0xff));
    let huge = header(&|h| {
        h[124..136].fill(0);
        h[124] = 0x80;
        h[128] = 0x7f;
    });
    let digits = header(&|h| h[124..136].copy_from_slice(b"0000000009x\0"));
    let owner = header(&|h| h[108..116].fill(0xff));
    let sparse = header(&|h| {
        h[156] = b'S';
        h[386..398].copy_from_slice(b"00000000000\0");
        h[398..410].copy_from_slice(b"00000001000\0");
        h[483..495].copy_from_slice(b"00000000001\0");
    });
    for (bad, word) in [
        (all_ones, "size"),
        (huge, "16 TiB"),
        (digits, "size"),
        (owner, "owner"),
        (sparse, "sparse map"),
        (member("liar", b'Q', "", b""), "kind"),
        (member("liar", b'M', "", b""), "volume"),
    ] {
        let error = refused(&[bad]);
        assert!(error.contains("liar") && error.contains(word), "{error}");
    }
    for (key, value) in [("size", "-1"), ("mtime", "now"), ("uid", "99999999999")] {
        let error = refused(&[pax(key, value), member("liar", b'0', "", b"")]);
        assert!(error.contains("not"), "{error}");
    }
}

#[test]
fn an_archive_that_is_cut_off_anywhere_is_refused() {
    let lab = Lab::new();
    let whole = archive(&[
        member("first", b'0', "", &noise(3000)),
        pax("path", "second"),
        member("x", b'0', "", &noise(700)),
    ]);
    for length in (0..whole.len() - 1024).step_by(100).chain([512, 4096]) {
        lab.put("cut.tar", &whole[..length]);
        let error = lab.refused(&["cut.tar"]);
        assert!(error.contains("cut"), "{length}: {error}");
        lab.sh("rm -f cut.tar.gz; gzip -k cut.tar");
        lab.refused(&["cut.tar.gz"]);
    }
    for packer in ["gzip -k", "zstd -q", "xz -k"] {
        lab.put("packed", &whole);
        lab.sh(&format!(
            "rm -f packed.*; {packer} packed; truncate -s -9 packed.*"
        ));
        let name = fs::read_dir(lab.at("")).unwrap().find_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.starts_with("packed.").then_some(name)
        });
        lab.refused(&[&name.unwrap()]);
    }
}

#[test]
fn no_mutation_of_an_archive_does_more_than_fail() {
    let lab = Lab::new();
    lab.nasty_tree();
    lab.sh("rm -r tree/usr tree/z tree/deep tree/A-first-name; tar -C tree --format=pax --xattrs --xattrs-include='*' --sparse -cf all.tar .");
    let whole = fs::read(lab.at("all.tar")).unwrap();
    let mut random = Random::new(7);
    let (mut made, mut refused) = (0, 0);
    for _ in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = [random.byte(), b'9', b'/'][random.below(3)];
            // Most mutations of a header would only break its checksum.
            let header = at / 512 * 512;
            if bytes[header + 257..].starts_with(b"ustar") {
                seal(&mut bytes[header..header + 512]);
            }
        }
        lab.put("mutated.tar", &bytes);
        match lab.try_image(&["mutated.tar"]) {
            Ok(_) => made += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(made > 20 && refused > 20, "{made} made, {refused} refused");
}
