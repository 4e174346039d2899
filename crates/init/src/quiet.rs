//! A run that is to be measured: what it needs of the root is brought into memory first, the server counts what
//! is fetched meanwhile, and the machine gets a signed record of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant, SystemTime};

use model::{BootArguments, RootMode, RunReport};
use rustix::fs::OFlags;

use crate::http::{self, Patience};
use crate::{machine, mount};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(20),
};
/// How much is read at once, and on which boundary memory for direct reads begins.
const PIECE: usize = 1 << 20;
const ALIGN: usize = 4096;
/// Longest record with its signature, in bytes.
const MAX_RECORD: usize = 64 << 10;
/// Where the signature begins in the server's answer (PROTOCOL.sshsig).
const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----";

/// Runs a command. Returns how it ended.
pub(crate) fn run(arguments: &BootArguments, command: &[String]) -> Result<ExitStatus, String> {
    let [program, words @ ..] = command else {
        return Err("say which command is to be run".to_owned());
    };
    let start = Instant::now();
    let paged = page_in(arguments.root).map_err(|error| format!("reading the root: {error}"))?;
    println!("netbootd: {paged} ({:.1} s)", start.elapsed().as_secs_f32());
    tell(arguments, false, Vec::new())?;
    let status = Command::new(program).args(words).status();
    let mut facts = machine::facts(Path::new("/"), arguments.mac);
    facts.push(("command".to_owned(), command.join(" ")));
    facts.push(("paged_in".to_owned(), paged));
    let ended = match &status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    facts.push(("ended".to_owned(), ended));
    let answer = tell(arguments, true, facts)?;
    let status = status.map_err(|error| format!("{program}: {error}"))?;
    let (record, signature) = answer
        .find(SIGNATURE)
        .map(|at| answer.split_at(at))
        .ok_or("the server's record has no signature")?;
    let file = write(record, signature).map_err(|error| format!("writing the record: {error}"))?;
    println!("netbootd: {}", verdict(record));
    println!(
        "netbootd: the record is {}, its signature {0}.sig",
        file.display()
    );
    Ok(status)
}

/// What the record says of the traffic, from its JSON as the server writes it: one value on a line.
fn verdict(record: &str) -> String {
    let root = record
        .split_once("\"root\": {")
        .map_or("", |(_, rest)| rest);
    let number = |name: &str| -> Option<u64> {
        let (_, rest) = root.split_once(&format!("\"{name}\": "))?;
        rest.split([',', '\n', '}']).next()?.trim().parse().ok()
    };
    match (number("calls"), number("bytes")) {
        (Some(0), Some(0)) => "nothing of the root was fetched while it ran".to_owned(),
        (Some(calls), Some(bytes)) => {
            format!(
                "NOT quiet: {calls} calls and {bytes} bytes of the root while it ran; run it again, what it needs is in memory now"
            )
        }
        _ => "the record says nothing of the root's traffic".to_owned(),
    }
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
    let path = format!("/client/{}/run", arguments.mac.hyphenated());
    let failed = |error: &dyn std::fmt::Display| format!("telling {}: {error}", arguments.http());
    let answer = http::post(arguments.http(), &path, &report.render(), PATIENCE)
        .map_err(|error| failed(&error))?;
    let status = answer.head.status;
    let body = answer
        .into_body(MAX_RECORD)
        .map_err(|error| failed(&error))?;
    let text = String::from_utf8(body).map_err(|error| failed(&error))?;
    match status {
        200..=299 => Ok(text),
        status => Err(failed(&format!("it answered {status}: {}", text.trim()))),
    }
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

    #[test]
    fn a_record_is_read_as_the_server_writes_it() {
        let record = |calls, bytes| {
            format!(
                "{{\n  \"root\": \"image\",\n  \"traffic\": {{\n    \"root\": {{\n      \"calls\": {calls},\n      \
                 \"bytes\": {bytes}\n    }},\n    \"data\": {{\n      \"calls\": 9,\n      \"bytes\": 9\n    }}\n  }}\n}}\n"
            )
        };
        assert!(verdict(&record(0, 0)).starts_with("nothing of the root"));
        assert!(verdict(&record(7, 4096)).starts_with("NOT quiet: 7 calls and 4096 bytes"));
        assert!(verdict("{}").contains("nothing of the root's traffic"));
    }
}
