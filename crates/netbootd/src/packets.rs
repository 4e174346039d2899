//! Captures of the boots that failed: `packets/MAC.pcap` in the state folder.

use std::fs;
use std::io;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use boot::{Carrier, Packet, Packets};
use model::MacAddr;
use tracing::warn;

use crate::daemon::unix_millis;

/// Captures on disk, of a client one: the newest.
const MAX_FILES: usize = 256;
/// What every DHCP message of a machine that boots has in it: its vendor class, or iPXE's name.
const MARKS: [&[u8]; 3] = [b"PXEClient", b"HTTPClient", b"iPXE"];

/// The last packets, and where captures are.
pub struct Captures {
    folder: PathBuf,
    packets: Mutex<Packets>,
}

impl Captures {
    /// Captures go into this state folder.
    pub fn new(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("packets"),
            packets: Mutex::default(),
        }
    }

    /// Keeps a DHCP message, if it is one of a machine that boots, or whose packets are kept: our answer need
    /// not say so, nor does what the booted system asks. Whose it is stands in it.
    pub fn dhcp(&self, from_client: bool, source: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) {
        // hlen and chaddr (RFC 2131, section 2).
        let (Some(6), Some(chaddr)) = (bytes.get(2), bytes.get(28..34)) else {
            return;
        };
        let boots = MARKS
            .iter()
            .any(|mark| bytes.windows(mark.len()).any(|window| window == *mark));
        let Ok(client) = chaddr.try_into().map(MacAddr) else {
            return;
        };
        if boots || self.lock().has(client) {
            self.saw(client, Carrier::Udp, from_client, source, to, bytes);
        }
    }

    /// Keeps a TFTP packet of a client.
    pub fn tftp(
        &self,
        client: MacAddr,
        from_client: bool,
        source: SocketAddrV4,
        to: SocketAddrV4,
        bytes: &[u8],
    ) {
        self.saw(client, Carrier::Udp, from_client, source, to, bytes);
    }

    /// Keeps what a client whose packets are kept asked over HTTP (method and path: a query may hold a token),
    /// and the head of our answer.
    pub fn http(
        &self,
        client: MacAddr,
        peer: SocketAddrV4,
        local: SocketAddrV4,
        asked: &str,
        answer: &[u8],
    ) {
        if self.lock().has(client) {
            let asked = format!("{asked} HTTP/1.1\r\n\r\n");
            self.saw(client, Carrier::Tcp, true, peer, local, asked.as_bytes());
            self.saw(client, Carrier::Tcp, false, local, peer, answer);
        }
    }

    fn saw(
        &self,
        client: MacAddr,
        carrier: Carrier,
        from_client: bool,
        source: SocketAddrV4,
        destination: SocketAddrV4,
        payload: &[u8],
    ) {
        let packet = Packet {
            at: unix_millis(),
            carrier,
            from_client,
            source,
            destination,
            payload: payload.to_vec(),
        };
        self.lock().saw(client, packet);
    }

    /// Writes what there is of a client whose boot has failed.
    pub fn write(&self, client: MacAddr) {
        let Some(capture) = self.lock().capture(client) else {
            return;
        };
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| store::file::replace_with_mode(&self.path(client), &capture, 0o640))
            .and_then(|()| self.forget_old());
        if let Err(error) = written {
            warn!(%client, "no capture in {}: {error}", self.folder.display());
        }
    }

    /// The capture of a client, if there is one.
    pub fn file(&self, client: MacAddr) -> Option<PathBuf> {
        Some(self.path(client)).filter(|path| path.exists())
    }

    fn path(&self, client: MacAddr) -> PathBuf {
        self.folder.join(format!("{}.pcap", client.hyphenated()))
    }

    fn forget_old(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let old = files.len().saturating_sub(MAX_FILES);
        files[..old]
            .iter()
            .try_for_each(|(_, path)| fs::remove_file(path))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Packets> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_machines_that_boot_are_kept_and_the_newest_captures_stay() {
        let folder = tempfile::tempdir().unwrap();
        let captures = Captures::new(folder.path());
        let address: SocketAddrV4 = "0.0.0.0:68".parse().unwrap();
        let message = |client: u16, class: &[u8]| {
            let mut bytes = vec![0; 240];
            bytes[2] = 6;
            bytes[32..34].copy_from_slice(&client.to_be_bytes());
            bytes.extend(class);
            captures.dhcp(true, address, address, &bytes);
            let [high, low] = client.to_be_bytes();
            MacAddr([0, 0, 0, 0, high, low])
        };
        let laptop = message(1, b"android-dhcp-14");
        captures.write(laptop);
        assert_eq!(captures.file(laptop), None);
        let machine = message(2, b"PXEClient:Arch:00007:UNDI:003016");
        captures.write(machine);
        let file = captures.file(machine).unwrap();
        assert!(file.ends_with("packets/00-00-00-00-00-02.pcap"), "{file:?}");
        for client in 1000..1000 + MAX_FILES as u16 {
            captures.write(message(client, b"iPXE"));
        }
        assert_eq!(captures.file(machine), None);
        captures.dhcp(true, address, address, b"cut");
    }

    #[test]
    fn answers_and_http_are_kept_of_those_that_boot_and_of_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let captures = Captures::new(folder.path());
        let address: SocketAddrV4 = "198.51.100.1:80".parse().unwrap();
        let pc = MacAddr([0, 0, 0, 0, 0, 1]);
        let mut answer = vec![0; 240];
        (answer[2], answer[33]) = (6, 1);
        let request = [&answer[..], b"iPXE"].concat();
        let file = |asked: &str| {
            captures.dhcp(false, address, address, &answer);
            captures.http(
                pc,
                address,
                address,
                asked,
                b"HTTP/1.1 404 Not Found\r\n\r\n",
            );
            captures.write(pc);
            captures.file(pc).map(|path| fs::read(path).unwrap())
        };
        assert_eq!(file("GET /x"), None);
        captures.dhcp(true, address, address, &request);
        let file = file("GET /x").unwrap();
        let has = |text: &[u8]| file.windows(text.len()).any(|window| window == text);
        assert!(has(b"GET /x HTTP/1.1") && has(b"404 Not Found"));
        assert!(file.len() > 24 + 4 * 50 + answer.len() + request.len());
    }
}
