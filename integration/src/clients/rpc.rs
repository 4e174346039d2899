//! NFS calls by hand, for what no tool does: to use a file handle that somebody else was given. The
//! bytes travel by busybox's `nc`.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::lab::{Client, Lab};
use crate::process::succeed;

/// MNT of MOUNT version 3, and some of NFS version 3: program, version, procedure.
const MNT: [u32; 3] = [100_005, 3, 1];
const GETATTR: [u32; 3] = [100_003, 3, 1];
const LOOKUP: [u32; 3] = [100_003, 3, 3];
const READ: [u32; 3] = [100_003, 3, 6];

/// What a procedure says: its status (0 for success, 13 for "access denied"), and what follows.
pub type Said = (u32, Vec<u8>);

/// Mounts; what follows the status begins with the handle.
pub fn mount(lab: &Lab, client: &Client, path: &str) -> Result<Said> {
    call(lab, client, MNT, &opaque(path.as_bytes()))
}

/// Looks up a name; what follows the status begins with the handle.
pub fn lookup(lab: &Lab, client: &Client, directory: &[u8], name: &str) -> Result<Said> {
    let arguments = [opaque(directory), opaque(name.as_bytes())].concat();
    call(lab, client, LOOKUP, &arguments)
}

/// Asks for a file's attributes.
pub fn attributes(lab: &Lab, client: &Client, file: &[u8]) -> Result<Said> {
    call(lab, client, GETATTR, &opaque(file))
}

/// Reads the first bytes of a file; what follows the status ends with them, and padding.
pub fn read(lab: &Lab, client: &Client, file: &[u8], count: u32) -> Result<Said> {
    call(lab, client, READ, &read_arguments(file, count))
}

/// The record of such a call, for who does not wait for its answer.
pub fn read_record(file: &[u8], count: u32) -> Vec<u8> {
    record(READ, &read_arguments(file, count))
}

fn read_arguments(file: &[u8], count: u32) -> Vec<u8> {
    let mut arguments = opaque(file);
    arguments.extend([0; 8]);
    arguments.extend(count.to_be_bytes());
    arguments
}

/// The handle that a mount or a lookup brought.
pub fn handle((status, results): &Said) -> Result<Vec<u8>> {
    ensure!(*status == 0, "status {status} instead of a handle");
    let len = word(results, 0)? as usize;
    let bytes = results.get(4..4 + len).context("a handle cut short")?;
    Ok(bytes.to_vec())
}

/// One call as root, on a connection of its own that the server closes after its answer.
fn call(lab: &Lab, client: &Client, procedure: [u32; 3], arguments: &[u8]) -> Result<Said> {
    let file = lab.folder().join("call");
    fs::write(&file, record(procedure, arguments))?;
    let script = format!("busybox nc {} 2049 <{:?}", Lab::SERVER, file);
    let mut shell = client.command("timeout")?;
    let reply = succeed(shell.args(["20", "sh", "-c", &script]))?.stdout;
    let mark = word(&reply, 0)?;
    ensure!(
        mark == 1 << 31 | (reply.len() - 4) as u32,
        "not one whole record"
    );
    // Reply, accepted, an empty verifier, success.
    let accepted = [XID, 1, 0, 0, 0, 0];
    for (at, wanted) in accepted.iter().enumerate() {
        let said = word(&reply, 4 + at * 4)?;
        ensure!(said == *wanted, "word {at} of the reply is {said}");
    }
    let rest = reply.get(32..).context("a reply cut short")?;
    Ok((word(&reply, 28)?, rest.to_vec()))
}

/// The number of every call's transaction.
const XID: u32 = 0x6c61_6221;

/// A call of root's, marked as one whole record.
fn record(procedure: [u32; 3], arguments: &[u8]) -> Vec<u8> {
    let len = 60 + arguments.len() as u32;
    let head = [1 << 31 | len, XID, 0, 2];
    let root = [1, 20, 0, 0, 0, 0, 0, 0, 0];
    let words = head.iter().chain(&procedure).chain(&root);
    let mut record: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
    record.extend(arguments);
    record
}

fn opaque(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u32).to_be_bytes().to_vec();
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..at + 4).context("a reply cut short")?;
    Ok(u32::from_be_bytes(bytes.try_into()?))
}
