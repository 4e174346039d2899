//! The clients' ssh host keys, and the authority that signs them.
//!
//! A client makes a new key at every boot and keeps it in memory; what stays the same is the name in
//! its certificate. Whoever trusts the authority (one `@cert-authority` line in `known_hosts`) is never
//! asked about a client, and never warned of a changed key.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;

use model::{MacAddr, Stage};
use serde::{Deserialize, Serialize};
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::Ed25519Keypair;
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey};

use crate::Timelines;

/// Longest text that is looked at as a key, in bytes.
const MAX_KEY: usize = 1024;
/// How much earlier than now a certificate begins, in seconds: clocks of a room differ.
pub(crate) const BEFORE: u64 = 300;

/// How long a certificate is good, in seconds: 180 days.
///
/// A client gets a certificate when it boots and at no other time, so this is how long a machine may
/// run without a reboot and still be known; half a year is longer than a kernel should go without an
/// update. What a shorter time would buy is little: the key is in the memory of one machine and is gone
/// with its next boot; only whoever was root there can have copied it, and can then play that machine,
/// none else, until the certificate ends.
pub const VALIDITY: u64 = 180 * 86_400;

/// An ed25519 public key of a client's ssh server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostKey([u8; 32]);

/// Why a key was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError(String);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

impl From<&str> for KeyError {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl From<ssh_key::Error> for KeyError {
    fn from(error: ssh_key::Error) -> Self {
        Self(error.to_string())
    }
}

impl HostKey {
    /// Reads a line of OpenSSH's public key format (sshd(8), AUTHORIZED_KEYS FILE FORMAT), without
    /// options. Only ed25519: one kind of key, known to every ssh of the last ten years.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY {
            return Err(KeyError("the key is too long".to_owned()));
        }
        let key = PublicKey::from_openssh(text.trim())?;
        let key = key.key_data().ed25519();
        key.map(|key| Self(key.0))
            .ok_or_else(|| KeyError("only ed25519 keys are signed".to_owned()))
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from(Ed25519PublicKey(self.0))
    }

    /// SHA-256 of the key as it is on the wire: the data of an SSHFP record of type 2 (RFC 6594).
    pub fn sha256(&self) -> [u8; 32] {
        let print = self.public().fingerprint(HashAlg::Sha256);
        print.sha256().unwrap_or_default()
    }

    /// The fingerprint as ssh shows it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.public().fingerprint(HashAlg::Sha256).to_string()
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(self.clone()))
    }
}

impl From<HostKey> for String {
    fn from(key: HostKey) -> Self {
        key.public()
            .to_openssh()
            .expect("an ed25519 key has a text form")
    }
}

impl TryFrom<String> for HostKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::parse(&text)
    }
}

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIdentity {
    /// The key.
    pub key: HostKey,
    /// The client's name, without the domain.
    pub hostname: String,
    /// The client's address when it booted.
    pub address: Ipv4Addr,
}

/// The lab's certificate authority for host keys.
pub struct Authority(PrivateKey);

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.public())
    }
}

impl Authority {
    /// The authority of this secret, 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(PrivateKey::from(Ed25519Keypair::from_seed(seed)))
    }

    /// Reads an unencrypted OpenSSH private key, as [`Authority::to_openssh`] writes it and as
    /// `ssh-keygen -t ed25519 -N ''` does.
    pub fn from_openssh(text: &str) -> Result<Self, KeyError> {
        let key = PrivateKey::from_openssh(text)?;
        match key.key_data().ed25519() {
            Some(_) => Ok(Self(key)),
            None => Err(KeyError(
                "it is not an ed25519 key without a passphrase".to_owned(),
            )),
        }
    }

    pub(crate) fn key(&self) -> &PrivateKey {
        &self.0
    }

    /// The private key as a file that OpenSSH's tools read. Secret.
    pub fn to_openssh(&self) -> Result<String, KeyError> {
        Ok(self.0.to_openssh(LineEnding::LF)?.as_str().to_owned())
    }

    /// The public key, `ssh-ed25519 AAAA…`, without a comment.
    pub fn public(&self) -> String {
        let key = PublicKey::new(self.0.public_key().key_data().clone(), "");
        key.to_openssh().expect("an ed25519 key has a text form")
    }

    /// A host certificate (OpenSSH's PROTOCOL.certkeys): good for the client's name, its name in
    /// `domain` (which may be empty) and its address, from a little before `now` (seconds of Unix time)
    /// for [`VALIDITY`]. `nonce` is random. Its serial number is `now`, its key id says which client's
    /// which boot it was.
    pub fn certify(
        &self,
        client: MacAddr,
        boot: u64,
        host: &HostIdentity,
        domain: &str,
        nonce: [u8; 32],
        now: u64,
    ) -> Result<String, KeyError> {
        let key = host.key.public();
        let from = now.saturating_sub(BEFORE);
        let mut builder = Builder::new(nonce, key.key_data().clone(), from, now + VALIDITY)?;
        builder.serial(now)?;
        builder.cert_type(CertType::Host)?;
        builder.key_id(format!("{client} {} boot {boot}", host.hostname))?;
        builder.valid_principal(&host.hostname)?;
        if !domain.is_empty() {
            builder.valid_principal(format!("{}.{domain}", host.hostname))?;
        }
        builder.valid_principal(host.address.to_string())?;
        builder.comment(&host.hostname)?;
        self.sign(builder)
    }

    pub(crate) fn sign(&self, builder: Builder) -> Result<String, KeyError> {
        Ok(builder.sign(&self.0)?.to_openssh()?)
    }
}

/// Why a key is not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSigned {
    /// The token is not the one of the client's present boot, or that boot has handed over to the
    /// image's init already.
    Spent,
    /// Another key was signed in this boot: this one.
    OtherKey(HostKey),
}

impl Timelines {
    /// The host keys that were signed for the latest boot of each client. Of clients that had the same
    /// address, the one heard of last has it.
    pub fn hosts(&self) -> Vec<(MacAddr, HostIdentity)> {
        let mut owners = HashMap::new();
        for (client, attempt) in self.latest() {
            let Some(address) = attempt.facts.address else {
                continue;
            };
            let seen = (attempt.last_seen, client);
            let owner = owners.entry(address).or_insert(seen);
            *owner = seen.max(*owner);
        }
        let latest = self.latest();
        latest
            .filter_map(|(client, attempt)| Some((client, attempt.facts.host.clone()?)))
            .filter(|(client, host)| owners.get(&host.address).is_none_or(|own| own.1 == *client))
            .collect()
    }

    /// Notes the key of a client's present boot: one for each boot, asked for again as often as answers
    /// get lost. Gives the boot's number. `token` has been checked to be one of this client at this
    /// address, and young enough; `now` is in milliseconds of Unix time.
    pub fn claim_host_key(
        &mut self,
        now: u64,
        client: MacAddr,
        token: &str,
        host: HostIdentity,
    ) -> Result<u64, NotSigned> {
        // The daemon may have been restarted in the middle of this boot.
        self.begin_if_new(now, client);
        let attempt = self.current(client).ok_or(NotSigned::Spent)?;
        let (boot, facts) = (attempt.boot, &attempt.facts);
        let current = facts.token.as_deref().is_none_or(|known| known == token);
        if !current || attempt.stage() >= Some(Stage::Switched) {
            return Err(NotSigned::Spent);
        }
        match &facts.host {
            Some(signed) if *signed == host => {}
            Some(signed) => return Err(NotSigned::OtherKey(signed.key.clone())),
            None => self.learn(client, |facts| facts.host = Some(host)),
        }
        Ok(boot)
    }
}

#[cfg(test)]
mod tests {
    use model::{ClientArch, Firmware};
    use ssh_key::Certificate;

    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const NOW: u64 = 1_800_000_000;

    fn host(seed: u8) -> HostIdentity {
        let key = Authority::from_seed(&[seed; 32]).public();
        HostIdentity {
            key: HostKey::parse(&key).unwrap(),
            hostname: "pc1".into(),
            address: Ipv4Addr::new(192, 168, 67, 20),
        }
    }

    #[test]
    fn a_certificate_names_the_client_and_is_signed_by_the_authority() {
        let authority = Authority::from_seed(&[1; 32]);
        let text = authority
            .certify(PC, 7, &host(2), "lab.internal", [3; 32], NOW)
            .unwrap();
        assert!(text.starts_with("ssh-ed25519-cert-v01@openssh.com AAAA"));
        let certificate = Certificate::from_openssh(&text).unwrap();
        let prints = [authority.0.fingerprint(HashAlg::Sha256)];
        certificate.validate_at(NOW, &prints).unwrap();
        assert_eq!(certificate.cert_type(), CertType::Host);
        assert_eq!(
            certificate.valid_principals(),
            ["pc1", "pc1.lab.internal", "192.168.67.20"]
        );
        assert_eq!(certificate.key_id(), "02:00:00:00:00:01 pc1 boot 7");
        assert!(certificate.validate_at(NOW - 299, &prints).is_ok());
        assert!(certificate.validate_at(NOW + VALIDITY, &prints).is_err());
    }

    #[test]
    fn the_authority_is_the_same_after_it_was_written_down() {
        let authority = Authority::from_seed(&[1; 32]);
        let again = Authority::from_openssh(&authority.to_openssh().unwrap()).unwrap();
        assert_eq!(again.public(), authority.public());
        assert!(!format!("{authority:?}").contains("PRIVATE"));
    }

    #[test]
    fn only_ed25519_public_keys_are_keys() {
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc= a",
            &format!("ssh-ed25519 {}", "A".repeat(2000)),
            &Authority::from_seed(&[1; 32]).to_openssh().unwrap(),
        ] {
            assert!(HostKey::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_fingerprint_is_the_one_that_ssh_keygen_prints() {
        // ssh-keygen -r pc1, and ssh-keygen -l, of OpenSSH 9.2 about this key.
        let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";
        let key = HostKey::parse(text).unwrap();
        assert_eq!(
            key.fingerprint(),
            "SHA256:UCUiLr7Pjs9wFFJMDByLgc3NrtdU344OgUM45wZPcIQ"
        );
        assert_eq!(key.sha256()[..4], [0x50, 0x25, 0x22, 0x2e]);
    }

    fn booting() -> Timelines {
        let mut timelines = Timelines::default();
        timelines.discovered(0, PC, Firmware::Ipxe, ClientArch::UefiX64, "");
        timelines.learn(PC, |facts| facts.token = Some("good".into()));
        timelines
    }

    #[test]
    fn each_boot_has_one_key_asked_for_as_often_as_answers_get_lost() {
        let mut timelines = booting();
        assert_eq!(timelines.claim_host_key(0, PC, "good", host(1)), Ok(1));
        assert_eq!(timelines.claim_host_key(0, PC, "good", host(1)), Ok(1));
        assert_eq!(
            timelines.claim_host_key(0, PC, "good", host(2)),
            Err(NotSigned::OtherKey(host(1).key))
        );
        timelines.reached(0, PC, Stage::Script, "");
        timelines.discovered(9000, PC, Firmware::Ipxe, ClientArch::UefiX64, "");
        assert_eq!(timelines.claim_host_key(9000, PC, "good", host(2)), Ok(2));
    }

    #[test]
    fn an_address_that_went_on_to_another_machine_is_no_longer_the_first_ones() {
        let mut timelines = booting();
        timelines.claim_host_key(0, PC, "good", host(1)).unwrap();
        assert_eq!(timelines.hosts(), [(PC, host(1))]);
        let other = MacAddr([2, 0, 0, 0, 0, 2]);
        timelines.discovered(9000, other, Firmware::Ipxe, ClientArch::UefiX64, "");
        timelines.learn(other, |facts| facts.address = Some(host(1).address));
        assert_eq!(timelines.hosts(), []);
    }

    #[test]
    fn a_token_of_an_earlier_boot_or_a_spent_one_signs_nothing() {
        let mut timelines = booting();
        let claim =
            |timelines: &mut Timelines, token| timelines.claim_host_key(0, PC, token, host(1));
        assert_eq!(claim(&mut timelines, "old"), Err(NotSigned::Spent));
        timelines.reached(0, PC, Stage::Switched, "");
        assert_eq!(claim(&mut timelines, "good"), Err(NotSigned::Spent));
    }

    #[test]
    fn a_boot_that_began_before_this_daemon_gets_its_certificate() {
        let mut timelines = Timelines::default();
        assert_eq!(timelines.claim_host_key(0, PC, "any", host(1)), Ok(1));
        assert_eq!(timelines.current(PC).unwrap().facts.host, Some(host(1)));
    }
}
