//! What a file says after a power cut, and what is left of a damaged one.

use super::*;
use crate::RecordState;
use model::MacAddr;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

fn record(last: u8) -> LeaseRecord {
    LeaseRecord {
        address: Ipv4Addr::new(10, 0, 0, last),
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        client_id: None,
        hostname: None,
        expires: 1000,
        state: RecordState::Bound,
        written: 500,
    }
}

fn put(last: u8) -> Change {
    Change::Put(record(last))
}

/// A file of these batches.
fn file(batches: &[&[Change]]) -> Vec<u8> {
    let mut bytes = TITLE.to_vec();
    for changes in batches {
        write_batch(&mut bytes, *changes);
    }
    bytes
}

/// The last numbers of the addresses that have a record.
fn known(content: &Content) -> Vec<u8> {
    let records = content.records.iter();
    records.map(|record| record.address.octets()[3]).collect()
}

#[test]
fn the_last_word_about_an_address_counts() {
    let renewed = LeaseRecord {
        expires: 2000,
        ..record(1)
    };
    let bytes = file(&[
        &[put(1), put(2)],
        &[Change::Remove(record(2).address)],
        &[],
        &[Change::Put(renewed.clone()), put(3)],
    ]);
    let content = Content::read(bytes.clone());
    assert_eq!(content.records.iter().next(), Some(renewed));
    assert_eq!(known(&content), [1, 3]);
    assert_eq!(content.end, bytes.len() as u64);
    assert_eq!(content.condition, Condition::Whole);
}

/// The power fails while the last batch is written: of its sectors any may be on the disk. Whatever
/// was written before is there, and nothing that nobody wrote.
#[test]
fn a_power_cut_costs_nothing_but_the_batch_that_is_being_written() {
    let before = file(&[&[put(1), put(2)], &[put(3)]]);
    let last: Vec<_> = (4..20).map(put).collect();
    let mut after = before.clone();
    write_batch(&mut after, last);
    let sectors = before.len() / SECTOR..after.len().div_ceil(SECTOR);
    assert!((3..9).contains(&sectors.len()), "{sectors:?}");
    for written in 0..1_u32 << sectors.len() {
        let mut bytes = before.clone();
        bytes.resize(sectors.end * SECTOR, 0);
        for (at, sector) in sectors.clone().enumerate() {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(after.len());
            if written >> at & 1 == 1 {
                bytes[range.clone()].copy_from_slice(&after[range]);
            }
        }
        let content = Content::read(bytes);
        let known = known(&content);
        assert!(known.starts_with(&[1, 2, 3]), "{known:?}");
        let is_true = |found: LeaseRecord| {
            let last = found.address.octets()[3];
            found == record(last) && last < 20
        };
        assert!(content.records.iter().all(is_true));
        match written.count_ones() as usize {
            0 => assert_eq!(content.condition, Condition::Whole),
            all if all == sectors.len() => assert_eq!(known.len(), 19),
            _ => assert_eq!(content.condition, Condition::Cut, "{written:b}"),
        }
    }
}

#[test]
fn a_process_that_ends_amid_a_batch_leaves_what_was_before() {
    let before = file(&[&[put(1), put(2)]]);
    let after = file(&[&[put(1), put(2)], &[put(3), put(4)]]);
    for len in before.len()..after.len() {
        let content = Content::read(after[..len].to_vec());
        assert!(known(&content).starts_with(&[1, 2]), "{len} bytes");
        let is_begun = len > before.len();
        assert_eq!(content.condition == Condition::Cut, is_begun, "{len} bytes");
        assert_eq!(content.end, before.len() as u64);
    }
}

#[test]
fn a_record_that_is_not_understood_costs_only_itself() {
    let mut bytes = file(&[&[put(1)]]);
    let body = b"{\"from\":\"a later version\"}\n";
    let sum = crc32fast::hash(body);
    bytes.extend(format!("+{:08x} {sum:08x}\n", body.len()).into_bytes());
    bytes.extend(body);
    write_batch(&mut bytes, [put(2)]);
    let content = Content::read(bytes);
    assert_eq!(known(&content), [1, 2]);
    assert_eq!(content.notes.len(), 1);
    assert_eq!(content.condition, Condition::Whole);
}

#[test]
fn what_was_removed_before_the_damage_stays_removed_after_it() {
    let first = file(&[&[put(1), put(2)], &[Change::Remove(record(1).address)]]);
    let mut bytes = first.clone();
    write_batch(&mut bytes, [put(3)]);
    write_batch(&mut bytes, [Change::Remove(record(2).address), put(4)]);
    // In the batch of the third.
    bytes[first.len() + HEADER + 30] ^= 1;
    let content = Content::read(bytes);
    assert_eq!(known(&content), [4]);
    assert_eq!(content.unreadable, 1);
    assert_eq!(content.condition, Condition::Damaged);
}

#[test]
fn a_length_that_nobody_can_mean_is_damage() {
    for header in [
        "+ffffffff 00000000\n",
        "+-0000001 00000000\n",
        "++0000000 00000000\n",
    ] {
        let mut bytes = file(&[&[put(1)]]);
        bytes.extend(header.as_bytes());
        let content = Content::read(bytes);
        assert_eq!(known(&content), [1]);
    }
}
