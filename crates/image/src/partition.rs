//! Partition tables: MBR with its logical partitions, and GPT.
//!
//! A table is a few numbers that somebody wrote; each is held against the disk before it is followed. A GPT
//! whose checksum is wrong is not believed, but its copy at the end of the disk may be.

use std::io;

use flate2::Crc;
use squashfs::ReadAt;

use crate::source::read_exact;

/// Logical partitions are a chain; more than that is a loop.
const CHAIN_LIMIT: usize = 128;
const GPT_LIMIT: u32 = 1024;

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As Linux numbers it: `/dev/sda1` is 1.
    pub number: u32,
    /// Where it begins, in bytes.
    pub start: u64,
    /// Bytes.
    pub length: u64,
}

/// The partitions of a disk in the order of their numbers; `None` when there is no table.
///
/// # Errors
/// What is wrong with the table, with its place.
pub fn read(disk: &dyn ReadAt) -> io::Result<Option<Vec<Partition>>> {
    let mut sector = [0; 512];
    if disk.len() < 512 {
        return Ok(None);
    }
    read_exact(disk, &mut sector, 0)?;
    if sector[510..] != [0x55, 0xaa] {
        return Ok(None);
    }
    let entries = entries(&sector);
    if entries.iter().any(|entry| entry.kind == 0xee) {
        return gpt(disk).map(Some);
    }
    let mut found = Vec::new();
    let mut logical = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        if entry.is_extended() {
            chain(disk, entry.start, &mut logical)?;
        } else if entry.kind != 0 && entry.sectors > 0 {
            found.push(partition(disk, number, entry.start, entry.sectors, 446)?);
        }
    }
    found.extend(logical);
    Ok(Some(found))
}

/// A line of an MBR; starts and lengths are in sectors of 512 bytes.
struct Entry {
    kind: u8,
    start: u64,
    sectors: u64,
}

impl Entry {
    fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }
}

fn entries(sector: &[u8; 512]) -> [Entry; 4] {
    [446, 462, 478, 494].map(|at| Entry {
        kind: sector[at + 4],
        start: u32_at(sector, at + 8).into(),
        sectors: u32_at(sector, at + 12).into(),
    })
}

/// Follows the chain of logical partitions in the extended partition that begins at `first`.
fn chain(disk: &dyn ReadAt, first: u64, found: &mut Vec<Partition>) -> io::Result<()> {
    let mut here = first;
    for _ in 0..CHAIN_LIMIT {
        let place = here * 512;
        let mut sector = [0; 512];
        read_exact(disk, &mut sector, place).map_err(|_| broken(place, "the disk ends here"))?;
        if sector[510..] != [0x55, 0xaa] {
            return Err(broken(place, "a logical partition without its mark"));
        }
        let [this, next, ..] = entries(&sector);
        if this.kind != 0 && this.sectors > 0 {
            let number = 5 + found.len() as u32;
            let start = here + this.start;
            found.push(partition(disk, number, start, this.sectors, place + 446)?);
        }
        if !next.is_extended() {
            return Ok(());
        }
        here = first + next.start;
    }
    Err(broken(
        first * 512,
        "a chain of logical partitions without end",
    ))
}

fn gpt(disk: &dyn ReadAt) -> io::Result<Vec<Partition>> {
    let mut first = None;
    for sector in [512, 4096] {
        for place in [sector, disk.len().saturating_sub(sector)] {
            match gpt_at(disk, place, sector) {
                Ok(found) => return Ok(found),
                Err(error) => first = first.or(Some(error)),
            }
        }
    }
    Err(first.unwrap_or_else(|| broken(512, "no GPT")))
}

/// Reads the table whose header is at `place`.
fn gpt_at(disk: &dyn ReadAt, place: u64, sector: u64) -> io::Result<Vec<Partition>> {
    let mut header = [0; 512];
    read_exact(disk, &mut header, place)?;
    if &header[..8] != b"EFI PART" {
        return Err(broken(place, "the MBR tells of a GPT, and none is here"));
    }
    let length = u32_at(&header, 12) as usize;
    let told = u32_at(&header, 16);
    header[16..20].fill(0);
    if !(92..=512).contains(&length) || crc(&header[..length]) != told {
        return Err(broken(place, "the header of the GPT has a wrong checksum"));
    }
    let (entries, count, size) = (
        u64_at(&header, 72),
        u32_at(&header, 80),
        u32_at(&header, 84),
    );
    if count > GPT_LIMIT || !(128..=4096).contains(&size) {
        return Err(broken(
            place + 80,
            "an impossible number or size of partitions",
        ));
    }
    let begin = entries.checked_mul(sector);
    let begin = begin.ok_or_else(|| broken(place + 72, "a table outside the disk"))?;
    let mut table = vec![0; count as usize * size as usize];
    read_exact(disk, &mut table, begin).map_err(|_| broken(begin, "the disk ends here"))?;
    if crc(&table) != u32_at(&header, 88) {
        return Err(broken(begin, "the table of the GPT has a wrong checksum"));
    }
    let mut found = Vec::new();
    for (number, entry) in (1..).zip(table.chunks_exact(size as usize)) {
        if entry[..16] == [0; 16] {
            continue;
        }
        let at = begin + u64::from(number - 1) * u64::from(size);
        let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
        let count = last
            .checked_sub(first)
            .and_then(|count| count.checked_add(1));
        let count = count.ok_or_else(|| broken(at, "a partition that ends before it begins"))?;
        let units = sector / 512;
        let (first, count) = (first.saturating_mul(units), count.saturating_mul(units));
        found.push(partition(disk, number, first, count, at)?);
    }
    Ok(found)
}

/// A partition that begins inside the disk; one that goes beyond is cut, for images are often copied short.
fn partition(
    disk: &dyn ReadAt,
    number: u32,
    start: u64,
    sectors: u64,
    told_at: u64,
) -> io::Result<Partition> {
    let start = start.saturating_mul(512);
    let rest = disk.len().saturating_sub(start);
    if rest == 0 {
        let text = format!("partition {number} begins behind the disk's end");
        return Err(broken(told_at, &text));
    }
    Ok(Partition {
        number,
        start,
        length: sectors.saturating_mul(512).min(rest),
    })
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at + 4)) << 32 | u64::from(u32_at(bytes, at))
}

fn broken(place: u64, what: &str) -> io::Error {
    let text = format!("{what} (partition table, byte {place})");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
