//! What a client's key may do at the server: certificates that sshd there takes for people's keys.

use model::MacAddr;
use ssh_key::certificate::{Builder, CertType};

use crate::host_key::{Authority, BEFORE, HostIdentity, HostKey, KeyError};

/// How long a certificate for homes is good, in seconds: a night without this daemon.
pub const HOMES_VALIDITY: u64 = 12 * 3600;

/// How long a certificate for applying changes is good, in seconds.
const APPLY_VALIDITY: u64 = 300;
/// What such a certificate is for, and what it runs.
const APPLY_PRINCIPAL: &str = "netbootd-apply";
const APPLY: &str = "/run/netbootd/client apply";

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

    /// A user certificate for a key that may have the clients' root run [`APPLY`], and nothing else, until
    /// [`APPLY_VALIDITY`] after `now` (seconds of Unix time). `nonce` is random.
    pub fn certify_apply(
        &self,
        key: &HostKey,
        nonce: [u8; 32],
        now: u64,
    ) -> Result<String, KeyError> {
        let key = key.public().key_data().clone();
        let from = now.saturating_sub(BEFORE);
        let mut builder = Builder::new(nonce, key, from, now + APPLY_VALIDITY)?;
        builder.serial(now)?;
        builder.cert_type(CertType::User)?;
        builder.key_id("netbootd apply")?;
        builder.valid_principal(APPLY_PRINCIPAL)?;
        builder.critical_option("force-command", APPLY)?;
        builder.comment("netbootd-apply")?;
        self.sign(builder)
    }

    /// The line of root's authorized_keys(5) on a client that lets such a key in. A certificate for anything else
    /// has another principal.
    pub(crate) fn apply_line(public: &str) -> String {
        format!(
            "cert-authority,principals=\"{APPLY_PRINCIPAL}\",command=\"{APPLY}\",restrict {public}\n"
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
