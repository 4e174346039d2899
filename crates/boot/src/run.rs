//! Runs that are measured: what the machine was booted from and what went over the wire meanwhile, as a
//! record that is signed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use model::{GenerationId, ImageName, MacAddr};
use serde::{Deserialize, Serialize};
use ssh_key::{HashAlg, LineEnding, SshSig};

use crate::Authority;
use crate::host_key::KeyError;

/// What the signature of a record is for (PROTOCOL.sshsig): one for something else does not pass as one of a
/// record. `ssh-keygen -Y verify -n netbootd-run` checks it.
const NAMESPACE: &str = "netbootd-run";

/// Calls of NFS, and the bytes that answered them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Calls answered.
    pub calls: u64,
    /// Bytes of replies.
    pub bytes: u64,
}

impl Traffic {
    /// What came since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

/// NFS as the server counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The client's, on images and their trees.
    pub root: Traffic,
    /// The client's, on other exports.
    pub data: Traffic,
    /// Everybody else's.
    pub others: Traffic,
}

impl Counted {
    /// What came since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            root: self.root.since(earlier.root),
            data: self.data.since(earlier.data),
            others: self.others.since(earlier.others),
        }
    }
}

/// The record of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of this form.
    pub format: u32,
    /// The machine, by its network card.
    pub client: MacAddr,
    /// Its name.
    pub hostname: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// What it was booted from.
    pub image: ImageName,
    /// Which generation of it.
    pub generation: GenerationId,
    /// How it got its root: `image`, `tree` or `ram`.
    pub root: String,
    /// The operator's words on the kernel command line.
    pub kernel_arguments: String,
    /// Digests of the generation's files, as its manifest has them.
    pub digests: BTreeMap<String, String>,
    /// When the run began, in milliseconds of Unix time, by the server's clock.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// NFS while it ran, counted by the server.
    pub traffic: Counted,
    /// What the client says of itself and of the run. The server has no means to check it.
    pub told: BTreeMap<String, String>,
}

impl RunRecord {
    /// The present form.
    pub const FORMAT: u32 = 1;

    /// Whether nothing of the root was fetched while it ran.
    pub fn is_quiet(&self) -> bool {
        self.traffic.root == Traffic::default()
    }

    /// How long it took, in seconds.
    pub fn seconds(&self) -> f64 {
        self.ended.saturating_sub(self.began) as f64 / 1000.0
    }
}

impl Authority {
    /// Signs the text of a record: a signature as `ssh-keygen -Y sign` makes, in its text form.
    pub fn sign_record(&self, text: &str) -> Result<String, KeyError> {
        let signature = SshSig::sign(self.key(), NAMESPACE, HashAlg::Sha512, text.as_bytes())?;
        Ok(signature.to_pem(LineEnding::LF)?)
    }

    /// Whether this authority has signed the text of a record.
    pub fn check_record(&self, text: &str, signature: &str) -> Result<(), KeyError> {
        let signature = SshSig::from_pem(signature.trim_start())?;
        let public = self.key().public_key();
        Ok(public.verify(NAMESPACE, text.as_bytes(), &signature)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_its_signature() {
        let authority = Authority::from_seed(&[1; 32]);
        let signature = authority.sign_record("a record").unwrap();
        assert!(signature.starts_with("-----BEGIN SSH SIGNATURE-----"));
        authority.check_record("a record", &signature).unwrap();
        assert!(authority.check_record("another", &signature).is_err());
        let stranger = Authority::from_seed(&[2; 32]);
        assert!(stranger.check_record("a record", &signature).is_err());
        assert!(authority.check_record("a record", "no signature").is_err());
    }

    #[test]
    fn what_came_before_does_not_count() {
        let traffic = |calls, bytes| Traffic { calls, bytes };
        let before = Counted {
            root: traffic(10, 1000),
            ..Counted::default()
        };
        let after = Counted {
            root: traffic(10, 1000),
            others: traffic(1, 7),
            ..before
        };
        assert_eq!(after.since(before).root, Traffic::default());
        assert_eq!(after.since(before).others, traffic(1, 7));
    }
}
