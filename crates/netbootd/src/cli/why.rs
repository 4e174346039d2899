//! `netbootd why`: one client's latest boot, from its first packet to its first login.

use std::path::Path;

use anyhow::ensure;
use boot::Why;
use clap::Args;

use super::client::get;

/// Tells one client's latest boot step by step, and what it waited for.
#[derive(Debug, Args)]
pub struct WhyCommand {
    /// Its name, MAC address or IP address
    #[arg(value_name = "PC")]
    client: String,
    /// Prints the control API's JSON
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub fn run(command: &WhyCommand, socket: &Path) -> anyhow::Result<()> {
    let name = &command.client;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_".contains(&byte);
    ensure!(
        !name.is_empty() && name.bytes().all(plain),
        "{name:?} is no name, MAC address or IP address"
    );
    let why: Why = get(socket, &format!("/why/{name}"))?;
    if command.json {
        println!("{}", serde_json::to_string(&why)?);
    } else {
        print!("{}", why.render());
    }
    Ok(())
}
