//! Machines are restarted by a command of the operator's, or by their management controllers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::subject::netbootd::{asked, refused};
use integration::{Lab, Process, Server, Setup, in_lab, succeed};

const PASSWORD: &str = "a \"secret\" word";

/// Starts the controller on port 8443 of the server's own machine, with a certificate that it signed
/// itself.
fn controller(lab: &Lab) -> Result<Process> {
    let certificate = lab.folder().join("bmc.pem");
    let mut openssl = lab.command("openssl")?;
    openssl
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=bmc",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .arg("-keyout")
        .arg(lab.folder().join("bmc.key"))
        .arg("-out")
        .arg(&certificate);
    succeed(&mut openssl)?;
    let both = lab.folder().join("bmc-both.pem");
    let key = fs::read_to_string(lab.folder().join("bmc.key"))?;
    fs::write(&both, key + &fs::read_to_string(&certificate)?)?;
    let script = lab.folder().join("redfish.py");
    fs::write(&script, include_str!("redfish.py"))?;
    let mut python = lab.command("python3")?;
    python
        .arg(&script)
        .arg("8443")
        .arg(&both)
        .arg(format!("netboot:{PASSWORD}"));
    let mut process = Process::start(&mut python, &lab.folder().join("bmc.log"))?;
    process.until_printed("ready", Duration::from_secs(20))?;
    Ok(process)
}

#[test]
fn a_machine_is_restarted_by_its_controller_or_by_a_command_and_the_password_is_nowhere() {
    in_lab(|lab| {
        let bmc = controller(lab)?;
        let secret = lab.folder().join("password");
        fs::write(&secret, format!("{PASSWORD}\n"))?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        let config = format!(
            "[power]\nredfish_user = \"netboot\"\nredfish_password_file = {secret:?}\nredfish_ca = {:?}\n\
             [clients.\"52:54:00:00:00:07\"]\nhostname = \"pc07\"\nredfish = \"https://127.0.0.1:8443\"\n\
             [clients.\"52:54:00:00:00:08\"]\nhostname = \"pc08\"\n\
             reboot = [\"echo\", \"restarting {{name}}; $(id)\", \"{{mac}}\"]\n\
             [clients.\"52:54:00:00:00:09\"]\nhostname = \"pc09\"\n",
            lab.folder().join("bmc.pem")
        );
        let setup = Setup {
            config: &config,
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;

        let said = asked(lab, &["boot-next", "pc07", "local-disk", "--reboot"])?;
        eprint!("{said}");
        ensure!(
            said.contains("pc07 to restart, by Redfish (ForceRestart"),
            "{said}"
        );
        let system = "/redfish/v1/Systems/437XR";
        let heard = bmc.printed();
        for wanted in [
            "GET /redfish/v1/Systems ".to_owned(),
            format!(
                "PATCH {system} {{\"Boot\":{{\"BootSourceOverrideEnabled\":\"Once\",\"BootSourceOverrideTarget\":\"Pxe\"}}}}"
            ),
            format!(
                "POST {system}/Actions/ComputerSystem.Reset {{\"ResetType\":\"ForceRestart\"}}"
            ),
        ] {
            ensure!(heard.contains(&wanted), "{wanted:?} was not asked: {heard}");
        }

        asked(lab, &["reboot", "pc08"])?;
        let log = fs::read_to_string(lab.folder().join("netbootd.log"))?;
        ensure!(
            log.contains("restarting pc08; $(id) 52:54:00:00:00:08"),
            "{log}"
        );
        let said = refused(lab, &["reboot", "pc09"])?;
        ensure!(
            said.contains("nothing is configured that restarts pc09"),
            "{said}"
        );

        fs::write(&secret, "wrong\n")?;
        let said = refused(lab, &["reboot", "pc07"])?;
        ensure!(said.contains("401"), "{said}");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644))?;
        let said = refused(lab, &["reboot", "pc07"])?;
        ensure!(said.contains("chmod 600"), "{said}");
        let log = fs::read_to_string(lab.folder().join("netbootd.log"))?;
        ensure!(!log.contains("secret"), "the password is in the log");
        server.must_run()
    });
}
