//! Who runs what: the part of the timelines that has to outlive the daemon.
//!
//! Clients go on while the daemon is restarted, and hold the generation that they mounted: it must
//! not be removed, whoever asks.

use std::net::Ipv4Addr;

use model::{ClientArch, GenerationId, ImageName, MacAddr, RootMode, Stage};
use serde::{Deserialize, Serialize};

use crate::{Attempt, HostIdentity, Step, Timelines};

/// A client that mounted its root and has not been seen to boot again since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The client.
    pub client: MacAddr,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// Its name.
    pub hostname: Option<String>,
    /// Option 93 of its firmware.
    pub arch: Option<u16>,
    /// What it runs.
    pub image: ImageName,
    /// Which generation of that.
    pub generation: GenerationId,
    /// `image`, `tree` or `ram`.
    pub root: Option<String>,
    /// The furthest stage, [`Stage::Mounted`] at least.
    pub stage: Stage,
    /// When it was reached, in milliseconds of Unix time.
    pub at: u64,
    /// Its ssh host key, if one was signed.
    #[serde(default)]
    pub host: Option<HostIdentity>,
}

impl Timelines {
    /// Every client that mounted its root, by address of its card.
    pub fn running(&self) -> Vec<Running> {
        let clients = self.latest();
        let mut running: Vec<Running> = clients.filter_map(|(mac, a)| of(mac, a)).collect();
        running.sort_by_key(|running| running.client);
        running
    }

    /// Takes up what [`Timelines::running`] said before a restart. Clients that are known already
    /// are left as they are.
    pub fn restore(&mut self, running: &[Running]) {
        for running in running {
            if self.current(running.client).is_some() {
                continue;
            }
            let step = Step {
                stage: running.stage,
                at: running.at,
                detail: "before this netbootd started".to_owned(),
            };
            self.take_up(running.client, running.at, step);
            self.learn(running.client, |facts| {
                facts.address = running.address;
                facts.hostname.clone_from(&running.hostname);
                facts.arch = running.arch.map(ClientArch::from_code);
                facts.image = Some((running.image.clone(), running.generation));
                facts.root = running.root.as_deref().and_then(RootMode::from_name);
                facts.host.clone_from(&running.host);
            });
        }
    }
}

fn of(client: MacAddr, attempt: &Attempt) -> Option<Running> {
    let furthest = attempt.steps.iter().max_by_key(|step| step.stage)?;
    let facts = &attempt.facts;
    let (image, generation) = facts.image.clone()?;
    (furthest.stage >= Stage::Mounted).then(|| Running {
        client,
        address: facts.address,
        hostname: facts.hostname.clone(),
        arch: facts.arch.map(ClientArch::code),
        image,
        generation,
        root: facts.root.map(|root: RootMode| root.as_str().to_owned()),
        stage: furthest.stage,
        at: furthest.at,
        host: facts.host.clone(),
    })
}

#[cfg(test)]
mod tests {
    use model::Firmware;

    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn booted(last: Stage) -> Timelines {
        let mut timelines = Timelines::default();
        timelines.discovered(0, PC, Firmware::Ipxe, ClientArch::UefiX64, "");
        timelines.learn(PC, |facts| {
            facts.image = Some(("demo".parse().unwrap(), GenerationId([7; 16])));
            facts.root = Some(RootMode::Image);
        });
        for stage in Stage::ALL.into_iter().filter(|stage| *stage <= last) {
            timelines.reached(1000, PC, stage, "");
        }
        timelines
    }

    #[test]
    fn who_runs_what_is_known_after_a_restart() {
        let before = booted(Stage::Running).running();
        let mut after = Timelines::default();
        after.restore(&before);
        assert_eq!(after.running(), before);
        let status = &after.status(5000)[0];
        let generation = GenerationId([7; 16]).short();
        assert_eq!(status.image, Some(format!("demo@{generation}")));
        assert_eq!(status.outcome, crate::Outcome::Running);
    }

    #[test]
    fn a_client_that_has_no_root_yet_holds_none() {
        assert_eq!(booted(Stage::Init).running(), []);
    }

    #[test]
    fn a_client_that_boots_again_lets_go() {
        let mut timelines = Timelines::default();
        timelines.restore(&booted(Stage::Switched).running());
        timelines.discovered(9000, PC, Firmware::Ipxe, ClientArch::UefiX64, "");
        assert_eq!(timelines.running(), []);
    }

    #[test]
    fn what_was_seen_since_the_start_is_newer_than_the_book() {
        let book = booted(Stage::Running).running();
        let mut timelines = booted(Stage::Loader);
        timelines.restore(&book);
        assert_eq!(timelines.running(), []);
    }
}
