//! The client program: the same file as `/init`, copied to `/run/netbootd/client`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use model::BootArguments;

use crate::{apply, ask, damage, homes, lease, login, quiet, running};

/// Below the new root, until it is `/`.
const FOLDER: &str = "run/netbootd";
/// The boot's arguments, token included; for root only.
const BOOT: &str = "boot";
/// What anybody may know.
const STATUS: &str = "status";
const PROGRAM: &str = "client";

const USAGE: &str = "\
The netbootd client program.

Usage: client running   tell the server that this machine has come up, what of it failed,
                        and the first login
       client lease     keep renewing the lease of this machine's address
       client homes     keep this machine's certificate for people's homes
       client boot-next IMAGE|local-disk|menu
                        what this machine boots with its next start, once; for root
       client apply     take the overlay on standard input in the place of the one before;
                        the server's `netbootd apply` runs it
       client status    show what this machine was booted from
       client damage    tell the server of damaged blocks of the root; init runs it
       client login     check a password for PAM, and mount the home
       client logout N  unmount the home of the account with this number
       client quiet COMMAND…
                        bring the root into memory, run a command, and get a signed record that
                        says what was fetched while it ran
       client quiet --begin, client quiet --end
                        the same around whatever runs in between
";

/// Puts the client program into `/run`, once, and says where it is.
pub(crate) fn program() -> io::Result<PathBuf> {
    let folder = Path::new("/").join(FOLDER);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&folder)?;
    let program = folder.join(PROGRAM);
    // What runs already cannot be written again.
    if !program.exists() {
        fs::copy("/proc/self/exe", &program)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    }
    Ok(program)
}

/// Leaves the client program, its files and the overlay that it was given in `/run`.
pub(crate) fn leave_behind(
    arguments: &BootArguments,
    card: &str,
    overlay: &[u8],
) -> io::Result<()> {
    program()?;
    let folder = Path::new("/").join(FOLDER);
    write(
        &folder.join(BOOT),
        0o600,
        &format!("{}\n", arguments.render()),
    )?;
    apply::keep(Path::new("/"), overlay)?;
    write(&folder.join(STATUS), 0o644, &status_text(arguments, card))
}

fn write(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn status_text(arguments: &BootArguments, card: &str) -> String {
    let network = arguments
        .network
        .as_ref()
        .map_or_else(String::new, |network| {
            format!("{}/{}", network.address, network.prefix_len)
        });
    format!(
        "image       {}\ngeneration  {}\nroot        {}\nserver      {} (HTTP {}, NFS {})\n\
         card        {card} {}\naddress     {network}\nhostname    {}\n",
        arguments.image,
        arguments.generation,
        arguments.root.as_str(),
        arguments.server,
        arguments.http_port,
        arguments.nfs_port,
        arguments.mac,
        arguments
            .hostname
            .as_deref()
            .unwrap_or("(not from the server)"),
    )
}

/// The client program's command line, without the program's name.
pub(crate) fn run(words: &[String]) -> ExitCode {
    let result = match words.first().map(String::as_str) {
        Some("quiet") => {
            match boot_arguments().and_then(|arguments| quiet::run(&arguments, &words[1..])) {
                Ok(code) => return code,
                Err(message) => Err(message),
            }
        }
        Some("running") => boot_arguments().map(|arguments| running::report(&arguments)),
        Some("damage") => damage::tell(),
        Some("lease") => boot_arguments()
            .and_then(|arguments| lease::keep(&arguments))
            .map(|never| match never {}),
        Some("homes") => boot_arguments().map(|arguments| match homes::keep(&arguments) {}),
        Some("boot-next") => match &words[1..] {
            [boot] => boot_next(boot),
            _ => Err(
                "say what to boot: an image, one of its generations (demo@0123456789ab), \
                local-disk or menu"
                    .to_owned(),
            ),
        },
        Some("apply") => apply::run(),
        Some("status") => status(),
        Some("login") => return login::run(),
        Some("logout") => login::logout(words.get(1).map_or("", String::as_str)),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("netbootd client: {message}");
            ExitCode::FAILURE
        }
    }
}

fn boot_arguments() -> Result<BootArguments, String> {
    let path = Path::new("/").join(FOLDER).join(BOOT);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    BootArguments::parse(&text).map_err(|error| error.to_string())
}

/// Orders this machine's own next boot; the server answers what it will be.
fn boot_next(boot: &str) -> Result<(), String> {
    let arguments = boot_arguments()?;
    let said = ask::server(&arguments, ("boot-next", "boot"), boot.to_owned())?;
    println!("{}", said.trim());
    Ok(())
}

fn status() -> Result<(), String> {
    let path = Path::new("/").join(FOLDER).join(STATUS);
    match fs::read_to_string(&path) {
        Ok(text) => {
            print!("{text}");
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("this machine was not booted by netbootd".to_owned())
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_that_anybody_reads_holds_no_token() {
        let line = "netbootd.server=10.0.0.1 netbootd.mac=52:54:00:00:00:01 netbootd.image=demo \
                    netbootd.generation=0123456789abcdef0123456789abcdef netbootd.token=5ec4e7";
        let text = status_text(&BootArguments::parse(line).unwrap(), "eth0");
        assert!(text.contains("image       demo\n"), "{text}");
        assert!(!text.contains("5ec4e7"), "{text}");
    }
}
