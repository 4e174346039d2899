//! `cargo xtask tidy`: holds the repository to its own rules. Every breach is a line that says
//! what is wrong and where; all of them are shown at once.

mod arrows;
mod documents;
mod sources;

use anyhow::{Result, bail};

/// Every rule's breaches; silent and `Ok` where there is none.
pub(crate) fn run() -> Result<()> {
    let breaches = breaches()?;
    for breach in &breaches {
        eprintln!("tidy: {breach}");
    }
    match breaches.len() {
        0 => Ok(()),
        1 => bail!("the repository breaks one of its own rules"),
        n => bail!("the repository breaks {n} of its own rules"),
    }
}

fn breaches() -> Result<Vec<String>> {
    let crates = arrows::workspace_crates()?;
    let mut breaches = arrows::breaches(&crates);
    breaches.extend(sources::breaches(&crates)?);
    breaches.extend(documents::breaches()?);
    Ok(breaches)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_keeps_its_own_rules() {
        let breaches = super::breaches().unwrap();
        assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
    }
}
