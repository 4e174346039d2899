//! What happened to every client, and what it means.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use model::{ClientArch, Firmware, MacAddr, Stage};

use crate::verdict::{patience, verdict_of};
use crate::{Attempt, ClientStatus, Facts, Note, Step};

/// Clients remembered; beyond that the one silent for longest is forgotten.
const MAX_CLIENTS: usize = 4096;
/// Finished attempts kept for each client.
const KEPT_ATTEMPTS: usize = 3;

/// A stage reached for the first time in its attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The attempt.
    pub boot: u64,
    /// Milliseconds since the attempt began.
    pub after: u64,
}

/// A boot that goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Whose.
    pub client: MacAddr,
    /// The attempt.
    pub boot: u64,
    /// The last stage that was reached.
    pub stage: Stage,
    /// Why, as far as we can tell.
    pub verdict: String,
}

/// The timelines of all clients. Times are milliseconds of Unix time and come from the caller.
#[derive(Debug, Default)]
pub struct Timelines {
    clients: HashMap<MacAddr, Vec<Attempt>>,
    boots: u64,
}

impl Timelines {
    /// A firmware or iPXE asked for a boot server: goes on with the client's attempt or begins one.
    pub fn discovered(
        &mut self,
        now: u64,
        client: MacAddr,
        firmware: Firmware,
        arch: ClientArch,
        detail: &str,
    ) -> Option<Reached> {
        let over = self
            .current(client)
            .is_none_or(|attempt| attempt.is_over_for(firmware, now));
        if over {
            self.begin(now, client);
        }
        self.learn(client, |facts| {
            facts.arch = Some(arch);
            if firmware != Firmware::Ipxe {
                facts.firmware.get_or_insert(firmware);
            }
        });
        self.reached(now, client, Stage::Discover, detail)
    }

    fn begin(&mut self, now: u64, client: MacAddr) {
        if self.clients.len() >= MAX_CLIENTS && !self.clients.contains_key(&client) {
            let last_seen = |attempts: &Vec<Attempt>| attempts.last().map_or(0, |a| a.last_seen);
            let oldest = self
                .clients
                .iter()
                .min_by_key(|(_, attempts)| last_seen(attempts));
            if let Some((&oldest, _)) = oldest {
                self.clients.remove(&oldest);
            }
        }
        self.boots += 1;
        let attempts = self.clients.entry(client).or_default();
        let mut attempt = Attempt::new(self.boots, now);
        if let Some(earlier) = attempts.last() {
            // The address and name of a client outlive its boots.
            attempt.facts.address = earlier.facts.address;
            attempt.facts.hostname.clone_from(&earlier.facts.hostname);
            attempt.facts.drivers = earlier.drivers_next();
        }
        if attempts.len() == KEPT_ATTEMPTS {
            attempts.remove(0);
        }
        attempts.push(attempt);
    }

    /// Begins an attempt for a client of which nothing is known.
    pub(crate) fn begin_if_new(&mut self, now: u64, client: MacAddr) {
        if self.current(client).is_none() {
            self.begin(now, client);
        }
    }

    /// The attempt that a client is in.
    pub fn current(&self, client: MacAddr) -> Option<&Attempt> {
        self.clients.get(&client)?.last()
    }

    /// All attempts of a client that are remembered, oldest first.
    pub(crate) fn attempts(&self, client: MacAddr) -> &[Attempt] {
        self.clients.get(&client).map_or(&[], Vec::as_slice)
    }

    /// Every client's latest attempt.
    pub(crate) fn latest(&self) -> impl Iterator<Item = (MacAddr, &Attempt)> {
        let clients = self.clients.iter();
        clients.filter_map(|(client, attempts)| Some((*client, attempts.last()?)))
    }

    /// Begins an attempt that is known to have come to this step.
    pub(crate) fn take_up(&mut self, client: MacAddr, now: u64, step: Step) {
        self.begin(now, client);
        let attempts = self.clients.get_mut(&client);
        if let Some(attempt) = attempts.and_then(|attempts| attempts.last_mut()) {
            attempt.steps.push(step);
            attempt.told = true; // by the daemon that saw it
        }
    }

    /// Notes something about a client's attempt, beginning one if the client is new to us (after a
    /// restart of the daemon, clients go on where they were).
    pub fn learn(&mut self, client: MacAddr, note: impl FnOnce(&mut Facts)) {
        if let Some(attempt) = self
            .clients
            .get_mut(&client)
            .and_then(|attempts| attempts.last_mut())
        {
            note(&mut attempt.facts);
        }
    }

    /// Something that is worth a line and is no stage: `by` says whose doing it was. The same again is
    /// not noted again, and nothing is of a client that is not known.
    pub fn note(&mut self, now: u64, client: MacAddr, by: &'static str, text: &str) {
        let attempts = self.clients.get_mut(&client);
        if let Some(attempt) = attempts.and_then(|attempts| attempts.last_mut()) {
            attempt.note(Note {
                at: now,
                by,
                text: text.to_owned(),
            });
        }
    }

    /// A client reached a stage. `None` if it had reached it before in this attempt.
    pub fn reached(
        &mut self,
        now: u64,
        client: MacAddr,
        stage: Stage,
        detail: &str,
    ) -> Option<Reached> {
        self.begin_if_new(now, client);
        let attempt = self.clients.get_mut(&client)?.last_mut()?;
        attempt.last_seen = now;
        if attempt.steps.iter().any(|step| step.stage == stage) {
            return None;
        }
        attempt.steps.push(Step {
            stage,
            at: now,
            detail: detail.to_owned(),
        });
        attempt.told = false;
        if attempt
            .failure
            .as_ref()
            .is_some_and(|(failed, _)| *failed <= stage)
        {
            attempt.failure = None; // tried again, and it worked
        }
        Some(Reached {
            boot: attempt.boot,
            after: now.saturating_sub(attempt.began()),
        })
    }

    /// A client reported that it could not reach a stage. Gives the attempt's number.
    pub fn failed(&mut self, now: u64, client: MacAddr, stage: Stage, message: &str) -> u64 {
        self.begin_if_new(now, client);
        let Some(attempt) = self
            .clients
            .get_mut(&client)
            .and_then(|attempts| attempts.last_mut())
        else {
            return 0;
        };
        attempt.last_seen = now;
        attempt.failure = Some((stage, message.to_owned()));
        attempt.boot
    }

    /// Whose address this is, if a client of ours has it.
    pub fn by_address(&self, address: Ipv4Addr) -> Option<MacAddr> {
        let has = |attempts: &Vec<Attempt>| {
            attempts
                .last()
                .is_some_and(|a| a.facts.address == Some(address))
        };
        let mut found: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, attempts)| has(attempts))
            .collect();
        found.sort_by_key(|(_, attempts)| attempts.last().map(|attempt| attempt.last_seen));
        found.last().map(|found| *found.0)
    }

    /// Boots that have gone no further for longer than their stage may take; each is told once.
    pub fn tick(&mut self, now: u64) -> Vec<Stopped> {
        let mut stopped = Vec::new();
        for (&client, attempts) in &mut self.clients {
            let Some(attempt) = attempts.last_mut() else {
                continue;
            };
            let Some(stage) = attempt.stage() else {
                continue;
            };
            if attempt.told || now.saturating_sub(attempt.last_seen) < patience(stage) {
                continue;
            }
            attempt.told = true;
            if attempt.is_over_to_its_disk() {
                continue;
            }
            let verdict = verdict_of(attempt, stage);
            stopped.push(Stopped {
                client,
                boot: attempt.boot,
                stage,
                verdict,
            });
        }
        stopped.sort_by_key(|stopped| stopped.boot);
        stopped
    }

    /// All clients, the latest attempt of each, newest first.
    pub fn status(&self, now: u64) -> Vec<ClientStatus> {
        let mut all: Vec<ClientStatus> = self
            .clients
            .iter()
            .filter_map(|(&client, attempts)| Some(ClientStatus::of(client, attempts.last()?, now)))
            .collect();
        all.sort_by_key(|status| std::cmp::Reverse(status.boot));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ForeignOffer;
    use crate::{Drivers, Outcome};

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const UEFI: (Firmware, ClientArch) = (Firmware::UefiPxe, ClientArch::UefiX64);
    const IPXE: (Firmware, ClientArch) = (Firmware::Ipxe, ClientArch::UefiX64);

    fn discover(
        timelines: &mut Timelines,
        now: u64,
        (firmware, arch): (Firmware, ClientArch),
    ) -> u64 {
        timelines.discovered(now, PC, firmware, arch, "");
        timelines.current(PC).unwrap().boot
    }

    #[test]
    fn a_repeated_discover_and_ipxe_belong_to_the_same_boot() {
        let mut timelines = Timelines::default();
        assert_eq!(discover(&mut timelines, 0, UEFI), 1);
        assert_eq!(discover(&mut timelines, 4000, UEFI), 1);
        timelines.reached(8000, PC, Stage::Loader, "snponly.efi");
        assert_eq!(discover(&mut timelines, 9000, IPXE), 1);
        assert_eq!(timelines.current(PC).unwrap().steps.len(), 2);
    }

    #[test]
    fn a_discover_after_the_script_is_a_new_boot() {
        let mut timelines = Timelines::default();
        discover(&mut timelines, 0, IPXE);
        timelines.learn(PC, |facts| facts.address = Some(Ipv4Addr::new(10, 0, 0, 9)));
        timelines.reached(1000, PC, Stage::Script, "");
        assert_eq!(discover(&mut timelines, 2000, IPXE), 2);
        assert_eq!(timelines.by_address(Ipv4Addr::new(10, 0, 0, 9)), Some(PC));
    }

    #[test]
    fn a_machine_on_the_way_to_its_disk_is_not_brought_back() {
        let http = (Firmware::HttpBoot, ClientArch::HttpX64);
        let leaving = |timelines: &Timelines, firmware, now| {
            let attempt = timelines.current(PC).unwrap();
            attempt.is_leaving(firmware, now)
        };
        let mut timelines = Timelines::default();
        discover(&mut timelines, 0, UEFI);
        discover(&mut timelines, 1000, IPXE);
        timelines.reached(2000, PC, Stage::Loader, "snponly.efi");
        assert!(!leaving(&timelines, http.0, 3000), "nobody chose its disk");
        timelines.learn(PC, |facts| facts.own_disk = true);
        assert!(leaving(&timelines, http.0, 70_000));
        assert!(!leaving(&timelines, UEFI.0, 70_000), "it was restarted");
        assert!(!leaving(&timelines, http.0, 2000 + 180_000));
        assert_eq!(discover(&mut timelines, 70_000, http), 1);
        assert_eq!(discover(&mut timelines, 71_000, UEFI), 2);
        assert!(!leaving(&timelines, http.0, 72_000));
    }

    #[test]
    fn a_machine_that_boots_its_own_disk_has_not_failed() {
        let mut timelines = Timelines::default();
        discover(&mut timelines, 0, UEFI);
        timelines.learn(PC, |facts| facts.own_disk = true);
        assert_eq!(timelines.tick(600_000), []);
        let status = &timelines.status(600_000)[0];
        assert_eq!(status.verdict, "it was given to its own disk");
    }

    #[test]
    fn a_stage_counts_once() {
        let mut timelines = Timelines::default();
        discover(&mut timelines, 100, UEFI);
        let reached = timelines.reached(600, PC, Stage::Offer, "").unwrap();
        assert_eq!(
            reached,
            Reached {
                boot: 1,
                after: 500
            }
        );
        assert_eq!(timelines.reached(700, PC, Stage::Offer, ""), None);
    }

    #[test]
    fn a_boot_that_stops_is_told_once_and_in_words() {
        let mut timelines = Timelines::default();
        discover(&mut timelines, 0, UEFI);
        timelines.reached(100, PC, Stage::Loader, "snponly.efi");
        assert!(timelines.tick(30_000).is_empty());
        let stopped = timelines.tick(100_000);
        assert_eq!(stopped[0].stage, Stage::Loader);
        assert!(
            stopped[0].verdict.contains("Secure Boot"),
            "{}",
            stopped[0].verdict
        );
        assert!(timelines.tick(200_000).is_empty());
        assert_eq!(timelines.status(200_000)[0].outcome, Outcome::Stopped);
    }

    #[test]
    fn what_keeps_a_loader_from_being_fetched_is_said_in_the_words_of_the_firmware() {
        let stopped = |stage, note: &dyn Fn(&mut Facts)| {
            let mut timelines = Timelines::default();
            discover(&mut timelines, 0, UEFI);
            timelines.reached(100, PC, stage, "");
            timelines.learn(PC, note);
            timelines.tick(100_000).remove(0).verdict
        };
        let other = |file: Option<&str>| {
            let file = file.map(str::to_owned);
            move |facts: &mut Facts| {
                facts.foreign = Some(ForeignOffer {
                    server: Ipv4Addr::new(10, 0, 0, 9),
                    address: Some(Ipv4Addr::new(10, 0, 0, 77)),
                    file: file.clone(),
                });
            }
        };
        let said = stopped(Stage::Offer, &other(None));
        assert!(
            said.contains("10.0.0.9") && said.contains("PXE-E16"),
            "{said}"
        );
        let said = stopped(Stage::Offer, &other(Some("pxelinux.0")));
        assert!(
            said.contains("pxelinux.0") && said.contains("PXE-E18"),
            "{said}"
        );
        let size = |facts: &mut Facts| facts.size_asked = Some("snponly.efi".into());
        let said = stopped(Stage::Ack, &size);
        assert!(
            said.contains("NBP filesize is 0 Bytes") && said.contains("snponly.efi"),
            "{said}"
        );
        let said = stopped(Stage::Loader, &size);
        assert!(!said.contains("NBP"), "it was fetched: {said}");
    }

    #[test]
    fn the_clients_own_words_win_until_it_gets_further() {
        let mut timelines = Timelines::default();
        discover(&mut timelines, 0, UEFI);
        timelines.reached(100, PC, Stage::Init, "");
        timelines.failed(200, PC, Stage::Mounted, "NFS: connection refused");
        let status = &timelines.status(300)[0];
        assert_eq!(status.outcome, Outcome::Failing);
        assert!(status.verdict.contains("connection refused"));
        timelines.reached(400, PC, Stage::Mounted, "");
        assert_eq!(timelines.status(500)[0].outcome, Outcome::Booting);
    }

    #[test]
    fn a_client_that_is_lost_with_the_drivers_of_its_card_gets_all_from_then_on() {
        let mut timelines = Timelines::default();
        let mut boot = |last| {
            discover(&mut timelines, 0, IPXE);
            timelines.reached(0, PC, Stage::Script, "");
            let drivers = timelines.current(PC).unwrap().facts.drivers;
            if drivers != Drivers::All {
                timelines.learn(PC, |facts| facts.drivers = Drivers::SentOfItsCard);
            }
            timelines.reached(0, PC, last, "");
            drivers
        };
        assert_eq!(boot(Stage::Init), Drivers::OfItsCard);
        assert_eq!(boot(Stage::Initrd), Drivers::OfItsCard);
        assert_eq!(boot(Stage::Init), Drivers::All);
        assert_eq!(boot(Stage::Init), Drivers::All);
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut timelines = Timelines::default();
        for n in 0..10_000u32 {
            let [_, a, b, c] = n.to_be_bytes();
            timelines.discovered(n.into(), MacAddr([2, 0, 0, a, b, c]), UEFI.0, UEFI.1, "");
        }
        assert_eq!(timelines.clients.len(), MAX_CLIENTS);
        for now in 0..10 {
            discover(&mut timelines, now * 100_000, UEFI);
        }
        assert_eq!(timelines.clients[&PC].len(), KEPT_ATTEMPTS);
    }
}
