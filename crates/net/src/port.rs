//! Who holds a port that we want.

use std::fmt;
use std::net::Ipv4Addr;

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP, listening.
    Tcp,
    /// UDP, bound.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// The holder of a port. Without privilege only the user number is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The address that it is bound to; 0.0.0.0 for all.
    pub address: Ipv4Addr,
    /// The user it runs as.
    pub uid: u32,
    /// Its process number and name.
    pub process: Option<(u32, String)>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((pid, name)) => write!(f, "{name} (pid {pid})"),
            None => write!(f, "a process of user {}", self.uid),
        }
    }
}

/// Who holds `port` at an address that collides with `address` (itself, or either one 0.0.0.0).
pub fn holder(protocol: Protocol, address: Ipv4Addr, port: u16) -> Option<Holder> {
    let tables: [(&str, bool); 2] = match protocol {
        Protocol::Tcp => [("/proc/self/net/tcp", false), ("/proc/self/net/tcp6", true)],
        Protocol::Udp => [("/proc/self/net/udp", false), ("/proc/self/net/udp6", true)],
    };
    tables.into_iter().find_map(|(path, six)| {
        let table = std::fs::read_to_string(path).ok()?;
        let (address, uid, inode) = find(&table, protocol, six, address, port)?;
        Some(Holder {
            address,
            uid,
            process: process_of(inode),
        })
    })
}

/// The address, user and inode of the table's line that collides.
fn find(
    table: &str,
    protocol: Protocol,
    six: bool,
    wanted: Ipv4Addr,
    port: u16,
) -> Option<(Ipv4Addr, u32, u64)> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state) = (fields.get(1)?, *fields.get(3)?);
        let (hex, local_port) = local.split_once(':')?;
        if u16::from_str_radix(local_port, 16).ok()? != port {
            return None;
        }
        if protocol == Protocol::Tcp && state != LISTEN {
            return None;
        }
        let address = if six {
            // Only the wildcard of IPv6 (which takes IPv4 too) is in our way.
            hex.bytes()
                .all(|byte| byte == b'0')
                .then_some(Ipv4Addr::UNSPECIFIED)?
        } else {
            Ipv4Addr::from(u32::from_str_radix(hex, 16).ok()?.swap_bytes())
        };
        let collides = address == wanted || address.is_unspecified() || wanted.is_unspecified();
        let parsed = || {
            Some((
                address,
                fields.get(7)?.parse().ok()?,
                fields.get(9)?.parse().ok()?,
            ))
        };
        if collides { parsed() } else { None }
    })
}

/// The process that has the socket with this inode open. Needs the right to look into it.
fn process_of(inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(descriptors) = std::fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let has = |fd: std::fs::DirEntry| {
            std::fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str())
        };
        if descriptors.flatten().any(has) {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn our_own_listener_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = holder(Protocol::Tcp, Ipv4Addr::LOCALHOST, port).unwrap();
        assert_eq!(found.process.unwrap().0, std::process::id());
        assert!(holder(Protocol::Tcp, Ipv4Addr::UNSPECIFIED, port).is_some());
        assert_eq!(
            holder(Protocol::Tcp, Ipv4Addr::new(127, 0, 0, 2), port),
            None
        );
        assert_eq!(holder(Protocol::Udp, Ipv4Addr::LOCALHOST, port), None);
    }

    #[test]
    fn the_wildcard_of_ipv6_is_in_our_way() {
        let table = "  sl  local_address                         remote_address                        st\n\
             0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A \
             00000000:00000000 00:00000000 00000000     0        0 12345 1\n";
        let found = find(
            table,
            Protocol::Tcp,
            true,
            Ipv4Addr::new(192, 168, 67, 1),
            80,
        );
        assert_eq!(found, Some((Ipv4Addr::UNSPECIFIED, 0, 12345)));
    }
}
