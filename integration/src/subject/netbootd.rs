//! netbootd as the subject: its configuration, its images, its daemon.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Mode, Server, Setup, names};
use crate::lab::Lab;
use crate::place;
use crate::process::{Process, Ran, ran, succeed, until};
use crate::roots::Root;

/// Writes the configuration, publishes the image, starts the daemon, waits until it answers.
pub(super) fn start(lab: &Lab, setup: &Setup<'_>) -> Result<Server> {
    let config = configure(lab, setup)?;
    if let Some(root) = setup.image {
        publish(root, &state_dir(lab))?;
    }
    let daemon = serve(lab, &config)?;
    Ok(Server {
        processes: vec![daemon],
        mount_port: 2049,
        subject: "netbootd",
    })
}

/// Starts the daemon with this configuration and waits until its control socket answers.
pub fn serve(lab: &Lab, config: &Path) -> Result<Process> {
    let mut daemon = command(lab, &[])?;
    daemon.arg("--config").arg(config);
    let mut daemon = Process::start(&mut daemon, &lab.folder().join("netbootd.log"))?;
    until(
        Duration::from_secs(20),
        "netbootd to answer `status`",
        || {
            daemon.must_run()?;
            let status = ran(command(lab, &["status"])?.arg("--config").arg(config))?;
            Ok((status.code == Some(0)).then_some(()))
        },
    )?;
    Ok(daemon)
}

/// A netbootd command in the server's namespace.
pub fn command(lab: &Lab, words: &[&str]) -> Result<Command> {
    let program = place::built("netbootd")?;
    let mut command = lab.command(&program.display().to_string())?;
    command.args(words);
    Ok(command)
}

/// A daemon that serves this interface with these keys, and further tables, and every other key at its default.
pub fn serve_interface(lab: &Lab, interface: &str, keys: &str) -> Result<Process> {
    let config = config_file(lab);
    let state = state_dir(lab);
    fs::write(
        &config,
        format!("state_dir = {state:?}\n\n[interfaces.{interface}]\n{keys}"),
    )?;
    serve(lab, &config)
}

/// The lab's configuration file, written by [`configure`] or [`serve_interface`].
pub fn config_file(lab: &Lab) -> PathBuf {
    lab.folder().join("netbootd.toml")
}

/// What `netbootd …` does beside the lab's daemon, whatever becomes of it.
pub fn tried(lab: &Lab, words: &[&str]) -> Result<Ran> {
    // In front: what stands behind a command for a machine is that command's.
    let mut command = command(lab, &["--config"])?;
    ran(command.arg(config_file(lab)).args(words))
}

/// What `netbootd …` prints beside the lab's daemon; it must go well.
pub fn asked(lab: &Lab, words: &[&str]) -> Result<String> {
    let ran = tried(lab, words)?;
    ensure!(ran.code == Some(0), "{words:?}: {}", ran.everything());
    Ok(ran.text)
}

/// Why `netbootd …` is not done beside the lab's daemon; it must not be.
pub fn refused(lab: &Lab, words: &[&str]) -> Result<String> {
    let ran = tried(lab, words)?;
    ensure!(ran.code != Some(0), "{words:?}: {}", ran.everything());
    Ok(ran.errors)
}

/// The folder that the lab's daemon keeps its state in.
pub fn state_dir(lab: &Lab) -> PathBuf {
    lab.folder().join("state")
}

/// The folder of files that the lab's clients get over their image; a test may fill it.
pub fn overlay_dir(lab: &Lab) -> PathBuf {
    lab.folder().join("overlay")
}

/// Puts a file into that folder, below `all`, `groups/NAME` or `clients/NAME`.
pub fn put(lab: &Lab, path: &str, text: &str, mode: u32) -> Result<()> {
    let path = overlay_dir(lab).join(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Writes the configuration file for this setup and returns its path.
pub fn configure(lab: &Lab, setup: &Setup<'_>) -> Result<PathBuf> {
    let path = config_file(lab);
    fs::create_dir_all(state_dir(lab))?;
    fs::write(&path, text(lab, setup)?)?;
    Ok(path)
}

/// The configuration as text.
fn text(lab: &Lab, setup: &Setup<'_>) -> Result<String> {
    let mut text = String::new();
    let (first, last) = names::POOL;
    writeln!(text, "state_dir = {:?}", state_dir(lab))?;
    writeln!(text, "overlay_dir = {:?}", overlay_dir(lab))?;
    // The lab has a /run of its own, so the daemon's usual place is free.
    writeln!(text, "control_socket = \"/run/netbootd/control.sock\"")?;
    writeln!(text, "\n[log]\nlevel = \"debug\"")?;
    writeln!(text, "\n[interfaces.{}]", Lab::BRIDGE)?;
    writeln!(text, "mode = \"{}\"", setup.mode.as_str())?;
    writeln!(text, "pool = [\"{first}-{last}\"]")?;
    if setup.mode == Mode::Full {
        writeln!(text, "lease_time = {:?}", setup.lease_time)?;
        // There is nobody else, and clients ask at once.
        writeln!(text, "authoritative = true")?;
    }
    let (first, last) = names::FAR_POOL;
    writeln!(text, "\n[subnets.\"10.1.0.0/24\"]")?;
    writeln!(
        text,
        "pool = [\"{first}-{last}\"]\nrouter = {:?}",
        names::RELAY
    )?;
    writeln!(text, "\n[boot]\nroot = \"{}\"", setup.root)?;
    writeln!(text, "kernel_arguments = {:?}", setup.kernel_words(2049))?;
    if let Some(image) = setup.image {
        writeln!(text, "default = {:?}", image.name)?;
    }
    writeln!(text, "{}", setup.boot)?;
    let (host, address) = names::HOST;
    writeln!(
        text,
        "\n[dns]\nenabled = {}\ndomain = {:?}",
        setup.mode == Mode::Full,
        names::DOMAIN
    )?;
    writeln!(text, "hosts = {{ {host} = {address:?} }}")?;
    writeln!(text, "upstreams = [{:?}]", names::UPSTREAM)?;
    if let Some((user, key)) = setup.user {
        writeln!(text, "\n[users.{user}]\nssh_keys = [{key:?}]")?;
    }
    writeln!(text, "\n{}", setup.config)?;
    Ok(text)
}

/// Puts the image of this root into the state folder: built by this build of netbootd, once.
fn publish(root: &Root, state: &Path) -> Result<()> {
    if state.join("images").exists() {
        return Ok(());
    }
    let built = built_image(root)?;
    // Hard links: an image is never written to, and a copy of 200 MB for each lab would cost.
    succeed(
        Command::new(place::tool("cp")?)
            .arg("-al")
            .arg(built)
            .arg(state.join("images")),
    )?;
    for lock in [".lock", ".build-lock"] {
        // A link to the lock of every other lab is none of ours.
        let path = state.join("images").join(root.name).join(lock);
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The `images` folder with this root's image, from an earlier lab with the same programs, or
/// built now.
pub fn built_image(root: &Root) -> Result<PathBuf> {
    build_image(root, |build| succeed(build).map(|_| ()))
}

/// Builds the image of this root if it, or one of the programs, has changed since the last time.
/// `run` runs the command. Returns the folder that holds the image's folder.
pub fn build_image(root: &Root, run: impl FnOnce(&mut Command) -> Result<()>) -> Result<PathBuf> {
    let mut programs = vec![place::built("netbootd")?, place::built("init")?];
    programs.extend(place::built("init-aarch64"));
    let images = place::lab().join("images");
    fs::create_dir_all(&images)?;
    let lock = fs::File::create(images.join(format!("{}.lock", root.name)))?;
    lock.lock()?;
    let stamp = stamp(&programs, &root.folder)?;
    let state = images.join(root.name);
    if fs::read_to_string(state.join("stamp")).ok().as_deref() != Some(&stamp) {
        if state.exists() {
            fs::remove_dir_all(&state)?;
        }
        fs::create_dir_all(&state)?;
        let config = images.join(format!("{}.toml", root.name));
        fs::write(
            &config,
            format!("state_dir = {state:?}\n[interfaces.lo]\nmode = \"off\"\n"),
        )?;
        let mut build = Command::new(&programs[0]);
        build.args(["image", "build", "--config"]).arg(&config);
        run(build.args(["--name", root.name]).arg(&root.folder))?;
        fs::write(state.join("stamp"), stamp)?;
    }
    Ok(state.join("images"))
}

/// Changes when one of the programs or the root does.
fn stamp(programs: &[PathBuf], root: &Path) -> Result<String> {
    let mut stamp = root.display().to_string();
    for path in programs.iter().map(PathBuf::as_path).chain([root]) {
        let metadata =
            fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        write!(stamp, " {} {:?}", metadata.len(), metadata.modified()?)?;
    }
    Ok(stamp)
}
