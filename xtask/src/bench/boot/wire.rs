//! What passes the bridge: when the stages before the kernel come, and how much it is.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use integration::{Lab, Process, succeed};

/// DHCP, the first packet of each TFTP transfer, and what clients send over HTTP; of the files
/// themselves nothing, so that the watcher costs the same whoever sends more.
const FILTER: &str = "udp port 67 or udp dst port 69 or (tcp dst port 80 and \
                      (ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0)";

/// tcpdump on the bridge, telling in words what it sees.
pub(super) struct Wire {
    tcpdump: Process,
}

impl Wire {
    /// Watches from now on.
    pub(super) fn watch(lab: &Lab) -> Result<Self> {
        let mut tcpdump = lab.command("tcpdump")?;
        // -tt: seconds since 1970, -v: what a DHCP message is, -l: line by line.
        tcpdump.args([
            "-i",
            Lab::BRIDGE,
            "-n",
            "-tt",
            "-v",
            "-l",
            "-Z",
            "root",
            FILTER,
        ]);
        let mut tcpdump = Process::start(&mut tcpdump, &lab.folder().join("wire.log"))?;
        tcpdump.until_printed("listening on", Duration::from_secs(10))?;
        Ok(Self { tcpdump })
    }

    /// Seconds from `power_on` to the first DHCPACK and to the request for the boot script.
    pub(super) fn stages(&self, power_on: SystemTime) -> Result<(f64, f64)> {
        let power_on = power_on
            .duration_since(SystemTime::UNIX_EPOCH)?
            .as_secs_f64();
        let text = self.tcpdump.printed();
        let ack = first(&text, |line| line.ends_with("length 1: ACK"));
        let script = first(&text, |line| {
            line.contains(".ipxe") && (line.contains("RRQ \"") || line.trim().starts_with("GET "))
        });
        Ok((
            ack.context("no DHCPACK on the link")? - power_on,
            script.context("nobody asked for a boot script")? - power_on,
        ))
    }
}

/// The time of the first packet with such a line, in seconds since 1970. A packet is one line that
/// begins with its time, and lines that are set in.
fn first(text: &str, wanted: impl Fn(&str) -> bool) -> Option<f64> {
    let mut time = None;
    for line in text.lines() {
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            time = line.split(' ').next().and_then(|time| time.parse().ok());
        }
        if wanted(line) {
            return time;
        }
    }
    None
}

/// The bytes that went to the machine behind this tap so far, with their Ethernet headers.
pub(super) fn sent_to(lab: &Lab, tap: &str) -> Result<f64> {
    let counter = format!("/sys/class/net/{tap}/statistics/tx_bytes");
    let read = succeed(lab.command("cat")?.arg(counter))?;
    Ok(read.text.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_has_the_time_of_its_first_line() {
        let text = "1.5 IP (tos 0x0)\n    1.2.3.4.67 > BOOTP/DHCP, Reply\n\
                    \t    DHCP-Message (53), length 1: Offer\n\
                    2.5 IP (tos 0x0)\n\t    DHCP-Message (53), length 1: ACK\n";
        assert_eq!(first(text, |line| line.ends_with("ACK")), Some(2.5));
        assert_eq!(first(text, |line| line.ends_with("Offer")), Some(1.5));
        assert_eq!(first(text, |line| line.contains("RRQ")), None);
    }
}
