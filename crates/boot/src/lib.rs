//! Boot policy: who is this client, what does it boot, what is its next file, how far has it come.
//!
//! This crate joins the protocols by meaning and not by code: it knows that an iPXE gets a script
//! and that a UEFI PXE stack gets `snponly.efi`, and nothing of DHCP options or sockets.
//!
//! * [`Site`] answers [`Site::plan`]: what this client boots now.
//! * [`ladder`] finds out how a firmware is brought to a loader, and remembers what worked.
//! * [`loader`] names the first loader for a firmware; [`script`] writes the iPXE script.
//! * [`overlay`] renders the few files that make one client differ from another.
//! * [`Authority`] signs the clients' ssh host keys, and what they may do with them at the server.
//! * [`Timelines`] keeps what happened to each client, and says in words where a boot stopped.
#![forbid(unsafe_code)]

mod attempt;
pub mod grub;
mod host_key;
mod identity;
pub mod known_hosts;
pub mod ladder;
mod layers;
pub mod loader;
pub mod overlay;
mod packets;
mod run;
mod running;
pub mod script;
mod site;
mod status;
mod ticket;
mod timelines;
mod user_key;
mod verdict;
mod why;

pub use attempt::{Attempt, Drivers, Facts, ForeignOffer, Note, Step};
pub use host_key::{Authority, HostIdentity, HostKey, KeyError, NotSigned, VALIDITY};
pub use identity::SiteKey;
pub use layers::{Layers, Speaker};
pub use packets::{Carrier, Packet, Packets};
pub use run::{Counted, RunRecord, Traffic};
pub use running::Running;
pub use site::{BootPlan, ClientSettings, Plan, PublishedImage, Site};
pub use status::{ClientStatus, Outcome, StepStatus};
pub use ticket::{TRIES, Ticket, Tickets, Tried};
pub use timelines::{Reached, Stopped, Timelines};
pub use user_key::{HOMES_VALIDITY, RootTask};
pub use why::{Event, Why};
