//! Reads a generation again and compares it with what is written down about it.

use std::fs::File;
use std::io::{self, Read};

use super::{CatalogueError, Generation};
use crate::digest::Digester;
use crate::hex;

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
        Ok(damaged)
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
