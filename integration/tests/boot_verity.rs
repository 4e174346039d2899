//! A changed byte of a root never reaches a program: it is a read error on the client and a line in its timeline.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::subject::netbootd::{asked, built_image, configure, refused, state_dir};
use integration::{
    Card, Firmware, Lab, Machine, RootKind, Server, Setup, in_lab, roots, succeed, until,
};

const LIMIT: Duration = Duration::from_secs(300);
/// What a hash is of.
const BLOCK: u64 = 4096;

/// A server whose root may be damaged: its files are no links to those of other labs. And the root's file.
fn server(lab: &Lab, root: RootKind, words: &str) -> Result<(Server, PathBuf)> {
    let small = roots::small()?;
    let setup = Setup {
        root,
        image: Some(&small),
        kernel_arguments: words,
        ..Setup::default()
    };
    configure(lab, &setup)?;
    let images = state_dir(lab).join("images");
    let mut copy = Command::new("cp");
    succeed(copy.arg("-a").arg(built_image(&small)?).arg(&images))?;
    let server = Server::netbootd(lab, &setup)?;
    let inspected = asked(lab, &["image", "inspect", "small"])?;
    ensure!(inspected.contains("root hash "), "{inspected}");
    let current = fs::canonicalize(images.join("small/current"))?;
    Ok((server, current.join("root.squashfs")))
}

/// How many blocks of data the root has.
fn blocks(lab: &Lab) -> Result<u64> {
    let inspected = asked(lab, &["image", "inspect", "small"])?;
    let before = inspected.split(" blocks, root hash").next();
    let blocks = before.and_then(|text| text.split_whitespace().last());
    Ok(blocks.context("no number of blocks")?.parse()?)
}

/// Changes a byte behind the daemon's back; once more puts it right.
fn flip(root: &Path, at: u64) -> Result<()> {
    let file = File::options().read(true).write(true).open(root)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 1], at)?;
    Ok(())
}

/// The line of the machine's timeline about its damaged root.
fn alarm(lab: &Lab, mac: &str) -> Result<String> {
    until(Duration::from_secs(20), "the server to be told", || {
        let why = asked(lab, &["why", mac])?;
        let mut lines = why.lines();
        let line = lines.find(|line| line.contains("verity") && line.contains("ALARM"));
        Ok(line.map(str::to_owned))
    })
}

fn passes(machine: &mut Machine, server: &mut Server) -> Result<()> {
    let verdict = machine.until_says(&["VERDICT PASS", "VERDICT FAIL"], LIMIT)?;
    server.must_run()?;
    ensure!(verdict == "VERDICT PASS", "the client says {verdict}");
    let said = machine.console.text();
    ensure!(said.contains("lab: the blocks of the root are checked"));
    Ok(())
}

#[test]
fn a_changed_byte_is_a_read_error_and_a_line_in_the_timeline() {
    in_lab(|lab| {
        let (mut server, root) = server(lab, RootKind::Image, "quiet lab.damaged=1")?;
        // In the midst of files: kernel modules, which nobody needs.
        let at = fs::metadata(&root)?.len() / 2;
        flip(&root, at)?;
        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        let mac = machine.mac().to_owned();
        machine.until_says(&["damage is a read error", "VERDICT FAIL"], LIMIT)?;
        let line = alarm(lab, &mac)?;
        for said in [
            format!("block {} of the root of small@", at / BLOCK),
            "it is damaged on this server's disk: see `netbootd image verify small@".into(),
        ] {
            ensure!(line.contains(&said), "{said:?} is not in {line:?}");
        }
        let status = asked(lab, &["status"])?;
        ensure!(status.contains("ALARM: block "), "{status}");
        let verified = refused(lab, &["image", "verify", "small"])?;
        ensure!(verified.contains("1 damaged"), "{verified}");

        flip(&root, at)?;
        passes(&mut machine, &mut server)
    });
}

#[test]
fn a_byte_that_the_wire_changes_is_a_read_error_until_it_does_no_more() {
    in_lab(|lab| {
        let (mut server, root) = server(lab, RootKind::Image, "quiet lab.damaged=1")?;
        let at = fs::metadata(&root)?.len() / 2 / BLOCK * BLOCK;
        let mut block = [0; BLOCK as usize];
        File::open(&root)?.read_exact_at(&mut block, at)?;
        let changes = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&changes);
        let plug = lab.tap()?;
        let mut machine = Machine::on_wire(lab, 1024, plug, move |frame| {
            if still.load(Relaxed) {
                exchange(frame, &block);
            }
        })?;
        let mac = machine.mac().to_owned();
        machine.until_says(&["damage is a read error", "VERDICT FAIL"], LIMIT)?;
        let line = alarm(lab, &mac)?;
        for said in [
            format!("block {} of the root of small@", at / BLOCK),
            "it is right on this server, so the network or the machine's memory changed it".into(),
        ] {
            ensure!(line.contains(&said), "{said:?} is not in {line:?}");
        }
        asked(lab, &["image", "verify", "small"])?;

        changes.store(false, Relaxed);
        passes(&mut machine, &mut server)
    });
}

/// Damage as TCP's checksum lets it through: two neighbouring pairs of bytes of the block change places.
fn exchange(frame: &mut [u8], block: &[u8]) {
    let places = block
        .chunks_exact(16)
        .filter(|place| place[..2] != place[2..4]);
    // One in each kilobyte: a frame may begin and end anywhere in the block.
    for place in places.step_by(64) {
        if let Some(at) = frame
            .windows(place.len())
            .position(|window| window == place)
        {
            frame[at..at + 4].rotate_left(2);
            return;
        }
    }
}

#[test]
fn a_root_whose_beginning_is_damaged_is_not_mounted_and_the_person_is_told() {
    in_lab(|lab| {
        let (mut server, root) = server(lab, RootKind::Image, "quiet")?;
        let said = "does not match its hash: on the server, `netbootd image verify small@";
        // The top of the hash tree, behind its superblock.
        let top = (blocks(lab)? + 1) * BLOCK;
        flip(&root, top)?;
        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        machine.until_says(&[said], LIMIT)?;
        drop(machine);
        flip(&root, top)?;

        // And the superblock of the file system.
        flip(&root, 8)?;
        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        machine.until_says(&[said], LIMIT)?;
        let mac = machine.mac().to_owned();
        until(Duration::from_secs(20), "the server to be told", || {
            Ok(asked(lab, &["why", &mac])?.contains(said).then_some(()))
        })?;
        flip(&root, 8)?;
        passes(&mut machine, &mut server)
    });
}

#[test]
fn a_root_in_memory_is_checked_as_it_is_read() {
    in_lab(|lab| {
        let (mut server, _) = server(lab, RootKind::Ram, "quiet")?;
        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        passes(&mut machine, &mut server)
    });
}
