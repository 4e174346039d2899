//! What a bad disk costs: a disk that is full, and a store that is damaged.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::room::{Room, network, nothing_is_forgotten};
use integration::subject::netbootd::{asked, state_dir};
use integration::{Lab, Server, Setup, in_lab, ran, succeed, until};

const SOON: Duration = Duration::from_secs(20);

fn all_have_an_address(room: &Room, count: usize) -> Result<()> {
    until(SOON, "all machines to get an address", || {
        room.must_run()?;
        Ok((room.ledger().told.len() >= count).then_some(()))
    })
}

fn alarm(lab: &Lab) -> Result<bool> {
    Ok(asked(lab, &["status"])?.starts_with("ALARM: cannot write to"))
}

#[test]
fn a_full_disk_stops_new_leases_and_keeps_those_that_are() {
    in_lab(|lab| {
        lab.close_capture();
        fs::create_dir_all(state_dir(lab))?;
        let mut mount = lab.command("mount")?;
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]);
        succeed(mount.arg(state_dir(lab)))?;
        let network = network(40_000);
        let setup = Setup {
            config: &network,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let room = Room::open(lab, 1)?;
        room.admit(100);
        all_have_an_address(&room, 100)?;

        let filler = state_dir(lab).join("filler");
        let fill = format!("dd if=/dev/zero bs=4096 of={}", filler.display());
        let filled = ran(lab.command("sh")?.args(["-c", &fill]))?;
        ensure!(filled.errors.contains("No space left"), "{}", filled.errors);
        // What the store's file has of room is used first.
        room.admit(30_000);
        until(SOON, "the alarm", || {
            room.must_run()?;
            Ok(alarm(lab)?.then_some(()))
        })?;
        let before = room.ledger().acknowledged;
        std::thread::sleep(Duration::from_secs(2));
        room.must_run()?;
        let after = room.ledger();
        ensure!(after.told.len() < 30_000, "the disk was not full");
        let renewed = after.acknowledged - before;
        ensure!(renewed > 20, "{renewed} acknowledgements on a full disk");
        nothing_is_forgotten(lab, &room)?;

        // What was acknowledged is there after a power cut too, and a full disk is no reason not to start.
        server = server.kill_and_start_again(lab, &setup)?;
        room.must_run()?;
        nothing_is_forgotten(lab, &room)?;

        succeed(lab.command("rm")?.arg(&filler))?;
        until(
            SOON,
            "the alarm to end",
            || Ok((!alarm(lab)?).then_some(())),
        )?;
        all_have_an_address(&room, after.told.len() + 500)?;
        room.must_run()?;
        nothing_is_forgotten(lab, &room)?;
        server.must_run()
    });
}

#[test]
fn a_damaged_store_is_kept_aside_and_does_not_stop_the_start() {
    in_lab(|lab| {
        lab.close_capture();
        let network = network(1000);
        let setup = Setup {
            config: &network,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let room = Room::open(lab, 1)?;
        room.admit(300);
        all_have_an_address(&room, 300)?;
        server.main().stop(SOON)?;
        let path = state_dir(lab).join("leases.log");
        let mut bytes = fs::read(&path)?;
        // Its beginning: it is not a file of leases any more.
        bytes[..16].fill(0x5a);
        fs::write(&path, bytes)?;
        let mut server = Server::netbootd(lab, &setup)?;
        ensure!(state_dir(lab).join("leases.log.damaged").exists());
        let log = server.main().printed();
        ensure!(log.contains("300 leases were read out of it"), "{log}");
        nothing_is_forgotten(lab, &room)?;
        room.ask_all_again(SOON)?;
        server.must_run()
    });
}
