//! Which bytes of a sparse file stand in the archive.

use super::header::{BLOCK, Header, number};
use super::pax::Records;
use super::{Error, Reader, SIZE_LIMIT};

/// More parts than that no file has that somebody wants in an image.
const PARTS_LIMIT: usize = 1 << 20;

/// Which bytes of a file stand in the archive, one part behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// All.
    All,
    /// These, sorted; between them are zeros.
    Some(Vec<Part>),
}

/// A run of bytes that are not a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it is in the file.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// Where it is in what is stored.
    pub stored: u64,
}

impl Parts {
    /// Bytes of a file of `size` bytes that are in the archive.
    pub(crate) fn stored(&self, size: u64) -> u64 {
        match self {
            Self::All => size,
            Self::Some(parts) => parts.last().map_or(0, |part| part.stored + part.length),
        }
    }

    /// The part with the byte at `offset` of a file of `size` bytes, or else the next one.
    pub(crate) fn after(&self, offset: u64, size: u64) -> Option<Part> {
        match self {
            Self::All => (offset < size).then_some(Part {
                start: 0,
                length: size,
                stored: 0,
            }),
            Self::Some(parts) => {
                let index = parts.partition_point(|part| part.start + part.length <= offset);
                parts.get(index).copied()
            }
        }
    }
}

impl Reader<'_> {
    /// The map of a GNU sparse file: four lines in the header, the others in blocks behind it.
    pub(super) fn gnu_sparse(
        &mut self,
        header: &Header,
        stored: u64,
        path: &[u8],
        begin: u64,
    ) -> Result<(u64, Parts), Error> {
        let broken = || Error::named(begin, path, "its sparse map is broken");
        let size = header.real_size().ok_or_else(broken)?;
        let mut map = Vec::new();
        let (lines, mut more) = header.sparse();
        lines_of(lines, &mut map).ok_or_else(broken)?;
        while more {
            let block = self.block(begin, "the archive is cut off in a sparse map")?;
            lines_of(&block[..504], &mut map).ok_or_else(broken)?;
            more = block[504] != 0;
            if map.len() > 2 * PARTS_LIMIT {
                return Err(broken());
            }
        }
        let parts = parts(&map, size, stored).ok_or_else(broken)?;
        Ok((size, parts))
    }

    /// The map of a pax sparse file, whose content (`stored` bytes) comes next.
    pub(super) fn pax_sparse(
        &mut self,
        records: &mut Records,
        stored: u64,
        path: &[u8],
        begin: u64,
    ) -> Result<(u64, Parts), Error> {
        let broken = || Error::named(begin, path, "its sparse map is broken");
        let size = records.sparse_size().ok_or_else(broken)?;
        let (map, stored) = match records.sparse.major {
            Some(1) => {
                let map = self.map_in_front(begin).map_err(|error| Error {
                    path: Some(path.to_vec()),
                    ..error
                })?;
                (map, self.rest)
            }
            None | Some(0) => (std::mem::take(&mut records.sparse.map), stored),
            Some(_) => return Err(broken()),
        };
        let parts = parts(&map, size, stored).ok_or_else(broken)?;
        Ok((size, parts))
    }

    /// Version 1.0: decimal numbers, one a line, how many pairs first; padded to whole blocks.
    fn map_in_front(&mut self, begin: u64) -> Result<Vec<u64>, Error> {
        let broken = || Error::at(begin, "its sparse map is broken");
        let mut map = Vec::new();
        let mut wanted = None;
        let mut number: Option<u64> = None;
        while wanted.is_none_or(|wanted| map.len() < wanted) {
            let mut block = [0; BLOCK];
            let mut filled = 0;
            while filled < BLOCK {
                match self.read(&mut block[filled..]) {
                    Ok(0) => return Err(broken()),
                    Ok(count) => filled += count,
                    Err(error) => return Err(Error::io(begin, error)),
                }
            }
            for byte in block {
                if wanted.is_some_and(|wanted| map.len() >= wanted) {
                    break; // padding
                }
                match (byte, number) {
                    (b'0'..=b'9', _) => {
                        let more = number.unwrap_or(0).checked_mul(10);
                        let more = more.and_then(|n| n.checked_add((byte - b'0').into()));
                        number = Some(more.ok_or_else(broken)?);
                    }
                    (b'\n', Some(told)) if wanted.is_none() => {
                        let pairs = usize::try_from(told).ok();
                        let pairs = pairs.filter(|pairs| *pairs <= PARTS_LIMIT);
                        wanted = Some(2 * pairs.ok_or_else(broken)?);
                        number = None;
                    }
                    (b'\n', Some(told)) => {
                        map.push(told);
                        number = None;
                    }
                    _ => return Err(broken()),
                }
            }
        }
        Ok(map)
    }
}

/// Appends the lines of a GNU map (offset 12, length 12): empty ones are not used.
fn lines_of(lines: &[u8], map: &mut Vec<u64>) -> Option<()> {
    for line in lines.chunks_exact(24) {
        if line[0] == 0 {
            break;
        }
        for half in [&line[..12], &line[12..]] {
            map.push(u64::try_from(number(half)?).ok()?);
        }
    }
    Some(())
}

/// Parts from pairs of offset and length, which have to be in order, inside `size`, and `stored` bytes together.
fn parts(map: &[u64], size: u64, stored: u64) -> Option<Parts> {
    if size > SIZE_LIMIT || !map.len().is_multiple_of(2) || map.len() > 2 * PARTS_LIMIT {
        return None;
    }
    let (mut end, mut sum) = (0_u64, 0_u64);
    let mut parts = Vec::with_capacity(map.len() / 2);
    for &[start, length] in map.as_chunks::<2>().0 {
        let next = start.checked_add(length)?;
        if start < end || next > size {
            return None;
        }
        if length > 0 {
            parts.push(Part {
                start,
                length,
                stored: sum,
            });
        }
        (end, sum) = (next, sum + length);
    }
    (sum == stored).then_some(Parts::Some(parts))
}
