//! What a load asks for, call by call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use anyhow::Result;

use super::connection::{Call, Connection};
use super::wire::{self, Handle};

/// A file to read.
pub(super) struct File {
    directory: Handle,
    name: String,
    handle: Handle,
    len: u64,
}

/// Looks up every file, by its path below `root`.
pub(super) fn find(
    connection: &mut Connection,
    root: &[u8],
    paths: &[String],
) -> Result<Vec<File>> {
    let mut folders = HashMap::from([(String::new(), root.to_vec())]);
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut known = String::new();
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            let parent = folders[&known].clone();
            known = format!("{known}/{part}");
            if !folders.contains_key(&known) {
                let (handle, _) = connection.lookup(&parent, part)?;
                folders.insert(known.clone(), handle);
            }
        }
        let directory = folders[&known].clone();
        let (handle, len) = connection.lookup(&directory, name)?;
        files.push(File {
            directory,
            name: name.to_owned(),
            handle,
            len,
        });
    }
    Ok(files)
}

/// READs of `size` bytes over and over through the files, until `end`, or once where there is none.
/// All connections share `next_file`, so that together they read each file once in a round.
pub(super) struct Reads<'a> {
    pub(super) files: &'a [File],
    pub(super) size: u32,
    pub(super) end: Option<Instant>,
    pub(super) next_file: &'a AtomicUsize,
    pub(super) file: usize,
    pub(super) offset: u64,
}

impl<'a> Reads<'a> {
    pub(super) fn new(
        files: &'a [File],
        size: u32,
        end: Option<Instant>,
        next_file: &'a AtomicUsize,
    ) -> Self {
        Self {
            files,
            size,
            end,
            next_file,
            file: next_file.fetch_add(1, Relaxed),
            offset: 0,
        }
    }

    pub(super) fn next(&mut self) -> Option<Call> {
        if self.end.is_some_and(|end| end <= Instant::now()) {
            return None;
        }
        loop {
            let file = match self.end {
                Some(_) => self.files.get(self.file % self.files.len())?,
                None => self.files.get(self.file)?,
            };
            let data = (file.len - self.offset.min(file.len)).min(self.size.into()) as u32;
            if data == 0 {
                self.file = self.next_file.fetch_add(1, Relaxed);
                self.offset = 0;
                continue;
            }
            let arguments = wire::read(&file.handle, self.offset, self.size);
            self.offset += u64::from(data);
            return Some(Call {
                number: wire::READ,
                arguments,
                data: Some(data),
            });
        }
    }
}

/// READs of `size` bytes at places of the first file that follow no order, until `end`.
pub(super) struct Scattered<'a> {
    pub(super) file: &'a File,
    pub(super) size: u32,
    pub(super) end: Instant,
    pub(super) state: u64,
}

impl Scattered<'_> {
    pub(super) fn next(&mut self) -> Option<Call> {
        if self.end <= Instant::now() {
            return None;
        }
        // Knuth's linear congruential generator: the high bits are random enough.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let places = (self.file.len / u64::from(self.size)).max(1);
        let offset = (self.state >> 33) % places * u64::from(self.size);
        Some(Call {
            number: wire::READ,
            arguments: wire::read(&self.file.handle, offset, self.size),
            data: Some(self.size),
        })
    }
}

/// What a boot asks of a tree besides READ: of 20 calls 11 are GETATTR, 8 LOOKUP, one READDIRPLUS.
pub(super) struct Metadata<'a> {
    pub(super) files: &'a [File],
    pub(super) end: Instant,
    pub(super) step: usize,
}

impl Metadata<'_> {
    pub(super) fn next(&mut self) -> Option<Call> {
        if self.end <= Instant::now() {
            return None;
        }
        self.step += 1;
        // A prime stride: neighbours in the list are neighbours in the image.
        let file = &self.files[self.step * 7919 % self.files.len()];
        let (number, arguments) = match self.step % 20 {
            0 => (wire::READDIRPLUS, wire::read_dir_plus(&file.directory)),
            n if n % 5 < 2 => {
                let arguments = wire::lookup(&file.directory, file.name.as_bytes());
                (wire::LOOKUP, arguments)
            }
            _ => (wire::GETATTR, wire::opaque(&file.handle)),
        };
        Some(Call {
            number,
            arguments,
            data: None,
        })
    }
}
