//! dig.

use anyhow::{Context, Result};

use crate::lab::{Client, Lab};
use crate::process::succeed;

/// What dig was told.
#[derive(Debug)]
pub struct Answer {
    /// `NOERROR`, `NXDOMAIN`, `REFUSED`, …
    pub status: String,
    /// The data of the answer section's records, one each.
    pub data: Vec<String>,
}

/// Asks the lab's server; `words` as for dig: a name, a type, `+tcp`, `-x ADDRESS`.
pub fn dig(client: &Client, words: &[&str]) -> Result<Answer> {
    let mut command = client.command("dig")?;
    command
        .arg(format!("@{}", Lab::SERVER))
        .args(["+time=15", "+tries=1", "+noall"]);
    command.args(["+comments", "+answer"]).args(words);
    let said = succeed(&mut command)?.text;
    let status = said
        .lines()
        .find_map(|line| line.split_once("status: ")?.1.split(',').next())
        .with_context(|| format!("dig says no status: {said}"))?;
    let data = said
        .lines()
        .filter(|line| !line.starts_with(';') && !line.trim().is_empty())
        .filter_map(|line| line.split_whitespace().nth(4).map(str::to_owned))
        .collect();
    Ok(Answer {
        status: status.to_owned(),
        data,
    })
}
