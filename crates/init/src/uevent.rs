//! Devices as the kernel announces them: coldplug from sysfs, then its event socket.

use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

/// The kernel's multicast group of raw events (udev's own are group 2).
const KERNEL_GROUP: u32 = 1;

/// Tells each device's `modalias` once.
pub(crate) struct Devices {
    events: Option<OwnedFd>,
    told: HashSet<String>,
}

impl Devices {
    /// Starts listening; do it before [`Devices::present`], so that nothing falls between.
    pub(crate) fn listen() -> Self {
        Self {
            events: open().ok(),
            told: HashSet::new(),
        }
    }

    /// The devices that are there now and were not told before, network cards first.
    pub(crate) fn present(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        for bus in folders("/sys/bus") {
            for device in folders(&format!("{bus}/devices")) {
                let Ok(modalias) = fs::read_to_string(format!("{device}/modalias")) else {
                    continue;
                };
                self.tell(modalias.trim(), &mut found);
            }
        }
        found.sort_by_key(|modalias| !is_network_card(modalias));
        found
    }

    /// The devices announced since the last call, waiting at most `timeout` for the first.
    pub(crate) fn announced(&mut self, timeout: Duration) -> Vec<String> {
        let mut found = Vec::new();
        let Some(events) = self.events.take() else {
            std::thread::sleep(timeout);
            return found;
        };
        let timeout = Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let mut wait = [PollFd::new(&events, PollFlags::IN)];
        if poll(&mut wait, Some(&timeout)).is_ok_and(|ready| ready > 0) {
            let mut buffer = [0; 8192];
            loop {
                match rustix::net::recv(&events, &mut buffer, RecvFlags::DONTWAIT) {
                    Ok((length, _)) => {
                        if let Some(modalias) = modalias(&buffer[..length]) {
                            self.tell(&modalias, &mut found);
                        }
                    }
                    // Some were lost: look at everything again.
                    Err(Errno::NOBUFS) => found.extend(self.present()),
                    Err(_) => break,
                }
            }
        }
        self.events = Some(events);
        found
    }

    fn tell(&mut self, modalias: &str, found: &mut Vec<String>) {
        if !modalias.is_empty() && self.told.insert(modalias.to_owned()) {
            found.push(modalias.to_owned());
        }
    }
}

/// A socket on which the kernel tells its events.
pub(crate) fn open() -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(KOBJECT_UEVENT),
    )?;
    // A PC announces a few thousand devices while drivers load.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 4 << 20);
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
    Ok(socket)
}

fn folders(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| format!("{path}/{}", entry.file_name().to_string_lossy()))
        .collect()
}

/// PCI class 02, and virtio's device type 1.
fn is_network_card(modalias: &str) -> bool {
    (modalias.starts_with("pci:") && modalias.contains("bc02"))
        || modalias.starts_with("virtio:d00000001")
}

/// `MODALIAS` of one event: a heading, then `KEY=value` words, each ended by a zero.
fn modalias(event: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(event).ok()?;
    text.starts_with("add@").then_some(())?;
    text.split('\0')
        .find_map(|word| word.strip_prefix("MODALIAS="))
        .map(str::to_owned)
}

/// A PHY's identity as `modules.alias` writes it, from `phy_id` in sysfs (`0x001cc915`).
pub(crate) fn phy_modalias(phy_id: &str) -> Option<String> {
    let id = u32::from_str_radix(phy_id.trim().strip_prefix("0x")?, 16).ok()?;
    (id != 0).then(|| format!("mdio:{id:032b}"))
}

/// The PHYs on every MDIO bus. They have no `modalias` file, and the kernel's own request for
/// their drivers finds no modprobe.
pub(crate) fn phys() -> Vec<String> {
    folders("/sys/bus/mdio_bus/devices")
        .into_iter()
        .filter_map(|device| fs::read_to_string(format!("{device}/phy_id")).ok())
        .filter_map(|id| phy_modalias(&id))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_new_device_tells_its_modalias() {
        let event = b"add@/devices/x\0ACTION=add\0SUBSYSTEM=usb\0MODALIAS=usb:v1p2\0SEQNUM=1\0";
        assert_eq!(modalias(event).as_deref(), Some("usb:v1p2"));
        assert_eq!(modalias(b"remove@/x\0MODALIAS=usb:v1p2\0"), None);
        assert_eq!(modalias(b"add@/x\0ACTION=add\0"), None);
        assert_eq!(modalias(b"\xff\xfe"), None);
    }

    #[test]
    fn a_phy_is_written_bit_by_bit() {
        assert_eq!(
            phy_modalias("0x001cc915\n").as_deref(),
            Some("mdio:00000000000111001100100100010101")
        );
        assert_eq!(phy_modalias("0x00000000"), None);
        assert_eq!(phy_modalias("junk"), None);
    }
}
