//! iPXE looks for an IPv6 router before it fetches anything, and waits for one.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration::subject::netbootd::{asked, config_file, serve};
use integration::{Card, Firmware, Lab, Machine, Server, Setup, in_lab, roots, until};

const LIMIT: Duration = Duration::from_secs(120);

/// From the machine's first DISCOVER to its script.
fn took(lab: &Lab) -> Result<Duration> {
    let machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 512)?;
    let seen = |stage: &str| {
        until(LIMIT, stage, || {
            let said = asked(lab, &["why", machine.mac()]).unwrap_or_default();
            Ok(said.contains(stage).then(Instant::now))
        })
    };
    let discover = seen("DHCP    discover")?;
    Ok(seen("HTTP    script")? - discover)
}

#[test]
fn matrix_an_answered_router_solicitation_saves_ipxe_ten_seconds() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            ..Setup::default()
        };
        let server = Server::netbootd(lab, &setup)?;
        let answered = took(lab)?;
        drop(server);
        let path = config_file(lab);
        let text = fs::read_to_string(&path)?;
        let mode = "mode = \"full\"\n";
        ensure!(text.contains(mode), "{text}");
        let off = text.replacen(mode, &format!("{mode}router_advertisements = false\n"), 1);
        fs::write(&path, off)?;
        let mut server = serve(lab, &path)?;
        let alone = took(lab)?;
        eprintln!("discover to script: {answered:.1?} with an answer, {alone:.1?} without");
        // The guest's clock is no faster than ours.
        ensure!(alone > answered + Duration::from_secs(10));
        server.must_run()
    });
}
