//! A file as a block device.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::sys;

/// A bound loop device. The kernel lets it go when its mount is gone and this is dropped.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    /// Its path under `/dev`.
    pub(crate) path: PathBuf,
    _open: File,
}

impl LoopDevice {
    /// Binds `image`, read-only, to the first device that nobody uses.
    pub(crate) fn bind(image: &Path) -> io::Result<Self> {
        let backing = File::open(image)?;
        let control = open_node(Path::new("/dev/loop-control"), true)?;
        loop {
            let number = sys::loop_free(&control)?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = open_node(&path, false)?;
            match sys::loop_configure(&device, &backing) {
                Ok(()) => {
                    return Ok(Self {
                        path,
                        _open: device,
                    });
                }
                // Somebody else took it in between.
                Err(Errno::BUSY) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Opens a device node, which devtmpfs makes a moment after the driver is loaded.
pub(crate) fn open_node(path: &Path, write: bool) -> io::Result<File> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match OpenOptions::new().read(true).write(write).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}
