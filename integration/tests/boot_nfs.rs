//! NFS as the Linux kernel, klibc's nfsmount and nfs-utils' mount.nfs use it, beside nfs-ganesha, and
//! through twenty deaths of the server. (`boot_` because it starts a guest.)

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::clients::kernel;
use integration::roots::odd;
use integration::subject::netbootd::{config_file, serve, state_dir};
use integration::subject::peer::ganesha;
use integration::{Lab, Machine, Process, Server, Setup, in_lab, roots, succeed, until};

/// How long the guest may take for what it is asked.
const PATIENCE: Duration = Duration::from_secs(240);
const PEER: &str = "192.168.67.2";
/// Networks with and without the guest.
const WITH: &str = "192.168.67.0/25";
const WITHOUT: &str = "192.168.67.128/25";
const DEATHS: u32 = 20;

#[test]
fn the_kernel_sees_what_ganesha_shows_and_outlives_twenty_deaths_of_the_server() {
    in_lab(|lab| {
        let small = roots::small()?;
        let odd = small.folder.join(odd::FOLDER);
        let signals = lab.folder().join("signals");
        fs::create_dir(&signals)?;
        let config = format!(
            "[exports.odd]\nfolder = {odd:?}\nnetworks = [{WITH:?}]\n\
             [exports.signals]\nfolder = {signals:?}\n"
        );
        let setup = Setup {
            image: Some(&small),
            config: &config,
            ..Setup::default()
        };
        // In the server's own mount namespace, and so nowhere else: a way out of the folder.
        let mut mount = lab.command("mount")?;
        succeed(mount.arg("--bind").arg("/etc").arg(odd.join("bind")))?;

        let peer = lab.client()?;
        peer.set_address(PEER.parse()?)?;
        let folder = lab.folder().join("peer");
        fs::create_dir(&folder)?;
        let _ganesha = ganesha::start_beside(&peer, &folder, &small)?;
        let mut server = Server::netbootd(lab, &setup)?;

        let mut guest = kernel::start(lab, &small, PEER)?;
        guest.until_says(&["reading while the server dies", "VERDICT FAIL"], PATIENCE)?;
        for death in 0..DEATHS {
            reads_on(&guest)?;
            // Not in step with anything that the guest does.
            std::thread::sleep(Duration::from_millis(u64::from(death * 37 % 11) * 20));
            server = server.kill_and_start_again(lab, &setup)?;
        }
        drop(server);
        let state = lab.folder().join("second-state");
        let mut copy = lab.command("cp")?;
        succeed(copy.arg("-al").arg(state_dir(lab)).arg(&state))?;
        let (first, second) = (format!("{:?}", state_dir(lab)), format!("{state:?}"));
        let successor = start_changed(lab, &first, &second)?;
        reads_on(&guest)?;
        fs::write(signals.join("stop"), "")?;
        guest.until_says(&["lab: read enough", "VERDICT FAIL"], PATIENCE)?;
        drop(successor);
        let mut strict = start_changed(lab, WITH, WITHOUT)?;
        fs::write(signals.join("changed"), "")?;
        let verdict = guest.until_says(&["VERDICT PASS", "VERDICT FAIL"], PATIENCE)?;
        let said = guest.console.text();
        let checks: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("CHECK "))
            .collect();
        eprintln!(
            "{}\n{:.0} s",
            checks.join("\n"),
            guest.console.elapsed().as_secs_f32()
        );
        ensure!(verdict == "VERDICT PASS", "{}", checks.join("\n"));
        strict.must_run()
    });
}

/// Waits until the guest has read something more.
fn reads_on(guest: &Machine) -> Result<()> {
    let ticks = || guest.console.text().matches("lab: tick").count();
    let before = ticks();
    until(Duration::from_secs(60), "the guest to read on", || {
        Ok((ticks() > before + 1).then_some(()))
    })
}

/// Starts a daemon with the lab's configuration in which one text is another: with another state
/// folder, which has the same images and key, or with other networks.
fn start_changed(lab: &Lab, from: &str, to: &str) -> Result<Process> {
    let config = fs::read_to_string(config_file(lab))?;
    let file = lab.folder().join("changed.toml");
    fs::write(&file, config.replace(from, to))?;
    serve(lab, &file)
}
