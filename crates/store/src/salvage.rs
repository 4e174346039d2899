//! What can be had back from a damaged lease database: the records are text, and are found as such
//! wherever they lie.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::path::Path;

use crate::LeaseRecord;
use crate::record::{CHECK_LEN, is_check};

/// What every record begins with.
const START: &[u8] = br#"{"address":""#;
/// A record is shorter: a client identifier has 255 bytes at most, a name 63.
const LONGEST: usize = 2048;
/// How much is read at once.
const CHUNK: usize = 1 << 20;
/// More addresses than a pool can have.
const MOST: usize = 1 << 24;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    /// One record for each address, in their order.
    pub records: Vec<LeaseRecord>,
    /// Records, current or older ones, that are not whole.
    pub unreadable: usize,
}

/// Reads through the file. An address may have several records in it, older ones among them; the one
/// that was written last counts. One that was removed may come back, so that at worst an address is
/// kept for too long.
pub(crate) fn read(path: &Path) -> io::Result<Salvaged> {
    let mut file = File::open(path)?;
    let mut found: HashMap<Ipv4Addr, LeaseRecord> = HashMap::new();
    let (mut buffer, mut unreadable) = (Vec::new(), 0);
    loop {
        let kept = buffer.len();
        file.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)?;
        let is_last = buffer.len() == kept;
        let end = if is_last {
            buffer.len()
        } else {
            buffer.len().saturating_sub(LONGEST)
        };
        let mut at = 0;
        while let Some(next) = find(&buffer[at..]).map(|next| at + next) {
            if next >= end {
                break;
            }
            match record(&buffer[next..]) {
                Some(record) => {
                    let is_better = found.get(&record.address).is_none_or(|other| {
                        (other.written, other.expires) <= (record.written, record.expires)
                    });
                    if is_better && found.len() < MOST {
                        found.insert(record.address, record);
                    }
                }
                None => unreadable += 1,
            }
            at = next + START.len();
        }
        if is_last {
            break;
        }
        buffer.drain(..at.max(end));
    }
    let mut records: Vec<LeaseRecord> = found.into_values().collect();
    records.sort_by_key(|record| record.address);
    Ok(Salvaged {
        records,
        unreadable,
    })
}

fn find(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(START.len())
        .position(|window| window == START)
}

/// The record at the beginning of `bytes`, if it is whole.
fn record(bytes: &[u8]) -> Option<LeaseRecord> {
    let text = &bytes[..bytes.len().min(LONGEST)];
    let json = text.iter().position(|byte| *byte == b'}')? + 1;
    let check = text.get(json..json + CHECK_LEN);
    let len = if check.is_some_and(is_check) {
        json + CHECK_LEN
    } else {
        json
    };
    LeaseRecord::from_bytes(&text[..len]).ok()
}
