//! One boot told from its first packet on: what happened, how long each step took, what it means.

use std::fmt::Write;

use model::{MacAddr, Stage};
use serde::{Deserialize, Serialize};

use crate::verdict::verdict_of;
use crate::{Attempt, ClientStatus, Outcome, Timelines};

/// A gap that is worth naming, in milliseconds.
const WORTH_NAMING: u64 = 1000;

/// Something that happened in a boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the boot began.
    pub after: u64,
    /// Milliseconds since the event before.
    pub gap: u64,
    /// Whose doing: a protocol, `init`, the image's `system`, a `person`.
    pub by: String,
    /// The stage that was reached; none for what only happened on the way.
    pub stage: Option<Stage>,
    /// One line for people.
    pub detail: String,
}

/// The latest boot of one client, and what is known around it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Why {
    /// How it stands.
    pub status: ClientStatus,
    /// What happened, in order of time.
    pub events: Vec<Event>,
    /// Which of the events was waited for longest; none before a second has passed somewhere.
    pub longest: Option<usize>,
    /// What it all means, in words.
    pub verdict: String,
    /// Milliseconds since the boot began.
    pub age: u64,
    /// Earlier boots, oldest first, a line each.
    pub earlier: Vec<String>,
    /// A capture of the last packets of a boot that failed.
    #[serde(default)]
    pub packets: Option<std::path::PathBuf>,
}

impl Timelines {
    /// The clients whose name, MAC address or address this is, the one that booted last first.
    pub fn find(&self, text: &str) -> Vec<MacAddr> {
        let mac: Option<MacAddr> = text.parse().ok();
        let address = text.parse().ok();
        let is_it = |client: MacAddr, attempt: &Attempt| {
            let name = attempt.facts.hostname.as_deref().unwrap_or_default();
            mac == Some(client)
                || (address.is_some() && attempt.facts.address == address)
                || (!name.is_empty() && name.eq_ignore_ascii_case(text))
        };
        let mut found: Vec<(u64, MacAddr)> = self
            .latest()
            .filter(|(client, attempt)| is_it(*client, attempt))
            .map(|(client, attempt)| (attempt.boot, client))
            .collect();
        found.sort_unstable();
        found.into_iter().rev().map(|(_, client)| client).collect()
    }

    /// The story of a client's latest boot; `now` in milliseconds of Unix time.
    pub fn why(&self, client: MacAddr, now: u64) -> Option<Why> {
        let (attempt, earlier) = self.attempts(client).split_last()?;
        let status = ClientStatus::of(client, attempt, now);
        let events = events(attempt);
        let longest = longest(&events);
        let age = now.saturating_sub(attempt.began());
        let verdict = verdict(&status, &events, longest, now);
        let earlier = earlier.iter().map(|attempt| in_a_line(attempt, now));
        let earlier = earlier.collect();
        Some(Why {
            status,
            events,
            longest,
            verdict,
            age,
            earlier,
            packets: None,
        })
    }
}

fn events(attempt: &Attempt) -> Vec<Event> {
    let event = |at: u64, by: &str, stage, detail: &str| Event {
        after: at.saturating_sub(attempt.began()),
        gap: 0,
        by: by.to_owned(),
        stage,
        detail: detail.to_owned(),
    };
    let steps = attempt.steps.iter();
    let mut events: Vec<Event> = steps
        .map(|step| {
            event(
                step.at,
                by(step.stage, &step.detail),
                Some(step.stage),
                &step.detail,
            )
        })
        .collect();
    let notes = attempt.notes.iter();
    events.extend(notes.map(|note| event(note.at, note.by, None, &note.text)));
    events.sort_by_key(|event| event.after);
    let mut before = 0;
    for event in &mut events {
        event.gap = event.after - before;
        before = event.after;
    }
    events
}

fn by(stage: Stage, detail: &str) -> &'static str {
    match stage {
        Stage::Discover | Stage::Offer | Stage::Ack => "DHCP",
        Stage::Loader if detail.ends_with("HTTP") => "HTTP",
        Stage::Loader => "TFTP",
        Stage::Kernel | Stage::Initrd if detail.ends_with("TFTP") => "TFTP",
        Stage::Script | Stage::Kernel | Stage::Initrd => "HTTP",
        Stage::Init | Stage::Mounted | Stage::Switched => "init",
        Stage::Running | Stage::Login | Stage::Settled => "system",
        Stage::Session => "person",
    }
}

/// The event that was waited for longest. When a person comes is no matter of the boot.
fn longest(events: &[Event]) -> Option<usize> {
    let waits = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.gap >= WORTH_NAMING && event.by != "person");
    waits.max_by_key(|(_, event)| event.gap).map(|(at, _)| at)
}

fn verdict(status: &ClientStatus, events: &[Event], longest: Option<usize>, now: u64) -> String {
    let mut text = match status.outcome {
        Outcome::Booting => format!(
            "It is on its way: nothing was heard for {}, which is no reason to worry yet.",
            seconds(status.silent)
        ),
        Outcome::Running => format!("It runs, {}.", took(events)),
        Outcome::Degraded => format!("It is up, {}.", took(events)),
        Outcome::Failing => format!(
            "It is in trouble and tries again; last heard of {} ago.",
            seconds(status.silent)
        ),
        Outcome::Stopped => format!(
            "The boot stopped after {}, {} ago.",
            status.stage.map_or("nothing", Stage::as_str),
            seconds(now.saturating_sub(status.began + last(events)))
        ),
    };
    if !status.verdict.is_empty() {
        let _ = write!(text, " {}.", capital(&status.verdict));
    }
    for alarm in &status.alarms {
        let _ = write!(text, " {alarm}.");
    }
    if let Some(at) = longest
        && let Some(event) = events.get(at)
    {
        let ahead = events[at..].iter().find_map(|event| event.stage);
        let _ = write!(
            text,
            " The longest wait, {}, was for {}: {}.",
            seconds(event.gap),
            event.stage.map_or(&*event.detail, |stage| stage.as_str()),
            ahead.map_or("nothing came after it", busy_with)
        );
    }
    let runs = matches!(status.outcome, Outcome::Running | Outcome::Degraded);
    let stages = || events.iter().filter_map(|event| event.stage);
    if runs && stages().any(|stage| stage == Stage::Login) && stages().all(|s| s != Stage::Session)
    {
        text.push_str(" Nobody has logged in yet.");
    }
    text
}

/// What a machine does while a stage is waited for.
fn busy_with(stage: Stage) -> &'static str {
    match stage {
        Stage::Discover => "the firmware looks for a network",
        Stage::Offer => "netbootd looks for an address; the log says what it waited for",
        Stage::Ack => "the firmware waits for other servers' offers before it takes one",
        Stage::Loader => "the firmware fetches the loader block by block",
        Stage::Script => "the loader starts, sets up the card and asks for an address once more",
        Stage::Kernel => "the loader fetches the kernel",
        Stage::Initrd => "the loader fetches the initrd",
        Stage::Init => {
            "the kernel unpacks itself and the initrd, loads the card's driver and waits for the link"
        }
        Stage::Mounted => "init loads file systems and mounts the root",
        Stage::Switched => "init unpacks this client's files and has its ssh host key signed",
        Stage::Running => {
            "the image's own services start (`systemd-analyze critical-chain` on the client says which)"
        }
        Stage::Login => "no ssh server listened and no console asked for a name",
        Stage::Settled => {
            "services that nothing waits for still start (`systemd-analyze blame` on the client)"
        }
        Stage::Session => "nobody came",
    }
}

/// How long the boot took, as far as it was seen.
fn took(events: &[Event]) -> String {
    let running = events
        .iter()
        .find(|event| event.stage == Some(Stage::Running));
    match (events.first().and_then(|first| first.stage), running) {
        (Some(Stage::Discover), Some(running)) => {
            format!("{} after its first DISCOVER", seconds(running.after))
        }
        _ => "and booted before this netbootd started".to_owned(),
    }
}

fn in_a_line(attempt: &Attempt, now: u64) -> String {
    let reached = attempt.stage().map_or("nothing", Stage::as_str);
    let after = attempt.last_seen.saturating_sub(attempt.began());
    let failure = attempt.failure.as_ref();
    let failure = match failure {
        Some((stage, message)) => format!("; {stage} failed: {message}"),
        None => match attempt.stage() {
            Some(stage) if stage < Stage::Script => format!("; {}", verdict_of(attempt, stage)),
            _ => String::new(),
        },
    };
    format!(
        "boot {}, {} ago, came to {reached} and was last heard of after {}{failure}",
        attempt.boot,
        seconds(now.saturating_sub(attempt.began())),
        seconds(after),
    )
}

fn last(events: &[Event]) -> u64 {
    events.last().map_or(0, |event| event.after)
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(rest).collect()
}

fn seconds(millis: u64) -> String {
    match millis / 1000 {
        0..=119 => format!("{:.1} s", millis as f64 / 1000.0),
        s @ 120..=7199 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}

impl Why {
    /// The whole story as text.
    pub fn render(&self) -> String {
        let status = &self.status;
        let mut text = format!(
            "{} ({}){}, boot {}, began {} ago{}\n\n",
            status.hostname.as_deref().unwrap_or("a machine"),
            status.client,
            status
                .address
                .map_or_else(String::new, |address| format!(" at {address}")),
            status.boot,
            seconds(self.age),
            status
                .image
                .as_deref()
                .map_or_else(String::new, |image| format!(", {image}")),
        );
        let _ = writeln!(
            text,
            "{:>9} {:>9}  {:<7} {:<9} WHAT",
            "AFTER", "GAP", "BY", "STAGE"
        );
        for (at, event) in self.events.iter().enumerate() {
            let line = format!(
                "{:>8.1}s {:>8.1}s  {:<7} {:<9} {}{}",
                event.after as f64 / 1000.0,
                event.gap as f64 / 1000.0,
                event.by,
                event.stage.map_or("", Stage::as_str),
                event.detail,
                if self.longest == Some(at) {
                    "  ◄ longest wait"
                } else {
                    ""
                }
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for earlier in &self.earlier {
            let _ = writeln!(text, "\n{earlier}");
        }
        let _ = writeln!(text, "\n{}", self.verdict);
        if let Some(file) = &self.packets {
            let _ = writeln!(text, "its last packets: tcpdump -vvnr {}", file.display());
        }
        text
    }
}

#[cfg(test)]
mod tests;
