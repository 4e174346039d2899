//! `cargo xtask bench boot`: seconds from power-on to each stage of a boot, and what went over the
//! wire for it.
//!
//! One guest at a time, in a fresh lab: one emulated processor, pinned to one of this machine's, no
//! KVM. All subjects boot the same kernel with the same root and the same words on the command
//! line, and the same observers time them, against the start of QEMU:
//!
//! | metric | from the subject's | is |
//! |---|---|---|
//! | `ack_s` | packets | the first DHCPACK on the link (with UEFI that is the firmware's own, before iPXE's) |
//! | `script_s` | packets | the boot script is asked for (TFTP or HTTP) |
//! | `kernel_s` | console | the kernel's first line: kernel and initrd were fetched and handed over |
//! | `init_s` | console | the kernel starts the initrd's `/init` |
//! | `mounted_s` | console | the initrd says that the root is mounted ([`Subject::mounted`]) |
//! | `systemd_s` | console | the root's own systemd speaks |
//! | `login_s` | console | `login:` |
//! | `wire_mb` | its port of the bridge | megabytes (10⁶) sent to the guest until `login:` |
//!
//! Packets are timed by tcpdump as they pass the bridge, console lines as they appear, to about
//! 20 ms. netbootd's own timeline is not used: a server that measures itself is no observer. The
//! lab's usual capture of everything is off, since it would cost more where more goes over the wire.

mod peer;
mod trial;
mod wire;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use integration::place::tool;
use integration::roots::{self, Root};
use integration::{Card, Firmware, Lab, Machine, Server, Setup, succeed};

use self::wire::Wire;
use super::rows::Rows;
use crate::boot::FirmwareName;
use crate::build;

/// What `cargo xtask bench boot` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often each subject boots; the rows are medians
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Only this firmware; both otherwise
    #[arg(long)]
    case: Option<FirmwareName>,
    /// Only this subject; all otherwise
    #[arg(long)]
    subject: Option<Subject>,
    /// Write the rows to this file too, as one JSON object
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Who serves a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Subject {
    /// Ours, with its defaults: the root as an image
    Netbootd,
    /// dnsmasq with its defaults and nfs-ganesha; the root over NFS by its own initramfs-tools
    Peer,
    /// The same programs, tuned by hand, and an initrd that does nothing but what it must
    Trial,
}

impl Subject {
    const ALL: [Self; 3] = [Self::Netbootd, Self::Peer, Self::Trial];

    fn as_str(self) -> &'static str {
        match self {
            Self::Netbootd => "netbootd",
            Self::Peer => "peer",
            Self::Trial => "trial",
        }
    }

    fn start(self, lab: &Lab, setup: &Setup<'_>, root: &Root) -> Result<Vec<Serving>> {
        match self {
            Self::Netbootd => Ok(vec![Serving::Netbootd(Server::netbootd(lab, setup)?)]),
            Self::Peer => peer::start(lab, setup, root),
            Self::Trial => trial::start(lab, setup, root),
        }
    }

    /// What its initrd says right after the root is mounted. netbootd's says it a little late, after
    /// it has unpacked the client's own files into the root too.
    fn mounted(self) -> &'static str {
        match self {
            Self::Netbootd => "the root is mounted",
            Self::Peer => "Running /scripts/nfs-bottom",
            Self::Trial => trial::MOUNTED,
        }
    }
}

/// A program of a subject, running until this is dropped.
enum Serving {
    Netbootd(Server),
    Other(integration::Process),
}

impl Serving {
    fn must_run(&mut self) -> Result<()> {
        match self {
            Self::Netbootd(server) => server.must_run(),
            Self::Other(process) => process.must_run(),
        }
    }
}

/// The metrics that the console gives, and what it says then; `mounted_s` is the subject's.
const MARKS: [(&str, &str); 5] = [
    ("kernel_s", "Linux version "),
    ("init_s", "Run /init as init process"),
    ("mounted_s", ""),
    ("systemd_s", "running in system mode"),
    ("login_s", "login:"),
];

/// What the console says of a boot that will not get to `login:`. systemd gives the serial console
/// 90 s to turn up, too little for a guest that a busy host lets run a tenth of the time.
const ENDINGS: [&str; 2] = ["Kernel panic", "Dependency failed"];

/// Longer than any boot that works, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(900);

/// Boots every subject `--rounds` times with each firmware, in turn, and prints the rows.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
    build::programs()?;
    let root = roots::full()?;
    let mut rows = Rows::default();
    for firmware in [FirmwareName::Bios, FirmwareName::Uefi] {
        if arguments.case.is_some_and(|case| case != firmware) {
            continue;
        }
        for round in 1..=arguments.rounds {
            // Whoever is first finds colder caches and a slower machine: each is in its turn.
            let mut subjects = Subject::ALL;
            subjects.rotate_left((round - 1) as usize % Subject::ALL.len());
            for subject in subjects {
                if arguments.subject.is_some_and(|only| only != subject) {
                    continue;
                }
                let firmware = Firmware::from(firmware);
                let (case, who) = (firmware.as_str(), subject.as_str());
                eprintln!("bench boot: {case}, round {round}, {who}");
                for (metric, figure) in boot(&root, firmware, subject)? {
                    eprintln!("  {metric:<10} {figure:8.2}");
                    rows.add(format!("boot.{case}.{metric}.{who}"), figure);
                }
            }
        }
    }
    rows.publish(arguments.json.as_deref())
}

/// One boot in a lab of its own. The lab's folder is kept when this fails.
fn boot(root: &Root, firmware: Firmware, subject: Subject) -> Result<Vec<(&'static str, f64)>> {
    let lab = Lab::new(&format!("bench-{}-{}", firmware.as_str(), subject.as_str()))?;
    lab.close_capture();
    let outcome = boot_in(&lab, root, firmware, subject);
    let folder = lab.folder().to_owned();
    drop(lab);
    let figures = outcome.with_context(|| {
        format!(
            "no figures of {}: its logs and the console are in {}",
            subject.as_str(),
            folder.display()
        )
    })?;
    std::fs::remove_dir_all(&folder)?;
    Ok(figures)
}

fn boot_in(
    lab: &Lab,
    root: &Root,
    firmware: Firmware,
    subject: Subject,
) -> Result<Vec<(&'static str, f64)>> {
    // Not `quiet`: the stages are read from what the kernel and the initrds say, all three of them.
    let setup = Setup {
        image: Some(root),
        ..Setup::default()
    };
    let mut serving = subject.start(lab, &setup, root)?;
    let wire = Wire::watch(lab)?;
    let mut machine = Machine::start(lab, firmware, Card::Virtio, 1024)?;
    let power_on = SystemTime::now() - machine.console.elapsed();
    pin(machine.id())?;

    let marks = MARKS.map(|(metric, mark)| match metric {
        "mounted_s" => subject.mounted(),
        _ => mark,
    });
    let said = machine.when_said(&marks, &ENDINGS, LIMIT)?;
    let megabytes = wire::sent_to(lab, machine.tap())? / 1e6;
    serving.iter_mut().try_for_each(Serving::must_run)?;
    if let Err(failed) = machine.console.must_not_say("Failed to start") {
        eprintln!("  note: {failed}");
    }

    let (ack, script) = wire.stages(power_on)?;
    let mut figures = vec![("ack_s", ack), ("script_s", script)];
    for ((metric, _), (said, mark)) in MARKS.iter().zip(said.iter().zip(marks)) {
        let said = said.with_context(|| format!("the console did not say {mark:?}"))?;
        figures.push((metric, said.as_secs_f64()));
    }
    figures.push(("wire_mb", megabytes));
    Ok(figures)
}

/// Holds a machine to one processor of this host, the last; what serves it has the others.
fn pin(machine: u32) -> Result<()> {
    let processors = std::thread::available_parallelism()?.get();
    succeed(
        Command::new(tool("taskset")?)
            .args(["--all-tasks", "--cpu-list", "--pid"])
            .arg((processors - 1).to_string())
            .arg(machine.to_string()),
    )?;
    Ok(())
}
