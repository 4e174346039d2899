//! Runs that are measured: the server counts what the machine fetches meanwhile, and signs a record.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use boot::{Counted, Plan, RunRecord, Ticket, Traffic};
use image::catalogue::Catalogue;
use model::{BootChoice, GenerationId, ImageName, MacAddr, RunReport};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::daemon::{Daemon, unix_millis};
use crate::orders::{done, parse};
use crate::services::dhcp::Shared;
use crate::{find, identity};

/// The records' folder in the state folder.
const FOLDER: &str = "runs";
/// Runs that go on at once, and records that are kept: the newest.
const MAX_RUNS: usize = 1024;
const MAX_RECORDS: usize = 4096;
/// Longest record that is read, in bytes.
const MAX_RECORD: u64 = 64 << 10;

/// What goes on, and where the records are.
pub struct Runs {
    folder: PathBuf,
    begun: Mutex<HashMap<MacAddr, Begun>>,
}

#[derive(Clone, Copy)]
struct Begun {
    at: u64,
    counted: Counted,
}

/// A run, as the control API tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunStatus {
    /// The machine's name.
    pub hostname: String,
    /// When it began, in milliseconds of Unix time.
    pub began: u64,
    /// Its record, once it has ended.
    pub record: Option<RunRecord>,
}

/// `POST /boot-again`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgainOrder {
    /// The record's text, to the byte.
    pub record: String,
    /// Its signature.
    pub signature: String,
    /// The machine, if not the one of the record.
    pub client: Option<String>,
}

impl Runs {
    /// The runs whose records are in this state folder.
    pub fn new(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join(FOLDER),
            begun: Mutex::default(),
        }
    }

    fn begin(&self, client: MacAddr, begun: Begun) -> bool {
        let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        // A client that died in a run begins the next one.
        let room = all.len() < MAX_RUNS || all.contains_key(&client);
        if room {
            all.insert(client, begun);
        }
        room
    }

    fn end(&self, client: MacAddr) -> Option<Begun> {
        let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&client)
    }

    fn going_on(&self) -> Vec<(MacAddr, u64)> {
        let all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .map(|(client, begun)| (*client, begun.at))
            .collect()
    }

    /// Writes a record down, and lets the oldest go when there are too many.
    fn keep(&self, record: &RunRecord, text: &str, signature: &str) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(file_name(record));
        store::file::replace_with_mode(
            &path.with_extension("json.sig"),
            signature.as_bytes(),
            0o640,
        )?;
        store::file::replace_with_mode(&path, text.as_bytes(), 0o640)?;
        let files = self.files();
        for old in files.iter().take(files.len().saturating_sub(MAX_RECORDS)) {
            let _ = fs::remove_file(old);
            let _ = fs::remove_file(old.with_extension("json.sig"));
        }
        Ok(())
    }

    /// The records' files, the oldest first: a name begins with the time, and times have as many digits for
    /// two centuries.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort();
        files
    }

    fn records(&self) -> Vec<RunRecord> {
        let read = |path: &PathBuf| -> Option<RunRecord> {
            let text = store::file::read(path, MAX_RECORD).ok()??;
            serde_json::from_str(&text).ok()
        };
        self.files().iter().filter_map(read).collect()
    }
}

/// Where a record is kept in this state folder.
pub fn record_file(state_dir: &Path, record: &RunRecord) -> PathBuf {
    state_dir.join(FOLDER).join(file_name(record))
}

fn file_name(record: &RunRecord) -> String {
    format!("{}-{}.json", record.began, record.client.hyphenated())
}

/// The runs that go on. One whose machine has begun to boot again since has ended, whatever became of it.
pub fn going_on(daemon: &Daemon) -> Vec<RunStatus> {
    let timelines = daemon.timelines();
    let goes_on = |(client, began): &(MacAddr, u64)| {
        let boot = timelines.current(*client);
        boot.is_none_or(|attempt| attempt.began() <= *began)
    };
    let runs = daemon.runs.going_on().into_iter().filter(goes_on);
    runs.map(|(client, began)| RunStatus {
        hostname: daemon.hostname(client),
        began,
        record: None,
    })
    .collect()
}

/// Every run: the records, the oldest first, then those that go on.
pub fn all(daemon: &Daemon) -> Vec<RunStatus> {
    let ended = daemon.runs.records().into_iter().map(|record| RunStatus {
        hostname: record.hostname.clone(),
        began: record.began,
        record: Some(record),
    });
    ended.chain(going_on(daemon)).collect()
}

/// A client says that a run begins, or has ended. The answer to the end is the verdict on a line, the record, and its signature; a
/// refusal is a status and the reason.
pub fn report(
    daemon: &Daemon,
    client: MacAddr,
    address: Ipv4Addr,
    body: &[u8],
) -> Result<String, (u16, String)> {
    let report = RunReport::parse(body).map_err(|error| (400, error.to_string()))?;
    identity::vouched(daemon, client, address, &report.token, u64::MAX, "run")?;
    let now = unix_millis();
    let counted = count(daemon, address);
    if !report.ended {
        let begun = Begun { at: now, counted };
        return match daemon.runs.begin(client, begun) {
            true => Ok(String::new()),
            false => Err((503, "too many runs go on".to_owned())),
        };
    }
    let begun = daemon.runs.end(client);
    let begun = begun.ok_or((409, "no run of this machine has begun".to_owned()))?;
    let (image, generation, root) = {
        let timelines = daemon.timelines();
        let facts = timelines.current(client).map(|attempt| &attempt.facts);
        let image = facts.and_then(|facts| facts.image.clone());
        let (name, generation) =
            image.ok_or((409, "it is not known what this machine runs".to_owned()))?;
        let root = facts.and_then(|facts| facts.root).unwrap_or_default();
        (name, generation, root)
    };
    let told: BTreeMap<String, String> = report.facts.into_iter().collect();
    let record = RunRecord {
        format: RunRecord::FORMAT,
        client,
        hostname: daemon.hostname(client),
        address,
        digests: digests(daemon, &image, generation),
        image,
        generation,
        root: root.as_str().to_owned(),
        kernel_arguments: operators_words(told.get("command_line").map_or("", String::as_str)),
        began: begun.at,
        ended: now,
        traffic: counted.since(begun.counted),
        told,
    };
    seal(daemon, &record).map_err(|error| {
        warn!(%client, "the record of a run cannot be made: {error:#}");
        (
            500,
            "the record cannot be made; the server's log says why".to_owned(),
        )
    })
}

fn seal(daemon: &Daemon, record: &RunRecord) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(record)? + "\n";
    let signature = daemon.authority.sign_record(&text)?;
    daemon.runs.keep(record, &text, &signature)?;
    let said = in_words(record);
    daemon.note(record.client, "run", &said);
    info!(client = %record.client, "run: {said}");
    Ok(format!("{said}\n{text}{signature}"))
}

/// What a record says, on one line.
pub fn in_words(record: &RunRecord) -> String {
    let Traffic { calls, bytes } = record.traffic.root;
    let seconds = record.seconds();
    match record.is_quiet() {
        true => format!("{seconds:.1} s in which nothing of the root was fetched"),
        false => format!("{seconds:.1} s, NOT quiet: {calls} calls and {bytes} bytes of the root"),
    }
}

/// NFS so far, as one client sees it.
fn count(daemon: &Daemon, address: Ipv4Addr) -> Counted {
    let mut counted = Counted::default();
    for client in daemon.nfs_counters.figures() {
        for place in &client.exports {
            let ours = ["/images/", "/roots/"];
            let traffic = if client.address != address {
                &mut counted.others
            } else if ours.iter().any(|start| place.export.starts_with(start)) {
                &mut counted.root
            } else {
                &mut counted.data
            };
            traffic.calls += place.calls;
            traffic.bytes += place.bytes_sent;
        }
    }
    counted
}

fn digests(daemon: &Daemon, name: &ImageName, id: GenerationId) -> BTreeMap<String, String> {
    let image = Catalogue::open(&daemon.config.state_dir).image(name).ok();
    let generations = image.into_iter().flat_map(|image| image.generations);
    let generation = generations.into_iter().find(|known| known.id == id);
    let files = generation.map(|generation| generation.manifest.files);
    let digests = files.iter().flat_map(|files| files.iter());
    digests
        .map(|(name, file)| (name.to_owned(), file.sha256.clone()))
        .collect()
}

/// The words of a command line that neither netbootd nor the loader has put there.
fn operators_words(command_line: &str) -> String {
    let ours = ["netbootd.", "initrd=", "BOOT_IMAGE="];
    let words = command_line.split_ascii_whitespace();
    let words: Vec<&str> = words
        .filter(|word| !ours.iter().any(|start| word.starts_with(start)))
        .collect();
    words.join(" ")
}

/// Gives a machine a ticket for what a record was made with; the answer's JSON, or why not.
pub fn boot_again(daemon: &Daemon, shared: &Shared, body: &[u8]) -> Result<Vec<u8>, String> {
    let order: AgainOrder = parse(body)?;
    daemon
        .authority
        .check_record(&order.record, &order.signature)
        .map_err(|error| format!("this server has not signed this record: {error}"))?;
    let record: RunRecord = serde_json::from_str(&order.record)
        .map_err(|error| format!("the record is signed, and not understood: {error}"))?;
    let client = match &order.client {
        Some(text) => find::client(daemon, shared, text)?,
        None => record.client,
    };
    let boot = BootChoice::Image {
        name: record.image.clone(),
        generation: Some(record.generation.to_string()),
    };
    let images = daemon.images.load();
    let plan = match images.site.plan(client, Some(&boot)) {
        Plan::Boot(plan) => plan,
        Plan::Nothing(reason) => return Err(reason),
        other => return Err(format!("the machine would not boot an image: {other:?}")),
    };
    if digests(daemon, &record.image, record.generation) != record.digests {
        return Err(format!(
            "the files of {boot} are not those of the record; `netbootd image verify` says which are damaged"
        ));
    }
    let hostname = daemon.hostname(client);
    let mut said = format!("{hostname} boots {boot} with its next start");
    let words = plan.kernel_arguments.split_ascii_whitespace();
    let words = words.collect::<Vec<_>>().join(" ");
    let differences = [
        ("machine", client.to_string(), record.client.to_string()),
        ("root", plan.root.as_str().to_owned(), record.root),
        ("kernel_arguments", words, record.kernel_arguments),
    ];
    for (what, now, then) in differences {
        if now != then {
            said.push_str(&format!(
                "\nnot as in the record: {what} was `{then}` and is `{now}`"
            ));
        }
    }
    info!(%client, %boot, "boot again: {said}");
    let ticket = Ticket::once(client, boot);
    let disk = |error| format!("the ticket cannot be written: {error}");
    daemon.tickets.issue(ticket).map_err(disk)?;
    done(client, hostname, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(began: u64) -> RunRecord {
        RunRecord {
            format: RunRecord::FORMAT,
            client: MacAddr([2, 0, 0, 0, 0, 1]),
            hostname: "pc1".into(),
            address: Ipv4Addr::LOCALHOST,
            image: "demo".parse().unwrap(),
            generation: GenerationId([7; 16]),
            root: "image".into(),
            kernel_arguments: "quiet".into(),
            digests: BTreeMap::new(),
            began,
            ended: began + 1500,
            traffic: Counted::default(),
            told: BTreeMap::new(),
        }
    }

    #[test]
    fn records_are_kept_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::new(folder.path());
        assert_eq!(runs.records(), []);
        for began in [1_800_000_000_002, 1_800_000_000_001] {
            let text = serde_json::to_string(&record(began)).unwrap();
            runs.keep(&record(began), &text, "signature").unwrap();
        }
        let began: Vec<u64> = runs.records().iter().map(|record| record.began).collect();
        assert_eq!(began, [1_800_000_000_001, 1_800_000_000_002]);
        assert_eq!(fs::read_dir(folder.path().join("runs")).unwrap().count(), 4);
    }

    #[test]
    fn a_run_ends_once_and_a_new_one_takes_its_place() {
        let runs = Runs::new(Path::new("/nonexistent"));
        let (client, counted) = (MacAddr([2; 6]), Counted::default());
        assert!(runs.begin(client, Begun { at: 1, counted }));
        assert!(runs.begin(client, Begun { at: 2, counted }));
        assert_eq!(runs.going_on(), [(client, 2)]);
        assert_eq!(runs.end(client).map(|begun| begun.at), Some(2));
        assert!(runs.end(client).is_none());
    }

    #[test]
    fn what_was_fetched_is_said() {
        let mut run = record(0);
        assert_eq!(
            in_words(&run),
            "1.5 s in which nothing of the root was fetched"
        );
        run.traffic.root = Traffic {
            calls: 3,
            bytes: 4096,
        };
        assert!(in_words(&run).ends_with("NOT quiet: 3 calls and 4096 bytes of the root"));
    }

    #[test]
    fn the_operators_words_are_told_from_ours() {
        let line =
            "initrd=initrd.img netbootd.server=10.0.0.1 quiet netbootd.token=x mitigations=off";
        assert_eq!(operators_words(line), "quiet mitigations=off");
    }
}
