//! `netbootd status`: every client's boot, live.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use boot::{ClientStatus, Outcome};
use clap::Args;

use super::client::get;
use crate::control::{ImageStatus, LinkStatus};

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
            let images: Vec<ImageStatus> = get(socket, "/images")?;
            let text = render(&links, &images, &clients, command.steps);
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
    images: &[ImageStatus],
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
    if links.is_empty() {
        text.push_str("serving no interface yet; the log says what is waited for\n");
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
        let after = client
            .steps
            .iter()
            .map(|step| step.after)
            .max()
            .unwrap_or(0);
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

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Booting => "booting",
        Outcome::Running => "running",
        Outcome::Failing => "failing",
        Outcome::Stopped => "stopped",
    }
}
