//! The program that becomes `/init`.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::kernel::Format;

/// Why there is no usable `init`.
#[derive(Debug, Error)]
pub enum InitError {
    /// It is in none of the places.
    #[error(
        "the client's init program is missing: looked for {}; install it there or name it with --init",
        join(.0)
    )]
    Missing(Vec<PathBuf>),
    /// It could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It would not run on a client.
    #[error("{} cannot be a client's init: {why}", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
}

fn join(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
    places.join(", ")
}

/// What the program for a processor that is not the server's own is called beside that one.
const FOREIGN: [(u16, &str); 2] = [(X86_64, "x86_64"), (AARCH64, "aarch64")];

/// Where `init` is: `explicit` if given, else beside the running program `exe` (as `init` or
/// `netbootd-init`), else `/usr/lib/netbootd/init`.
pub fn find_init(explicit: Option<&Path>, exe: Option<&Path>) -> Result<PathBuf, InitError> {
    let places: Vec<PathBuf> = match explicit {
        Some(path) => vec![path.to_owned()],
        None => {
            let folder = exe.and_then(Path::parent);
            let beside = folder.map(|folder| [folder.join("netbootd-init"), folder.join("init")]);
            let installed = PathBuf::from("/usr/lib/netbootd/init");
            beside.into_iter().flatten().chain([installed]).collect()
        }
    };
    let found = places.iter().find(|path| path.is_file()).cloned();
    found.ok_or(InitError::Missing(places))
}

/// Reads the program and checks that a client with this kernel can run it with nothing else. Where `path` is for
/// another processor than the kernel, the one beside it is taken: `init-aarch64` beside `init`.
pub(super) fn read(path: &Path, kernel: Format) -> Result<Vec<u8>, InitError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| InitError::Read {
            path: path.to_owned(),
            error,
        })
    };
    let program = read(path)?;
    let machine = half(&program, MACHINE);
    let (path, program) = match beside(path, kernel).filter(|_| !kernel_runs(kernel, machine)) {
        Some(other) if other.is_file() => (other.clone(), read(&other)?),
        Some(other) => return Err(InitError::Missing(vec![other])),
        None => (path.to_owned(), program),
    };
    match fault(&program, kernel) {
        None => Ok(program),
        Some(why) => Err(InitError::Unfit { path, why }),
    }
}

/// What the program for the processor of this kernel is called, if only one processor can run it.
fn beside(path: &Path, kernel: Format) -> Option<PathBuf> {
    let mut kinds = FOREIGN
        .into_iter()
        .filter(|(machine, _)| kernel_runs(kernel, Some(*machine)));
    let (_, name) = kinds.next().filter(|_| kinds.next().is_none())?;
    let mut file = path.file_name()?.to_owned();
    file.push(format!("-{name}"));
    Some(path.with_file_name(file))
}

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
const PT_INTERP: u32 = 3;

/// Where a program says which processor it is for (ELF, `e_machine`).
const MACHINE: usize = 0x12;

fn half(program: &[u8], at: usize) -> Option<u16> {
    let bytes = program.get(at..at + 2)?;
    Some(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// Whether a kernel in this format runs programs for this processor.
fn kernel_runs(kernel: Format, machine: Option<u16>) -> bool {
    match kernel {
        Format::BzImage => machine == Some(X86_64),
        Format::Arm64Image | Format::Gzip => machine == Some(AARCH64),
        Format::EfiZboot => matches!(machine, Some(X86_64 | AARCH64)),
    }
}

fn fault(program: &[u8], kernel: Format) -> Option<&'static str> {
    let half = |at: usize| half(program, at);
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return Some("it is not a 64-bit program for Linux");
    }
    if !kernel_runs(kernel, half(MACHINE)) {
        return Some("it is for another processor than the kernel");
    }
    // Program headers: offset at 0x20, size of each at 0x36, count at 0x38; the type comes first.
    let Some(table) = program.get(0x20..0x28) else {
        return Some("it is cut short");
    };
    let table = u64::from_le_bytes(table.try_into().expect("eight bytes"));
    let (len, count) = (half(0x36).unwrap_or(0), half(0x38).unwrap_or(0));
    for index in 0..u64::from(count) {
        let at = (index * u64::from(len)).saturating_add(table);
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let Some(kind) = program.get(at..at.saturating_add(4)) else {
            return Some("it is cut short");
        };
        if kind == PT_INTERP.to_le_bytes() {
            return Some("it is linked to shared libraries; it has to be static");
        }
    }
    None
}

/// The least that is taken for a static program.
#[cfg(test)]
pub(crate) fn static_program() -> Vec<u8> {
    let mut program = vec![0; 0x40];
    program[..6].copy_from_slice(b"\x7fELF\x02\x01");
    program[0x12] = X86_64 as u8;
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_static_program_for_the_kernels_processor_is_taken() {
        let good = static_program();
        assert_eq!(fault(&good, Format::BzImage), None);
        assert!(
            fault(&good, Format::Arm64Image)
                .unwrap()
                .contains("processor")
        );
        assert!(
            fault(b"#!/bin/sh", Format::BzImage)
                .unwrap()
                .contains("program")
        );
        let mut dynamic = good.clone();
        dynamic[0x20] = 0x40;
        dynamic[0x36] = 0x38;
        dynamic[0x38] = 1;
        assert!(
            fault(&dynamic, Format::BzImage)
                .unwrap()
                .contains("cut short")
        );
        dynamic.extend_from_slice(&3u32.to_le_bytes());
        assert!(fault(&dynamic, Format::BzImage).unwrap().contains("static"));
        assert!(fault(&std::fs::read("/bin/ls").unwrap(), Format::BzImage).is_some());
    }

    #[test]
    fn init_is_looked_for_beside_the_program_and_then_where_it_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let exe = folder.path().join("netbootd");
        let missing = find_init(None, Some(&exe));
        if let Err(error) = missing {
            assert!(
                error.to_string().contains("/usr/lib/netbootd/init"),
                "{error}"
            );
        }
        std::fs::write(folder.path().join("init"), "").unwrap();
        let found = find_init(None, Some(&exe)).unwrap();
        assert_eq!(found, folder.path().join("init"));
        assert!(find_init(Some(Path::new("/nowhere/init")), Some(&exe)).is_err());
    }

    #[test]
    fn a_kernel_for_another_processor_gets_the_program_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (init, other) = (
            folder.path().join("init"),
            folder.path().join("init-aarch64"),
        );
        std::fs::write(&init, static_program()).unwrap();
        let missing = read(&init, Format::Arm64Image).unwrap_err().to_string();
        assert!(missing.contains(other.to_str().unwrap()), "{missing}");
        let mut program = static_program();
        program[MACHINE] = AARCH64 as u8;
        std::fs::write(&other, &program).unwrap();
        assert_eq!(read(&init, Format::Arm64Image).unwrap(), program);
        assert_eq!(read(&init, Format::BzImage).unwrap(), static_program());
    }
}
