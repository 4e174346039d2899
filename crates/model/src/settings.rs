//! What the operator says of clients: of single ones, and of groups.

use std::fmt;
use std::str::FromStr;

use crate::{BootChoice, Changes, MacAddr, RootMode, Way};

/// What can be said of one client and of a group alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What it boots.
    pub boot: Option<BootChoice>,
    /// How it gets its root.
    pub root: Option<RootMode>,
    /// What its changes to the root may take of its memory.
    pub changes: Option<Changes>,
    /// Added to the kernel command line.
    pub kernel_arguments: Option<String>,
    /// systemd units that never start.
    pub mask: Vec<String>,
    /// systemd units that start although something of lower rank masks them.
    pub unmask: Vec<String>,
    /// The program and its words that restart it, run on the server; empty: nothing is said of it.
    pub reboot: Vec<String>,
    /// Where its Redfish service is.
    pub redfish: Option<String>,
    /// Lines for `/etc/fstab`.
    pub fstab: Vec<String>,
    /// Shell commands that root runs at the end of the boot, in order.
    pub commands: Vec<String>,
    /// The account that the console is logged in as; empty: nobody.
    pub autologin: Option<String>,
    /// The accounts of the configuration and of the server that it has; `None`: all.
    pub users: Option<Vec<String>>,
    /// Where the homes of the server's accounts are.
    pub home: Option<Home>,
    /// How long it has its ssh host key.
    pub ssh_host_key: Option<SshHostKey>,
    /// Whether its firmware enforces Secure Boot; `None`: it is found out.
    pub secure_boot: Option<bool>,
    /// The way its firmware is brought to a loader; `None`: it is found out.
    pub way: Option<Way>,
    /// What DHCP tells it besides, each option once.
    pub options: Vec<DhcpOption>,
}

/// A DHCP option that netbootd has no opinion about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpOption {
    /// Its number (RFC 2132), none of those that the server decides.
    pub code: u8,
    /// What is in it, 1 to 255 bytes.
    pub bytes: Vec<u8>,
}

/// Where a client has the homes of the server's accounts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// From the server by sshfs, from a login with the person's password on to the last logout.
    #[default]
    Sshfs,
    /// From the server by sshfs, whenever somebody looks into them, by a certificate of the machine.
    Machine,
    /// From an NFS server, whenever somebody looks into them.
    Nfs,
    /// In the client's memory, new at each boot.
    Tmpfs,
}

impl Home {
    /// Every one.
    const ALL: [Self; 4] = [Self::Sshfs, Self::Machine, Self::Nfs, Self::Tmpfs];

    /// The names in the order of the variants.
    pub const NAMES: [&str; 4] = ["sshfs", "machine", "nfs", "tmpfs"];

    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|home| home.as_str() == name)
    }
}

/// How long a client has its ssh host key. It never crosses the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SshHostKey {
    /// It is made anew at each boot, and in memory only.
    #[default]
    Boot,
    /// It is a variable of the machine's UEFI, made once.
    Firmware,
}

impl SshHostKey {
    /// The names in the order of the variants.
    pub const NAMES: [&str; 2] = ["boot", "firmware"];

    /// Its name in the configuration, and what the client is told.
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Boot, Self::Firmware];
        all.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Several clients that something is said of together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Who belongs to it.
    pub members: Vec<Pattern>,
    /// Groups whose settings it has too; its own win.
    pub include: Vec<String>,
    /// What is said.
    pub settings: Settings,
}

impl Group {
    /// Whether a client belongs to the group by itself.
    pub fn has(&self, client: MacAddr, hostname: &str) -> bool {
        self.members
            .iter()
            .any(|pattern| pattern.matches(client, hostname))
    }
}

/// Which clients: a host name or a MAC address, in which `*` stands for any text and `?` for one
/// character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Whether the client is meant, by its address or by its name.
    pub fn matches(&self, client: MacAddr, hostname: &str) -> bool {
        let name = hostname.to_ascii_lowercase();
        glob(self.0.as_bytes(), name.as_bytes())
            || glob(self.0.as_bytes(), client.to_string().as_bytes())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text cannot match any client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsePatternError;

impl FromStr for Pattern {
    type Err = ParsePatternError;

    fn from_str(text: &str) -> Result<Self, ParsePatternError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-:*?".contains(&byte);
        if (1..=63).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ParsePatternError)
        }
    }
}

/// Looks back to the last `*` only, which is enough and keeps it quadratic at worst.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

    #[test]
    fn a_pattern_means_names_and_addresses() {
        let matches = |text: &str| text.parse::<Pattern>().unwrap().matches(PC, "Lab-pc01");
        for good in [
            "lab-pc01",
            "LAB-*",
            "*",
            "lab-pc??",
            "*pc*1",
            "52:54:*",
            "52:54:00:00:00:01",
        ] {
            assert!(matches(good), "{good}");
        }
        for bad in ["lab", "pc*", "lab-pc?", "52:55:*", "lab-pc011", "?"] {
            assert!(!matches(bad), "{bad}");
        }
    }

    #[test]
    fn what_no_client_can_be_called_is_no_pattern() {
        for bad in ["", "a b", "a.b", "[ab]", "ä", &"a".repeat(64)] {
            assert_eq!(bad.parse::<Pattern>(), Err(ParsePatternError), "{bad}");
        }
    }

    #[test]
    fn a_pattern_of_stars_ends() {
        let pattern: Pattern = "*a*a*a*a*a*a*a*a*b".parse().unwrap();
        assert!(!pattern.matches(PC, &"a".repeat(63)));
    }
}
