//! `kill -9` at random moments, while a room of machines asks for addresses: nobody loses what was
//! acknowledged, and nobody is given what is somebody else's.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use integration::room::{Room, mac};
use integration::subject::netbootd::asked;
use integration::{Lab, Server, Setup, in_lab};

/// New machines between two kills.
const PER_KILL: u32 = 64;
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);

#[test]
fn fifty_kills_under_load_lose_no_lease_and_give_none_twice() {
    survives(50);
}

/// `cargo xtask test --full`
#[test]
fn matrix_a_thousand_kills_under_load_lose_no_lease_and_give_none_twice() {
    survives(1000);
}

fn survives(kills: u32) {
    in_lab(|lab| {
        // Hundreds of megabytes of the same few messages; the ledger is what counts.
        lab.close_capture();
        // A tenth more addresses than machines, so that a forgotten one is soon somebody else's.
        let machines = kills * PER_KILL;
        let last = Ipv4Addr::from(u32::from(RELAY) + 9 + machines + machines / 10);
        let config = format!(
            "[subnets.\"10.64.0.0/10\"]\npool = [\"10.64.0.10-{last}\"]\nrouter = \"{RELAY}\"\n"
        );
        let setup = Setup {
            config: &config,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let client = lab.client()?;
        client.set_address(RELAY)?;
        lab.server()
            .ip(&format!("route add {RELAY} dev {}", Lab::BRIDGE))?;
        client.route(&format!("{}/32", Lab::SERVER))?;

        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut random = now.as_nanos() as u64 | 1;
        eprintln!("seed {random}");
        let room = Room::open(&client, RELAY, random)?;
        for _ in 0..kills {
            room.admit(PER_KILL);
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_millis(10 + random % 150));
            server = server.kill_and_start_again(lab, &setup)?;
            room.must_run()?;
            nothing_is_forgotten(lab, &room)?;
        }
        room.ask_all_again(Duration::from_secs(60))?;
        room.must_run()?;
        nothing_is_forgotten(lab, &room)?;
        let ledger = room.ledger();
        eprintln!(
            "{kills} kills, {} machines with an address, {} acknowledgements",
            ledger.told.len(),
            ledger.acknowledged
        );
        ensure!(
            ledger.told.len() as u32 > machines / 2,
            "only {} of {machines} machines were served",
            ledger.told.len()
        );
        server.must_run()
    });
}

/// What the server's own book says, against what the machines were told.
fn nothing_is_forgotten(lab: &Lab, room: &Room) -> Result<()> {
    let told = room.ledger().told;
    let book = asked(lab, &["leases", "--json"])?;
    let mut holders = HashMap::new();
    for lease in book.split('{').skip(1) {
        let value = |name: &str| {
            let rest = lease.split_once(&format!("\"{name}\":\""))?.1;
            Some(rest.split_once('"')?.0)
        };
        let (address, client) = value("address").zip(value("client")).context("a lease")?;
        holders.insert(address, client);
    }
    for (machine, address) in told {
        let holder = holders.get(address.to_string().as_str());
        ensure!(
            holder == Some(&mac(machine).as_str()),
            "{address} was acknowledged to {}, and the book says {holder:?}",
            mac(machine)
        );
    }
    Ok(())
}
