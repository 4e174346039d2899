//! What a client's key may do at the server: certificates that sshd there takes for people's keys.

use model::MacAddr;
use serde::{Deserialize, Serialize};
use ssh_key::certificate::{Builder, CertType};

use crate::host_key::{Authority, BEFORE, HostIdentity, HostKey, KeyError};

/// How long a certificate for homes is good, in seconds: a night without this daemon.
pub const HOMES_VALIDITY: u64 = 12 * 3600;

/// How long a certificate for one command of root's is good, in seconds.
const TASK_VALIDITY: u64 = 300;
/// The program that such a certificate runs.
const CLIENT: &str = "/run/netbootd/client";

/// What the server has a client's root do, by ssh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RootTask {
    /// Take its overlay anew.
    #[default]
    Apply,
    /// Measure a run: the words for `client quiet`.
    Quiet(Vec<String>),
}

impl RootTask {
    /// The one command line that root's shell gets.
    fn command(&self) -> String {
        match self {
            Self::Apply => format!("{CLIENT} apply"),
            Self::Quiet(words) => {
                let quoted = |word: &String| format!(" '{}'", word.replace('\'', r"'\''"));
                let words: String = words.iter().map(quoted).collect();
                format!("{CLIENT} quiet{words}")
            }
        }
    }

    /// Who such a certificate is for, in its own words.
    fn principal(&self) -> &'static str {
        match self {
            Self::Apply => "netbootd-apply",
            Self::Quiet(_) => "netbootd-quiet",
        }
    }
}

impl Authority {
    /// A user certificate (OpenSSH's PROTOCOL.certkeys) for the key of a client that is up: it may read and
    /// write the homes of the people called `names` by sftp, from its own address, and nothing else, until
    /// [`HOMES_VALIDITY`] after `now` (seconds of Unix time). `nonce` is random. Without names there is none.
    pub fn certify_homes(
        &self,
        client: MacAddr,
        host: &HostIdentity,
        names: &[&str],
        nonce: [u8; 32],
        now: u64,
    ) -> Result<String, KeyError> {
        // Without a name it would be good for everybody.
        if names.is_empty() {
            return Err(KeyError::from("it has nobody's home"));
        }
        let key = host.key.public().key_data().clone();
        let from = now.saturating_sub(BEFORE);
        let mut builder = Builder::new(nonce, key, from, now + HOMES_VALIDITY)?;
        builder.serial(now)?;
        builder.cert_type(CertType::User)?;
        builder.key_id(format!("{client} {} homes", host.hostname))?;
        for name in names {
            builder.valid_principal(*name)?;
        }
        builder.critical_option("force-command", "internal-sftp")?;
        builder.critical_option("source-address", format!("{}/32", host.address))?;
        builder.comment(&host.hostname)?;
        self.sign(builder)
    }

    /// A user certificate for a key that may have the clients' root do this task, and nothing else, until
    /// [`TASK_VALIDITY`] after `now` (seconds of Unix time). `nonce` is random.
    pub fn certify_task(
        &self,
        task: &RootTask,
        key: &HostKey,
        nonce: [u8; 32],
        now: u64,
    ) -> Result<String, KeyError> {
        let key = key.public().key_data().clone();
        let from = now.saturating_sub(BEFORE);
        let mut builder = Builder::new(nonce, key, from, now + TASK_VALIDITY)?;
        builder.serial(now)?;
        builder.cert_type(CertType::User)?;
        builder.key_id(task.principal())?;
        builder.valid_principal(task.principal())?;
        builder.critical_option("force-command", task.command())?;
        builder.comment(task.principal())?;
        self.sign(builder)
    }

    /// The lines of root's authorized_keys(5) on a client that let such keys in. A certificate for anything else
    /// has another principal; what a run is, its certificate alone says.
    pub(crate) fn task_lines(public: &str) -> String {
        let (apply, quiet) = (RootTask::Apply, RootTask::Quiet(Vec::new()));
        format!(
            "cert-authority,principals=\"{}\",command=\"{}\",restrict {public}\n\
             cert-authority,principals=\"{}\",restrict {public}\n",
            apply.principal(),
            apply.command(),
            quiet.principal()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ssh_key::Certificate;

    use super::*;
    use crate::HostKey;

    #[test]
    fn a_roots_key_is_for_one_command() {
        let authority = Authority::from_seed(&[1; 32]);
        let key = HostKey::parse(&Authority::from_seed(&[2; 32]).public()).unwrap();
        let words = ["sh", "-c", "echo it's; reboot"].map(str::to_owned);
        let task = RootTask::Quiet(words.to_vec());
        let signed = authority.certify_task(&task, &key, [3; 32], 1_800_000_000);
        let certificate = Certificate::from_openssh(&signed.unwrap()).unwrap();
        assert_eq!(certificate.valid_principals(), ["netbootd-quiet"]);
        let command = r"/run/netbootd/client quiet 'sh' '-c' 'echo it'\''s; reboot'";
        let options = certificate.critical_options();
        assert_eq!(
            options.get("force-command").map(String::as_str),
            Some(command)
        );
        assert_eq!(certificate.extensions().iter().count(), 0);
        assert_eq!(certificate.valid_before(), 1_800_000_000 + TASK_VALIDITY);
    }

    #[test]
    fn a_client_may_have_the_homes_of_its_people_for_a_while_and_nothing_else() {
        let authority = Authority::from_seed(&[1; 32]);
        let host = HostIdentity {
            key: HostKey::parse(&Authority::from_seed(&[2; 32]).public()).unwrap(),
            hostname: "pc1".into(),
            address: Ipv4Addr::new(192, 168, 67, 20),
        };
        let client = MacAddr([2, 0, 0, 0, 0, 1]);
        let now = 1_800_000_000;
        let signed = |names: &[&str]| authority.certify_homes(client, &host, names, [3; 32], now);
        let text = signed(&["alice", "bob"]).unwrap();
        let certificate = Certificate::from_openssh(&text).unwrap();
        assert_eq!(certificate.cert_type(), CertType::User);
        assert_eq!(certificate.valid_principals(), ["alice", "bob"]);
        let limits: Vec<(&str, &str)> = certificate
            .critical_options()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            limits,
            [
                ("force-command", "internal-sftp"),
                ("source-address", "192.168.67.20/32")
            ]
        );
        assert_eq!(certificate.extensions().iter().count(), 0);
        assert_eq!(certificate.valid_before(), now + HOMES_VALIDITY);
        assert!(signed(&[]).is_err());
    }
}
