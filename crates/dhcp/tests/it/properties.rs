//! What holds for every packet and every order of events.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::{Answer, ClientKey, LeaseChange, Now, Pending, Received};
use proptest::prelude::*;

use crate::lab::*;

/// Damages done to a good packet.
#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    Cut(usize),
    Append(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (0usize..420, any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => (0usize..420).prop_map(Damage::Cut),
        1 => prop::collection::vec(any::<u8>(), 0..600).prop_map(Damage::Append),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: Damage) {
    match damage {
        Damage::Set(at, byte) => {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        Damage::Cut(len) => bytes.truncate(len),
        Damage::Append(more) => bytes.extend(more),
    }
}

proptest! {
    /// Whatever comes in: no panic, and what goes out is a whole packet (`Seen::decode` is strict).
    #[test]
    fn noise_is_answered_well_or_not_at_all(
        client in 0usize..5,
        kind in 0u8..10,
        damages in prop::collection::vec(damage(), 0..12),
        source in any::<u32>(),
        source_port in any::<u16>(),
    ) {
        let client = [bios_rom(1), ovmf(1), http_boot(1), ipxe(1), linux(1, 1)][client].clone();
        let mut bytes = client.kind(kind).requested(ip(30)).named("pc").bytes();
        damages.into_iter().for_each(|damage| apply(&mut bytes, damage));
        let source = SocketAddrV4::new(source.into(), source_port);
        for (mut lab, port) in [(Lab::full(20, 40), 67), (Lab::proxy(), 67), (Lab::proxy(), 4011)] {
            let _ = lab.send_from(source, port, &bytes);
        }
        let _ = dhcp::probe::ServerReply::decode(&bytes);
    }

    #[test]
    fn random_options_behind_a_good_header_do_no_harm(
        options in prop::collection::vec(
            (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..30),
        kind in 1u8..9,
    ) {
        let packet = Packet::new(mac(1)).kind(kind).holding(ip(30));
        let packet = options.iter().fold(packet, |packet, (code, bytes)| packet.option(*code, bytes));
        let _ = Lab::full(20, 40).send(&packet);
        let _ = Lab::proxy().send(&packet);
    }
}

/// Something that happens in a lab with few addresses.
#[derive(Clone, Debug)]
enum Step {
    Discover(Client),
    /// Takes up what the client was offered last.
    Select(Client),
    InitReboot(Client, u8),
    Renew(Client, u8),
    Release(Client, u8),
    Decline(Client, u8),
    /// The oldest waiting decision is stored, or fails to be.
    Resolve(bool),
    Wait(u32),
    /// The process dies and starts again; what waited was written before, or was not. Nobody heard.
    Restart(bool),
    Reload,
}

/// One of three machines: as firmware, or with one of two identifiers (equal ones on all machines).
type Client = (u32, u8);

fn step() -> impl Strategy<Value = Step> {
    let client = || (1u32..4, 0u8..3);
    let last = 20u8..24;
    prop_oneof![
        4 => client().prop_map(Step::Discover),
        6 => client().prop_map(Step::Select),
        2 => (client(), last.clone()).prop_map(|(client, last)| Step::InitReboot(client, last)),
        3 => (client(), last.clone()).prop_map(|(client, last)| Step::Renew(client, last)),
        1 => (client(), last.clone()).prop_map(|(client, last)| Step::Release(client, last)),
        1 => (client(), last).prop_map(|(client, last)| Step::Decline(client, last)),
        8 => any::<bool>().prop_map(Step::Resolve),
        2 => (1u32..60_000).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Restart),
        1 => Just(Step::Reload),
    ]
}

fn packet((number, identifier): Client) -> Packet {
    match identifier {
        0 => bios_rom(number),
        duid => linux(number, duid),
    }
}

/// A decision that waits for the disk.
struct Waiting {
    client: Client,
    /// When the client asked, from which it counts its lease.
    asked: u64,
    /// Whether the program that asked still runs.
    is_heard: bool,
    pending: Pending,
}

impl Waiting {
    fn address(&self) -> Option<Ipv4Addr> {
        self.pending.changes().last().map(LeaseChange::address)
    }
}

/// What the clients believe: who was acknowledged which address until when.
struct World {
    lab: Lab,
    waiting: Vec<Waiting>,
    offered: BTreeMap<Client, Ipv4Addr>,
    held: BTreeMap<Ipv4Addr, (ClientKey, u64)>,
}

impl World {
    fn new() -> Self {
        Self {
            lab: Lab::with_reservations(20, 23, vec![reservation(3, Some(ip(23)), None)]),
            waiting: Vec::new(),
            offered: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    fn key((number, identifier): Client) -> ClientKey {
        let id = [255, 0, 0, 0, 1, 0, 2, identifier, identifier];
        ClientKey::new(mac(number), Some(&id), identifier == 0)
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Discover(client) => self.send(client, packet(client).kind(1)),
            Step::Select(client) => {
                let address = self.offered.get(&client).copied().unwrap_or(ip(20));
                self.send(
                    client,
                    packet(client).kind(3).server(SERVER).requested(address),
                )
            }
            Step::InitReboot(client, last) => {
                self.send(client, packet(client).kind(3).requested(ip(last)))
            }
            Step::Renew(client, last) => {
                self.send(client, packet(client).kind(3).holding(ip(last)))
            }
            Step::Release(client, last) => {
                self.send(client, packet(client).kind(7).holding(ip(last)))
            }
            Step::Decline(client, last) => self.send(
                client,
                packet(client).kind(4).server(SERVER).requested(ip(last)),
            ),
            Step::Resolve(is_stored) => self.resolve(is_stored),
            Step::Wait(seconds) => {
                self.lab.now += u64::from(seconds);
                Ok(())
            }
            Step::Restart(was_written) => {
                for waiting in self.waiting.drain(..).filter(|_| was_written) {
                    write(&mut self.lab.disk, waiting.pending.changes());
                }
                self.lab.restart();
                Ok(())
            }
            Step::Reload => {
                self.lab.server.reconfigure(&self.lab.config);
                Ok(())
            }
        }
    }

    /// What a message of a client says about what went before on its machine.
    fn supersede(&mut self, client: Client, packet: &Packet) {
        let key = Self::key(client);
        if key.client_id.is_none() {
            // Firmware speaks: the machine was switched on again, no system of it runs any more.
            let own = self.held.values_mut();
            let own = own.filter(|(holder, _)| holder.mac == key.mac);
            own.for_each(|(holder, _)| *holder = key.clone());
            let waiting = self.waiting.iter_mut();
            let systems = waiting.filter(|one| one.client.0 == client.0 && one.client != client);
            systems.for_each(|one| one.is_heard = false);
        }
        let named = packet.options.iter().find(|(code, _)| *code == 50);
        let octets = named.map_or(packet.ciaddr.octets(), |(_, bytes)| {
            bytes[..].try_into().expect("an address")
        });
        let named = Ipv4Addr::from(octets);
        let kind = packet.options[0].1[0];
        if kind == 4 || kind == 7 {
            // Whoever gives an address back does not use it, heard or not.
            self.held
                .retain(|address, (holder, _)| !holder.is_same_machine(&key) || *address != named);
            for one in &mut self.waiting {
                one.is_heard &= !Self::key(one.client).is_same_machine(&key);
            }
        }
        if kind == 3 {
            // A client that asks for an address uses no other, nor does the firmware before it.
            self.held
                .retain(|address, (holder, _)| !holder.is_same_machine(&key) || *address == named);
            for one in &mut self.waiting {
                let is_same = one.client == client && one.address() == Some(named);
                one.is_heard &= is_same || !Self::key(one.client).is_same_machine(&key);
            }
        }
    }

    fn send(&mut self, client: Client, packet: Packet) -> Result<(), TestCaseError> {
        self.supersede(client, &packet);
        let bytes = packet.bytes();
        let source = SocketAddrV4::new(packet.ciaddr, 68);
        let received = Received {
            link: LINK,
            source,
            to_port: 67,
            bytes: &bytes,
        };
        match self
            .lab
            .server
            .handle(Now { unix: self.lab.now }, &received, &self.lab.policy)
        {
            Ok(Answer::Pending(pending)) => self.waiting.push(Waiting {
                client,
                asked: self.lab.now,
                is_heard: true,
                pending,
            }),
            Ok(Answer::Done(done)) => {
                if let Some(seen) = done.reply.map(|reply| Seen::decode(&reply)) {
                    prop_assert_ne!(seen.kind(), 5, "acknowledged without the disk");
                    if seen.kind() == 2 {
                        self.offered.insert(client, seen.yiaddr);
                    }
                }
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn resolve(&mut self, is_stored: bool) -> Result<(), TestCaseError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let Waiting {
            client,
            asked,
            is_heard,
            pending,
        } = self.waiting.remove(0);
        let changes = pending.changes().to_vec();
        let done = if is_stored {
            write(&mut self.lab.disk, &changes);
            self.lab.server.commit(pending)
        } else {
            self.lab.server.abort(pending)
        };
        let key = Self::key(client);
        match done.reply.map(|reply| Seen::decode(&reply)) {
            Some(_) if !is_heard => Ok(()),
            Some(ack) => self.acknowledged(&key, asked, &ack),
            None => Ok(()),
        }
    }

    /// The heart of it: nobody else may believe to have this address now.
    fn acknowledged(
        &mut self,
        key: &ClientKey,
        asked: u64,
        ack: &Seen,
    ) -> Result<(), TestCaseError> {
        let until = asked + u64::from(ack.seconds(51));
        // A reserved address is its machine's, whichever system runs there.
        let same = |holder: &ClientKey| {
            holder.is_same_machine(key) || holder.mac == key.mac && ack.yiaddr == ip(23)
        };
        if let Some((holder, ends)) = self.held.get(&ack.yiaddr) {
            prop_assert!(
                same(holder) || *ends <= self.lab.now,
                "{} is {holder:?}'s until {ends}, it is {}, and {key:?} got it",
                ack.yiaddr,
                self.lab.now,
            );
        }
        // And the disk knows.
        let stored = self.lab.disk.get(&ack.yiaddr);
        prop_assert!(
            stored.is_some_and(|lease| lease.mac == key.mac && lease.expires_unix >= until)
        );
        // A client uses the address that it was acknowledged last.
        self.held
            .retain(|_, (holder, _)| !holder.is_same_machine(key));
        self.held.insert(ack.yiaddr, (key.clone(), until));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_address_is_bound_to_two_clients(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.step(step)?;
        }
    }
}
