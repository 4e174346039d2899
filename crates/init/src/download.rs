//! Mode `ram`: the whole image over HTTP into memory.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::BootArguments;

use crate::http::{self, Answer, HttpError, Patience};
use crate::retry::Failure;
use crate::{mount, say};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(3),
    read: Duration::from_secs(10),
};
const PROGRESS: Duration = Duration::from_secs(2);
const MIB: f64 = 1024.0 * 1024.0;

/// A download that goes on where it broke off.
pub(crate) struct Download {
    path: String,
    file: Option<(File, PathBuf)>,
    have: u64,
    size: u64,
}

impl Download {
    /// Of the generation's `root.squashfs`.
    pub(crate) fn of_image(arguments: &BootArguments) -> Self {
        Self {
            path: format!(
                "/images/{}/{}/root.squashfs",
                arguments.image, arguments.generation
            ),
            file: None,
            have: 0,
            size: 0,
        }
    }

    /// Fetches what is missing. Called again after a failure, it asks for the rest only.
    pub(crate) fn run(&mut self, arguments: &BootArguments) -> Result<PathBuf, Failure> {
        let from = format!("http://{}{}", arguments.http(), self.path);
        let broken = |error: HttpError| Failure::Passing(format!("fetching {from}: {error}"));
        let mut answer =
            http::get(arguments.http(), &self.path, self.have, PATIENCE).map_err(broken)?;
        self.check(&answer, &from)?;
        let (mut file, path) = match self.file.take() {
            Some(open) => open,
            None => create(self.size)?,
        };
        let result = self.copy(&mut answer, &mut file);
        self.file = Some((file, path.clone()));
        match result {
            Ok(()) if self.have == self.size => Ok(path),
            Ok(()) => Err(Failure::Passing(format!(
                "fetching {from}: the connection ended after {} of {} bytes",
                self.have, self.size
            ))),
            Err(error) => Err(Failure::Passing(format!(
                "fetching {from}: broke off after {} of {} bytes: {}",
                self.have,
                self.size,
                HttpError::Io(error)
            ))),
        }
    }

    /// Whether the answer is the piece that was asked for.
    fn check(&mut self, answer: &Answer, from: &str) -> Result<(), Failure> {
        let head = &answer.head;
        match (head.status, head.length, head.range) {
            (200, Some(length), _) if length > 0 => {
                // The whole file, asked for or not: what came before is written again.
                (self.have, self.size) = (0, length);
                Ok(())
            }
            (206, _, Some((first, whole))) if first == self.have && whole == self.size => Ok(()),
            (200 | 206, _, _) => Err(Failure::Refused(format!(
                "fetching {from}: the answer is not the piece that was asked for"
            ))),
            (404 | 410, _, _) => Err(Failure::Refused(format!(
                "fetching {from}: the server no longer has this generation of the image"
            ))),
            (status @ 400..=499, _, _) => Err(Failure::Refused(format!(
                "fetching {from}: the server answered {status}"
            ))),
            (status, _, _) => Err(Failure::Passing(format!(
                "fetching {from}: the server answered {status}"
            ))),
        }
    }

    fn copy(&mut self, answer: &mut Answer, file: &mut File) -> std::io::Result<()> {
        use std::io::{Seek, SeekFrom};
        file.seek(SeekFrom::Start(self.have))?;
        let mut buffer = vec![0; 256 * 1024];
        let (started, at_start) = (Instant::now(), self.have);
        let mut next_word = PROGRESS;
        while self.have < self.size {
            let room = usize::try_from(self.size - self.have).unwrap_or(usize::MAX);
            let piece = room.min(buffer.len());
            let length = answer.body().read(&mut buffer[..piece])?;
            if length == 0 {
                break;
            }
            file.write_all(&buffer[..length])?;
            self.have += length as u64;
            let elapsed = started.elapsed();
            if elapsed >= next_word || self.have == self.size {
                next_word = elapsed + PROGRESS;
                let speed = (self.have - at_start) as f64 / MIB / elapsed.as_secs_f64().max(0.001);
                say!(
                    "image: {:.0} of {:.0} MiB in memory, {speed:.0} MiB/s",
                    self.have as f64 / MIB,
                    self.size as f64 / MIB
                );
            }
        }
        Ok(())
    }
}

fn create(size: u64) -> Result<(File, PathBuf), Failure> {
    let available = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| memory_available(&text));
    if let Some(available) = available.filter(|available| *available < size) {
        return Err(Failure::Final(format!(
            "the image takes {:.0} MiB and this machine has {:.0} MiB of memory free: boot it with root=image or root=tree",
            size as f64 / MIB,
            available as f64 / MIB
        )));
    }
    let create = || {
        let path = mount::memory(size)?.join("root.squashfs");
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)?;
        Ok((file, path))
    };
    create().map_err(|error: std::io::Error| {
        Failure::Final(format!("making room for the image in memory: {error}"))
    })
}

/// Bytes, from the text of `/proc/meminfo`.
fn memory_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read_from_meminfo() {
        let text = "MemTotal:  100 kB\nMemFree: 7 kB\nMemAvailable:     64 kB\n";
        assert_eq!(memory_available(text), Some(65536));
        assert_eq!(memory_available("MemTotal: 1 kB\n"), None);
    }
}
