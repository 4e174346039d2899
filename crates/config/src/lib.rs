//! From text to meaning: the configuration of netbootd.
//!
//! [`load`] stacks four layers (built-in defaults, a TOML file, `NETBOOTD_*` environment variables,
//! settings of the command line), turns the result into a [`Config`] of typed values, and finds
//! **everything** that is wrong with it in one go. Each [`Diagnostic`] says what is wrong, where,
//! why that matters, and what to write instead.
//!
//! What was typed and what it means are two things: layers and spans never leave this crate, and a
//! [`Config`] holds nothing that would have to be checked again without looking at the machine. What
//! needs the machine (is there such a card, such an image?) the daemon checks, and asks
//! [`Loaded::diagnostic`] to point at the line.
//!
//! This crate reads one file and knows nothing else of the system: not the environment, which is an
//! argument, and not the network.
#![forbid(unsafe_code)]

mod conflicts;
mod diagnostic;
mod groups;
mod key;
mod keys;
mod layers;
mod live;
mod loaded;
mod login;
mod lower;
mod meaning;
mod path;
mod reader;
mod reference;
mod sections;
mod source;
mod text;
mod unknown;

pub use diagnostic::{Code, Diagnostic, Diagnostics, Severity};
pub use key::{Initial, Key, Kind, Section};
pub use keys::KEYS;
pub use live::Network;
pub use loaded::{LoadOptions, Loaded, Setting, load, load_text};
pub use meaning::{
    Boot, ClientSettings, Config, DhcpOption, Dns, ExportedFolder, Http, ImageSettings, Interface,
    KEEP, Loaders, Log, LogFormat, Login, Mode, Nfs, Power, Scrub, Subnet, Tftp, User,
};
pub use path::KeyPath;
pub use reference::{code_table, default_file, key_tables};
pub use sections::SECTIONS;

#[cfg(test)]
mod tests;
