//! The server under test, chosen by `SUBJECT`: netbootd, or the peer in its place.

pub mod netbootd;
pub mod peer;

use std::fmt;

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::lab::Lab;
use crate::process::Process;
use crate::roots::Root;

/// Who hands out addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The subject does.
    Full,
    /// Another DHCP server on the link does; the subject adds where to boot from.
    Proxy,
}

impl Mode {
    /// `full` or `proxy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Proxy => "proxy",
        }
    }
}

/// How the client gets its root file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootKind {
    /// One file over NFS, loop-mounted by the client.
    Image,
    /// Files over NFS.
    Tree,
    /// One file over HTTP into memory.
    Ram,
}

impl RootKind {
    /// `image`, `tree` or `ram`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Tree => "tree",
            Self::Ram => "ram",
        }
    }
}

impl fmt::Display for RootKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a test wants served.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// Who hands out addresses.
    pub mode: Mode,
    /// How clients get their root.
    pub root: RootKind,
    /// What they boot; `None`: there is no image, for tests of DHCP, TFTP and DNS alone.
    pub image: Option<&'a Root>,
    /// Words for the kernel, after those that the lab needs itself.
    pub kernel_arguments: &'a str,
    /// A user with this name and this public SSH key.
    pub user: Option<(&'a str, &'a str)>,
    /// How long netbootd's leases last, as its configuration says it.
    pub lease_time: &'a str,
    /// More of netbootd's `[boot]`, as it stands in its file; the peer has nothing like it.
    pub boot: &'a str,
    /// More of netbootd's configuration, as it stands in its file; the peer has nothing like it.
    pub config: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            mode: Mode::Full,
            root: RootKind::Image,
            image: None,
            kernel_arguments: "",
            user: None,
            lease_time: "12h",
            boot: "",
            config: "",
        }
    }
}

impl Setup<'_> {
    /// The kernel's words: a serial console, what the small root's init wants to know, the rest.
    ///
    /// A kernel counts timer interrupts against its processor's speed, and panics where a busy host
    /// does not let the emulated processor run meanwhile; `no_timer_check` is what kernels under
    /// other hypervisors assume by themselves.
    pub fn kernel_words(&self, mount_port: u16) -> String {
        let image = self.image.map_or("none", |image| image.name);
        format!(
            "console=ttyS0 no_timer_check lab.root={} lab.nfs={}:/roots/{image} lab.mountport={mount_port} {}",
            self.root,
            Lab::SERVER,
            self.kernel_arguments
        )
        .trim_end()
        .to_owned()
    }
}

/// The names under which both subjects know the link, and what is on it besides clients.
pub mod names {
    /// The domain of the link.
    pub const DOMAIN: &str = "lab.internal";
    /// A host that is in the configuration: its name in [`DOMAIN`], and its address.
    pub const HOST: (&str, &str) = ("nas", "192.168.67.5");
    /// Where questions about the rest of the world go; nobody is there unless a test brings it.
    pub const UPSTREAM: &str = "192.168.67.4";
    /// The pool, first and last address.
    pub const POOL: (&str, &str) = ("192.168.67.20", "192.168.67.90");
    /// The pool of the network behind a relay, a /24.
    pub const FAR_POOL: (&str, &str) = ("10.1.0.20", "10.1.0.240");
    /// The relay's address in its network.
    pub const RELAY: &str = "10.1.0.1";
}

/// A running server under test.
#[derive(Debug)]
pub struct Server {
    processes: Vec<Process>,
    /// The port that answers MOUNT.
    pub mount_port: u16,
    /// What the subject calls itself: `netbootd` or `peer`.
    pub subject: &'static str,
}

impl Server {
    /// Starts the subject in the lab's server namespace and waits until it serves.
    pub fn start(lab: &Lab, setup: &Setup<'_>) -> Result<Self> {
        match subject()? {
            "peer" => peer::start(lab, setup),
            _ => netbootd::start(lab, setup),
        }
    }

    /// Starts netbootd whatever `SUBJECT` says, for what only netbootd promises: its command line,
    /// its configuration, users on the client.
    pub fn netbootd(lab: &Lab, setup: &Setup<'_>) -> Result<Self> {
        netbootd::start(lab, setup)
    }

    /// Ends it without warning, as a power cut of the server would, and starts it again with the
    /// state that it left.
    pub fn kill_and_start_again(self, lab: &Lab, setup: &Setup<'_>) -> Result<Self> {
        for process in &self.processes {
            process.signal(Signal::KILL)?;
        }
        drop(self);
        Self::start(lab, setup)
    }

    /// Fails if a part of it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Process::must_run)
    }

    /// The main process.
    pub fn main(&mut self) -> &mut Process {
        self.processes
            .last_mut()
            .expect("a server has at least one process")
    }
}

/// The subject that `SUBJECT` names.
pub fn subject() -> Result<&'static str> {
    match std::env::var("SUBJECT").as_deref() {
        Err(_) | Ok("netbootd" | "") => Ok("netbootd"),
        Ok("peer") => Ok("peer"),
        Ok(other) => bail!("SUBJECT={other}: it is `netbootd` or `peer`"),
    }
}
