//! Whatever the small root comes in, its image boots and judges itself.

use anyhow::{Context, Result, ensure};
use integration::boot::passes;
use integration::subject::netbootd::configure;
use integration::{Firmware, Lab, Server, Setup, in_lab, place, roots, succeed};

use crate::Serving;

/// Builds an image with a script, serves it, and boots it to its verdict. The script runs in the lab's folder; `$root`
/// is the small root, `$version` its kernel's, and `image` builds from the sources that it is given. What it printed,
/// and who serves.
fn boots<'a>(lab: &'a Lab, script: &str) -> Result<(String, Serving<'a>)> {
    let small = roots::small()?;
    let setup = Setup {
        image: Some(&small),
        kernel_arguments: "quiet",
        config: "[images.small]\nkeep = 1\n",
        ..Setup::default()
    };
    let config = configure(lab, &setup)?;
    let script = format!(
        "set -e; cd \"$1\"; root=$2; version=$3; netbootd=$4; config=$5
        image() {{ \"$netbootd\" image build --name small --config \"$config\" \"$@\"; }}
        {script}"
    );
    let mut build = lab.command("sh")?;
    build.args(["-c", &script, "sh"]).arg(lab.folder());
    build.arg(&small.folder).arg(small.kernel_version()?);
    build.arg(place::built("netbootd")?).arg(&config);
    let said = succeed(&mut build)?.text;
    ensure!(said.contains("published"), "{said}");
    let server = Server::netbootd(lab, &setup)?;
    let mut serving = Serving { lab, server };
    passes(lab, &mut serving.server, Firmware::Bios)?;
    Ok((said, serving))
}

#[test]
fn an_image_from_a_pipe_boots_and_is_kept_while_it_runs() {
    in_lab(|lab| {
        let pipe = "tar -C $root --numeric-owner --xattrs -cf - . | image -";
        let (said, serving) = boots(lab, pipe)?;
        let booted = said.split_whitespace().next().context("nothing said")?;
        for words in ["second", "third", "fourth"] {
            let (said, _) = serving.build(words)?;
            ensure!(!said.contains(booted), "a client ran {booted}: {said}");
        }
        let refused = serving.tried(&["remove", booted])?;
        ensure!(
            refused.errors.contains("a client runs it"),
            "{}",
            refused.everything()
        );
        Ok(())
    });
}

/// As an installer leaves it: a partition for the loader, and the root as ext4. (mkfs takes a minute for the odd
/// folder of the small root alone, which no boot looks at.)
const DISK: &str = "
    truncate -s 600M disk.raw
    printf '%s\\n' 'label: gpt' 'start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649' \\
        'start=4096, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709' | sfdisk -q disk.raw
    mkdir system; tar -C $root --exclude=./opt/odd -cf - . | tar -C system -xf -
    mkfs.ext4 -q -F -d system -E offset=2097152 disk.raw 590M
    image disk.raw";

#[test]
fn the_disk_of_a_virtual_machine_boots() {
    in_lab(|lab| boots(lab, DISK).map(drop));
}

/// Two layers, the upper of which mends what the lower has wrong; by hand as an OCI layout, and by skopeo as docker
/// saves it. Both are the same generation.
const CONTAINER: &str = "
    mkdir -p oci/blobs/sha256 wrong right
    checked=$(head -n 1 $root/etc/lab-manifest | cut -d / -f 2-)
    for folder in wrong right; do mkdir -p $folder/$(dirname $checked); done
    echo wrong > wrong/$checked; cp -a $root/$checked right/$checked
    tar -C $root --numeric-owner --xattrs --exclude=./$checked -cf lower .
    tar -C wrong --numeric-owner -rf lower ./$checked; tar -C right --numeric-owner -cf upper ./$checked
    put() {
        sum=$(sha256sum $1 | cut -c 1-64); size=$(stat -c %s $1); mv $1 oci/blobs/sha256/$sum
        put=\"{\\\"mediaType\\\":\\\"application/vnd.oci.image.$2\\\",\\\"digest\\\":\\\"sha256:$sum\\\",\\\"size\\\":$size}\"
    }
    put lower layer.v1.tar; lower=$put; ids=\\\"sha256:$sum\\\"
    put upper layer.v1.tar; upper=$put; ids=$ids,\\\"sha256:$sum\\\"
    echo '{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":['$ids']}}' > it
    put it config.v1+json; settings=$put
    echo '{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":'\"$settings\"',
        \"layers\":['\"$lower,$upper\"']}' > it
    put it manifest.v1+json
    echo '{\"schemaVersion\":2,\"manifests\":['\"$put\"']}' > oci/index.json
    echo '{\"imageLayoutVersion\":\"1.0.0\"}' > oci/oci-layout
    skopeo copy -q --insecure-policy oci:oci docker-archive:saved.tar:small:latest
    image saved.tar
    image oci | grep 'the source has not changed'";

#[test]
fn the_image_of_a_container_boots() {
    in_lab(|lab| boots(lab, CONTAINER).map(drop));
}

/// As live-build makes it: the kernel lies beside the system, which has none.
const LIVE: &str = "
    mkdir -p medium/live
    mksquashfs $root medium/live/filesystem.squashfs -quiet -no-progress -comp zstd -Xcompression-level 3 \\
        -e boot/vmlinuz-$version
    cp $root/boot/vmlinuz-$version medium/live/vmlinuz; echo none > medium/live/initrd.img
    xorrisofs -quiet -J -R -V LIVE -o live.iso medium
    image live.iso";

#[test]
fn a_live_medium_boots() {
    in_lab(|lab| boots(lab, LIVE).map(drop));
}
