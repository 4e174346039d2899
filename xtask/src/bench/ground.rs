//! Where a service is measured: a server in a lab of its own, and a load on a client beside it.
//!
//! The server's threads have the first processor, the load has the second, so that what the load does
//! is nobody's figure.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use integration::subject::netbootd;
use integration::{Client, Lab, Process, Setup};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// The server's processor, and the load's.
const PROCESSORS: [usize; 2] = [0, 1];

/// A lab for one server, with a client that has many addresses.
pub(crate) struct Ground {
    pub(crate) lab: Lab,
    client: Client,
    /// Whom the server asks.
    neighbour: OnceLock<Client>,
}

impl Ground {
    /// Addresses of the client.
    pub(crate) const CLIENTS: u8 = 64;

    /// A fresh one. Nothing is captured: it would cost more than the servers.
    pub(crate) fn open(name: &str) -> Result<Self> {
        let lab = Lab::new(name)?;
        lab.close_capture();
        let client = lab.client()?;
        (0..Self::CLIENTS).try_for_each(|number| client.set_address(Self::client(number)))?;
        let neighbour = OnceLock::new();
        Ok(Self {
            lab,
            client,
            neighbour,
        })
    }

    /// One of the client's addresses.
    pub(crate) fn client(number: u8) -> Ipv4Addr {
        let [a, b, c, _] = Lab::SERVER.octets();
        Ipv4Addr::new(a, b, c, 100 + number)
    }

    /// netbootd with its defaults and this much more of its configuration.
    pub(crate) fn netbootd(&self, config: &str) -> Result<Process> {
        let setup = Setup {
            config,
            ..Setup::default()
        };
        let path = netbootd::configure(&self.lab, &setup)?;
        // The lab's tests log more than anybody's server.
        let text = fs::read_to_string(&path)?;
        fs::write(&path, text.replace("level = \"debug\"", "level = \"info\""))?;
        netbootd::serve(&self.lab, &path)
    }

    /// Gives netbootd these leases, in the form of dnsmasq's file.
    pub(crate) fn import_leases(&self, leases: &str) -> Result<()> {
        let path = self.lab.folder().join("leases");
        fs::write(&path, leases)?;
        netbootd::asked(
            &self.lab,
            &["leases", "import", &path.display().to_string()],
        )?;
        Ok(())
    }

    /// A program on the one client beside the load's, which gets this address.
    pub(crate) fn neighbour(&self, address: Ipv4Addr, program: &str) -> Result<Command> {
        let client = self.lab.client()?;
        client.set_address(address)?;
        self.neighbour.get_or_init(|| client).command(program)
    }

    /// Gives the server its processor.
    pub(crate) fn settle(&self, server: &Process) -> Result<()> {
        for thread in fs::read_dir(format!("/proc/{}/task", server.id()))? {
            let name = thread?.file_name();
            let id = name.to_str().and_then(|id| id.parse().ok());
            give(
                id.and_then(Pid::from_raw).context("a thread's id")?.into(),
                0,
            )?;
        }
        Ok(())
    }

    /// Runs a load on the client.
    pub(crate) fn load<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.client.inside(|| {
            give(None, 1)?;
            work()
        })
    }

    /// A program that is a load.
    pub(crate) fn command(&self, program: &str) -> Result<Command> {
        let mut command = self.client.command("taskset")?;
        command.args(["--cpu-list", &PROCESSORS[1].to_string(), program]);
        Ok(command)
    }
}

/// Lets a thread, or this one, run on one processor only, where there are as many.
fn give(thread: Option<Pid>, number: usize) -> Result<()> {
    if std::thread::available_parallelism()?.get() < PROCESSORS.len() && thread.is_some() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(PROCESSORS[number]);
    sched_setaffinity(thread, &set).context("cannot choose a processor")
}
