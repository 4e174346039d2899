//! `kill -9` at random moments, while a room of machines asks for addresses: nobody loses what was
//! acknowledged, and nobody is given what is somebody else's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use integration::room::{Chance, Room, network, nothing_is_forgotten};
use integration::{Server, Setup, in_lab};

#[test]
fn fifty_kills_under_load_lose_no_lease_and_give_none_twice() {
    survives(50, 64);
}

/// `cargo xtask test --full`
#[test]
fn matrix_a_thousand_kills_under_load_lose_no_lease_and_give_none_twice() {
    survives(1000, 16);
}

fn survives(kills: u32, newcomers: u32) {
    in_lab(|lab| {
        // Hundreds of megabytes of the same few messages; the ledger is what counts.
        lab.close_capture();
        // A tenth more addresses than machines, so that a forgotten one is soon somebody else's.
        let machines = kills * newcomers;
        let network = network(machines + machines / 10);
        let setup = Setup {
            config: &network,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let seed = now.as_nanos() as u64;
        eprintln!("seed {seed}");
        let mut chance = Chance::new(seed);
        let room = Room::open(lab, seed)?;
        for _ in 0..kills {
            room.admit(newcomers);
            std::thread::sleep(Duration::from_millis(10 + chance.roll() % 150));
            server = server.kill_and_start_again(lab, &setup)?;
            room.must_run()?;
            nothing_is_forgotten(lab, &room)?;
        }
        room.ask_all_again(Duration::from_secs(60))?;
        room.must_run()?;
        nothing_is_forgotten(lab, &room)?;
        let ledger = room.ledger();
        let told = ledger.told.len();
        let acknowledged = ledger.acknowledged;
        eprintln!(
            "{kills} kills, {told} machines with an address, {acknowledged} acknowledgements"
        );
        ensure!(
            told as u32 > machines / 2,
            "only {told} of {machines} machines were served"
        );
        server.must_run()
    });
}
