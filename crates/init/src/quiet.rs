//! A run that is to be measured: what it needs of the root is brought into memory first, the server counts what
//! is fetched meanwhile, and the machine gets a signed record of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Instant, SystemTime};

use model::{BootArguments, RootMode, RunReport};
use rustix::fs::OFlags;

use crate::{ask, machine, mount};

/// What the run that goes on began with.
const BEGUN: &str = "/run/netbootd/quiet";
/// How much is read at once, and on which boundary memory for direct reads begins.
const PIECE: usize = 1 << 20;
const ALIGN: usize = 4096;
/// Where the signature begins (PROTOCOL.sshsig) in the server's answer: a line in words, the record, the signature.
const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----";

/// Runs a command, or begins a run that somebody else ends (`--begin`, `--end`). Returns the code to exit with.
pub(crate) fn run(arguments: &BootArguments, command: &[String]) -> Result<ExitCode, String> {
    let [program, words @ ..] = command else {
        return Err("say which command is to be run".to_owned());
    };
    match program.as_str() {
        "--begin" => return begin(arguments).map(|_| ExitCode::SUCCESS),
        "--end" => {
            let paged = fs::read_to_string(BEGUN).map_err(|_| "no run has begun".to_owned())?;
            return end(arguments, "(none)", &paged, "by --end").map(|()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    let paged = begin(arguments)?;
    let status = Command::new(program).args(words).status();
    let ended = match &status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    end(arguments, &command.join(" "), &paged, &ended)?;
    let status = status.map_err(|error| format!("{program}: {error}"))?;
    // As a shell does it: a command that a signal ended is a failure too.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Brings the root into memory and tells the server that a run begins. Says what was done.
fn begin(arguments: &BootArguments) -> Result<String, String> {
    let start = Instant::now();
    let paged = page_in(arguments.root).map_err(|error| format!("reading the root: {error}"))?;
    println!("netbootd: {paged} ({:.1} s)", start.elapsed().as_secs_f32());
    fs::write(BEGUN, &paged).map_err(|error| format!("{BEGUN}: {error}"))?;
    tell(arguments, false, Vec::new())?;
    Ok(paged)
}

/// Tells the server that the run has ended, and writes its record down.
fn end(arguments: &BootArguments, command: &str, paged: &str, ended: &str) -> Result<(), String> {
    let mut facts = machine::facts(Path::new("/"), arguments.mac);
    facts.push(("command".to_owned(), command.to_owned()));
    facts.push(("paged_in".to_owned(), paged.to_owned()));
    facts.push(("ended".to_owned(), ended.to_owned()));
    let answer = tell(arguments, true, facts)?;
    let (verdict, rest) = answer.split_once('\n').unwrap_or_default();
    let (record, signature) = rest
        .find(SIGNATURE)
        .map(|at| rest.split_at(at))
        .ok_or("the server's record has no signature")?;
    let file = write(record, signature).map_err(|error| format!("writing the record: {error}"))?;
    println!("netbootd: {verdict}");
    let _ = fs::remove_file(BEGUN); // in memory; the next run writes it anew
    println!(
        "netbootd: the record is {}, its signature {0}.sig",
        file.display()
    );
    Ok(())
}

fn tell(
    arguments: &BootArguments,
    ended: bool,
    facts: Vec<(String, String)>,
) -> Result<String, String> {
    let report = RunReport {
        token: arguments.token.clone(),
        ended,
        facts,
    };
    // Once: a run ends once, and its record is with the server too.
    ask::post(arguments, "run", &report.render(), 1)
}

/// Writes the record into the working folder, under a name that is new.
fn write(record: &str, signature: &str) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let name = format!("netbootd-run-{}.json", now.unwrap_or_default().as_millis());
    let path = std::env::current_dir()?.join(&name);
    let new = |path: &Path, text: &str| -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        io::Write::write_all(&mut file, text.as_bytes())
    };
    new(&path, record)?;
    new(&path.with_extension("json.sig"), signature)?;
    Ok(path)
}

/// Brings the root into memory, as far as half of what is free; says what was done.
fn page_in(root: RootMode) -> io::Result<String> {
    let room = mount::memory("MemAvailable:").unwrap_or(0) / 2;
    let (read, all) = match root {
        RootMode::Ram => return Ok("the root is in memory".to_owned()),
        RootMode::Image => {
            let device = image_device(Path::new("/sys/block"))?;
            // The image is kept once: in the cache of its file, below the loop device.
            let direct = OpenOptions::new()
                .read(true)
                .custom_flags(OFlags::DIRECT.bits() as i32)
                .open(&device);
            let file = direct.or_else(|_| File::open(&device))?;
            read_all(file, room)?
        }
        RootMode::Tree => read_tree(Path::new("/"), room)?,
    };
    let mib = read >> 20;
    Ok(match all {
        true => format!("the root is in memory, {mib} MiB"),
        false => format!("{mib} MiB of the root are in memory; there is no room for more"),
    })
}

/// The loop device of the root's image.
fn image_device(blocks: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(blocks)?.flatten() {
        let backing = fs::read_to_string(entry.path().join("loop/backing_file"));
        if backing.is_ok_and(|file| file.trim_end().ends_with("/root.squashfs")) {
            return Ok(Path::new("/dev").join(entry.file_name()));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        "no loop device has the root's image",
    ))
}

/// Reads to the end, or until `room` bytes were read. How many, and whether that was all.
fn read_all(mut file: impl Read, room: u64) -> io::Result<(u64, bool)> {
    let mut memory = vec![0; PIECE + ALIGN];
    let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
    let piece = &mut memory[start..start + PIECE];
    let mut read = 0;
    while read < room {
        match file.read(piece)? {
            0 => return Ok((read, true)),
            count => read += count as u64,
        }
    }
    Ok((read, false))
}

/// Reads every file of one file system. What cannot be read is not needed by anybody else either.
fn read_tree(root: &Path, room: u64) -> io::Result<(u64, bool)> {
    let device = fs::symlink_metadata(root)?.dev();
    let (mut folders, mut read) = (vec![root.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_dir() && metadata.dev() == device {
                folders.push(path);
            } else if metadata.is_file()
                && let Ok(file) = File::open(&path)
            {
                let (more, all) = read_all(file, room - read)?;
                read += more;
                if !all {
                    return Ok((read, false));
                }
            }
        }
    }
    Ok((read, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_as_far_as_there_is_room() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("usr")).unwrap();
        fs::write(root.path().join("usr/a"), vec![1; 3 << 20]).unwrap();
        fs::write(root.path().join("b"), vec![1; 5]).unwrap();
        assert_eq!(
            read_tree(root.path(), 1 << 30).unwrap(),
            ((3 << 20) + 5, true)
        );
        let (read, all) = read_tree(root.path(), 1 << 20).unwrap();
        assert!(!all && (1 << 20..=2 << 20).contains(&read), "{read}");
    }

    #[test]
    fn the_image_is_found_by_its_name() {
        let blocks = tempfile::tempdir().unwrap();
        for (device, file) in [
            ("loop0", "/snap/core.snap"),
            ("loop3", "/nfs/root.squashfs"),
        ] {
            let folder = blocks.path().join(device).join("loop");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("backing_file"), format!("{file}\n")).unwrap();
        }
        fs::create_dir(blocks.path().join("sda")).unwrap();
        assert_eq!(
            image_device(blocks.path()).unwrap(),
            Path::new("/dev/loop3")
        );
    }
}
