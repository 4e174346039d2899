//! `kill -9` at random moments, while a room of machines asks for addresses: nobody loses what was
//! acknowledged, and nobody is given what is somebody else's.
//!
//! A lease that was acknowledged too early is missing only if the kill comes in the fraction of a
//! millisecond before it is written, and only until its machine asks again. So each kill comes while
//! machines get their first address, and nobody asks from then on until the book has been looked at.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use integration::room::{Chance, Room, network, nothing_is_forgotten};
use integration::{Server, Setup, in_lab};

/// How long machines may wait for what they are to get.
const PATIENCE: Duration = Duration::from_secs(60);

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
            let some = room.told() + (chance.roll() % u64::from(newcomers)) as usize;
            room.admit(newcomers);
            let start = Instant::now();
            while room.told() <= some {
                room.must_run()?;
                ensure!(start.elapsed() < PATIENCE, "newcomers get no address");
                std::thread::sleep(Duration::from_micros(50));
            }
            std::thread::sleep(Duration::from_micros(chance.roll() % 1000));
            room.be_silent(true);
            server = server.kill_and_start_again(lab, &setup)?;
            room.must_run()?;
            nothing_is_forgotten(lab, &room)?;
            room.be_silent(false);
        }
        room.ask_all_again(PATIENCE)?;
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
