//! A generation as one file, to carry to another server.
//!
//! A tar archive (ustar): `manifest.json`, then the files of the manifest in its order. Owner, time and mode
//! are fixed, so that the same generation is the same archive. An import reads everything into a draft and
//! compares it with the manifest's digests before it publishes.

use std::fs::File;
use std::io::{self, Read, Write};

use model::ImageName;

use super::{Catalogue, CatalogueError, Generation, MANIFEST_MAX, Published};
use crate::digest::Digester;
use crate::manifest::{FORMAT, FileRecord, Manifest, generation_id};
use crate::{INITRD_FILE, KERNEL_FILE, MANIFEST_FILE, ROOT_FILE, verity};

const BLOCK: usize = 512;

impl Generation {
    /// Writes the generation as one archive.
    ///
    /// # Errors
    /// When a file cannot be read or `out` written, or a file is not as long as the manifest says.
    pub fn export(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.manifest)?;
        text.push(b'\n');
        member(out, MANIFEST_FILE, text.len() as u64, &mut &text[..])?;
        for (name, record) in self.manifest.files.iter() {
            let mut file = File::open(self.folder.join(name))?;
            member(out, name, record.bytes, &mut file)?;
        }
        out.write_all(&[0; 2 * BLOCK])
    }
}

impl Catalogue {
    /// Publishes the generation in an archive, under its own name or another one.
    ///
    /// # Errors
    /// [`CatalogueError::Archive`] when it is no such archive or is damaged: nothing is published then.
    pub fn import(
        &self,
        archive: &mut dyn Read,
        name: Option<&ImageName>,
    ) -> Result<Published, CatalogueError> {
        let (member, length) = header(archive)?;
        if member != MANIFEST_FILE || length > MANIFEST_MAX {
            return Err(bad("it does not begin with a manifest"));
        }
        let mut text = Vec::new();
        archive
            .take(length)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        skip_padding(archive, length)?;
        let mut manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| bad(format!("{MANIFEST_FILE}: {error}")))?;
        if manifest.format != FORMAT {
            let format = manifest.format;
            return Err(bad(format!(
                "its format is {format}, this netbootd reads {FORMAT}"
            )));
        }
        if let Some(name) = name {
            manifest.name = name.clone();
        }
        let draft = self.begin(&manifest.name)?;
        let mut digests = Vec::new();
        for (name, record) in manifest.files.iter() {
            let (member, length) = header(archive)?;
            if member != name || length != record.bytes {
                return Err(bad(format!(
                    "{name} is missing or not as long as the manifest says"
                )));
            }
            let path = draft.folder().join(name);
            let mut file = draft.create(name)?;
            let digest = copy(archive, &mut file, record).map_err(|error| match error {
                Copy::Read(error) => unreadable(error),
                Copy::Write(error) => CatalogueError::io("write", &path)(error),
                Copy::Differs => bad(format!("{name} is damaged")),
            })?;
            skip_padding(archive, length)?;
            digests.push((name, digest));
        }
        let digest = |wanted: &str| {
            let found = digests.iter().find(|(name, _)| *name == wanted);
            found.map_or([0; 32], |(_, digest)| *digest)
        };
        let id = generation_id(digest(ROOT_FILE), digest(KERNEL_FILE), digest(INITRD_FILE));
        if id != manifest.generation {
            return Err(bad("its files make another generation than it says"));
        }
        if let Some(verity) = &manifest.root.verity {
            let path = draft.folder().join(ROOT_FILE);
            let top = File::open(&path).and_then(|file| verity::has_its_top(&file, verity));
            if !top.map_err(CatalogueError::io("read", &path))? {
                return Err(bad("its root has another hash tree than it says"));
            }
        }
        draft.publish(manifest)
    }
}

fn member(out: &mut dyn Write, name: &str, length: u64, content: &mut dyn Read) -> io::Result<()> {
    out.write_all(&encode(name, length))?;
    let copied = io::copy(&mut content.take(length), out)?;
    if copied != length {
        let text = format!("{name} is shorter than its manifest says");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    out.write_all(&[0; BLOCK][..padding(length)])
}

/// A ustar header. Lengths that eight digits of octal cannot say are binary, as GNU and POSIX tools read them.
fn encode(name: &str, length: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    if length < 1 << 33 {
        put(124, &format!("{length:011o}"));
    } else {
        header[124] = 0x80;
        header[128..136].copy_from_slice(&length.to_be_bytes());
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// The next member's name and length.
fn header(archive: &mut dyn Read) -> Result<(String, u64), CatalogueError> {
    let mut header = [0; BLOCK];
    archive.read_exact(&mut header).map_err(unreadable)?;
    let name = header[..100]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    let length = match header[124] & 0x80 {
        0 => std::str::from_utf8(&header[124..135])
            .ok()
            .and_then(|text| u64::from_str_radix(text, 8).ok()),
        _ => header[128..136].try_into().ok().map(u64::from_be_bytes),
    };
    match length {
        Some(length) if header == encode(&name, length) => Ok((name, length)),
        _ => Err(bad("it is not an exported image, or it is cut off")),
    }
}

enum Copy {
    Read(io::Error),
    Write(io::Error),
    Differs,
}

fn copy(from: &mut dyn Read, to: &mut File, record: &FileRecord) -> Result<[u8; 32], Copy> {
    let mut hash = Digester::new(record.piece);
    let mut buffer = vec![0; 256 << 10];
    let mut rest = record.bytes;
    while rest > 0 {
        let room = buffer
            .len()
            .min(usize::try_from(rest).unwrap_or(usize::MAX));
        let count = from.read(&mut buffer[..room]).map_err(Copy::Read)?;
        if count == 0 {
            return Err(Copy::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        hash.update(&buffer[..count]);
        to.write_all(&buffer[..count]).map_err(Copy::Write)?;
        rest -= count as u64;
    }
    let digest: [u8; 32] = hash.finish();
    match crate::hex(&digest) == record.sha256 {
        true => Ok(digest),
        false => Err(Copy::Differs),
    }
}

fn padding(length: u64) -> usize {
    (length.next_multiple_of(BLOCK as u64) - length) as usize
}

fn skip_padding(archive: &mut dyn Read, length: u64) -> Result<(), CatalogueError> {
    archive
        .read_exact(&mut [0; BLOCK][..padding(length)])
        .map_err(unreadable)
}

fn bad(why: impl Into<String>) -> CatalogueError {
    CatalogueError::Archive(why.into())
}

fn unreadable(error: io::Error) -> CatalogueError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => bad("it is cut off"),
        _ => bad(format!("it cannot be read: {error}")),
    }
}
