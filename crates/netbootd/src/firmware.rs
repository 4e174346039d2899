//! How machines' firmware is brought to a loader: what worked is in `firmware.json` in the state folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use boot::ladder::{Asker, KnownMachine, KnownModel, Ladder, Memory};
use boot::loader::{self, Chain};
use dhcp::ClientInfo;
use model::{ClientArch, Firmware, MacAddr, Stage, Way};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::daemon::{Daemon, unix_millis};

/// The longest that is read: more than all that is remembered can fill.
const MAX_LEN: u64 = 8 << 20;

/// What is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Known {
    /// Machines that have booted.
    pub machines: Vec<KnownMachine>,
    /// Models, by the makers of their cards.
    pub models: Vec<KnownModel>,
}

/// The ladder, and its file.
pub struct FirmwareBook {
    path: PathBuf,
    ladder: Mutex<Ladder>,
    /// Held by who writes the file. Nobody waits for the disk with the ladder in their hands: offers need it.
    writing: Mutex<()>,
}

impl FirmwareBook {
    /// The book in this state folder. One that cannot be read is said in the log: what works is found out again.
    pub fn open(state_dir: &Path) -> Self {
        let path = state_dir.join("firmware.json");
        let known = read(&path).unwrap_or_else(|error| {
            warn!(
                "{}: {error}; how machines boot is found out again",
                path.display()
            );
            Known::default()
        });
        Self {
            path,
            ladder: Mutex::new(Ladder::new(Memory::new(known.machines, known.models))),
            writing: Mutex::default(),
        }
    }

    /// What worked for this machine's firmware, each with its architecture.
    pub fn known(&self, client: MacAddr) -> Vec<KnownMachine> {
        let mut machines = self.lock().memory().machines();
        machines.retain(|known| known.client == client);
        machines
    }

    /// An iPXE that can fetch our script was heard of.
    pub fn spoke(&self, client: MacAddr) {
        self.lock().spoke(client);
    }

    /// A loader asked for what to boot. What it was brought by is on disk when this returns.
    pub fn worked(&self, client: MacAddr) {
        let news = self.lock().worked(unix_millis(), client);
        let Some(way) = news else {
            return;
        };
        info!(%client, way = way.as_str(), "this brought its firmware to a loader; remembered");
        self.write();
    }

    /// A machine that runs says whether Secure Boot is on there. What comes of it is on disk when this returns.
    pub fn secure_boot(&self, client: MacAddr, is_on: bool) {
        if self.lock().secure_boot(client, is_on) {
            info!(%client, is_on, "it says whether Secure Boot is on; remembered");
            self.write();
        }
    }

    fn write(&self) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = self.lock().memory().clone();
        let known = Known {
            machines: memory.machines(),
            models: memory.models(),
        };
        let text = serde_json::to_vec_pretty(&known).expect("a book is plain data");
        if let Err(error) = store::file::replace(&self.path, &text) {
            warn!("cannot write {}: {error}", self.path.display());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ladder> {
        self.ladder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> io::Result<Known> {
    match store::file::read(path, MAX_LEN)? {
        Some(text) => Ok(serde_json::from_str(&text)?),
        None => Ok(Known::default()),
    }
}

impl Daemon {
    /// How a client's firmware, or an iPXE that cannot fetch a script, is told of its loader now, and the loader.
    pub fn way(&self, client: &ClientInfo) -> Option<(Way, String)> {
        let is_ipxe = client.firmware == Firmware::Ipxe;
        let asker = Asker {
            mac: client.mac,
            uuid: client.uuid,
            arch: client.arch,
            is_ipxe,
        };
        let ways = self.ways(client.mac, client.arch, is_ipxe);
        let now = unix_millis();
        let mut ladder = self.firmware.lock();
        let way = match client.discovers {
            true => ladder.discovered(now, asker, &ways).way?,
            false => ladder.taken(now, asker, &ways)?,
        };
        let file = self.loaders.file_in(way, client.arch)?;
        Some((way, file.to_owned()))
    }

    /// The ways that may be tried, the first one first.
    pub fn ways(&self, client: MacAddr, arch: ClientArch, is_ipxe: bool) -> Vec<Way> {
        let images = self.images.load();
        let layers = images.site.layers(client);
        let pinned = match (layers.way(), layers.secure_boot()) {
            (None, Some(true)) => Some(Way::Shim),
            (way, _) => way,
        };
        let pinned = pinned.filter(|way| self.loaders.file_in(*way, arch).is_some());
        if let (Some(way), false) = (pinned, is_ipxe) {
            return vec![way];
        }
        let mut ways = self.loaders.ways(arch);
        ways.retain(|way| match way {
            Way::Direct | Way::OtherIpxe => true,
            Way::BootServer | Way::Header => !is_ipxe,
            Way::Shim => !is_ipxe && layers.secure_boot() != Some(false),
        });
        ways
    }

    /// A file was fetched whole; the first loader is one.
    pub fn fetched(&self, client: MacAddr, stage: Stage, detail: &str) {
        if stage == Stage::Loader {
            let mut ladder = self.firmware.lock();
            ladder.fetched(client);
            let (file, _) = detail.split_once(',').unwrap_or((detail, ""));
            if file.trim_start_matches('/').starts_with("grub") {
                ladder.spoke(client);
            }
        }
        self.reached(client, stage, detail);
        self.expect(client);
    }

    /// Notes what is done if nothing more is heard of the client.
    pub fn expect(&self, client: MacAddr) {
        let standing = self.firmware.lock().standing(client);
        self.learn(client, |facts| facts.ladder = standing);
    }

    /// Tells of a firmware that asks for a URL, where it is sent shim and GRUB, that it gets none.
    pub fn tell_of_no_url(&self, client: MacAddr, arch: ClientArch) {
        let way = self.firmware.lock().way(client);
        let file = way.and_then(|way| self.loaders.file_in(way, arch));
        if arch.is_http() && file.is_some_and(|file| loader::chain(file) == Chain::Grub) {
            let text = "Secure Boot does not go over HTTP: Debian's GRUB that came by a URL asks for nothing. It is not \
                        answered, so that PXE comes next; where there is none, switch PXE on in the firmware's setup";
            self.note(client, "firmware", text);
        }
    }

    /// Tells what a client's last attempt failed at, where that decides how it is told now.
    pub fn tell_what_was_missed(&self, client: MacAddr) {
        let Some(missed) = self.firmware.lock().take_missed(client) else {
            return;
        };
        let text = missed.of_the_last();
        info!(%client, "{text}");
        self.note(client, "firmware", &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const ASKER: Asker = Asker {
        mac: PC,
        uuid: None,
        arch: ClientArch::UefiX64,
        is_ipxe: false,
    };

    #[test]
    fn what_worked_outlives_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let book = FirmwareBook::open(folder.path());
        book.lock().discovered(0, ASKER, &[Way::Shim]);
        book.worked(PC);
        let known = FirmwareBook::open(folder.path()).known(PC);
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].way.as_deref(), Some("shim"));
        assert_eq!(known[0].secure_boot, None);
        book.secure_boot(PC, true);
        let known = FirmwareBook::open(folder.path()).known(PC);
        assert_eq!(known[0].secure_boot, Some(true));
    }

    #[test]
    fn what_an_older_version_wrote_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"machines": [{"client": "02:00:00:00:00:01", "uuid": null, "arch": 7, "way": "shim", "since": 1}],
            "models": []}"#;
        std::fs::write(folder.path().join("firmware.json"), text).unwrap();
        let known = FirmwareBook::open(folder.path()).known(PC);
        assert_eq!(known[0].way.as_deref(), Some("shim"));
    }

    #[test]
    fn a_damaged_book_knows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("firmware.json"), "{").unwrap();
        let book = FirmwareBook::open(folder.path());
        assert!(book.known(PC).is_empty());
        book.lock().discovered(0, ASKER, &Way::ALL);
        book.worked(PC);
        assert_eq!(FirmwareBook::open(folder.path()).known(PC).len(), 1);
    }
}
