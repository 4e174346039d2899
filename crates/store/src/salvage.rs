//! What can be had back from a damaged file: the records are text, and are found as such wherever
//! they lie.

use std::ops::Range;

use crate::LeaseRecord;
use crate::record::{CHECK_LEN, is_check};

/// What every record begins with.
const START: &[u8] = br#"{"address":""#;
/// A record is shorter: a client identifier has 255 bytes at most, a name 63.
const LONGEST: usize = 2048;

/// The whole records in their order and where they stand, and how many are not whole. One that was removed may come back,
/// so that at worst an address is kept for too long.
pub(crate) fn records(bytes: &[u8]) -> (Vec<(Range<usize>, LeaseRecord)>, usize) {
    let (mut found, mut unreadable, mut at) = (Vec::new(), 0, 0);
    while let Some(next) = find(&bytes[at..]).map(|next| at + next) {
        match record(&bytes[next..]) {
            Some((len, record)) => found.push((next..next + len, record)),
            None => unreadable += 1,
        }
        at = next + START.len();
    }
    (found, unreadable)
}

fn find(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(START.len())
        .position(|window| window == START)
}

/// The record at the beginning of `bytes`, and how long it is, if it is whole.
fn record(bytes: &[u8]) -> Option<(usize, LeaseRecord)> {
    let text = &bytes[..bytes.len().min(LONGEST)];
    let json = text.iter().position(|byte| *byte == b'}')? + 1;
    let check = text.get(json..json + CHECK_LEN);
    let len = if check.is_some_and(is_check) {
        json + CHECK_LEN
    } else {
        json
    };
    Some((len, LeaseRecord::from_bytes(&text[..len]).ok()?))
}
