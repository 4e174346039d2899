//! The unit under the systemd of a Debian that booted for it: least privilege, and everything served.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::place::{built, repository, tool};
use integration::subject::netbootd::{command, configure};
use integration::{Card, Firmware, Lab, Machine, Server, Setup, in_lab, roots, succeed};

const CONFIGURATION: &str = "[interfaces.lab0]\nmode = \"full\"\n";

/// Makes the user, as the installation would, and a network for the daemon to serve. (No image has
/// `/etc/netbootd`: a server's settings are not for clients.)
const NETWORK: &str = "[Unit]\nBefore=netbootd.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
    ExecStart=/usr/bin/systemd-sysusers\n\
    ExecStart=/usr/bin/install -D -m 644 /opt/netbootd.toml /etc/netbootd/netbootd.toml\n\
    ExecStart=/usr/sbin/ip link add lab0 type dummy\n\
    ExecStart=/usr/sbin/ip address add 192.168.99.1/24 dev lab0\n\
    ExecStart=/usr/sbin/ip link set lab0 up\n[Install]\nWantedBy=multi-user.target\n";

const VERDICT: &str = "[Unit]\nAfter=netbootd.service\n[Service]\nType=oneshot\n\
    ExecStart=/usr/local/sbin/verdict\n[Install]\nWantedBy=multi-user.target\n";

/// What `systemd/README.md` says to install, as a layer over this Debian.
fn installed(root: &Path, layer: &Path) -> Result<()> {
    let put = |path: &str, content: &[u8], mode: u32| -> Result<()> {
        let path = layer.join(path);
        fs::create_dir_all(path.parent().context("a file in no folder")?)?;
        fs::write(&path, content)?;
        Ok(fs::set_permissions(
            &path,
            fs::Permissions::from_mode(mode),
        )?)
    };
    let ours = |path: &str| fs::read(repository().join("systemd").join(path));
    put("usr/sbin/netbootd", &fs::read(built("netbootd")?)?, 0o755)?;
    put("usr/lib/netbootd/init", &fs::read(built("init")?)?, 0o755)?;
    put(
        "usr/lib/sysusers.d/netbootd.conf",
        &ours("netbootd.sysusers")?,
        0o644,
    )?;
    put("opt/netbootd.toml", CONFIGURATION.as_bytes(), 0o644)?;
    put("opt/nat.conf", &ours("netbootd.service.d/nat.conf")?, 0o644)?;
    // The program of Debian's package nftables, with the libraries that the root does not have.
    put("usr/sbin/nft", &fs::read(tool("nft")?)?, 0o755)?;
    let needed = succeed(Command::new("ldd").arg(tool("nft")?))?.text;
    for library in needed
        .split_whitespace()
        .filter(|word| word.starts_with("/lib/x86"))
    {
        let place = format!("usr{library}");
        if !root.join(&place).exists() {
            put(&place, &fs::read(library)?, 0o644)?;
        }
    }
    let script = include_bytes!("unit/verdict.sh");
    put("usr/local/sbin/verdict", script, 0o755)?;
    let wants = "etc/systemd/system/multi-user.target.wants";
    fs::create_dir_all(layer.join(wants))?;
    for (unit, text) in [
        ("netbootd.service", ours("netbootd.service")?),
        ("lab0.service", NETWORK.into()),
        ("verdict.service", VERDICT.into()),
    ] {
        put(&format!("etc/systemd/system/{unit}"), &text, 0o644)?;
        symlink(format!("../{unit}"), layer.join(wants).join(unit))?;
    }
    Ok(())
}

#[test]
fn the_unit_serves_with_least_privilege_in_a_debian() {
    in_lab(|lab: &Lab| {
        let full = roots::full()?;
        let setup = Setup {
            image: Some(&full),
            kernel_arguments: "quiet systemd.journald.forward_to_console=1",
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let layer = lab.folder().join("installed");
        installed(&full.folder, &layer)?;
        let mut build = command(lab, &["image", "build", "--name", full.name])?;
        build.arg("--config").arg(configure(lab, &setup)?);
        let said = succeed(build.arg(&full.folder).arg(&layer))?;
        ensure!(said.text.contains(full.name), "{}", said.everything());

        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        let words = ["VERDICT PASS", "VERDICT FAIL"];
        let verdict = machine.until_says(&words, Duration::from_secs(420))?;
        ensure!(verdict == "VERDICT PASS", "the console says why");
        server.must_run()
    });
}
