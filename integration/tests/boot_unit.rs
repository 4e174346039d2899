//! The unit under the systemd of a Debian that booted for it: least privilege, and everything served.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::place::{built, repository, tool};
use integration::roots::Root;
use integration::subject::netbootd::{command, configure};
use integration::{Card, Firmware, Lab, Machine, Server, Setup, in_lab, roots, succeed};

/// A server's settings, the script that judges it, and the units of ours that are enabled beside netbootd's.
struct Judged {
    configuration: &'static str,
    script: &'static str,
    enabled: &'static [&'static str],
}

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
fn installed(root: &Path, layer: &Path, judged: &Judged) -> Result<()> {
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
    let configuration = judged.configuration.as_bytes();
    put("opt/netbootd.toml", configuration, 0o644)?;
    put("opt/nat.conf", &ours("netbootd.service.d/nat.conf")?, 0o644)?;
    // Programs of Debian's packages nftables and iptables, with the libraries that the root does not have.
    for (name, file) in [("nft", "nft"), ("iptables-legacy", "xtables-legacy-multi")] {
        put(&format!("usr/sbin/{file}"), &fs::read(tool(name)?)?, 0o755)?;
        let needed = succeed(Command::new("ldd").arg(tool(name)?))?.text;
        for library in needed
            .split_whitespace()
            .filter(|word| word.starts_with("/lib/x86"))
        {
            let place = format!("usr{library}");
            if !root.join(&place).exists() {
                put(&place, &fs::read(library)?, 0o644)?;
            }
        }
    }
    symlink(
        "xtables-legacy-multi",
        layer.join("usr/sbin/iptables-legacy"),
    )?;
    put("usr/local/sbin/verdict", judged.script.as_bytes(), 0o755)?;
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
    let wants = "etc/systemd/system/netbootd.service.wants";
    fs::create_dir_all(layer.join(wants))?;
    for unit in judged.enabled {
        put(&format!("etc/systemd/system/{unit}"), &ours(unit)?, 0o644)?;
        symlink(format!("../{unit}"), layer.join(wants).join(unit))?;
    }
    Ok(())
}

/// Boots this root with netbootd installed in it, and waits for the verdict of its script.
fn judge(root: Result<Root>, judged: Judged) {
    in_lab(|lab: &Lab| {
        let root = root?;
        let setup = Setup {
            image: Some(&root),
            kernel_arguments: "quiet systemd.journald.forward_to_console=1",
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let layer = lab.folder().join("installed");
        installed(&root.folder, &layer, &judged)?;
        let mut build = command(lab, &["image", "build", "--name", root.name])?;
        build.arg("--config").arg(configure(lab, &setup)?);
        let said = succeed(build.arg(&root.folder).arg(&layer))?;
        ensure!(said.text.contains(root.name), "{}", said.everything());

        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        let words = ["VERDICT PASS", "VERDICT FAIL"];
        let verdict = machine.until_says(&words, Duration::from_secs(420))?;
        for line in machine.console.text().lines() {
            if let Some((_, told)) = line.split_once("TOLD ") {
                eprintln!("{told}");
            }
        }
        ensure!(verdict == "VERDICT PASS", "the console says why");
        server.must_run()
    });
}

#[test]
fn the_unit_serves_with_least_privilege_in_a_debian() {
    let judged = Judged {
        configuration: "[interfaces.lab0]\nmode = \"full\"\n",
        script: include_str!("unit/verdict.sh"),
        enabled: &[],
    };
    judge(roots::full(), judged);
}

#[test]
fn matrix_a_server_with_resolved_finds_the_clients_as_long_as_netbootd_runs() {
    let judged = Judged {
        configuration: "[interfaces.lab0]\nmode = \"full\"\n\
            [dns]\ndomain = \"room.internal\"\ntell_resolved = true\n\
            [dns.hosts]\nprinter = \"192.168.99.5\"\n",
        script: include_str!("unit/resolved.sh"),
        enabled: &["netbootd-resolved.service"],
    };
    judge(roots::networks(), judged);
}
