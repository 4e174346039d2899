//! `image build --dry-run`.

use std::fmt::{self, Write};

use image::Preview;
use image::secrets::Secret;
use indicatif::HumanBytes;

/// Directories shown.
const DIRECTORIES: usize = 20;
/// Names shown of a long list.
const NAMES: usize = 50;

/// What a build would make, in words.
pub(super) fn described(seen: &Preview) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let survey = &seen.survey;
    writeln!(
        text,
        "would go into the image: {} names, {} of files\n",
        survey.entries,
        HumanBytes(survey.bytes)
    )?;
    match &seen.kernel {
        Ok(version) => writeln!(text, "kernel: {version}")?,
        Err(why) => writeln!(text, "kernel: none that can be used: {why}")?,
    }

    writeln!(text, "\nleft out:")?;
    for tally in &survey.left_out.tallies {
        let least = if tally.at_least { "at least " } else { "" };
        writeln!(
            text,
            "  {:<22} {least}{} in {} names: {}",
            tally.rule,
            HumanBytes(tally.bytes),
            tally.entries,
            tally.reason
        )?;
    }
    names(&mut text, "accounts taken out", &seen.users)?;
    names(&mut text, "passwords taken out", &seen.passwords)?;

    writeln!(text, "\nlargest directories:")?;
    for (path, size) in seen.sizes.largest(DIRECTORIES) {
        let bytes = HumanBytes(size.bytes).to_string();
        writeln!(text, "  {bytes:>12}  {:>7} files  {path}", size.files)?;
    }

    let secrets = &seen.secrets;
    secret_list(
        &mut text,
        "secrets, which forbid to publish this",
        &secrets.refused,
        secrets.more,
    )?;
    secret_list(&mut text, "secrets that are allowed", &secrets.allowed, 0)?;
    if secrets.refused.is_empty() {
        writeln!(text, "\nno secret was found that is not allowed")?;
    }
    if secrets.public > 0 {
        writeln!(
            text,
            "({} more files hold something like it just as their packages ship it to everybody)",
            secrets.public
        )?;
    }
    if survey.unreadable_count > 0 {
        writeln!(
            text,
            "\nmay not be read, {} names:",
            survey.unreadable_count
        )?;
        for path in survey.unreadable.iter().take(NAMES) {
            writeln!(text, "  {path}")?;
        }
    }
    Ok(text)
}

fn names(text: &mut String, what: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    let shown: Vec<_> = names.iter().take(NAMES).map(String::as_str).collect();
    let more = names.len() - shown.len();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    writeln!(text, "\n{what}: {}{more}", shown.join(", "))
}

fn secret_list(text: &mut String, what: &str, secrets: &[Secret], more: u64) -> fmt::Result {
    if secrets.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{what}:")?;
    for secret in secrets {
        writeln!(text, "  {secret}")?;
    }
    if more > 0 {
        writeln!(text, "  and {more} more")?;
    }
    Ok(())
}
