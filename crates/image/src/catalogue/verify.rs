//! Reads a generation again and compares it with what is written down about it.

use std::fs::File;
use std::io::{self, Read};

use super::{CatalogueError, Generation};
use crate::digest::Digester;
use crate::{MANIFEST_FILE, ROOT_FILE, hex, verity};

impl Generation {
    /// The files whose content is not what the manifest says, in the order of the manifest: none
    /// when all is well. Reads everything.
    pub fn verify(&self) -> Result<Vec<&'static str>, CatalogueError> {
        let mut damaged = Vec::new();
        for (name, record) in self.manifest.files.iter() {
            let path = self.folder.join(name);
            let sha256 = File::open(&path)
                .and_then(|file| digest(file, record.piece))
                .map_err(CatalogueError::io("read", &path))?;
            if sha256 != record.sha256 {
                damaged.push(name);
            }
        }
        if damaged.is_empty() && !self.has_its_top()? {
            damaged.push(MANIFEST_FILE);
        }
        Ok(damaged)
    }

    /// Whether the hash tree of the root, if there is one, is the one that clients are told of.
    fn has_its_top(&self) -> Result<bool, CatalogueError> {
        let Some(verity) = &self.manifest.root.verity else {
            return Ok(true);
        };
        let path = self.folder.join(ROOT_FILE);
        File::open(&path)
            .and_then(|file| verity::has_its_top(&file, verity))
            .map_err(CatalogueError::io("read", &path))
    }
}

fn digest(mut file: File, piece: u32) -> io::Result<String> {
    let mut hash = Digester::new(piece);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finish())),
            len => hash.update(&buffer[..len]),
        }
    }
}
