//! `busybox udhcpc`, ISC's `dhclient`, `dhcpcd`; and `perfdhcp`, which is many clients behind a relay.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lab::{Client, Lab};
use crate::process::{Process, ran, succeed, until};

/// What a DHCP client was given, as it tells its hook script.
#[derive(Debug)]
pub struct Lease {
    values: BTreeMap<String, String>,
}

/// What both clients call: it takes the address and writes down everything that it is told.
const HOOK: &str = "#!/bin/sh
case \"$1$reason\" in
bound | renew | BOUND | REBOOT | RENEW) ;;
*) exit 0 ;;
esac
env >\"$LAB_LEASE.new\"
ip address flush dev eth0
ip address add \"${ip:-$new_ip_address}/24\" dev eth0
mv \"$LAB_LEASE.new\" \"$LAB_LEASE\"
";

/// Asks with `busybox udhcpc`; `words` are its further arguments. `None`: nobody leased anything.
pub fn udhcpc(lab: &Lab, client: &Client, words: &[&str]) -> Result<Option<Lease>> {
    let mut command = client.command("busybox")?;
    command.args([
        "udhcpc", "-f", "-q", "-n", "-t", "4", "-T", "1", "-i", "eth0",
    ]);
    command
        .args(["-O", "bootfile", "-O", "tftp", "-s"])
        .arg(hook(lab)?)
        .args(words);
    let lease = lease_file(lab, client);
    let answer = ran(command.env("LAB_LEASE", &lease))?;
    match answer.code {
        Some(0) => read(&lease).map(Some),
        Some(1) => Ok(None),
        _ => bail!("udhcpc fails:\n{}", answer.everything()),
    }
}

/// Asks with ISC's `dhclient`, which sends `config` (its own language) too, as one that never had a lease.
pub fn dhclient(lab: &Lab, client: &Client, config: &str) -> Result<Option<Lease>> {
    let lease = lease_file(lab, client);
    let configured = lease.with_extension("dhclient.conf");
    fs::write(&configured, config)?;
    let earlier = [lease.as_path(), Path::new("/run/dhclient.leases")];
    succeed(client.command("rm")?.arg("-f").args(earlier))?;
    let mut command = client.command("dhclient")?;
    command.args(["-1", "-d", "-v", "-cf"]).arg(configured);
    command.arg("-sf").arg(hook(lab)?);
    command.args(["-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid"]);
    command
        .arg("-e")
        .arg(format!("LAB_LEASE={}", lease.display()))
        .arg("eth0");
    let mut dhclient = Process::start(&mut command, &lease.with_extension("dhclient.log"))?;
    // It stays with its lease; it ends by itself only when nobody leases anything.
    let ended = until(
        Duration::from_secs(90),
        "dhclient to get a lease or none",
        || {
            let ended = dhclient.ended()?.is_some();
            Ok((ended || lease.exists()).then_some(ended))
        },
    )?;
    if ended && !lease.exists() {
        return Ok(None);
    }
    read(&lease).map(Some)
}

/// Asks with `dhcpcd`, which looks by ARP whether the address is free before it takes it.
pub fn dhcpcd(lab: &Lab, client: &Client) -> Result<Option<Lease>> {
    let lease = lease_file(lab, client);
    let mut command = client.command("sh")?;
    // What it remembers of other machines called eth0 is none of this one's.
    let ask = "mount -t tmpfs tmpfs /var/lib/dhcpcd && exec dhcpcd \"$@\"";
    command.args(["-c", ask, "dhcpcd", "--config", "/dev/null"]);
    command.args(["--ipv4only", "--oneshot", "--timeout", "20"]);
    command.arg("--script").arg(hook(lab)?);
    let told = format!("LAB_LEASE={}", lease.display());
    let answer = ran(command.args(["--env", &told, "eth0"]))?;
    match answer.code {
        Some(0) => read(&lease).map(Some),
        Some(1) => Ok(None),
        _ => bail!("dhcpcd fails:\n{}", answer.everything()),
    }
}

/// What became of the exchanges of `perfdhcp`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exchanges {
    /// DISCOVERs sent, and answered by an offer.
    pub offers: (u32, u32),
    /// REQUESTs sent, and answered by an acknowledgement.
    pub acknowledgements: (u32, u32),
    /// Answers that came too late or never.
    pub drops: u32,
    /// Offers and acknowledgements of an address that somebody else was told of.
    pub duplicates: u32,
}

/// Has `perfdhcp` ask for so many machines, `rate` in a second, as the relay that `relay` is.
pub fn perfdhcp(relay: &Client, at: Ipv4Addr, machines: u32, rate: u32) -> Result<Exchanges> {
    let mut command = relay.command("perfdhcp")?;
    // Machines are drawn by lot: of so many that none comes twice; -u looks for addresses that do.
    command.args(["-4", "-u", "-s", "1", "-R", "100000000"]);
    command.args(["-n", &machines.to_string(), "-r", &rate.to_string()]);
    command.args([
        "-W",
        "1000000",
        "-l",
        &at.to_string(),
        &Lab::SERVER.to_string(),
    ]);
    let answer = ran(&mut command)?;
    let of = |text: &str, name: &str| -> Result<u32> {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(begin, _)| begin.trim() == name);
        let (_, number) = found.with_context(|| format!("perfdhcp says no {name:?}:\n{text}"))?;
        Ok(number.trim().parse()?)
    };
    let parts = answer.text.split_once("***Statistics for: REQUEST-ACK***");
    let (discover, request) = parts.with_context(|| answer.everything())?;
    let answered = |part| -> Result<(u32, u32)> {
        Ok((of(part, "sent packets")?, of(part, "received packets")?))
    };
    Ok(Exchanges {
        offers: answered(discover)?,
        acknowledgements: answered(request)?,
        drops: of(discover, "drops")? + of(request, "drops")?,
        duplicates: of(discover, "non unique addresses")? + of(request, "non unique addresses")?,
    })
}

fn hook(lab: &Lab) -> Result<PathBuf> {
    let path = lab.folder().join("leased.sh");
    if !path.exists() {
        fs::write(&path, HOOK)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(path)
}

fn lease_file(lab: &Lab, client: &Client) -> PathBuf {
    lab.folder()
        .join(format!("lease-{}", client.mac().replace(':', "-")))
}

fn read(file: &PathBuf) -> Result<Lease> {
    let text = fs::read_to_string(file).context("the DHCP client called no hook")?;
    fs::remove_file(file)?;
    let values = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Ok(Lease { values })
}

impl Lease {
    /// A value under either client's name for it, if it was given.
    pub fn value(&self, names: &[&str]) -> Option<&str> {
        let value = names.iter().find_map(|&name| self.values.get(name));
        value.map(String::as_str).filter(|value| !value.is_empty())
    }

    fn must(&self, what: &str, names: &[&str]) -> Result<&str> {
        self.value(names)
            .with_context(|| format!("the lease has no {what}: {:?}", self.values))
    }

    /// The leased address.
    pub fn address(&self) -> Result<Ipv4Addr> {
        Ok(self.must("address", &["ip", "new_ip_address"])?.parse()?)
    }

    /// The network mask.
    pub fn mask(&self) -> Result<Ipv4Addr> {
        Ok(self.must("mask", &["subnet", "new_subnet_mask"])?.parse()?)
    }

    /// The routers, separated by spaces; empty if none was named.
    pub fn routers(&self) -> &str {
        self.value(&["router", "new_routers"]).unwrap_or("")
    }

    /// The server that leased it (option 54).
    pub fn server(&self) -> Result<Ipv4Addr> {
        let names = ["serverid", "new_dhcp_server_identifier"];
        Ok(self.must("server", &names)?.parse()?)
    }

    /// For how long, in seconds.
    pub fn seconds(&self) -> Result<u32> {
        Ok(self
            .must("time", &["lease", "new_dhcp_lease_time"])?
            .parse()?)
    }

    /// The DNS servers, separated by spaces; empty if none was named.
    pub fn dns(&self) -> &str {
        self.value(&["dns", "new_domain_name_servers"])
            .unwrap_or("")
    }

    /// The file to boot, from the header or from option 67.
    pub fn boot_file(&self) -> Option<&str> {
        let file = self.value(&["boot_file", "bootfile", "new_filename", "new_bootfile_name"]);
        file.map(|file| file.trim_end_matches('\0'))
    }

    /// Where to fetch it from, if the lease says so.
    pub fn next_server(&self) -> Option<&str> {
        self.value(&["siaddr", "new_next_server"])
    }
}
