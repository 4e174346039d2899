//! One attempt of one client to boot.

use std::net::Ipv4Addr;

use model::{ClientArch, Firmware, GenerationId, ImageName, RootMode, Stage};

use crate::HostIdentity;
use crate::ladder::Missed;

/// A stage reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// When, in milliseconds of Unix time.
    pub at: u64,
    /// One line for people: the file, the address, the server. May be empty.
    pub detail: String,
}

/// Something that happened on the way and is no stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When, in milliseconds of Unix time.
    pub at: u64,
    /// Whose doing: a protocol or a program, in a word.
    pub by: &'static str,
    /// One line for people.
    pub text: String,
}

impl Note {
    /// How the text of a note begins that must not be read over.
    pub const ALARM: &str = "ALARM";

    pub(crate) fn is_alarm(&self) -> bool {
        self.text.starts_with(Self::ALARM)
    }
}

/// Notes kept of an attempt; the first ones tell most.
const MAX_NOTES: usize = 32;

/// How long a machine may be on the way to its own disk, in milliseconds: EDK2 asks for a minute in each way.
const LEAVING: u64 = 180_000;

/// What has been learned about a client on the way. Later facts replace earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its address on the link.
    pub address: Option<Ipv4Addr>,
    /// Its name.
    pub hostname: Option<String>,
    /// What its firmware called itself.
    pub arch: Option<ClientArch>,
    /// What it boots.
    pub image: Option<(ImageName, GenerationId)>,
    /// How it gets its root.
    pub root: Option<RootMode>,
    /// The boot token handed to it.
    pub token: Option<String>,
    /// Its ssh host key, once that was signed.
    pub host: Option<HostIdentity>,
    /// Which drivers it gets.
    pub drivers: Drivers,
    /// Which of its firmware's ways to boot began the attempt.
    pub firmware: Option<Firmware>,
    /// It, or its loader, was told that it boots its own disk.
    pub own_disk: bool,
    /// Its address is another server's: we are its proxy.
    pub is_beside_another: bool,
    /// What another DHCP server answered it, where the addresses are ours.
    pub foreign: Option<ForeignOffer>,
    /// A file that it asked the size of over TFTP, and has not fetched.
    pub size_asked: Option<String>,
    /// What it failed at if nothing more is heard of it before its loader asks for a script.
    pub ladder: Option<Missed>,
}

/// What another DHCP server answered a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignOffer {
    /// Its identifier.
    pub server: Ipv4Addr,
    /// The address that it gave; `None`: only that it was chosen is known.
    pub address: Option<Ipv4Addr>,
    /// The boot file that it named.
    pub file: Option<String>,
}

impl std::fmt::Display for ForeignOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.address, &self.file) {
            (None, _) => f.write_str("a client took its answer"),
            (Some(address), None) => write!(f, "offered {address} without a boot file"),
            (Some(address), Some(file)) => {
                write!(f, "offered {address} with the boot file \"{file}\"")
            }
        }
    }
}

/// Which drivers of network cards come to a client with its initrd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drivers {
    /// Those for the card that it booted from, when the image has them apart.
    #[default]
    OfItsCard,
    /// It was sent only those of its card, in this attempt.
    SentOfItsCard,
    /// All: with those of its card alone it was never heard of again.
    All,
}

/// One attempt to boot, from the first DISCOVER to the running system.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Counts attempts of all clients since the daemon started; the `boot` field of the log.
    pub boot: u64,
    /// Stages reached, in the order in which they were first seen.
    pub steps: Vec<Step>,
    /// What else happened, in order.
    pub notes: Vec<Note>,
    /// What is known of the client.
    pub facts: Facts,
    /// The failure that the client reported, with the stage that it could not reach.
    pub failure: Option<(Stage, String)>,
    /// Last sign of life, in milliseconds of Unix time.
    pub last_seen: u64,
    /// The verdict was already logged.
    pub(crate) told: bool,
}

impl Attempt {
    pub(crate) fn new(boot: u64, now: u64) -> Self {
        Self {
            boot,
            steps: Vec::new(),
            notes: Vec::new(),
            facts: Facts::default(),
            failure: None,
            last_seen: now,
            told: false,
        }
    }

    /// The furthest stage reached.
    pub fn stage(&self) -> Option<Stage> {
        self.steps.iter().map(|step| step.stage).max()
    }

    /// What was said of a stage, if it was reached.
    pub(crate) fn detail(&self, stage: Stage) -> Option<&str> {
        let step = self.steps.iter().find(|step| step.stage == stage)?;
        Some(&step.detail)
    }

    /// Whether the image's init has started everything, and some of it has failed.
    pub(crate) fn is_degraded(&self) -> bool {
        let settled = self.detail(Stage::Settled).unwrap_or_default();
        settled.starts_with(Stage::DEGRADED)
    }

    pub(crate) fn note(&mut self, note: Note) {
        let same = |old: &Note| old.by == note.by && old.text == note.text;
        if self.notes.len() < MAX_NOTES && !self.notes.iter().any(same) {
            self.notes.push(note);
        }
    }

    /// When the attempt began, in milliseconds of Unix time.
    pub fn began(&self) -> u64 {
        self.steps.first().map_or(self.last_seen, |step| step.at)
    }

    /// Which drivers the client's next attempt begins with.
    pub(crate) fn drivers_next(&self) -> Drivers {
        match self.facts.drivers {
            Drivers::SentOfItsCard if self.stage() < Some(Stage::Init) => Drivers::All,
            Drivers::SentOfItsCard => Drivers::OfItsCard,
            same => same,
        }
    }

    /// Whether the machine was given to its own disk: nothing more is to be heard of it.
    pub(crate) fn is_over_to_its_disk(&self) -> bool {
        self.facts.own_disk && self.stage() <= Some(Stage::Script)
    }

    /// Whether the machine was given to its own disk, and this firmware only tries its other way to boot
    /// on the way there: UEFI goes through its whole boot order. Who asks as at first was restarted.
    pub fn is_leaving(&self, firmware: Firmware, now: u64) -> bool {
        let began = self.facts.firmware.filter(|_| self.facts.own_disk);
        began.is_some_and(|began| firmware != began && firmware != Firmware::Ipxe)
            && now.saturating_sub(self.last_seen) < LEAVING
    }

    /// Whether a DISCOVER at `now` from `firmware` begins another attempt.
    ///
    /// A firmware repeats its DISCOVER for some seconds, and the iPXE that it loaded asks once more:
    /// both belong to the attempt. A DISCOVER after the script was fetched means that the machine
    /// was reset.
    pub(crate) fn is_over_for(&self, firmware: Firmware, now: u64) -> bool {
        if self.is_leaving(firmware, now) {
            return false;
        }
        let idle = now.saturating_sub(self.last_seen);
        match (firmware, self.stage()) {
            (_, None) => false,
            (Firmware::Ipxe, Some(stage)) => stage >= Stage::Script || idle > 120_000,
            (_, Some(stage)) => stage >= Stage::Loader || idle > 30_000,
        }
    }
}
