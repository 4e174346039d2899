//! What the lease database survives.

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
    let path = folder.path().join("leases.redb");
    (folder, path)
}

/// A database of these records, closed.
fn stored(records: impl IntoIterator<Item = LeaseRecord>) -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    let opened = Leases::open(&path).unwrap();
    let changes: Vec<_> = records.into_iter().map(Change::Put).collect();
    opened.leases.commit(&changes).unwrap();
    drop(opened);
    (folder, path)
}

/// Opens a database that was damaged: the file is kept aside, and the new one takes leases.
#[track_caller]
fn opens_all_the_same(folder: &TempDir, path: &Path) -> Opened {
    let before = std::fs::read(path).unwrap();
    let opened = Leases::open(path).unwrap();
    assert_eq!(opened.notes.len(), 1, "{:?}", opened.notes);
    assert!(
        opened.notes[0].contains("leases.redb.damaged"),
        "{:?}",
        opened.notes
    );
    let aside = std::fs::read(folder.path().join("leases.redb.damaged")).unwrap();
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
    assert_eq!((opened.records, opened.notes), (vec![record(2)], vec![]));
}

#[test]
fn an_empty_file_is_said_and_begun_anew() {
    let (_folder, path) = folder();
    std::fs::write(&path, b"").unwrap();
    let opened = Leases::open(&path).unwrap();
    assert!(opened.notes[0].ends_with("was empty; no lease is known"));
    opened.leases.commit(&[Change::Put(record(1))]).unwrap();
}

#[test]
fn a_file_of_another_program_is_set_aside_and_said() {
    for content in [&[0x5a; 1 << 20][..], b"SQLite format 3\0", b"lease {\n}\n"] {
        let (folder, path) = folder();
        std::fs::write(&path, content).unwrap();
        assert!(opens_all_the_same(&folder, &path).records.is_empty());
    }
}

#[test]
fn a_second_damaged_file_does_not_take_the_place_of_the_first() {
    let (folder, path) = folder();
    for _ in 0..2 {
        std::fs::write(&path, b"something else").unwrap();
        Leases::open(&path).unwrap();
    }
    assert!(folder.path().join("leases.redb.damaged").exists());
    assert!(folder.path().join("leases.redb.damaged-2").exists());
}

#[test]
fn a_truncated_file_gives_back_what_is_left_of_it() {
    let (folder, path) = stored((1..200).map(record));
    let len = std::fs::metadata(&path).unwrap().len();
    for part in [len - 1, len / 2, 5000, 300, 1] {
        let (other, cut) = self::folder();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&cut, &whole[..part as usize]).unwrap();
        let opened = opens_all_the_same(&other, &cut);
        let known: Vec<_> = (1..200).map(record).collect();
        assert!(opened.records.iter().all(|record| known.contains(record)));
    }
    drop(folder);
}

/// Wherever a byte is changed, the database opens, and no lease comes out of it that was not in it.
/// What is missing is said.
#[test]
fn flipped_bytes_cost_no_other_lease_than_theirs() {
    let (_folder, path) = stored((1..200).map(record));
    let whole = std::fs::read(&path).unwrap();
    let known: Vec<_> = (1..200).map(record).collect();
    // Most of the file is empty: each byte that is not, in steps, and the header whole.
    let used = (0..whole.len()).filter(|at| whole[*at] != 0);
    let places: Vec<_> = (0..400).step_by(7).chain(used.step_by(401)).collect();
    assert!(places.len() > 50);
    for at in places {
        let (_other, path) = folder();
        let mut bad = whole.clone();
        bad[at] ^= 0x11;
        std::fs::write(&path, &bad).unwrap();
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
fn one_bad_record_costs_only_itself() {
    let (_folder, path) = stored([record(1)]);
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(LEASES)
        .unwrap()
        .insert(7, &b"{garbage"[..])
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let opened = Leases::open(&path).unwrap();
    assert_eq!((opened.records.len(), opened.notes.len()), (1, 1));
}

#[test]
fn a_missing_folder_is_an_error_with_its_path() {
    let error = Leases::open(Path::new("/nowhere/leases.redb"))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("cannot open /nowhere/leases.redb: "),
        "{error}"
    );
}

#[test]
fn a_database_that_another_process_has_open_is_left_alone() {
    let (folder, path) = stored([record(1)]);
    let _first = Leases::open(&path).unwrap();
    let second = Leases::open(&path).err().unwrap();
    assert!(second.to_string().contains("cannot open"), "{second}");
    assert!(!folder.path().join("leases.redb.damaged").exists());
}
