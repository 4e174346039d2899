//! Who gives addresses.

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use integration::dnsmasq::ALONE;
use integration::room::{Relay, message, network};
use integration::subject::netbootd;
use integration::{Lab, Process, Setup};

/// Who gives addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Subject {
    /// Ours, with its defaults
    Netbootd,
    /// dnsmasq, without its ping and its log of leases
    Dnsmasq,
    /// Kea with its file of leases, one thread
    Kea,
}

/// Addresses of the pool.
const ADDRESSES: u32 = 60_000;

/// A server, running until this is dropped.
pub(super) struct Serving(Process);

impl Serving {
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Subject {
    pub(super) const ALL: [Self; 3] = [Self::Netbootd, Self::Dnsmasq, Self::Kea];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Netbootd => "netbootd",
            Self::Dnsmasq => "dnsmasq",
            Self::Kea => "kea",
        }
    }

    /// Starts it. With netbootd the first `leases` machines of the load have one already.
    pub(super) fn start(self, lab: &Lab, leases: u32) -> Result<Serving> {
        match self {
            Self::Netbootd => start_netbootd(lab, leases),
            Self::Dnsmasq => start_dnsmasq(lab),
            Self::Kea => start_kea(lab),
        }
        .map(Serving)
    }
}

/// Leases that are there before lie all over the pool, this many addresses apart: a prime, so that no address comes twice.
const APART: u32 = 7919;

/// The leases of the first machines, as dnsmasq keeps them.
fn leases_file(lab: &Lab, leases: u32) -> Result<String> {
    let path = lab.folder().join("dnsmasq.leases");
    let mut text = String::new();
    for machine in 0..leases {
        let place = machine * APART % ADDRESSES;
        let address = Ipv4Addr::from(u32::from(Relay::ADDRESS) + 9 + place);
        let mac = message::mac(machine)
            .map(|byte| format!("{byte:02x}"))
            .join(":");
        writeln!(text, "4102444800 {mac} {address} * *")?;
    }
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

fn start_netbootd(lab: &Lab, leases: u32) -> Result<Process> {
    let network = network(ADDRESSES);
    let setup = Setup {
        config: &network,
        ..Setup::default()
    };
    let path = netbootd::configure(lab, &setup)?;
    // The lab's tests log more than anybody's server.
    let text = fs::read_to_string(&path)?;
    fs::write(&path, text.replace("level = \"debug\"", "level = \"info\""))?;
    let process = netbootd::serve(lab, &path)?;
    if leases > 0 {
        netbootd::asked(lab, &["leases", "import", &leases_file(lab, leases)?])?;
    }
    Ok(process)
}

fn start_dnsmasq(lab: &Lab) -> Result<Process> {
    let mut dnsmasq = lab.command("dnsmasq")?;
    dnsmasq.args(ALONE);
    dnsmasq.args(["--port=0", "--no-ping", "--quiet-dhcp"]);
    dnsmasq.args(["--dhcp-authoritative", "--dhcp-lease-max=100000"]);
    let first = u32::from(Relay::ADDRESS) + 9;
    let last = Ipv4Addr::from(first + ADDRESSES - 1);
    let first = Ipv4Addr::from(first);
    dnsmasq.arg(format!("--dhcp-range={first},{last},255.192.0.0,12h"));
    let file = lab.folder().join("dnsmasq.leases");
    dnsmasq.arg(format!("--dhcp-leasefile={}", file.display()));
    let mut process = Process::start(&mut dnsmasq, &lab.folder().join("dnsmasq.log"))?;
    process.until_printed("started", Duration::from_secs(10))?;
    Ok(process)
}

fn start_kea(lab: &Lab) -> Result<Process> {
    let folder = lab.folder().display().to_string();
    let first = u32::from(Relay::ADDRESS) + 9;
    let last = Ipv4Addr::from(first + ADDRESSES - 1);
    let (first, bridge) = (Ipv4Addr::from(first), Lab::BRIDGE);
    let text = format!(
        r#"{{ "Dhcp4": {{
    "interfaces-config": {{ "interfaces": ["{bridge}"], "dhcp-socket-type": "udp" }},
    "lease-database": {{ "type": "memfile", "persist": true, "name": "{folder}/kea-leases.csv" }},
    "multi-threading": {{ "enable-multi-threading": false }},
    "valid-lifetime": 43200,
    "subnet4": [ {{ "id": 1, "subnet": "10.64.0.0/10",
        "pools": [ {{ "pool": "{first} - {last}" }} ] }} ],
    "loggers": [ {{ "name": "kea-dhcp4", "severity": "WARN",
        "output_options": [ {{ "output": "stdout" }} ] }} ]
}} }}
"#
    );
    let path = lab.folder().join("kea.json");
    fs::write(&path, text)?;
    let mut kea = lab.command("kea-dhcp4")?;
    kea.env("KEA_PIDFILE_DIR", &folder);
    kea.env("KEA_LOCKFILE_DIR", &folder);
    kea.arg("-c").arg(&path);
    Process::start(&mut kea, &lab.folder().join("kea.log"))
}
