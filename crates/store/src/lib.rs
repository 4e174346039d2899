//! What netbootd keeps on disk between restarts.
//!
//! * [`Leases`]: DHCP leases in a file that is appended to. A commit returns when its changes are on
//!   the disk, so that an acknowledgement can follow it.
//! * [`key`]: the site's secret, made once.
//! * [`file`]: small files that are replaced as a whole.
//!
//! It knows nothing of DHCP messages: a [`LeaseRecord`] is what the disk holds, and the daemon
//! translates. Images on disk are the `image` crate's.
#![forbid(unsafe_code)]

pub mod file;
mod journal;
pub mod key;
mod leases;
mod record;
mod salvage;

pub use journal::Records;
pub use leases::{Change, Leases, Opened, StoreError};
pub use record::{LeaseRecord, RecordState};
