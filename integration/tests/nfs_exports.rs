//! Folders for clients to mount, and who may have what: libnfs, showmount, rpcinfo and nmap, from two
//! addresses. (The kernel's client is in `boot_nfs`.)

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context, Result, ensure};
use integration::clients::{http, nfs, rpc};
use integration::{Client, Lab, Server, Setup, in_lab, ran, roots, succeed};

/// A folder `data` and the image for 192.168.67.0/29; a client inside of it and one outside.
fn two_clients(test: impl FnOnce(&Lab, &Client, &Client) -> Result<()>) {
    in_lab(|lab| {
        let data = lab.folder().join("data");
        fs::create_dir_all(data.join("sub"))?;
        fs::write(data.join("note"), "a note\n")?;
        fs::write(data.join("sub/note"), "another\n")?;
        fs::write(lab.folder().join("secret"), "secret\n")?;
        symlink("../secret", data.join("to-secret"))?;
        symlink(lab.folder(), data.join("out"))?;
        let small = roots::small()?;
        let config = format!(
            "[exports.data]\nfolder = {data:?}\nnetworks = [\"192.168.67.0/29\"]\n\
             [images.small]\nnetworks = [\"192.168.67.0/29\"]\n"
        );
        let setup = Setup {
            image: Some(&small),
            config: &config,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let (inside, outside) = (lab.client()?, lab.client()?);
        inside.set_address("192.168.67.7".parse()?)?;
        outside.set_address("192.168.67.8".parse()?)?;
        test(lab, &inside, &outside)?;
        server.must_run()
    });
}

#[test]
fn a_folder_is_read_and_nothing_outside_of_it() {
    two_clients(|_, inside, _| {
        let names = nfs::ls(inside, "/exports/data")?;
        ensure!(names.iter().any(|name| name == "note"), "{names:?}");
        for (path, text) in [("note", "a note\n"), ("sub/note", "another\n")] {
            let read = nfs::cat(inside, &format!("/exports/data/{path}"))?;
            ensure!(read == text.as_bytes(), "other bytes in {path}");
        }
        for path in ["../secret", "to-secret", "out/secret", "../../etc/passwd"] {
            let tried = nfs::try_cat(inside, &format!("/exports/data/{path}"))?;
            let kept = tried.code != Some(0) && tried.stdout.is_empty();
            ensure!(kept, "{path} was read: {}", tried.text);
        }
        let tried = nfs::try_write(inside, "/exports/data/new")?;
        ensure!(
            tried.everything().contains("ROFS"),
            "{}",
            tried.everything()
        );
        Ok(())
    });
}

#[test]
fn who_is_outside_an_exports_networks_gets_nothing_of_it() {
    two_clients(|lab, inside, outside| {
        let all = ["/", "/exports/data", "/images/small", "/roots/small"];
        ensure!(nfs::exports(inside)? == all, "{:?}", nfs::exports(inside)?);
        ensure!(
            nfs::exports(outside)? == ["/"],
            "{:?}",
            nfs::exports(outside)?
        );
        for path in ["/exports/data/note", "/roots/small/etc/lab-note"] {
            ensure!(!nfs::cat(inside, path)?.is_empty(), "{path} is empty");
            let tried = nfs::try_cat(outside, path)?;
            ensure!(tried.code != Some(0), "{path} was read from outside");
        }
        let image = lab.folder().join("state/images/small");
        let generation = fs::read_dir(image)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .find(|name| name.len() == 32);
        let path = format!(
            "/images/small/{}/root.squashfs",
            generation.unwrap_or_default()
        );
        for (client, status) in [(inside, 206), (outside, 403)] {
            let answer = http::curl(lab, client, &path, &["--range", "0-99"])?;
            ensure!(
                answer.status == status,
                "{} instead of {status}",
                answer.status
            );
        }
        Ok(())
    });
}

#[test]
fn a_handle_serves_only_who_may_use_it_whoever_got_it() {
    two_clients(|lab, inside, outside| {
        for (export, names, content) in [
            ("/exports/data", &["sub", "note"][..], &b"another\n"[..]),
            ("/roots/small", &["etc", "lab-note"], b""),
            ("/images/small", &["root.squashfs"], b"hsqs"),
        ] {
            // The one outside is never given a handle, and mounts nothing.
            let refused = rpc::mount(lab, outside, export)?;
            ensure!(refused == (13, Vec::new()), "{export}: {refused:?}");
            let mut file = rpc::handle(&rpc::mount(lab, inside, export)?)?;
            for name in names {
                let refused = rpc::lookup(lab, outside, &file, name)?.0;
                ensure!(refused == 13, "{export}: {name} is looked up: {refused}");
                file = rpc::handle(&rpc::lookup(lab, inside, &file, name)?)?;
            }
            ensure!(file.len() <= 32, "a handle of {} bytes", file.len());
            // It uses the other's, before and after the other does.
            for _ in 0..2 {
                let (status, results) = rpc::read(lab, outside, &file, 64)?;
                ensure!(status == 13, "{export} was read from outside: {status}");
                ensure!(results == [0; 4], "{export}: {results:?}");
                let refused = rpc::attributes(lab, outside, &file)?.0;
                ensure!(refused == 13, "{export}: attributes from outside");
                let (status, results) = rpc::read(lab, inside, &file, 64)?;
                ensure!(status == 0, "{export}: {status} inside");
                let bytes = results.get(100..).context("no bytes")?;
                ensure!(bytes.starts_with(content), "{export}: other bytes");
                ensure!(!bytes.is_empty(), "{export}: no bytes");
            }
        }
        Ok(())
    });
}

#[test]
fn rpcinfo_and_nmap_get_what_they_ask_for() {
    two_clients(|_, inside, _| {
        let server = Lab::SERVER.to_string();
        for words in [
            &["-t", &server, "nfs", "3"][..],
            &["-t", &server, "mountd", "3"],
            &["-t", &server, "mountd", "1"],
            &["-t", &server, "portmapper", "4"],
            &["-u", &server, "portmapper", "2"],
            &["-n", "627", "-t", &server, "mountd", "3"],
            &["-s", &server],
        ] {
            succeed(inside.command("rpcinfo")?.args(words))?;
        }
        for (program, version) in [("nfs", "4"), ("nlockmgr", "4")] {
            let asked = ran(inside
                .command("rpcinfo")?
                .args(["-t", &server, program, version]))?;
            ensure!(
                asked.code != Some(0),
                "{program} {version} is said to be there"
            );
        }
        let said = succeed(inside.command("showmount")?.args(["-a", &server]))?;
        ensure!(
            said.text.lines().count() == 1,
            "no list of mounts is kept: {}",
            said.text
        );
        let scripts = "rpcinfo,nfs-showmount,nfs-ls,nfs-statfs";
        let mut nmap = inside.command("nmap")?;
        nmap.args([
            "-n",
            "-Pn",
            "-sT",
            "-p111,2049",
            "--script",
            scripts,
            &server,
        ]);
        let said = succeed(&mut nmap)?.text;
        for wanted in [
            "nfs-showmount",
            "/exports/data",
            "nfs-ls",
            "note",
            "nfs-statfs",
            "mountd",
        ] {
            ensure!(said.contains(wanted), "nmap does not see {wanted}:\n{said}");
        }
        Ok(())
    });
}
