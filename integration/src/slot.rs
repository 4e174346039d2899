//! At most two guests at once, whoever runs the tests: each keeps a core busy.

use std::fs::{File, TryLockError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::place;
use crate::process::until;

/// The right to run one guest, given back when dropped (and by the kernel when we die).
#[derive(Debug)]
pub(crate) struct Slot {
    _file: File,
}

/// How many guests run at once.
const SLOTS: usize = 2;

impl Slot {
    /// Waits for one, for at most half an hour.
    pub(crate) fn take() -> Result<Self> {
        let folder = place::lab().join("slots");
        std::fs::create_dir_all(&folder)?;
        until(Duration::from_secs(1800), "a free slot for a guest", || {
            for number in 0..SLOTS {
                let path = folder.join(number.to_string());
                let file = File::create(&path)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                match file.try_lock() {
                    Ok(()) => return Ok(Some(Self { _file: file })),
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(error)) => return Err(error.into()),
                }
            }
            Ok(None)
        })
    }
}
