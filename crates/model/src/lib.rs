//! The vocabulary of netbootd: the few types that more than one crate must agree on.
//!
//! Everything here is a value: no sockets, files, clocks or threads. A type belongs here only when
//! two crates that may not know each other need it (see the layer table in `crates/README.md`).
#![forbid(unsafe_code)]

mod arch;
mod boot_arguments;
mod changes;
mod choice;
mod client_request;
pub mod digest;
mod known_by;
mod mac;
mod name;
mod name_pattern;
mod pci;
mod report;
mod run;
mod settings;
mod stage;
mod text;
mod verity;
mod way;

pub use arch::{ClientArch, Firmware};
pub use boot_arguments::{BootArguments, BootArgumentsError, ClientNetwork, RootMode};
pub use changes::{Changes, ParseChangesError, Share};
pub use choice::{BootChoice, ParseBootChoiceError};
pub use client_request::{ClientRequest, ClientRequestError};
pub use digest::FileDigest;
pub use known_by::{KnownBy, ParseKnownByError, Uuid};
pub use mac::{MacAddr, ParseMacError};
pub use name::{GenerationId, ImageName, ParseGenerationError, ParseImageNameError};
pub use name_pattern::{NamePattern, ParseNamePatternError};
pub use pci::{NotPci, PciId};
pub use report::{Report, ReportError};
pub use run::{RunReport, RunReportError};
pub use settings::{DhcpOption, Group, Home, ParsePatternError, Pattern, Settings, SshHostKey};
pub use stage::Stage;
pub use verity::{ParseVerityError, Verity};
pub use way::Way;
