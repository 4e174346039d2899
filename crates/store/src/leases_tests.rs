//! What the file of leases survives.

use std::path::PathBuf;

use super::*;
use crate::RecordState;
use model::MacAddr;
use tempfile::TempDir;

fn record(last: u8) -> LeaseRecord {
    LeaseRecord {
        address: Ipv4Addr::new(192, 168, 67, last),
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        client_id: None,
        hostname: Some(format!("pc{last}")),
        expires: 1000,
        state: RecordState::Bound,
        written: 500,
    }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.log");
    (folder, path)
}

/// A file of these records, closed.
fn stored(records: impl IntoIterator<Item = LeaseRecord>) -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    let opened = Leases::open(&path).unwrap();
    let changes: Vec<_> = records.into_iter().map(Change::Put).collect();
    opened.leases.commit(&changes).unwrap();
    drop(opened);
    (folder, path)
}

/// Opens a file that was damaged: it is kept aside, and the new one takes leases.
#[track_caller]
fn opens_all_the_same(folder: &TempDir, path: &Path) -> Opened {
    let before = fs::read(path).unwrap();
    let opened = Leases::open(path).unwrap();
    assert_eq!(opened.notes.len(), 1, "{:?}", opened.notes);
    assert!(
        opened.notes[0].contains("leases.log.damaged"),
        "{:?}",
        opened.notes
    );
    let aside = fs::read(folder.path().join("leases.log.damaged")).unwrap();
    assert_eq!(aside.len(), before.len());
    opened.leases.commit(&[Change::Put(record(250))]).unwrap();
    opened
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let (_folder, path) = folder();
    let opened = Leases::open(&path).unwrap();
    assert!(opened.records.is_empty() && opened.notes.is_empty());
    let leases = opened.leases;
    leases
        .commit(&[Change::Put(record(1)), Change::Put(record(2))])
        .unwrap();
    leases.commit(&[Change::Remove(record(1).address)]).unwrap();
    drop(leases);
    let opened = Leases::open(&path).unwrap();
    assert!(opened.records.iter().eq([record(2)]) && opened.notes.is_empty());
}

#[test]
fn an_empty_file_is_said_and_begun_anew() {
    let (_folder, path) = folder();
    fs::write(&path, b"").unwrap();
    let opened = Leases::open(&path).unwrap();
    assert!(opened.notes[0].ends_with("was empty; no lease is known"));
    opened.leases.commit(&[Change::Put(record(1))]).unwrap();
}

#[test]
fn a_file_of_another_program_is_set_aside_and_said() {
    for content in [&[0x5a; 1 << 20][..], b"SQLite format 3\0", b"lease {\n}\n"] {
        let (folder, path) = folder();
        fs::write(&path, content).unwrap();
        assert!(opens_all_the_same(&folder, &path).records.is_empty());
    }
}

#[test]
fn a_second_damaged_file_does_not_take_the_place_of_the_first() {
    let (folder, path) = folder();
    for _ in 0..2 {
        fs::write(&path, b"something else").unwrap();
        Leases::open(&path).unwrap();
    }
    assert!(folder.path().join("leases.log.damaged").exists());
    assert!(folder.path().join("leases.log.damaged-2").exists());
}

#[test]
fn a_truncated_file_gives_back_what_is_left_of_it() {
    let (_folder, path) = stored((1..200).map(record));
    let whole = fs::read(&path).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for part in [used, used / 2, 5000, 300, 1] {
        let (_other, cut) = folder();
        fs::write(&cut, &whole[..part]).unwrap();
        let opened = Leases::open(&cut).unwrap();
        assert_eq!(opened.notes.len(), 1, "{:?}", opened.notes);
        let known: Vec<_> = (1..200).map(record).collect();
        assert!(opened.records.iter().all(|record| known.contains(&record)));
        let left = opened.records;
        assert!(
            left.len() + 1 >= part.saturating_sub(200) / 140,
            "{part} bytes"
        );
        opened.leases.commit(&[Change::Put(record(250))]).unwrap();
        drop(opened.leases);
        // From then on it is whole.
        let again = Leases::open(&cut).unwrap();
        assert!(again.notes.is_empty(), "{:?}", again.notes);
        assert_eq!(again.records.len(), left.len() + 1);
    }
}

/// Wherever a byte is changed, the file opens, and no lease comes out of it that was not in it.
/// What is missing is said.
#[test]
fn flipped_bytes_cost_no_other_lease_than_theirs() {
    let (_folder, path) = stored((1..200).map(record));
    let whole = fs::read(&path).unwrap();
    let known: Vec<_> = (1..200).map(record).collect();
    let used = (0..whole.len()).filter(|at| whole[*at] != 0);
    // The beginning, and whatever else there is in steps.
    let places: Vec<_> = (0..60).step_by(4).chain(used.step_by(501)).collect();
    assert!(places.len() > 50);
    for at in places {
        let (_other, path) = folder();
        let mut bad = whole.clone();
        bad[at] ^= 0x11;
        fs::write(&path, &bad).unwrap();
        let opened = Leases::open(&path).unwrap_or_else(|error| panic!("byte {at}: {error}"));
        let strange = opened.records.iter().find(|record| !known.contains(record));
        assert_eq!(strange, None, "byte {at}");
        let missing = known.len() - opened.records.len();
        assert!(missing <= 1, "byte {at} cost {missing} leases");
        assert!(missing == 0 || !opened.notes.is_empty(), "byte {at}");
        opened.leases.commit(&[Change::Put(record(250))]).unwrap();
    }
}

#[test]
fn what_is_outdated_is_dropped_in_time() {
    let (_folder, path) = stored([record(1), record(2)]);
    let opened = Leases::open(&path).unwrap();
    let len = || fs::metadata(&path).unwrap().len();
    let (mut longest, mut expires) = (0, 1000);
    while len() >= longest {
        longest = len();
        assert!(longest < OUTDATED + (1 << 20), "{longest} bytes");
        let renewed = |last| LeaseRecord {
            expires,
            ..record(last)
        };
        let changes = [1, 2].map(renewed).map(Change::Put);
        // As many as would be renewed one after the other.
        let many: Vec<_> = changes.iter().cycle().take(1000).cloned().collect();
        opened.leases.commit(&many).unwrap();
        expires += 1;
    }
    assert!(longest > OUTDATED);
    drop(opened.leases);
    let opened = Leases::open(&path).unwrap();
    let ends: Vec<_> = opened.records.iter().map(|record| record.expires).collect();
    assert_eq!((ends, opened.notes), (vec![expires - 1; 2], vec![]));
}

#[test]
fn a_missing_folder_is_an_error_with_its_path() {
    let error = Leases::open(Path::new("/nowhere/leases.log"))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("cannot open /nowhere/leases.log: "),
        "{error}"
    );
}

#[test]
fn a_file_that_another_process_has_open_is_left_alone() {
    let (folder, path) = stored([record(1)]);
    let _first = Leases::open(&path).unwrap();
    let second = Leases::open(&path).err().unwrap();
    assert!(second.to_string().contains("cannot open"), "{second}");
    assert!(!folder.path().join("leases.log.damaged").exists());
}
