//! Messages for the person in front of the machine.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

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
        write(console, line.as_bytes());
    }
    if consoles.is_empty() {
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Writes what the console takes. A slow one is waited for, for a fifth of a second; one that
/// takes nothing has nobody to tell.
fn write(console: &mut File, mut text: &[u8]) {
    for _ in 0..40 {
        match console.write(text) {
            Ok(written) if written < text.len() => text = &text[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return,
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `work`, and says every 15 seconds that it still does.
pub(crate) fn patiently<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let started = Instant::now();
            while waiting.recv_timeout(Duration::from_secs(15)) == Err(RecvTimeoutError::Timeout) {
                line(&format!(
                    "still {what}, for {} s now",
                    started.elapsed().as_secs()
                ));
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Says one line on the console; `format!` syntax.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::console::line(&format!($($part)*)) };
}
