//! `netbootd status`: every client's boot, live.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use boot::{ClientStatus, Outcome};
use clap::Args;
use image::catalogue::{BuildState, BuildStatus};
use model::Stage;

use super::client::get;
use super::image::how_far;
use crate::control::{ImageStatus, LinkStatus, NfsClientStatus, NfsStatus};
use crate::services::nfs::quantile_micros;

/// Shows every client's boot.
#[derive(Debug, Args)]
pub struct StatusCommand {
    /// Keeps showing until interrupted
    #[arg(long, short)]
    watch: bool,
    /// Prints the control API's JSON
    #[arg(long)]
    json: bool,
    /// Shows each step of each boot
    #[arg(long, short)]
    steps: bool,
}

/// Asks and prints, once or every second.
pub fn run(command: &StatusCommand, socket: &Path) -> anyhow::Result<()> {
    loop {
        let clients: Vec<ClientStatus> = get(socket, "/status")?;
        if command.json {
            println!("{}", serde_json::to_string(&clients)?);
        } else {
            let links: Vec<LinkStatus> = get(socket, "/links")?;
            let waiting: BTreeMap<String, String> = get(socket, "/waiting")?;
            let images: Vec<ImageStatus> = get(socket, "/images")?;
            let nfs: NfsStatus = get(socket, "/nfs")?;
            let builds: Vec<BuildStatus> = get(socket, "/builds")?;
            let alarms: Vec<String> = get(socket, "/alarms")?;
            let alarms = alarms.iter().map(|alarm| format!("ALARM: {alarm}\n"));
            let mut text: String = alarms.collect();
            text += &render(&links, &waiting, &images, &builds, &clients, command.steps);
            text.push_str(&render_nfs(&nfs));
            if command.watch && std::io::stdout().is_terminal() {
                print!("\x1b[H\x1b[2J{text}");
                std::io::stdout().flush()?;
            } else {
                print!("{text}");
            }
        }
        if !command.watch {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn render(
    links: &[LinkStatus],
    waiting: &BTreeMap<String, String>,
    images: &[ImageStatus],
    builds: &[BuildStatus],
    clients: &[ClientStatus],
    steps: bool,
) -> String {
    let mut text = String::new();
    for link in links {
        let _ = writeln!(
            text,
            "serving {} ({}) in {} mode, {}",
            link.interface, link.address, link.mode, link.http
        );
    }
    for (interface, reason) in waiting {
        let _ = writeln!(text, "waiting for {interface}: {reason}");
    }
    if links.is_empty() && waiting.is_empty() {
        text.push_str("serving no interface yet\n");
    }
    let current: Vec<String> = images
        .iter()
        .filter(|image| image.current)
        .map(|image| {
            format!(
                "{}@{}",
                image.name,
                &image.generation[..12.min(image.generation.len())]
            )
        })
        .collect();
    let _ = writeln!(
        text,
        "images: {}",
        if current.is_empty() {
            "none".into()
        } else {
            current.join(", ")
        }
    );
    for build in builds {
        let name = &build.name;
        let _ = match build.state {
            BuildState::Running => writeln!(text, "building {name}: {}", how_far(build)),
            BuildState::Broken => writeln!(text, "the last build of {name} was broken off"),
            BuildState::Failed | BuildState::Published => Ok(()),
        };
    }
    if clients.is_empty() {
        text.push_str("no client has booted since the daemon started\n");
        return text;
    }
    let _ = writeln!(
        text,
        "\n{:<18} {:<16} {:<16} {:>5}  {:<9} {:<9} {:>7}  IMAGE",
        "CLIENT", "ADDRESS", "NAME", "BOOT", "STATE", "STAGE", "AFTER"
    );
    for client in clients {
        // How long the boot took, not when somebody logged in.
        let boot = client
            .steps
            .iter()
            .filter(|step| step.stage <= Stage::Running);
        let after = boot.map(|step| step.after).max().unwrap_or(0);
        let _ = writeln!(
            text,
            "{:<18} {:<16} {:<16} {:>5}  {:<9} {:<9} {:>6.1}s  {}",
            client.client.to_string(),
            client
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            client.hostname.as_deref().unwrap_or(""),
            client.boot,
            outcome(client.outcome),
            client.stage.map(|stage| stage.as_str()).unwrap_or(""),
            after as f64 / 1000.0,
            client.image.as_deref().unwrap_or(""),
        );
        if !client.verdict.is_empty() {
            let _ = writeln!(text, "    {}", client.verdict);
        }
        for alarm in &client.alarms {
            let _ = writeln!(text, "    {alarm}");
        }
        if steps {
            for step in &client.steps {
                let _ = writeln!(
                    text,
                    "    {:<9} {:>6.1}s  {}",
                    step.stage,
                    step.after as f64 / 1000.0,
                    step.detail
                );
            }
        }
    }
    text
}

/// What NFS is asked for, and how long it takes; nothing as long as nobody asked.
fn render_nfs(nfs: &NfsStatus) -> String {
    let mut text = String::new();
    let calls: u64 = nfs.times.iter().sum();
    if calls == 0 {
        return text;
    }
    let connected = nfs.clients.iter().filter(|client| client.connections > 0);
    let millis = |share| quantile_micros(&nfs.times, share) as f64 / 1000.0;
    let _ = writeln!(
        text,
        "\nNFS: {} connected, {calls} calls, half of them within {} ms, 99 % within {} ms",
        connected.count(),
        millis(0.5),
        millis(0.99),
    );
    for export in &nfs.exports {
        let uses = |client: &&NfsClientStatus| {
            let first = client.exports.first();
            client.connections > 0 && first.is_some_and(|first| first.export == export.export)
        };
        let _ = writeln!(
            text,
            "    {:<40} {:>3} clients {:>10} calls {:>9.1} MB",
            shortened(&export.export),
            nfs.clients.iter().filter(uses).count(),
            export.calls,
            export.bytes_sent as f64 / 1e6,
        );
    }
    text
}

/// An export's path with the first 12 digits of the generation, as images are shown.
fn shortened(export: &str) -> String {
    let at = export.rfind(['/', '@']).map_or(0, |at| at + 1);
    let (path, last) = export.split_at(at);
    let is_generation = last.len() == 32 && last.bytes().all(|byte| byte.is_ascii_hexdigit());
    let kept = if is_generation { 12 } else { last.len() };
    format!("{path}{}", &last[..kept])
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Booting => "booting",
        Outcome::Running => "running",
        Outcome::Degraded => "degraded",
        Outcome::Failing => "failing",
        Outcome::Stopped => "stopped",
    }
}
