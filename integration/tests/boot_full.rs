//! A whole Debian boots to its login prompt, nothing of ours installed in it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use integration::subject::netbootd;
use integration::{
    Card, Firmware, Lab, Machine, Server, Setup, in_lab, ran, roots, succeed, until,
};

/// Several times what a boot of the whole system takes on one busy core.
const LIMIT: Duration = Duration::from_secs(420);

fn boots_to_login(lab: &Lab, firmware: Firmware, card: Card) -> Result<Machine> {
    let full = roots::full()?;
    let setup = Setup {
        image: Some(&full),
        kernel_arguments: "quiet",
        ..Setup::default()
    };
    let mut server = Server::start(lab, &setup)?;
    let machine = logs_in(lab, firmware, card)?;
    server.must_run()?;
    Ok(machine)
}

fn logs_in(lab: &Lab, firmware: Firmware, card: Card) -> Result<Machine> {
    let mut machine = Machine::start(lab, firmware, card, 1024)?;
    machine.until_says(&["login:"], LIMIT)?;
    eprintln!(
        "login prompt after {:.1} s",
        machine.console.elapsed().as_secs_f32()
    );
    machine.console.must_not_say("Dependency failed")?;
    Ok(machine)
}

#[test]
fn uefi_boots_debian_to_its_login_prompt() {
    in_lab(|lab| boots_to_login(lab, Firmware::Uefi, Card::Virtio).map(|_| ()));
}

#[test]
fn an_e1000e_card_boots_debian_to_its_login_prompt() {
    in_lab(|lab| boots_to_login(lab, Firmware::Bios, Card::E1000e).map(|_| ()));
}

#[test]
fn a_configured_user_logs_in_by_ssh() {
    in_lab(|lab| {
        let key = lab.folder().join("key");
        let mut keygen = lab.command("ssh-keygen")?;
        succeed(
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&key),
        )?;
        let public = std::fs::read_to_string(key.with_extension("pub"))?;
        let full = roots::full()?;
        let setup = Setup {
            image: Some(&full),
            kernel_arguments: "quiet",
            user: Some(("alice", public.trim())),
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let machine = logs_in(lab, Firmware::Bios, Card::Virtio)?;

        // Debian's wired drivers are 8 MB; the machine needs one, and was not sent the others.
        let initrd = stage(lab, "initrd")?;
        let size = initrd.split_whitespace().find_map(|word| word.parse().ok());
        let size: u32 = size.with_context(|| format!("no size in {initrd:?}"))?;
        ensure!((500..3000).contains(&size), "the initrd was {size} KiB");

        let address = address_of(lab, machine.mac())?;
        let said = until(Duration::from_secs(60), "ssh to let alice in", || {
            let mut ssh = lab.command("ssh")?;
            ssh.arg("-i")
                .arg(&key)
                .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]);
            ssh.args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ]);
            let tried = ran(ssh
                .arg(format!("alice@{address}"))
                .arg("id -un && hostname && systemctl is-system-running"))?;
            match tried.code {
                Some(255) if tried.errors.contains("Permission denied") => {
                    bail!("ssh: {}", tried.errors)
                }
                Some(255) => Ok(None),
                _ => Ok(Some(tried.text)),
            }
        })?;
        let mut lines = said.lines();
        ensure!(lines.next() == Some("alice"), "logged in as: {said}");
        let host = lines.next().unwrap_or_default();
        ensure!(
            !host.is_empty() && host != "localhost",
            "the client has no name of its own: {said}"
        );
        server.must_run()
    });
}

/// A key that nobody logs in with.
const NOBODYS_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl nobody";

#[test]
fn a_machine_is_as_its_configuration_says() {
    in_lab(|lab| {
        let plug = lab.tap()?;
        let full = roots::full()?;
        let config = format!(
            r#"
[clients."{}"]
autologin = "alice"
mask = ["ssh.service", "ssh.socket"]
fstab = ["tmpfs /scratch tmpfs size=8m 0 0"]
commands = ["touch /scratch/first", "cp /scratch/first /scratch/second", "echo commands: $(ls /scratch) > /dev/ttyS0"]
[users.guest]
passwordless = true
"#,
            plug.1
        );
        let setup = Setup {
            image: Some(&full),
            kernel_arguments: "quiet",
            user: Some(("alice", NOBODYS_KEY)),
            boot: "hostnames = \"ws-{mac6}\"\nread_ahead = 1000",
            config: &config,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let prompt = format!("alice@ws-{}:", plug.1.replace(':', "").split_off(6));
        let mut machine = Machine::plugged_in(lab, Firmware::Bios, Card::Virtio, 1024, plug)?;
        machine.until_says(&["commands: first second"], LIMIT)?;
        machine.until_says(&[&prompt], LIMIT)?;
        machine.types(
            "echo $(id -un) at $(tty), $(findmnt -no SIZE,FSTYPE /scratch), $(systemctl is-enabled ssh), \
             $(grep -lx 1000 /sys/class/bdi/*/read_ahead_kb | wc -l) read ahead\r",
        )?;
        // The file system of the image, and the share that it comes from.
        let wanted = "alice at /dev/ttyS0, 8M tmpfs, masked, 2 read ahead";
        machine.until_says(&[wanted], Duration::from_secs(60))?;
        // The image's PAM stack asks a guest for nothing.
        machine.types("su -c 'echo it is $(id -un)' guest\r")?;
        machine.until_says(&["it is guest"], Duration::from_secs(60))?;
        server.must_run()
    });
}

/// What the server says of a stage of the one machine's boot.
fn stage(lab: &Lab, stage: &str) -> Result<String> {
    let said = netbootd::asked(lab, &["status", "--steps"])?;
    let mut lines = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix(stage));
    let line = lines.next();
    Ok(line
        .with_context(|| format!("no {stage} in {said}"))?
        .to_owned())
}

/// The address that the machine uses, as its neighbours know it.
fn address_of(lab: &Lab, mac: &str) -> Result<String> {
    let neighbours =
        succeed(
            lab.command("ip")?
                .args(["-4", "neighbour", "show", "dev", Lab::BRIDGE]),
        )?;
    let line = neighbours.text.lines().find(|line| line.contains(mac));
    let address = line.and_then(|line| line.split_whitespace().next());
    Ok(address
        .with_context(|| format!("nobody has {mac}: {}", neighbours.text))?
        .to_owned())
}
