//! `cargo xtask boot`: a virtual machine from power-on to a login prompt, and where the time went.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use integration::roots::{self, Root};
use integration::subject::netbootd;
use integration::{Card, Firmware, Lab, Machine, Mode, Neighbour, RootKind, Server, Setup};

use crate::build;

/// What `cargo xtask boot` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which firmware the machine has
    firmware: FirmwareName,
    /// How it gets its root file system
    #[arg(long, default_value = "image")]
    root: RootName,
    /// Whether netbootd hands out addresses, or another DHCP server on the link does
    #[arg(long, default_value = "full")]
    mode: ModeName,
    /// Leave the machine running until Ctrl-C, and say how to reach it
    #[arg(long)]
    stay: bool,
}

/// The firmware of a virtual machine.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FirmwareName {
    /// SeaBIOS, and the iPXE in the card's ROM
    Bios,
    /// OVMF and its own PXE
    Uefi,
}

#[derive(Clone, Copy, ValueEnum)]
enum RootName {
    Image,
    Tree,
    Ram,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeName {
    Full,
    Proxy,
}

impl From<FirmwareName> for Firmware {
    fn from(name: FirmwareName) -> Self {
        match name {
            FirmwareName::Bios => Self::Bios,
            FirmwareName::Uefi => Self::Uefi,
        }
    }
}

/// Longer than any boot that works.
const LIMIT: Duration = Duration::from_secs(600);

/// Builds the programs and the root where they are missing, and boots.
pub(crate) fn machine(arguments: &Arguments) -> Result<()> {
    build::programs()?;
    let boot = Boot {
        firmware: arguments.firmware.into(),
        mode: match arguments.mode {
            ModeName::Full => Mode::Full,
            ModeName::Proxy => Mode::Proxy,
        },
        root: match arguments.root {
            RootName::Image => RootKind::Image,
            RootName::Tree => RootKind::Tree,
            RootName::Ram => RootKind::Ram,
        },
        stay: arguments.stay,
    };
    boot.of(&roots::full()?)
}

/// One boot to show.
pub(crate) struct Boot {
    pub(crate) firmware: Firmware,
    pub(crate) mode: Mode,
    pub(crate) root: RootKind,
    pub(crate) stay: bool,
}

impl Boot {
    /// Boots this root in a fresh lab, its console shown, and prints the timeline.
    pub(crate) fn of(&self, root: &Root) -> Result<()> {
        let lab = Lab::new("boot")?;
        let outcome = self.in_lab(&lab, root);
        let folder = lab.folder().to_owned();
        drop(lab);
        match outcome {
            Ok(()) => {
                std::fs::remove_dir_all(&folder)?;
                Ok(())
            }
            Err(error) => {
                Err(error.context(format!("logs and a capture are in {}", folder.display())))
            }
        }
    }

    fn in_lab(&self, lab: &Lab, root: &Root) -> Result<()> {
        let setup = Setup {
            mode: self.mode,
            root: self.root,
            image: Some(root),
            ..Setup::default()
        };
        let _neighbour = match self.mode {
            Mode::Full => None,
            Mode::Proxy => Some(Neighbour::start(lab)?),
        };
        let mut server = Server::netbootd(lab, &setup)?;
        // A root in memory needs the memory.
        let memory = if matches!(self.root, RootKind::Ram) {
            2048
        } else {
            1024
        };
        let mut machine = Machine::start(lab, self.firmware, Card::Virtio, memory)?;
        machine.console.show();
        machine.until_says(&["login:"], LIMIT)?;
        let seconds = machine.console.elapsed().as_secs_f32();
        server.must_run()?;
        println!("\n{}", netbootd::asked(lab, &["status", "--steps"])?);
        println!("power-on to login prompt: {seconds:.1} s");
        if self.stay {
            println!(
                "\nThe machine runs until Ctrl-C. Its network: nsenter --target {} --net --mount",
                lab.server().holder()
            );
            println!(
                "Its console: tail -f {}/console-*.log",
                lab.folder().display()
            );
            machine.until_off(Duration::from_secs(7 * 24 * 3600))?;
        }
        Ok(())
    }
}
