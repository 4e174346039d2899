//! How far a boot has come.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A step of one client's boot, in the order in which a boot passes them.
///
/// ```text
/// discover → offer → ack → loader → script → kernel → initrd → init → mounted → switched → running
///                                                             running → login → settled → session
/// ```
///
/// The first seven are seen by the server itself; from `init` on the client tells. A machine that is
/// `running` has booted; `login` and `settled` come in either order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The firmware asked for an address or a boot server.
    Discover,
    /// We offered an address, a boot file, or both.
    Offer,
    /// The address is leased (full mode), or the boot server on port 4011 answered (proxy mode).
    Ack,
    /// The first loader was fetched whole (TFTP or HTTP Boot).
    Loader,
    /// iPXE fetched the boot script.
    Script,
    /// The kernel was fetched whole.
    Kernel,
    /// The initrd was fetched whole.
    Initrd,
    /// `/init` runs on the client.
    Init,
    /// The client mounted its root and the overlay over it.
    Mounted,
    /// The client hands over to the image's own init.
    Switched,
    /// The image's own init reached its default target.
    Running,
    /// Somebody can log in: an ssh server listens, or a console asks for a name.
    Login,
    /// The image's own init has nothing left to start: `running`, or [`Stage::DEGRADED`] with the names
    /// of what failed.
    Settled,
    /// Somebody has logged in for the first time.
    Session,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 14] = [
        Self::Discover,
        Self::Offer,
        Self::Ack,
        Self::Loader,
        Self::Script,
        Self::Kernel,
        Self::Initrd,
        Self::Init,
        Self::Mounted,
        Self::Switched,
        Self::Running,
        Self::Login,
        Self::Settled,
        Self::Session,
    ];

    /// How the message of [`Stage::Settled`] begins when something has failed; systemd's word for it.
    pub const DEGRADED: &str = "degraded";

    /// The stage's name, as in logs, reports and the control API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Offer => "offer",
            Self::Ack => "ack",
            Self::Loader => "loader",
            Self::Script => "script",
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::Init => "init",
            Self::Mounted => "mounted",
            Self::Switched => "switched",
            Self::Running => "running",
            Self::Login => "login",
            Self::Settled => "settled",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str() == text)
            .ok_or(())
    }
}
