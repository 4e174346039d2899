//! ONC RPC and NFSv3 as a client says and hears them (RFC 5531, RFC 1813): just what a load needs.

use anyhow::{Context, Result, ensure};

pub(super) const NFS: [u32; 2] = [100_003, 3];
pub(super) const MOUNT: [u32; 2] = [100_005, 3];

/// Procedure numbers of NFSv3, and MNT of MOUNT.
pub(super) const MNT: u32 = 1;
pub(super) const GETATTR: u32 = 1;
pub(super) const LOOKUP: u32 = 3;
pub(super) const READ: u32 = 6;
pub(super) const READDIRPLUS: u32 = 17;

/// A file handle.
pub(super) type Handle = Vec<u8>;

/// AUTH_SYS as root without a machine name, and an empty verifier.
const CREDENTIAL: [u32; 9] = [1, 20, 0, 0, 0, 0, 0, 0, 0];
/// Longest head of a READ's reply: record mark, RPC head, status, attributes, count, eof, length.
pub(super) const READ_HEAD: usize = 4 + 24 + 4 + 4 + 84 + 12;

/// Appends a call with its record mark.
pub(super) fn call(
    out: &mut Vec<u8>,
    xid: u32,
    [program, version]: [u32; 2],
    number: u32,
    arguments: &[u8],
) {
    let len = 24 + CREDENTIAL.len() * 4 + arguments.len();
    let head = [1 << 31 | len as u32, xid, 0, 2, program, version, number];
    for word in head.iter().chain(&CREDENTIAL) {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(arguments);
}

/// The results of a call, once it is sure that it was accepted and successful.
pub(super) fn results(record: &[u8]) -> Result<&[u8]> {
    let word = |at| word(record, at);
    ensure!(word(4)? == 1, "a call instead of a reply");
    ensure!(word(8)? == 0, "the call was denied");
    let behind = 20 + word(16)?.next_multiple_of(4) as usize;
    let status = word(behind)?;
    ensure!(status == 0, "the call was not accepted: status {status}");
    record.get(behind + 4..).context("a reply cut short")
}

/// What follows the status of a successful procedure.
pub(super) fn success(results: &[u8]) -> Result<&[u8]> {
    let status = word(results, 0)?;
    ensure!(status == 0, "the procedure failed: status {status}");
    results.get(4..).context("a reply cut short")
}

/// How many bytes a READ brought, from the beginning of its reply's record.
pub(super) fn read_count(record: &[u8]) -> Result<u32> {
    let results = success(results(record)?)?;
    word(results, if word(results, 0)? == 1 { 88 } else { 4 })
}

/// The big-endian word at `at`.
pub(super) fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..at + 4).context("a reply cut short")?;
    Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// The opaque bytes at the beginning.
pub(super) fn opaque_at(bytes: &[u8]) -> Result<&[u8]> {
    let len = word(bytes, 0)? as usize;
    bytes.get(4..4 + len).context("a reply cut short")
}

/// `opaque<>`, padded.
pub(super) fn opaque(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// READ's arguments.
pub(super) fn read(file: &[u8], offset: u64, count: u32) -> Vec<u8> {
    let mut out = opaque(file);
    out.extend(offset.to_be_bytes());
    out.extend(count.to_be_bytes());
    out
}

/// LOOKUP's arguments.
pub(super) fn lookup(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [opaque(directory), opaque(name)].concat()
}

/// READDIRPLUS's arguments: from the beginning, as the Linux client asks.
pub(super) fn read_dir_plus(directory: &[u8]) -> Vec<u8> {
    let mut out = opaque(directory);
    out.extend([0; 16]);
    out.extend(4096_u32.to_be_bytes());
    out.extend(32768_u32.to_be_bytes());
    out
}
