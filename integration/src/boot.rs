//! One boot, from power-on to the verdict of what was booted.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::lab::Lab;
use crate::machine::{Card, Firmware, Machine};
use crate::neighbour::Neighbour;
use crate::roots;
use crate::subject::{Mode, RootKind, Server, Setup};

/// The longest that a boot of the small root may take: several times what it takes on one busy
/// core. What is slower is broken.
const LIMIT: Duration = Duration::from_secs(240);

/// Boots the small root and lets it judge: every sum right, the root come as asked, the overlay
/// written, the server's refusal to be written.
pub fn small_root_passes(lab: &Lab, firmware: Firmware, mode: Mode, root: RootKind) -> Result<()> {
    let small = roots::small()?;
    let setup = Setup {
        mode,
        root,
        image: Some(&small),
        kernel_arguments: "quiet",
        ..Setup::default()
    };
    let _neighbour = match mode {
        Mode::Full => None,
        Mode::Proxy => Some(Neighbour::start(lab)?),
    };
    let mut server = Server::start(lab, &setup)?;
    eprint!("{} {root}: ", mode.as_str());
    passes(lab, &mut server, firmware)
}

/// Boots the small root from a server that has it, and lets it judge.
pub fn passes(lab: &Lab, server: &mut Server, firmware: Firmware) -> Result<()> {
    let mut machine = Machine::start(lab, firmware, Card::Virtio, 1024)?;
    let verdict = machine.until_says(&["VERDICT PASS", "VERDICT FAIL"], LIMIT)?;
    server.must_run()?;
    if verdict != "VERDICT PASS" {
        bail!(
            "the client judges: {}",
            last_line_with(&machine.console.text(), verdict)
        );
    }
    eprintln!(
        "{}: verdict after {:.1} s",
        firmware.as_str(),
        machine.console.elapsed().as_secs_f32()
    );
    machine.until_off(Duration::from_secs(30))?;
    Ok(())
}

fn last_line_with(text: &str, wanted: &str) -> String {
    let line = text.lines().rev().find(|line| line.contains(wanted));
    line.unwrap_or_default().trim().to_owned()
}
