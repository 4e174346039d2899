//! Finding files in an ISO 9660 image: as much as live media need.
//!
//! Names are those of Rock Ridge where it is used, else the plain ones without their version; they are compared
//! without regard to case. Directories are read whole, one after another, and nothing is believed about a place
//! until it has been found inside the image.

use std::io;

use squashfs::ReadAt;

use crate::source::read_exact;

/// Everything lies on sectors of so many bytes.
const SECTOR: u64 = 2048;
/// The longest directory: ten thousands of files.
const DIRECTORY_LIMIT: u64 = 4 << 20;
/// The descriptors begin here and are not many.
const DESCRIPTORS: std::ops::Range<u64> = 16..32;

/// A file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Where it begins, in bytes.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// Whether it is a directory.
    pub directory: bool,
}

/// What is in the directory at `path` (names joined by `/`), `None` when it does not exist.
///
/// # Errors
/// What is wrong with the image, with its place.
pub fn list(disk: &dyn ReadAt, path: &str) -> io::Result<Option<Vec<Found>>> {
    let mut here = root(disk)?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let entries = read_directory(disk, &here)?;
        match entries
            .into_iter()
            .find(|found| found.name.eq_ignore_ascii_case(name))
        {
            Some(found) if found.directory => here = found,
            _ => return Ok(None),
        }
    }
    read_directory(disk, &here).map(Some)
}

/// The file at `path`.
///
/// # Errors
/// What is wrong with the image, with its place.
pub fn find(disk: &dyn ReadAt, path: &str) -> io::Result<Option<Found>> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let found = list(disk, folder)?.into_iter().flatten();
    let mut files = found.filter(|found| !found.directory);
    Ok(files.find(|found| found.name.eq_ignore_ascii_case(name)))
}

fn root(disk: &dyn ReadAt) -> io::Result<Found> {
    for sector in DESCRIPTORS {
        let mut descriptor = [0; SECTOR as usize];
        read_exact(disk, &mut descriptor, sector * SECTOR)?;
        if &descriptor[1..6] != b"CD001" {
            return Err(broken(sector * SECTOR, "not a volume descriptor"));
        }
        match descriptor[0] {
            1 => {
                let record = &descriptor[156..190];
                return record_of(record, sector * SECTOR + 156).map(|(found, _)| found);
            }
            255 => break,
            _ => {}
        }
    }
    Err(broken(16 * SECTOR, "no primary volume descriptor"))
}

fn read_directory(disk: &dyn ReadAt, directory: &Found) -> io::Result<Vec<Found>> {
    if directory.length > DIRECTORY_LIMIT {
        return Err(broken(directory.start, "a directory that is too long"));
    }
    let mut found: Vec<Found> = Vec::new();
    let mut goes_on = false;
    for sector in 0..directory.length.div_ceil(SECTOR) {
        let begin = directory.start + sector * SECTOR;
        let mut bytes = [0; SECTOR as usize];
        read_exact(disk, &mut bytes, begin)?;
        let mut at = 0;
        // No record crosses a sector; a length of 0 says that the next one has the rest.
        while at < bytes.len() && bytes[at] != 0 {
            let place = begin + at as u64;
            let length = usize::from(bytes[at]);
            let record = bytes.get(at..at + length);
            let record = record.filter(|record| record.len() >= 34);
            let record = record.ok_or_else(|| broken(place, "a broken directory record"))?;
            let (next, more) = record_of(record, place)?;
            at += length;
            if matches!(&record[32..34], [1, 0 | 1]) {
                continue; // the directory itself, and the one above
            }
            match found.last_mut() {
                // A file beyond 4 GiB has several records, for parts that follow each other.
                Some(last) if goes_on => {
                    if last.start + last.length != next.start {
                        return Err(broken(place, "a file in scattered parts"));
                    }
                    last.length += next.length;
                }
                _ => found.push(next),
            }
            goes_on = more;
        }
    }
    Ok(found)
}

/// What a record says, and whether the same file goes on in the next one.
fn record_of(record: &[u8], place: u64) -> io::Result<(Found, bool)> {
    let word = |at: usize| {
        let bytes = [record[at], record[at + 1], record[at + 2], record[at + 3]];
        u64::from(u32::from_le_bytes(bytes))
    };
    let length = usize::from(record[32]);
    let name = record.get(33..33 + length);
    let name = name.ok_or_else(|| broken(place, "a broken directory record"))?;
    // System use follows the name and its padding.
    let rest = record
        .get(33 + length + (length + 1) % 2..)
        .unwrap_or_default();
    let name = rock_ridge_name(rest).unwrap_or_else(|| {
        let name = String::from_utf8_lossy(name);
        let plain = name.split(';').next().unwrap_or_default();
        plain.trim_end_matches('.').to_owned()
    });
    let flags = record[25];
    let found = Found {
        name,
        start: word(2) * SECTOR,
        length: word(10),
        directory: flags & 2 != 0,
    };
    Ok((found, flags & 0x80 != 0))
}

/// The name in the `NM` entries, if there are any.
fn rock_ridge_name(mut rest: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    while let [first, second, length, _, ..] = *rest {
        let length = usize::from(length);
        if length < 4 || length > rest.len() {
            break;
        }
        if (first, second) == (b'N', b'M') && length > 5 {
            name.extend_from_slice(&rest[5..length]);
        }
        rest = &rest[length..];
    }
    (!name.is_empty()).then(|| String::from_utf8_lossy(&name).into_owned())
}

fn broken(place: u64, what: &str) -> io::Error {
    let text = format!("{what} (ISO 9660, byte {place})");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
