//! A cable that changes what goes through it.
//!
//! QEMU hands each frame for the guest to us (`filter-redirector`), and takes from us what the guest's card gets.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::machine::Machine;
use crate::process::until;

/// Frames as large as the kernel joins them for a card that splits them itself, and some room.
const MAX_FRAME: u32 = 1 << 17;

/// What QEMU has to be told for a machine whose cable this is.
pub(crate) fn words() -> Vec<String> {
    let socket = |way: &str| {
        let path = path(way);
        format!("socket,id=wire-{way},path={path},server=on,wait=off")
    };
    let filter = "filter-redirector,id=wire,netdev=link,queue=tx,outdev=wire-out,indev=wire-in,\
                  vnet_hdr_support=on";
    vec![
        "-chardev".to_owned(),
        socket("out"),
        "-chardev".to_owned(),
        socket("in"),
        "-object".to_owned(),
        filter.to_owned(),
    ]
}

/// Plugs the cable in: until the machine is off, each frame for it goes through `change`. What that changes must leave
/// the checksums right, or the machine throws the frame away.
pub(crate) fn plug(
    machine: &Machine,
    mut change: impl FnMut(&mut [u8]) + Send + 'static,
) -> Result<()> {
    let connect = |way| {
        // The sockets are in the lab's /run, which is the machine's process's too.
        let socket = format!("/proc/{}/root{}", machine.id(), path(way));
        until(
            Duration::from_secs(10),
            &socket,
            || match UnixStream::connect(&socket) {
                Ok(stream) => Ok(Some(stream)),
                Err(error)
                    if [ErrorKind::NotFound, ErrorKind::ConnectionRefused]
                        .contains(&error.kind()) =>
                {
                    Ok(None)
                }
                Err(error) => Err(error).with_context(|| format!("no wire at {socket}")),
            },
        )
    };
    let (out, mut back) = (connect("out")?, connect("in")?);
    thread::spawn(move || {
        let mut out = BufReader::with_capacity(MAX_FRAME as usize, out);
        let mut frame = Vec::new();
        // Ends with the machine.
        while next(&mut out, &mut frame).is_ok() {
            change(&mut frame[HEADING..]);
            if back.write_all(&frame).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// The length of a frame and that of the card's own header in it, both as QEMU writes them.
const HEADING: usize = 8;

fn next(out: &mut impl Read, frame: &mut Vec<u8>) -> std::io::Result<()> {
    let mut length = [0; 4];
    out.read_exact(&mut length)?;
    let bytes = u32::from_be_bytes(length);
    if bytes > MAX_FRAME {
        return Err(ErrorKind::InvalidData.into());
    }
    frame.clear();
    frame.extend_from_slice(&length);
    frame.resize(HEADING + bytes as usize, 0);
    out.read_exact(&mut frame[4..])
}

fn path(way: &str) -> String {
    format!("/run/wire-{way}.sock")
}
