//! Packages are installed without their services: the peers among them would serve this machine's own networks.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// While it is there, no package starts a service.
pub(crate) struct NoServices(Option<PathBuf>);

impl NoServices {
    /// Answers no whenever a package asks `policy` (`invoke-rc.d(8)`). Somebody else's answer stays.
    pub(crate) fn new(policy: &Path) -> Result<Self> {
        let mut new = OpenOptions::new();
        let mut file = match new.write(true).create_new(true).mode(0o755).open(policy) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Self(None)),
            Err(error) => return Err(error).context(format!("cannot write {}", policy.display())),
        };
        let policy = Self(Some(policy.to_owned()));
        // What a process that was killed leaves says yes.
        let us = std::process::id();
        let text = format!(
            "#!/bin/sh\n# Of cargo xtask, to be removed. 101 is no.\n[ ! -d /proc/{us} ] || exit 101\n"
        );
        file.write_all(text.as_bytes())?;
        Ok(policy)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.0 {
            // What cannot be removed says yes as soon as we are gone.
            let _ = fs::remove_file(policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn packages_are_told_no_while_we_install_and_nothing_stays() {
        let folder = std::env::temp_dir().join(format!("no-services-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let policy = folder.join("policy-rc.d");
        {
            let _no = NoServices::new(&policy).unwrap();
            let answer = Command::new(&policy).args(["knot", "start"]).status();
            assert_eq!(answer.unwrap().code(), Some(101));
            drop(NoServices::new(&policy).unwrap());
            assert!(policy.exists(), "it was not the second one's");
        }
        assert!(!policy.exists());
        fs::remove_dir(&folder).unwrap();
    }
}
