//! Messages for the person in front of the machine.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;
use rustix::time::{ClockId, clock_gettime};

static CONSOLES: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Opens every console that the kernel writes to, so that a message is on the screen and on the
/// serial line alike; `/dev/console` alone would be only the last `console=` word.
pub(crate) fn open() {
    let active = std::fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let mut consoles: Vec<File> = active.split_ascii_whitespace().filter_map(device).collect();
    if consoles.is_empty() {
        consoles.extend(device("console"));
    }
    *CONSOLES.lock().unwrap_or_else(PoisonError::into_inner) = consoles;
}

fn device(name: &str) -> Option<File> {
    // Not blocking: a serial line whose other end holds it must not stop a boot.
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    OpenOptions::new()
        .write(true)
        .custom_flags(flags.bits() as i32)
        .open(format!("/dev/{name}"))
        .ok()
}

/// One line, with the seconds since the kernel started. Use [`say!`](crate::say).
pub(crate) fn line(text: &str) {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, tenths) = (now.tv_sec, now.tv_nsec / 100_000_000);
    let line = format!("netbootd {seconds:>3}.{tenths}s  {text}\n");
    let mut consoles = CONSOLES.lock().unwrap_or_else(PoisonError::into_inner);
    for console in consoles.iter_mut() {
        // A console that cannot be written to has nobody to tell.
        let _ = console.write_all(line.as_bytes());
    }
    if consoles.is_empty() {
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Says one line on the console; `format!` syntax.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::console::line(&format!($($part)*)) };
}
