//! NFS, asked by showmount, rpcinfo and libnfs. (The kernel's client is in the boots.)

use std::fs;

use anyhow::{Result, ensure};
use integration::clients::nfs;
use integration::roots::Root;
use integration::{Client, Lab, Server, in_lab_with_small};

fn serving(test: impl FnOnce(&Lab, &Client, &Root) -> Result<()>) {
    in_lab_with_small(Server::start, |lab, _, client, small| {
        test(lab, client, small)
    });
}

#[test]
fn showmount_lists_the_image_and_its_tree() {
    serving(|_, client, _| {
        let exports = nfs::exports(client)?;
        for path in ["/images/small", "/roots/small"] {
            ensure!(
                exports.iter().any(|export| export == path),
                "{path} is not in {exports:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn rpcinfo_finds_nfs_and_mount_over_tcp() {
    serving(|_, client, _| {
        let programs = nfs::programs(client)?;
        for (program, version) in [(100_000, 2), (100_003, 3), (100_005, 3)] {
            ensure!(
                programs
                    .iter()
                    .any(|(p, v, protocol, _)| (*p, *v) == (program, version) && protocol == "tcp"),
                "program {program} version {version} is not in {programs:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn the_tree_has_the_files_of_the_root() {
    serving(|_, client, root| {
        let names = nfs::ls(client, "/roots/small")?;
        for name in ["bin", "etc", "lib", "sbin", "usr"] {
            ensure!(
                names.iter().any(|each| each == name),
                "{name} is not in {names:?}"
            );
        }
        let manifest = nfs::cat(client, "/roots/small/etc/lab-manifest")?;
        ensure!(
            manifest == fs::read(root.folder.join("etc/lab-manifest"))?,
            "other bytes"
        );
        let busybox = nfs::cat(client, "/roots/small/bin/busybox")?;
        ensure!(
            busybox == fs::read(root.folder.join("bin/busybox"))?,
            "other bytes"
        );
        Ok(())
    });
}

#[test]
fn the_image_file_is_a_squashfs_with_the_root_in_it() {
    serving(|lab, client, root| {
        let image = lab.folder().join("root.squashfs");
        fs::write(&image, nfs::cat(client, "/images/small/root.squashfs")?)?;
        let mut unsquashfs = lab.command("unsquashfs")?;
        unsquashfs.arg("-cat").arg(&image).arg("etc/lab-manifest");
        let manifest = integration::succeed(&mut unsquashfs)?.stdout;
        ensure!(
            manifest == fs::read(root.folder.join("etc/lab-manifest"))?,
            "other bytes"
        );
        Ok(())
    });
}

#[test]
fn writing_is_refused_as_on_a_read_only_file_system() {
    serving(|_, client, _| {
        for path in [
            "/roots/small/etc/new",
            "/roots/small/new",
            "/images/small/new",
        ] {
            let tried = nfs::try_write(client, path)?;
            ensure!(tried.code != Some(0), "{path} was written");
            ensure!(
                tried.everything().contains("ROFS"),
                "{path}: {}",
                tried.everything()
            );
        }
        Ok(())
    });
}

#[test]
fn nothing_outside_the_exports_can_be_read() {
    serving(|_, client, _| {
        for path in [
            "/etc/passwd",
            "/roots/small/../../../../etc/passwd",
            "/roots/smal/etc/lab-manifest",
            "/roots/smallx/etc/lab-manifest",
            "/images/../etc/passwd",
        ] {
            let tried = nfs::try_cat(client, path)?;
            ensure!(
                tried.code != Some(0) && tried.stdout.is_empty(),
                "{path} was read"
            );
        }
        Ok(())
    });
}
