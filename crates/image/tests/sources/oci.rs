//! Images of containers.

use std::fs;
use std::process::Command;

use crate::harness::Lab;

fn sha256(lab: &Lab, path: &str) -> String {
    let output = Command::new("sha256sum")
        .arg(lab.at(path))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

/// Moves a file among the blobs: its descriptor.
fn blob(lab: &Lab, path: &str, kind: &str) -> String {
    let digest = sha256(lab, path);
    let size = fs::metadata(lab.at(path)).unwrap().len();
    lab.sh(&format!(
        "mkdir -p oci/blobs/sha256; mv {path} oci/blobs/sha256/{digest}"
    ));
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"sha256:{digest}","size":{size}}}"#
    )
}

/// An OCI layout in `oci` of these layers: folders, and what compresses each.
fn layout(lab: &Lab, layers: &[(&str, &str)]) {
    let (mut descriptors, mut diffs) = (Vec::new(), Vec::new());
    for (folder, packer) in layers {
        lab.sh(&format!(
            "tar -C {folder} --format=pax --xattrs --xattrs-include='*' -cf layer.tar ."
        ));
        diffs.push(format!(r#""sha256:{}""#, sha256(lab, "layer.tar")));
        lab.sh(&format!("{packer} < layer.tar > layer"));
        descriptors.push(blob(lab, "layer", "layer.v1.tar"));
    }
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diffs.join(",")
    );
    lab.put("config", config);
    let config = blob(lab, "config", "config.v1+json");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{config},"layers":[{}]}}"#,
        descriptors.join(",")
    );
    lab.put("manifest", manifest);
    let manifest = blob(lab, "manifest", "manifest.v1+json");
    lab.put(
        "oci/index.json",
        format!(r#"{{"schemaVersion":2,"manifests":[{manifest}]}}"#),
    );
    lab.put("oci/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
}

/// Three layers, each of which changes those below.
fn three_layers(lab: &Lab) {
    for (path, content) in [
        ("one/etc/a", "of one"),
        ("one/etc/b", "of one"),
        ("one/opt/old", "of one"),
        ("one/srv/x/y", "of one"),
        ("two/etc/a", "of two"),
        ("two/etc/.wh.b", ""),
        ("two/opt/.wh..wh..opq", ""),
        ("two/opt/new", "of two"),
        ("three/.wh.srv", ""),
        ("three/var/late", "of three"),
    ] {
        lab.put(path, content);
    }
    layout(
        lab,
        &[("one", "gzip"), ("two", "zstd -q"), ("three", "cat")],
    );
}

#[test]
fn layers_are_applied_in_order_with_their_whiteouts() {
    let lab = Lab::new();
    three_layers(&lab);
    lab.sh("tar -C oci -cf oci.tar .");
    let folder = lab.image(&["oci"]);
    assert_eq!(folder.description, "image of a container, 3 layers");
    assert_eq!(
        folder.paths(),
        ["etc", "etc/a", "opt", "opt/new", "var", "var/late"]
    );
    assert_eq!(folder.content("etc/a"), "of two");
    lab.image(&["oci.tar"]).assert_same(&folder, "archive");
}

#[test]
fn one_layer_makes_the_image_of_its_tree_and_docker_saves_the_same() {
    let lab = Lab::new();
    lab.nasty_tree();
    layout(&lab, &[("tree", "gzip")]);
    let expected = lab.image(&["tree"]);
    lab.image(&["oci"]).assert_same(&expected, "oci");
    lab.sh("skopeo copy -q --insecure-policy oci:oci docker-archive:docker.tar:test:latest");
    lab.image(&["docker.tar"]).assert_same(&expected, "docker");
}

#[test]
fn a_wrong_digest_names_the_layer() {
    let lab = Lab::new();
    three_layers(&lab);
    lab.sh("skopeo copy -q --insecure-policy oci:oci docker-archive:docker.tar:test:latest; cp -r oci good");
    let blobs = || {
        let blobs = fs::read_dir(lab.at("good/blobs/sha256")).unwrap();
        blobs.map(|blob| blob.unwrap().file_name().into_string().unwrap())
    };
    for digest in blobs() {
        lab.sh("rm -rf oci; cp -r good oci");
        let path = lab.at(format!("oci/blobs/sha256/{digest}"));
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 0x20;
        fs::write(&path, &bytes).unwrap();
        let error = lab.refused(&["oci"]);
        assert!(error.contains(&digest), "{error}");
        bytes.pop();
        fs::write(&path, &bytes).unwrap();
        let error = lab.refused(&["oci"]);
        assert!(error.contains(&digest), "{error}");
        fs::remove_file(&path).unwrap();
        let error = lab.refused(&["oci"]);
        assert!(error.contains(&digest), "{error}");
    }
    let mut docker = fs::read(lab.at("docker.tar")).unwrap();
    let word = b"of two";
    let at = docker
        .windows(word.len())
        .position(|bytes| bytes == word)
        .unwrap();
    docker[at] = b'O';
    lab.put("docker.tar", docker);
    let error = lab.refused(&["docker.tar"]);
    assert!(
        error.contains("layer 2 of 3") && error.contains("digest"),
        "{error}"
    );
}

#[test]
fn images_that_lie_are_refused() {
    let lab = Lab::new();
    for (index, word) in [
        ("{", "not JSON"),
        ("{}", "no image"),
        (r#"{"manifests":[{},{}]}"#, "several images"),
        (
            r#"{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}"#,
            "not a digest",
        ),
        (r#"{"manifests":[{"digest":"md5:00"}]}"#, "not a digest"),
    ] {
        lab.put("oci/index.json", index);
        lab.put("oci/oci-layout", "{}");
        let error = lab.refused(&["oci"]);
        assert!(error.contains(word), "{error}");
    }
    for (manifest, word) in [
        ("[]", "0 images"),
        (
            r#"[{"Config":"../../etc/passwd","Layers":["x"]}]"#,
            "cannot read",
        ),
        (
            r#"[{"Config":"c.json","Layers":["../x"]}]"#,
            "layer 1 of 1 has no digest",
        ),
    ] {
        lab.put("docker/manifest.json", manifest);
        lab.put("docker/c.json", "{}");
        let error = lab.refused(&["docker"]);
        assert!(error.contains(word), "{error}");
    }
}
