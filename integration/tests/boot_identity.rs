//! A machine is known to whoever logs in to it, whatever key it made at this boot.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::roots::Root;
use integration::subject::netbootd::{self, asked, refused};
use integration::{
    Card, Client, Firmware, Lab, Machine, Person, Server, Setup, in_lab, keygen, ran, roots,
    succeed, until,
};

/// Several times what a boot of the whole system takes on one busy core.
const LIMIT: Duration = Duration::from_secs(420);

/// What is said of the machine with this card.
fn pc01(plug: &(String, String)) -> String {
    format!("[clients.{:?}]\nhostname = \"pc01\"\n", plug.1)
}

/// A machine that alice logs in to.
fn alices<'a>(image: &'a Root, public: &'a str, config: &'a str) -> Setup<'a> {
    Setup {
        image: Some(image),
        kernel_arguments: "quiet",
        user: Some(("alice", public)),
        config,
        ..Setup::default()
    }
}

/// The type 2 record of `ssh-keygen -r` for this public key, as dig writes its data.
fn expected_sshfp(lab: &Lab, public: &str) -> Result<String> {
    let file = lab.folder().join("host.pub");
    std::fs::write(&file, public)?;
    let mut keygen = lab.command("ssh-keygen")?;
    let said = succeed(keygen.args(["-r", "pc01", "-f"]).arg(&file))?.text;
    let record = said.lines().find_map(|line| line.split_once("SSHFP 4 2 "));
    Ok(record
        .map(|(_, data)| format!("42{data}"))
        .unwrap_or_default())
}

fn sshfp(person: &Person<'_>, name: &str) -> Result<String> {
    let mut dig = person.client.command("dig")?;
    let said = succeed(dig.args(["+short", "SSHFP", name]))?.text;
    Ok(said.split_whitespace().collect::<String>().to_lowercase())
}

/// One boot of the machine. Returns its public host key.
fn one_boot(
    person: &Person<'_>,
    plug: &(String, String),
    known_hosts: &Path,
    strangers: &Path,
) -> Result<String> {
    let lab = person.lab;
    let mut machine = Machine::plugged_in(lab, Firmware::Bios, Card::Virtio, 1024, plug.clone())?;
    machine.until_says(&["login:"], LIMIT)?;
    machine.console.must_not_say("no ssh host certificate")?;

    let public = person.logs_in("pc01", known_hosts, "cat /etc/ssh/ssh_host_ed25519_key.pub")?;
    let address = person.logs_in("pc01.lab.internal", known_hosts, "hostname -I")?;
    let address = address.split_whitespace().next().unwrap_or_default();
    let said = person.logs_in(address, known_hosts, "hostname")?;
    ensure!(said.trim() == "pc01", "logged in to {said:?}");

    // That it was the certificate: another authority is not believed.
    let tried = ran(&mut person.ssh("pc01", strangers, "true")?)?;
    ensure!(
        tried.code == Some(255) && tried.errors.contains("Host key verification failed"),
        "with another authority's line: {}",
        tried.everything()
    );
    let want = expected_sshfp(lab, &public)?;
    ensure!(want.len() == 66, "ssh-keygen -r says {want:?}");
    for name in ["pc01.lab.internal", "pc01"] {
        let told = sshfp(person, name)?;
        ensure!(told == want, "dig SSHFP {name}: {told}, ssh-keygen: {want}");
    }
    // The clients trust each other as the person trusts them.
    let on_client = person.logs_in("pc01", known_hosts, "cat /etc/ssh/ssh_known_hosts")?;
    let line = std::fs::read_to_string(known_hosts)?;
    ensure!(
        on_client == line,
        "on the client: {on_client:?}, here: {line:?}"
    );
    Ok(public)
}

#[test]
fn ssh_never_asks_about_a_machine_and_never_warns() {
    in_lab(|lab| {
        let person = Person::new(lab)?;
        let plug = lab.tap()?;
        let public = person.public_key()?;
        let full = roots::full()?;
        let config = pc01(&plug);
        let setup = alices(&full, &public, &config);
        let mut server = Server::netbootd(lab, &setup)?;

        let known_hosts = lab.folder().join("ssh_known_hosts");
        let mut install = netbootd::command(lab, &["ssh", "known-hosts", "--install", "--file"])?;
        install.arg(&known_hosts).arg("--config");
        succeed(install.arg(netbootd::config_file(lab)))?;
        let line = std::fs::read_to_string(&known_hosts)?;
        ensure!(
            line.lines().count() == 1 && line.starts_with("@cert-authority *.lab.internal,"),
            "{line:?}"
        );
        let strangers = lab.folder().join("strangers");
        keygen(lab, &strangers)?;
        let stranger = std::fs::read_to_string(strangers.with_extension("pub"))?;
        std::fs::write(&strangers, format!("@cert-authority * {stranger}"))?;

        let first = one_boot(&person, &plug, &known_hosts, &strangers)?;
        let second = one_boot(&person, &plug, &known_hosts, &strangers)?;
        ensure!(first != second, "the key outlived the boot: {first}");
        ensure!(
            std::fs::read_to_string(&known_hosts)? == line,
            "ssh has written into known_hosts"
        );
        server.must_run()
    });
}

#[test]
fn matrix_a_key_in_the_firmware_stays_over_boots_and_is_roots_alone() {
    in_lab(|lab| {
        let person = Person::new(lab)?;
        let plug = lab.tap()?;
        let public = person.public_key()?;
        let full = roots::full()?;
        let config = pc01(&plug) + "ssh_host_key = \"firmware\"\n";
        let setup = alices(&full, &public, &config);
        let mut server = Server::netbootd(lab, &setup)?;
        let known_hosts = lab.folder().join("ssh_known_hosts");
        std::fs::write(&known_hosts, asked(lab, &["ssh", "known-hosts"])?)?;
        let one_boot = |makes_a_key: bool| -> Result<String> {
            let mut machine =
                Machine::plugged_in(lab, Firmware::Uefi, Card::Virtio, 1024, plug.clone())?;
            machine.until_says(&["login:"], LIMIT)?;
            let said = machine.console.text();
            let made = said.contains("the ssh host key is kept in the firmware");
            ensure!(made == makes_a_key, "{said}");
            let variable = "/sys/firmware/efi/efivars/NetbootdSshHostKey-*";
            let words = format!("cat {variable} 2>/dev/null && echo READ; stat -c %a {variable}");
            let told = person.logs_in("pc01", &known_hosts, &words)?;
            ensure!(told == "600\n", "what alice sees of the variable: {told}");
            // Who keeps keys and no certificates goes by this.
            person.logs_in(
                "pc01",
                &known_hosts,
                "cat /etc/ssh/ssh_host_ed25519_key.pub",
            )
        };
        let first = one_boot(true)?;
        let second = one_boot(false)?;
        ensure!(!first.is_empty() && first == second, "{first}{second}");
        server.must_run()
    });
}

#[test]
fn why_tells_a_boot_from_its_first_packet_to_its_first_login() {
    in_lab(|lab| {
        let person = Person::new(lab)?;
        let plug = lab.tap()?;
        let public = person.public_key()?;
        let full = roots::full()?;
        let config = pc01(&plug);
        let setup = Setup {
            // Something of the system fails: there is no such user.
            kernel_arguments: "quiet systemd.wants=user@4242.service",
            ..alices(&full, &public, &config)
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let known_hosts = lab.folder().join("ssh_known_hosts");
        std::fs::write(&known_hosts, asked(lab, &["ssh", "known-hosts"])?)?;
        let before = refused(lab, &["why", "pc01"])?;
        ensure!(before.contains("nothing was heard of pc01"), "{before}");

        let mut machine =
            Machine::plugged_in(lab, Firmware::Bios, Card::Virtio, 1024, plug.clone())?;
        machine.until_says(&["login:"], LIMIT)?;
        let settled = "system  settled   degraded, ";
        let wait = |what: &str| {
            until(Duration::from_secs(120), what, || {
                let said = asked(lab, &["why", "pc01.lab.internal"])?;
                Ok(said.contains(what).then_some(said))
            })
        };
        let said = wait(settled)?;
        ensure!(said.contains("Nobody has logged in yet"), "{said}");
        person.logs_in("pc01", &known_hosts, "true")?;
        let said = wait(&format!(
            "person  session   alice by sshd from {}",
            Person::ADDRESS
        ))?;
        eprintln!("{said}");
        let mut rest = said.as_str();
        for want in [
            "DHCP    discover",
            "DHCP    offer",
            "DHCP    ack",
            "HTTP    script",
            "HTTP    kernel",
            "HTTP    initrd",
            "init    init",
            "init    switched",
            "system  running",
        ] {
            let at = rest.find(want);
            let at =
                at.ok_or_else(|| anyhow::anyhow!("no {want:?}, or not in its place: {said}"))?;
            rest = &rest[at..];
        }
        for want in [
            "mounted /images/full",
            "signed its host key SHA256:",
            "init    mounted",
            // By whichever way is open first: ssh or the console.
            "system  login     ",
            "◄ longest wait",
            "It is up, ",
            "degraded, 1 unit failed: user-runtime-dir@4242.service",
        ] {
            ensure!(said.contains(want), "no {want:?}: {said}");
        }
        // By any of its names; and one that nobody has.
        let address = person.logs_in("pc01", &known_hosts, "hostname -I")?;
        for name in [plug.1.as_str(), address.trim()] {
            let said = asked(lab, &["why", name])?;
            ensure!(said.starts_with("pc01 ("), "why {name}: {said}");
        }
        let nobody = refused(lab, &["why", "pc99"])?;
        ensure!(nobody.contains("is called pc99"), "{nobody}");
        let short = asked(lab, &["status", "--steps"])?;
        ensure!(short.contains("degraded"), "{short}");
        server.must_run()
    });
}

/// A client's boot token, as this machine gets it by asking for that client's script.
fn token(from: &Client, mac: &str) -> Result<String> {
    let url = format!("http://{}/boot/{}.ipxe", Lab::SERVER, mac.replace(':', "-"));
    let script = succeed(from.command("curl")?.args(["-sS", "--fail", &url]))?.text;
    let token = script.split_once("netbootd.token=").map(|(_, rest)| rest);
    let token = token.and_then(|rest| rest.split_whitespace().next());
    Ok(token.unwrap_or_default().to_owned())
}

/// What the server answers to a request for a host certificate: the status, and the text.
fn request(from: &Client, mac: &str, token: &str, key: &str) -> Result<String> {
    let url = format!(
        "http://{}/client/{}/host-key",
        Lab::SERVER,
        mac.replace(':', "-")
    );
    let body = format!("token={token}\nkey={key}\n");
    let mut curl = from.command("curl")?;
    curl.args(["-sS", "-w", "%{http_code}", "--data-binary", &body, &url]);
    Ok(succeed(&mut curl)?.text)
}

#[test]
fn only_the_clients_own_card_gets_its_certificate_and_only_for_one_key() {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            ..Setup::default()
        };
        let mut server = Server::netbootd(lab, &setup)?;
        let (thief, victim) = (lab.client()?, lab.client()?);
        thief.set_address(std::net::Ipv4Addr::new(192, 168, 67, 210))?;
        victim.set_address(std::net::Ipv4Addr::new(192, 168, 67, 211))?;
        let mut keys = Vec::new();
        for name in ["first", "second"] {
            let file = lab.folder().join(name);
            keygen(lab, &file)?;
            keys.push(std::fs::read_to_string(file.with_extension("pub"))?);
        }
        let mac = victim.mac();

        // A token for another's MAC address is to be had for the asking; a certificate is not.
        let stolen = token(&thief, mac)?;
        ensure!(stolen.len() == 40, "no token: {stolen:?}");
        let said = request(&thief, mac, &stolen, &keys[0])?;
        ensure!(
            said.contains("not that client's card") && said.ends_with("403"),
            "{said}"
        );
        let said = request(&victim, mac, &stolen, &keys[0])?;
        ensure!(said.ends_with("403"), "a token of another address: {said}");

        let own = token(&victim, mac)?;
        let said = request(&victim, mac, &own, "ssh-rsa AAAA")?;
        ensure!(said.ends_with("400"), "a key of another kind: {said}");
        for _ in 0..2 {
            let said = request(&victim, mac, &own, &keys[0])?;
            ensure!(
                said.starts_with("ssh-ed25519-cert-v01@openssh.com ") && said.ends_with("200"),
                "{said}"
            );
        }
        let said = request(&victim, mac, &own, &keys[1])?;
        ensure!(said.ends_with("409"), "a second key: {said}");
        let said = request(&victim, mac, &own, &"x".repeat(2000))?;
        ensure!(said.ends_with("400"), "a long one: {said}");

        let why = asked(lab, &["why", mac])?;
        ensure!(why.matches("ALARM").count() >= 2, "{why}");
        let log = std::fs::read_to_string(lab.folder().join("netbootd.log"))?;
        for want in ["ANOTHER CARD", "A SECOND HOST KEY"] {
            ensure!(log.contains(want), "the log does not say {want:?}");
        }
        server.must_run()
    });
}
