//! Process 1 in the initrd: from the kernel's hand-over to the image's own init.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use model::{BootArguments, RootMode, Stage};
use rustix::system::RebootCommand;

use crate::damage::Watch;
use crate::download::Download;
use crate::host_key::{self, HostKey};
use crate::modules::Modules;
use crate::report::Reporter;
use crate::retry::until_done;
use crate::{
    client, console, homes, mount, network, overlay, pam, people, say, secure_boot, sshd,
    switch_root,
};

/// How long a message about a boot that cannot go on stays before the machine restarts.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// Boots, and never returns: process 1 may not end.
pub(crate) fn run() -> ! {
    let outcome = std::panic::catch_unwind(attempt);
    let reason = match outcome {
        Ok(Ok(never)) => match never {},
        Ok(Err(reason)) => reason,
        Err(_) => "init itself failed; please report the lines above as a defect".to_owned(),
    };
    give_up(&reason)
}

fn attempt() -> Result<Infallible, String> {
    let mounted = mount::kernel_file_systems();
    console::open();
    mounted?;
    let line = fs::read_to_string("/proc/cmdline")
        .map_err(|error| format!("reading /proc/cmdline: {error}"))?;
    let arguments = BootArguments::parse(&line).map_err(|error| {
        format!("{error}. This initrd only boots from netbootd's own boot script")
    })?;
    say!(
        "booting {} generation {} from {}, root={}",
        arguments.image,
        arguments.generation.short(),
        arguments.server,
        arguments.root.as_str()
    );
    if let Some(hostname) = &arguments.hostname {
        // The overlay brings the lasting name; this one is for messages until then.
        let _ = rustix::system::sethostname(hostname.as_bytes());
    }
    let modules = Modules::of_running_kernel(&line);
    if modules.is_empty() {
        say!(
            "{} holds no modules: everything must be in the kernel itself",
            modules.folder().display()
        );
    }
    thread::scope(|scope| with_modules(scope, &modules, arguments, &line))
}

fn with_modules<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    modules: &'scope Modules,
    mut arguments: BootArguments,
    line: &str,
) -> Result<Infallible, String> {
    // While the card's driver loads and its link comes up, the file systems load beside it.
    let asked = arguments.clone();
    let file_systems = scope.spawn(move || mount::load_modules(&asked, modules));
    // So does what the firmware says of itself. Nobody waits for it: what a boot needs is not among it.
    let secure_boot = Arc::new(OnceLock::new());
    let found = Arc::clone(&secure_boot);
    scope.spawn(move || {
        if let Some(is_on) = secure_boot::read(modules) {
            let _ = found.set(is_on);
        }
    });
    let card = network::find(arguments.mac, modules)?;
    arguments.network = Some(network::bring_up(&card, &arguments));

    let reporter = Reporter::start(&arguments, secure_boot);
    reporter.reached(Stage::Init, &format!("{} is up", card.name));
    let loaded = file_systems.join();
    loaded.map_err(|_| "loading the file systems' modules failed")?;

    let outcome = root_and_overlay(&arguments, &reporter).and_then(|(lower, archive)| {
        finish(&arguments, modules, &card.name, &lower, &archive, &reporter)
    });
    if outcome.is_ok() {
        reporter.reached(Stage::Switched, "");
    }
    reporter.finish(Duration::from_secs(4));
    let root = outcome?;
    say!("handing over to the image's init");
    switch_root::switch(&root, &kernel_words(), line)
}

/// The words that the kernel did not know and gave to us; they are for the image's init.
fn kernel_words() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// Mounts the root's lower layer while the overlay is fetched.
fn root_and_overlay(
    arguments: &BootArguments,
    reporter: &Reporter,
) -> Result<(PathBuf, Vec<u8>), String> {
    thread::scope(|scope| {
        let archive =
            scope.spawn(|| until_done(Stage::Switched, reporter, || overlay::fetch(arguments)));
        let lower = mount_root(arguments, reporter)?;
        let archive = archive
            .join()
            .map_err(|_| "fetching the overlay failed")??;
        Ok((lower, archive))
    })
}

/// The read-only root, by whichever way the arguments name.
fn mount_root(arguments: &BootArguments, reporter: &Reporter) -> Result<PathBuf, String> {
    let mut download = Download::of_image(arguments);
    let watch = arguments.verity.map(|_| Watch::begin());
    let root = until_done(Stage::Mounted, reporter, || {
        let image = match arguments.root {
            RootMode::Tree => return mount::nfs(arguments),
            RootMode::Image => mount::nfs(arguments)?.join("root.squashfs"),
            RootMode::Ram => download.run(arguments.http(), mount::image_file)?,
        };
        mount::squashfs(&image, arguments).inspect_err(|_| {
            if arguments.root == RootMode::Image {
                mount::forget("nfs");
            }
        })
    })?;
    // Without the watch damage is a read error and a line in this machine's log.
    if let Some(Err(reason)) =
        watch.map(|watch| watch.and_then(|watch| watch.leave_behind(arguments)))
    {
        say!("{reason}: the server is not told of damaged blocks");
    }
    Ok(root)
}

/// Everything between the mounted image and the switch.
fn finish(
    arguments: &BootArguments,
    modules: &Modules,
    card: &str,
    lower: &Path,
    archive: &[u8],
    reporter: &Reporter,
) -> Result<PathBuf, String> {
    let told = |stage| move |reason: &String| reporter.failed(stage, reason);
    let (root, changes) =
        mount::overlay(lower, arguments.changes).inspect_err(told(Stage::Mounted))?;
    reporter.reached(
        Stage::Mounted,
        &format!("root={}{changes}", arguments.root.as_str()),
    );
    let entries = overlay::unpack(archive, &root).inspect_err(told(Stage::Switched))?;
    say!("the root is mounted, with {entries} entries of this client's own");
    mount::devices(&root).inspect_err(told(Stage::Switched))?;
    let key = HostKey::start(&root, modules);
    client::leave_behind(arguments, card, archive)
        .map_err(|error| format!("leaving the client program in /run: {error}"))
        .inspect_err(told(Stage::Switched))?;
    key.finish(&root);
    host_key::certify(arguments, &root);
    sshd::trust_our_keys(&root);
    pam::prepare(&root);
    if people::homes_are_the_machines(&root)
        && let Err(reason) = homes::renew(arguments)
    {
        say!("no certificate for people's homes: {reason}");
    }
    Ok(root)
}

/// The last words, then a restart that is announced: the next boot asks the server for a new
/// script, which may be the cure.
fn give_up(reason: &str) -> ! {
    say!("THE BOOT CANNOT GO ON");
    say!("  {reason}");
    say!("  the server's log and `netbootd status` say more");
    let mut left = LAST_WORDS;
    while !left.is_zero() {
        say!("  this machine restarts in {} s", left.as_secs());
        let step = Duration::from_secs(15).min(left);
        thread::sleep(step);
        left -= step;
    }
    say!("restarting");
    let _ = rustix::system::reboot(RebootCommand::Restart);
    loop {
        say!("the kernel refused to restart: please switch this machine off and on");
        thread::sleep(Duration::from_secs(60));
    }
}
