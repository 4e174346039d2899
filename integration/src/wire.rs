//! A cable that changes what goes through it.
//!
//! QEMU hands each frame for the guest to us (`filter-redirector`), and takes from us what the guest's card gets.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
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
    // QEMU writes a frame whole before it reads another: who writes before it reads on may wait for QEMU while QEMU
    // waits for it. What is under way is bounded by the windows of the guest's connections.
    let (changed, frames) = mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        let mut out = BufReader::with_capacity(MAX_FRAME as usize, out);
        // Ends with the machine.
        while let Ok(mut frame) = next(&mut out) {
            change(&mut frame[HEADING..]);
            if changed.send(frame).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for frame in frames {
            if back.write_all(&frame).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// The length of a frame and that of the card's own header in it, both as QEMU writes them.
const HEADING: usize = 8;

fn next(out: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    out.read_exact(&mut length)?;
    let bytes = u32::from_be_bytes(length);
    if bytes > MAX_FRAME {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut frame = length.to_vec();
    frame.resize(HEADING + bytes as usize, 0);
    out.read_exact(&mut frame[4..])?;
    Ok(frame)
}

fn path(way: &str) -> String {
    format!("/run/wire-{way}.sock")
}
