//! What is told of a client in a few lines.

use std::net::Ipv4Addr;

use model::{ClientArch, MacAddr, Stage};
use serde::{Deserialize, Serialize};

use crate::Attempt;
use crate::verdict::{patience, verdict_of};

/// How a boot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// On its way.
    Booting,
    /// The image's own init reached its default target.
    Running,
    /// It runs, and some of what its init was to start has failed.
    Degraded,
    /// The client reported a failure and tries again.
    Failing,
    /// Nothing has been heard for longer than this stage may take.
    Stopped,
}

/// One client, as `netbootd status` and the control API show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientStatus {
    /// The client.
    pub client: MacAddr,
    /// The number of its latest attempt.
    pub boot: u64,
    /// How it stands.
    pub outcome: Outcome,
    /// The furthest stage.
    pub stage: Option<Stage>,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// Its name.
    pub hostname: Option<String>,
    /// Option 93 of its firmware.
    pub arch: Option<u16>,
    /// What it boots, as `name@generation`.
    pub image: Option<String>,
    /// `image`, `tree` or `ram`.
    pub root: Option<String>,
    /// Milliseconds of Unix time at which the attempt began.
    pub began: u64,
    /// Milliseconds since the last sign of life.
    pub silent: u64,
    /// Every stage reached.
    pub steps: Vec<StepStatus>,
    /// In words, where and why the boot stopped; empty while all is well.
    pub verdict: String,
    /// What must not be read over, a line each.
    #[serde(default)]
    pub alarms: Vec<String>,
}

/// A stage reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepStatus {
    /// Which.
    pub stage: Stage,
    /// Milliseconds since the attempt began.
    pub after: u64,
    /// One line for people.
    pub detail: String,
}

impl ClientStatus {
    pub(crate) fn of(client: MacAddr, attempt: &Attempt, now: u64) -> Self {
        let began = attempt.began();
        let silent = now.saturating_sub(attempt.last_seen);
        let stage = attempt.stage();
        let outcome = match stage {
            Some(stage) if stage >= Stage::Running => match attempt.is_degraded() {
                true => Outcome::Degraded,
                false => Outcome::Running,
            },
            Some(stage) if silent >= patience(stage) => Outcome::Stopped,
            _ if attempt.failure.is_some() => Outcome::Failing,
            _ => Outcome::Booting,
        };
        let verdict = match outcome {
            Outcome::Booting => String::new(),
            Outcome::Running if attempt.failure.is_none() => String::new(),
            _ => verdict_of(attempt, stage.unwrap_or(Stage::Discover)),
        };
        let facts = &attempt.facts;
        Self {
            client,
            boot: attempt.boot,
            outcome,
            stage,
            address: facts.address,
            hostname: facts.hostname.clone(),
            arch: facts.arch.map(ClientArch::code),
            image: facts
                .image
                .as_ref()
                .map(|(name, id)| format!("{name}@{}", id.short())),
            root: facts.root.map(|root| root.as_str().to_owned()),
            began,
            silent,
            steps: attempt
                .steps
                .iter()
                .map(|step| StepStatus {
                    stage: step.stage,
                    after: step.at.saturating_sub(began),
                    detail: step.detail.clone(),
                })
                .collect(),
            verdict,
            alarms: attempt
                .notes
                .iter()
                .filter(|note| note.is_alarm())
                .map(|note| note.text.clone())
                .collect(),
        }
    }
}
