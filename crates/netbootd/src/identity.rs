//! Who a client is to whoever logs in to it: host certificates, and what trusts them.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context;
use boot::{Authority, HostIdentity, HostKey, NotSigned, RootTask, Ticket, known_hosts};
use model::{BootChoice, ClientRequest, Home, MacAddr, Stage};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use crate::daemon::{Daemon, unix_millis, unix_seconds};
use crate::people::Here;
use crate::services::dhcp::Shared;
use crate::{find, orders};

/// A token signs a key for this long, in seconds, as it unlocks the overlay.
pub const TOKEN_LIFE: u64 = 300;
/// Longest private key that is read, in bytes; ours has 400.
const MAX_KEY: u64 = 16 << 10;

/// The authority of this state folder: `ssh-ca.key`, made at the first start. An operator's own
/// ed25519 key may be put in its place.
pub fn authority(state_dir: &Path) -> anyhow::Result<Authority> {
    let path = state_dir.join("ssh-ca.key");
    let make = || {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
        let made = Authority::from_seed(&seed).to_openssh();
        made.map_err(std::io::Error::other)
    };
    let read = || -> anyhow::Result<Authority> {
        let text = store::file::read_or_make(&path, MAX_KEY, make)?;
        Ok(Authority::from_openssh(&text)?)
    };
    read().with_context(|| {
        format!(
            "the key {} that signs the clients' ssh host keys (remove it for a new one; then \
             `netbootd ssh known-hosts` prints another line)",
            path.display()
        )
    })
}

/// Signs the host key that a booting client made. The answer is the certificate and the line of
/// `known_hosts`, so that the clients trust each other; or a status and the reason.
pub fn certify(
    daemon: &Daemon,
    client: MacAddr,
    address: Ipv4Addr,
    body: &[u8],
) -> Result<String, (u16, String)> {
    let request = ClientRequest::parse("key", body).map_err(|error| (400, error.to_string()))?;
    vouched(
        daemon,
        client,
        address,
        &request.token,
        TOKEN_LIFE,
        "host certificate",
    )?;
    let not_good = || (403, "this token is not good (any more)".to_owned());
    let key = HostKey::parse(&request.value).map_err(|error| (400, error.to_string()))?;
    let host = HostIdentity {
        key,
        hostname: daemon.hostname(client),
        address,
    };
    let claimed = {
        let mut timelines = daemon.timelines();
        timelines.claim_host_key(unix_millis(), client, &request.token, host.clone())
    };
    let boot = claimed.map_err(|refused| match refused {
        NotSigned::Spent => {
            warn!(%client, %address, "someone asked for a host certificate with a token that was spent");
            not_good()
        }
        NotSigned::OtherKey(first) => {
            error!(
                %client, %address, signed = first.fingerprint(), refused = host.key.fingerprint(),
                "A SECOND HOST KEY for the same boot is refused: one of the two is not this client's. Do not trust this machine before it has booted again"
            );
            daemon.note(client, "ssh", "ALARM: a second host key was refused; do not trust this machine before it has booted again");
            (409, "another key was signed for this boot".to_owned())
        }
    })?;
    let signed = sign(daemon, client, boot, &host);
    signed.map_err(|error| {
        warn!(%client, "the host key cannot be signed: {error:#}");
        (
            500,
            "the key cannot be signed; the server's log says why".to_owned(),
        )
    })
}

/// Whether who asks from this address is the client: it has the token of a boot of its own that began
/// no more than `life` seconds ago, and answers with the client's card.
pub fn vouched(
    daemon: &Daemon,
    client: MacAddr,
    address: Ipv4Addr,
    token: &str,
    life: u64,
    what: &str,
) -> Result<(), (u16, String)> {
    let age = daemon
        .site_key
        .token_age(token, client, address, unix_seconds());
    if age.is_none_or(|age| age > life) {
        warn!(%client, %address, "someone asked for a client's {what} with a token that is not good (any more)");
        return Err((403, "this token is not good (any more)".to_owned()));
    }
    if !daemon.may_be_at(client, address) {
        warn!(%client, %address, "ANOTHER CARD asked for this client's {what}: it is refused. Either that machine poses as the client, or a switch answers ARP in its place");
        let alarm = format!("ALARM: another card asked for its {what}, and was refused");
        daemon.note(client, "ssh", &alarm);
        return Err((403, "this is not that client's card".to_owned()));
    }
    Ok(())
}

/// Gives a client that is up a ticket for its own next boot. The answer says what that is. It may choose
/// what a person could in front of it: an image that its network may have, its own disk, the menu.
pub fn boot_next(
    daemon: &Daemon,
    client: MacAddr,
    address: Ipv4Addr,
    body: &[u8],
) -> Result<String, (u16, String)> {
    let request = ClientRequest::parse("boot", body).map_err(|error| (400, error.to_string()))?;
    // It runs as long as it likes; that it is this boot that runs is asked below.
    let token = &request.token;
    vouched(daemon, client, address, token, u64::MAX, "next boot")?;
    let runs = {
        let timelines = daemon.timelines();
        timelines.current(client).is_some_and(|attempt| {
            let token = attempt.facts.token.as_ref();
            attempt.stage() >= Some(Stage::Switched)
                && token.is_none_or(|token| *token == request.token)
        })
    };
    if !runs {
        return Err((409, "this boot is not the one that runs".to_owned()));
    }
    let boot = request.value.as_str();
    let choice: BootChoice = boot
        .parse()
        .map_err(|error| (400, format!("{boot}: {error}")))?;
    match &choice {
        BootChoice::Unanswered => {
            let reason = "a machine that is not answered could not come back by itself";
            return Err((403, reason.to_owned()));
        }
        BootChoice::Image { name, .. } if !daemon.exports.may_have(name, address.into()) => {
            return Err((403, "this image is not for your network".to_owned()));
        }
        _ => {}
    }
    let said = orders::issue(daemon, Ticket::once(client, choice));
    let said = said.map_err(|reason| (409, reason))?;
    daemon.note(client, "client", &format!("asked for itself: {said}"));
    Ok(said + "\n")
}

fn sign(
    daemon: &Daemon,
    client: MacAddr,
    boot: u64,
    host: &HostIdentity,
) -> anyhow::Result<String> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce)?;
    let domain = &daemon.config.dns.domain;
    let now = unix_seconds();
    let certificate = daemon
        .authority
        .certify(client, boot, host, domain, nonce, now)?;
    let key = host.key.fingerprint();
    daemon.note(client, "ssh", &format!("signed its host key {key}"));
    info!(%client, boot, hostname = host.hostname, key, "signed its ssh host key");
    Ok(format!("{certificate}\n{}\n", known_hosts_line(daemon)))
}

/// A certificate for the homes that `client`, which is up, has with its own key. It is of no use without
/// that key, so whoever is at the client's address may ask, at any time. Or a status and the reason.
pub fn certify_homes(
    daemon: &Daemon,
    client: MacAddr,
    address: Ipv4Addr,
) -> Result<String, (u16, String)> {
    let refused = |reason: &str| (403, reason.to_owned());
    let hosts = daemon.timelines().hosts();
    let host = hosts
        .into_iter()
        .find(|(mac, host)| *mac == client && host.address == address);
    let Some((_, host)) = host.filter(|_| daemon.may_be_at(client, address)) else {
        warn!(%client, %address, "someone asked for a certificate for homes who has no signed host key there");
        return Err(refused(
            "no host key of this client was signed for this address",
        ));
    };
    let images = daemon.images.load();
    let layers = images.site.layers(client);
    let here = Here::read(daemon, Some(address));
    let login = here.as_ref().map(|here| here.login(&daemon.config));
    let Some(login) = login.filter(|login| login.home(&layers) == Home::Machine) else {
        return Err(refused("this client has no homes with a key of its own"));
    };
    let names: Vec<&str> = login
        .accounts(&layers)
        .map(|account| account.name.as_str())
        .collect();
    let mut nonce = [0; 32];
    let signed = getrandom::fill(&mut nonce)
        .map_err(anyhow::Error::from)
        .and_then(|()| {
            let authority = &daemon.authority;
            Ok(authority.certify_homes(client, &host, &names, nonce, unix_seconds())?)
        });
    match signed {
        Ok(certificate) => {
            info!(%client, hostname = host.hostname, people = names.len(), "signed its key for homes");
            Ok(certificate + "\n")
        }
        Err(error) => {
            warn!(%client, "its key cannot be signed for homes: {error:#}");
            Err((
                500,
                "the key cannot be signed; the server's log says why".to_owned(),
            ))
        }
    }
}

/// The host keys of the clients as they are now, by name. `holder` says to whom an address is leased
/// now: a machine that is off has no longer the one that somebody else got.
pub fn hosts(daemon: &Daemon, holder: impl Fn(Ipv4Addr) -> Option<MacAddr>) -> Vec<HostIdentity> {
    let hosts = daemon.timelines().hosts().into_iter();
    let mut hosts: Vec<HostIdentity> = hosts
        .filter(|(client, host)| holder(host.address).is_none_or(|mac| mac == *client))
        .map(|(_, host)| host)
        .collect();
    hosts.sort_by(|a, b| (&a.hostname, a.address).cmp(&(&b.hostname, b.address)));
    hosts
}

/// `POST /apply`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApplyOrder {
    /// The machine: name, MAC or IP address.
    pub client: String,
    /// The public key that shall have its root do the task.
    pub key: String,
    /// What it is to do.
    #[serde(default)]
    pub task: RootTask,
}

/// What it takes to have a machine's root do a task by ssh.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Applied {
    /// The machine.
    pub client: MacAddr,
    /// Its name.
    pub hostname: String,
    /// Where its sshd is.
    pub address: Ipv4Addr,
    /// The certificate of the key.
    pub certificate: String,
    /// The line of `known_hosts` that tells the machine from others.
    pub known_hosts: String,
}

/// Signs a key that may have a machine's root do a task; the answer's JSON, or why not.
pub fn apply(daemon: &Daemon, shared: &Shared, body: &[u8]) -> Result<Vec<u8>, String> {
    let order: ApplyOrder = orders::parse(body)?;
    let client = find::client(daemon, shared, &order.client)?;
    let hostname = daemon.hostname(client);
    let hosts = daemon.timelines().hosts();
    let host = hosts.into_iter().find(|(mac, _)| *mac == client);
    let Some((_, host)) = host else {
        return Err(format!(
            "{hostname} has no signed ssh host key: it has not come up, or its image has no sshd"
        ));
    };
    let key = HostKey::parse(&order.key).map_err(|error| error.to_string())?;
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
    let signed = daemon
        .authority
        .certify_task(&order.task, &key, nonce, unix_seconds());
    let applied = Applied {
        client,
        hostname,
        address: host.address,
        certificate: signed.map_err(|error| error.to_string())? + "\n",
        known_hosts: known_hosts_line(daemon),
    };
    let task = match &order.task {
        RootTask::Apply => "its overlay is brought anew, as it runs".to_owned(),
        RootTask::Quiet(words) => format!("a run is measured: {}", words.join(" ")),
    };
    info!(%client, hostname = applied.hostname, "signed a key of root's: {task}");
    daemon.note(client, "ssh", &task);
    serde_json::to_vec(&applied).map_err(|error| error.to_string())
}

/// What the control API says about ssh.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SshStatus {
    /// The clients' domain; whose line of `known_hosts` is ours.
    pub domain: String,
    /// The line of `known_hosts`.
    pub known_hosts: String,
    /// The public key that signs what clients may do at the server.
    pub authority: String,
    /// Whose homes clients may have with keys of their own.
    pub people: Vec<String>,
}

/// See [`SshStatus`].
pub fn status(daemon: &Daemon) -> SshStatus {
    SshStatus {
        domain: daemon.config.dns.domain.clone(),
        known_hosts: known_hosts_line(daemon),
        authority: daemon.authority.public(),
        people: crate::people::with_machine_homes(&daemon.config),
    }
}

fn known_hosts_line(daemon: &Daemon) -> String {
    let config = &daemon.config;
    let configured = config.clients.values();
    let mut names: Vec<String> = configured
        .filter_map(|client| client.hostname.clone())
        .collect();
    names.extend(
        hosts(daemon, |_| None)
            .into_iter()
            .map(|host| host.hostname),
    );
    names.retain(|name| !config.boot.hostnames.matches(name));
    names.sort();
    names.push(config.boot.hostnames.glob());
    let links = daemon.links.load();
    let served = links
        .iter()
        .map(|served| (served.link.address, served.link.prefix_len));
    let relayed = config
        .subnets
        .iter()
        .map(|subnet| (subnet.network, subnet.prefix_len));
    let networks: Vec<(Ipv4Addr, u8)> = served.chain(relayed).collect();
    known_hosts::line(
        &daemon.authority.public(),
        &config.dns.domain,
        names,
        &networks,
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::*;
    use crate::images::Images;

    #[test]
    fn the_authority_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = authority(folder.path()).unwrap();
        assert_eq!(authority(folder.path()).unwrap().public(), first.public());
        let path = folder.path().join("ssh-ca.key");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "no key").unwrap();
        let error = format!("{:#}", authority(folder.path()).unwrap_err());
        assert!(error.contains("ssh-ca.key"), "{error}");
    }

    pub(crate) const PC: MacAddr = MacAddr([0x52, 0x54, 0, 1, 2, 3]);
    pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);

    /// One whose state is in a new folder.
    pub(crate) fn daemon(state: &Path) -> Arc<Daemon> {
        let text = format!("state_dir = {state:?}\n[clients.\"{PC}\"]\nhostname = \"pc1\"\n");
        let loaded = config::load_text("lab.toml", &text, &config::LoadOptions::default());
        let config = loaded.unwrap_or_else(|errors| panic!("{errors}")).config;
        let (images, _) = Images::open(&config).unwrap();
        let authority = authority(state).unwrap();
        Daemon::new(config, images, boot::SiteKey([7; 16]), authority)
    }

    /// What a client at `address` is told, asking with a token made `age` seconds ago.
    fn ask(daemon: &Daemon, address: Ipv4Addr, age: u64, key: u8) -> Result<String, u16> {
        let now = unix_seconds() - age;
        let request = ClientRequest {
            token: daemon.site_key.boot_token(PC, ADDRESS, now),
            value: Authority::from_seed(&[key; 32]).public(),
        };
        let said = certify(daemon, PC, address, request.render("key").as_bytes());
        said.map_err(|(status, _)| status)
    }

    #[test]
    fn a_booting_client_gets_one_key_signed() {
        let folder = tempfile::tempdir().unwrap();
        let daemon = daemon(folder.path());
        let said = ask(&daemon, ADDRESS, 0, 1).unwrap();
        let (certificate, known) = said.split_once('\n').unwrap();
        assert!(certificate.starts_with("ssh-ed25519-cert-v01@openssh.com "));
        assert_eq!(known.trim_end(), known_hosts_line(&daemon));
        assert!(known.starts_with("@cert-authority *.lab.internal,pc1,pc-?????? ssh-ed25519 "));
        assert!(
            ask(&daemon, ADDRESS, 1, 1).is_ok(),
            "the answer may get lost"
        );
        assert_eq!(ask(&daemon, ADDRESS, 0, 2), Err(409));
        let known = hosts(&daemon, |_| None);
        assert_eq!(known.len(), 1);
        let other = MacAddr([2, 0, 0, 0, 0, 2]);
        assert!(hosts(&daemon, |_| Some(other)).is_empty());
        assert_eq!(hosts(&daemon, |_| Some(PC)), known);
        daemon.reached(PC, Stage::Switched, "");
        assert_eq!(ask(&daemon, ADDRESS, 0, 1), Err(403));
    }

    #[test]
    fn a_token_of_another_address_or_an_old_one_signs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let daemon = daemon(folder.path());
        let elsewhere = Ipv4Addr::new(198, 51, 100, 21);
        assert_eq!(ask(&daemon, elsewhere, 0, 1), Err(403));
        assert_eq!(ask(&daemon, ADDRESS, TOKEN_LIFE + 2, 1), Err(403));
        let bad = certify(&daemon, PC, ADDRESS, b"token=1").unwrap_err();
        assert_eq!(bad.0, 400);
        assert!(hosts(&daemon, |_| None).is_empty());
    }

    #[test]
    fn a_machine_that_runs_orders_its_own_next_boot_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let daemon = daemon(folder.path());
        let token = |age| {
            daemon
                .site_key
                .boot_token(PC, ADDRESS, unix_seconds() - age)
        };
        let order = |address, token: String, boot: &str| {
            let request = ClientRequest {
                token,
                value: boot.into(),
            };
            let said = boot_next(&daemon, PC, address, request.render("boot").as_bytes());
            said.map_err(|(status, _)| status)
        };
        daemon.reached(PC, Stage::Script, "");
        assert_eq!(order(ADDRESS, token(0), "local-disk"), Err(409), "it boots");
        // Up for a day.
        daemon.reached(PC, Stage::Switched, "");
        daemon.learn(PC, |facts| facts.token = Some(token(86_400)));
        let said = order(ADDRESS, token(86_400), "local-disk").unwrap();
        assert_eq!(said, "pc1 boots local-disk with its next start\n");
        assert_eq!(daemon.tickets.all().len(), 1);
        assert_eq!(
            order(ADDRESS, token(10), "menu"),
            Err(409),
            "another boot's"
        );
        let elsewhere = Ipv4Addr::new(198, 51, 100, 21);
        assert_eq!(order(elsewhere, token(86_400), "menu"), Err(403));
        assert_eq!(order(ADDRESS, token(86_400), "none"), Err(403));
        assert_eq!(order(ADDRESS, token(86_400), "absent"), Err(409));
        assert_eq!(order(ADDRESS, token(86_400), "a b"), Err(400));
        assert_eq!(daemon.tickets.all()[0].boot, BootChoice::LocalDisk);
    }

    #[test]
    fn host_keys_are_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let before = daemon(folder.path());
        before.reached(PC, Stage::Script, "");
        before.learn(PC, |facts| {
            facts.image = Some(("demo".parse().unwrap(), model::GenerationId([7; 16])));
        });
        ask(&before, ADDRESS, 0, 1).unwrap();
        before.reached(PC, Stage::Switched, "");
        let hosts = |daemon: &Daemon| hosts(daemon, |_| None);
        assert_eq!(hosts(&daemon(folder.path())), hosts(&before));
        assert_eq!(hosts(&before)[0].hostname, "pc1");
    }
}
