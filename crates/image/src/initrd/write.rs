//! Writes what a plan decided: the archives, packed.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::cards::{DriverIndex, DriverPart};
use super::packing::Effort;
use super::{InitrdError, Plan, Report, parts};
use crate::cpio::{self, Device, Metadata};
use crate::hex;
use crate::modules::{self, Tables};

/// Grows when the same plan is written in another way.
const LAYOUT: &str = "base, rest, parts 3";

impl Plan<'_> {
    /// SHA-256 of what will be packed and of how: two plans with the same digest give the same
    /// files, so those that were packed before can be taken again.
    pub fn digest(&self) -> Result<String, InitrdError> {
        let mut hash = Sha256::new();
        hash.update(LAYOUT);
        hash.update(self.packing.as_str());
        let mut report = Report::default();
        self.base(&mut hash, &mut report)?;
        self.rest(&mut hash, &mut report)?;
        Ok(hex(&hash.finalize()))
    }

    /// Writes `initrd.img`. `out` is not flushed. To stop early, let `out` fail.
    pub fn write(&self, out: &mut dyn Write) -> Result<Report, InitrdError> {
        let mut report = Report {
            packing: self.packing,
            missing_firmware: self.firmware.missing().to_vec(),
            ..Report::default()
        };
        let mut out = Counted { out, bytes: 0 };
        self.pack(Effort::Base, &mut out, |plan, out| {
            plan.base(out, &mut report)
        })?;
        report.base = out.bytes;
        self.pack(Effort::Whole, &mut out, |plan, out| {
            plan.rest(out, &mut report)
        })?;
        report.packed = out.bytes;
        Ok(report)
    }

    /// Writes `drivers.img`, the same drivers each for itself. `base` is [`Report::base`].
    pub fn write_drivers(
        &self,
        base: u64,
        out: &mut dyn Write,
    ) -> Result<DriverIndex, InitrdError> {
        let mut index = DriverIndex {
            base,
            ..DriverIndex::default()
        };
        let Some(modules) = &self.modules else {
            return Ok(index);
        };
        let mut out = Counted { out, bytes: 0 };
        for (name, group) in parts::divide(modules, &self.system, &self.network)? {
            let offset = out.bytes;
            if !group.modules.is_empty() {
                self.pack(Effort::Piece, &mut out, |plan, out| {
                    plan.modules(out, &|name| group.modules.contains(name), &mut |_| {})
                })?;
            }
            let part = DriverPart {
                offset,
                bytes: out.bytes - offset,
                needs: group.needs,
                cards: group.cards,
            };
            index.parts.insert(name, part);
        }
        Ok(index)
    }

    /// Packs one archive, and fills up to four bytes: an archive that is not packed has to begin
    /// at such an offset (Linux, `init/initramfs.c`).
    fn pack<W: Write>(
        &self,
        effort: Effort,
        out: &mut Counted<W>,
        archive: impl FnOnce(&Self, &mut dyn Write) -> Result<(), InitrdError>,
    ) -> Result<(), InitrdError> {
        match effort {
            Effort::Whole => {
                let mut packer = self.packing.pack(effort, None, &mut *out)?;
                archive(self, &mut packer)?;
                packer.finish()?;
            }
            Effort::Base | Effort::Piece => {
                let mut unpacked = Vec::new();
                archive(self, &mut unpacked)?;
                let len = Some(unpacked.len() as u64);
                let mut packer = self.packing.pack(effort, len, &mut *out)?;
                packer.write_all(&unpacked)?;
                packer.finish()?;
            }
        }
        let padding = out.bytes.next_multiple_of(4) - out.bytes;
        out.write_all(&[0; 3][..padding as usize])?;
        Ok(())
    }

    /// What every client needs: `init`, the tables of all modules, the file systems.
    fn base(&self, out: &mut dyn Write, report: &mut Report) -> Result<(), InitrdError> {
        let mut counted = Counted { out, bytes: 0 };
        let mut archive = cpio::Writer::new(&mut counted);
        for folder in ["dev", "newroot", "proc", "run", "sys", "tmp"] {
            archive.directory(folder, Metadata::root(0o755))?;
        }
        archive.device("dev/console", Device::Char(5, 1), Metadata::root(0o600))?;
        archive.file("init", Metadata::root(0o755), &self.init)?;
        report.init.add(self.init.len());

        let folder = self.folder();
        archive.parents(&format!("{folder}/x"))?;
        if let Some(modules) = &self.modules {
            let mut all = self.system.clone();
            all.merge(self.network.clone());
            let tables = Tables::of(modules, &all, &parts::FOLLOWERS);
            for (name, text) in [
                ("modules.dep", &tables.dep),
                ("modules.alias", &tables.alias),
                ("modules.softdep", &tables.softdep),
                ("modules.builtin", &tables.builtin),
            ] {
                let path = format!("{folder}/{name}");
                archive.file(&path, Metadata::root(0o644), text.as_bytes())?;
                report.tables.add(text.len());
            }
        }
        self.put_modules(
            &mut archive,
            &|name| self.system.contains(name),
            &mut |what| match what {
                Put::Module(bytes) => report.system.add(bytes),
                Put::Firmware(bytes) => report.firmware.add(bytes),
            },
        )?;
        archive.finish()?;
        report.unpacked += counted.bytes;
        Ok(())
    }

    /// All drivers of network cards.
    fn rest(&self, out: &mut dyn Write, report: &mut Report) -> Result<(), InitrdError> {
        let mut counted = Counted { out, bytes: 0 };
        let driver = |name: &str| self.network.contains(name) && !self.system.contains(name);
        self.modules(&mut counted, &driver, &mut |what| match what {
            Put::Module(bytes) => report.network.add(bytes),
            Put::Firmware(bytes) => report.firmware.add(bytes),
        })?;
        report.unpacked += counted.bytes;
        Ok(())
    }

    /// An archive of the modules that `chosen` says, with their firmware.
    fn modules(
        &self,
        out: &mut dyn Write,
        chosen: &dyn Fn(&str) -> bool,
        put: &mut dyn FnMut(Put),
    ) -> Result<(), InitrdError> {
        let mut archive = cpio::Writer::new(out);
        self.put_modules(&mut archive, chosen, put)?;
        archive.finish()?;
        Ok(())
    }

    fn put_modules(
        &self,
        archive: &mut cpio::Writer<impl Write>,
        chosen: &dyn Fn(&str) -> bool,
        put: &mut dyn FnMut(Put),
    ) -> Result<(), InitrdError> {
        let Some(modules) = &self.modules else {
            return Ok(());
        };
        let mut all = self.system.clone();
        all.merge(self.network.clone());
        // By path: drivers of one maker are alike and pack well side by side.
        let mut files: Vec<(String, &str)> = all
            .iter()
            .filter(|(name, _)| chosen(name))
            .filter_map(|(name, _)| Some((modules.path(name)?, name)))
            .map(|(path, name)| (modules::installed_path(path), name))
            .collect();
        files.sort_unstable();
        let folder = self.folder();
        for (path, name) in &files {
            let object = modules.read(name)?;
            let path = format!("{folder}/{path}");
            archive.parents(&path)?;
            archive.file(&path, Metadata::root(0o644), &object)?;
            put(Put::Module(object.len()));
        }
        let mut written = std::collections::BTreeSet::new();
        for (_, module) in &files {
            for (name, content) in self.firmware.files_of(module) {
                if written.insert(name) {
                    let content = content?;
                    let path = format!("lib/firmware/{name}");
                    archive.parents(&path)?;
                    archive.file(&path, Metadata::root(0o644), &content)?;
                    put(Put::Firmware(content.len()));
                }
            }
        }
        Ok(())
    }

    fn folder(&self) -> String {
        format!("lib/modules/{}", self.version)
    }
}

/// A file that was put into an archive, with its bytes.
enum Put {
    Module(usize),
    Firmware(usize),
}

/// Counts what is written through it.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.out.write(bytes)?;
        self.bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
