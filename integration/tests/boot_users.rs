//! The server's own people log in to its clients: with the password that the server knows, to the home
//! that the server has.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration::subject::netbootd::{asked, overlay_dir, tried};
use integration::subject::peer::ganesha;
use integration::{
    Card, Firmware, Lab, Machine, People, Person, Server, Setup, in_lab, ran, roots, succeed, until,
};

/// Several times what a boot of the whole system takes on one busy core.
const LIMIT: Duration = Duration::from_secs(420);
/// For one thing that a machine does when it is up.
const SOON: Duration = Duration::from_secs(60);
const ALICE: u32 = 4211;
const PASSWORD: &str = "correct horse";

/// How Fedora's programs ask for passwords, sshd among them: by another stack than Debian's, and as a part of theirs.
const FEDORA: [(&str, &str); 2] = [
    (
        "password-auth",
        "auth required pam_env.so\nauth required pam_faildelay.so delay=2000000\n\
         auth sufficient pam_unix.so nullok\nauth required pam_deny.so\n\
         account required pam_unix.so\npassword required pam_deny.so\n\
         session required pam_limits.so\n-session optional pam_systemd.so\nsession required pam_unix.so\n",
    ),
    (
        "sshd",
        "auth substack password-auth\naccount required pam_nologin.so\naccount include password-auth\n\
         password include password-auth\nsession optional pam_keyinit.so force revoke\n\
         session include password-auth\n",
    ),
];

/// A machine that is up, the server with its people, and somebody with a key of bob's, who is no
/// account of the server.
struct Room<'a> {
    person: Person<'a>,
    people: People<'a>,
    server: Server,
    machine: Machine,
    known_hosts: PathBuf,
}

impl<'a> Room<'a> {
    /// Boots the machine with these lines of configuration.
    fn new(lab: &'a Lab, lines: &str) -> Result<Self> {
        let person = Person::new(lab)?;
        let plug = lab.tap()?;
        let public = person.public_key()?;
        let full = roots::full()?;
        ensure!(
            full.folder.join("usr/bin/sshfs").exists(),
            "{} was made before sshfs was asked for; make it anew",
            full.folder.display()
        );
        let mut people = People::new(lab, &full, &[("alice", ALICE, PASSWORD)])?;
        let config = config(&plug.1, lines);
        let server = Server::netbootd(lab, &setup(&full, &public, &config))?;
        if lines.contains("machine") {
            asked(lab, &["ssh", "server-setup", "--install"])?;
        }
        people.start_sshd(&lab.folder().join("sshd.log"))?;
        let known_hosts = lab.folder().join("ssh_known_hosts");
        fs::write(&known_hosts, asked(lab, &["ssh", "known-hosts"])?)?;
        let mut machine = Machine::plugged_in(lab, Firmware::Bios, Card::Virtio, 1024, plug)?;
        machine.until_says(&["login:"], LIMIT)?;
        Ok(Self {
            person,
            people,
            server,
            machine,
            known_hosts,
        })
    }

    /// Begins the server anew with these lines, and brings the machine what they say.
    fn configured_anew(self, lab: &Lab, lines: &str) -> Result<Self> {
        let (full, public) = (roots::full()?, self.person.public_key()?);
        let config = config(self.machine.mac(), lines);
        let setup = setup(&full, &public, &config);
        let server = self.server.kill_and_start_again(lab, &setup)?;
        eprintln!("{}", asked(lab, &["apply", "pc01"])?);
        Ok(Self { server, ..self })
    }

    /// Switches the machine off as its root does, and returns how long it took.
    fn goes_off(&mut self, lab: &Lab) -> Result<Duration> {
        // The connection may go before the machine does.
        let order = tried(lab, &["quiet", "pc01", "systemctl", "poweroff"])?;
        eprintln!("{}", order.everything());
        let start = Instant::now();
        // What does not end is killed after 90 s (systemd's default).
        self.machine.until_off(Duration::from_secs(80))?;
        Ok(start.elapsed())
    }

    /// What bob is told on the machine.
    fn bob(&self, words: &str) -> Result<String> {
        self.person.logs_in("bob@pc01", &self.known_hosts, words)
    }

    /// What alice is told on the machine, logging in with this password; or ssh's exit code.
    fn alice(&self, password: &str, words: &str) -> Result<Result<String, String>> {
        let known = &self.known_hosts;
        let tried = ran(&mut self
            .person
            .ssh_by_password("alice@pc01", known, password, words)?)?;
        Ok(match tried.code {
            Some(0) => Ok(tried.text),
            _ => Err(tried.everything()),
        })
    }

    /// Types on the console, and waits for an answer that was not there before.
    fn console(&mut self, keys: &str, answer: &str) -> Result<()> {
        let count = |machine: &Machine| machine.console.text().matches(answer).count();
        let before = count(&self.machine);
        // Who asks for a password forgets what was typed before it was listening.
        std::thread::sleep(Duration::from_millis(500));
        self.machine.types(keys)?;
        until(SOON, &format!("the console to say {answer:?}"), || {
            Ok((count(&self.machine) > before).then_some(()))
        })
    }

    /// Waits until the machine says this of its mounts.
    fn until_home_is(&self, kind: &str) -> Result<()> {
        until(SOON, &format!("/home/alice to be {kind}"), || {
            let said = self.bob("findmnt -n -o FSTYPE -T /home/alice")?;
            Ok((said.trim() == kind).then_some(()))
        })
    }
}

fn is_refused(said: &Result<String, String>) -> bool {
    matches!(said, Err(reason) if reason.contains("Permission denied"))
}

fn config(mac: &str, lines: &str) -> String {
    format!("[clients.{mac:?}]\nhostname = \"pc01\"\n{lines}")
}

fn setup<'a>(full: &'a roots::Root, public: &'a str, config: &'a str) -> Setup<'a> {
    Setup {
        image: Some(full),
        kernel_arguments: "quiet",
        user: Some(("bob", public)),
        config,
        ..Setup::default()
    }
}

#[test]
fn people_log_in_with_the_servers_password_to_the_servers_home() {
    in_lab(|lab| {
        let mut room = Room::new(lab, "[login]\nusers = [\"alice\"]\n")?;
        // On the console: the wrong password, then the right one.
        room.console("alice\n", "Password:")?;
        room.console("wrong\n", "pc01 login:")?;
        room.console("alice\n", "Password:")?;
        let start = Instant::now();
        room.console(&format!("{PASSWORD}\n"), "alice@pc01:~$")?;
        eprintln!(
            "login on the console: {:.1} s",
            start.elapsed().as_secs_f32()
        );
        room.console(
            "echo mine > note; echo at $PWD, $(findmnt -n -o FSTYPE -T .), $(id -u)\n",
            &format!("at /home/alice, fuse.sshfs, {ALICE}"),
        )?;
        let seen = room
            .people
            .run(&["stat", "-c", "%u %s", "/home/alice/note"])?;
        ensure!(seen.trim() == format!("{ALICE} 5"), "on the server: {seen}");

        // Over ssh, while the home is there already.
        let start = Instant::now();
        let said = room.alice(PASSWORD, "cat note")?;
        ensure!(said.as_deref() == Ok("mine\n"), "by password: {said:?}");
        eprintln!(
            "login by ssh, home mounted: {:.1} s",
            start.elapsed().as_secs_f32()
        );
        let wrong = room.alice("wrong", "cat note")?;
        ensure!(is_refused(&wrong), "with a wrong password: {wrong:?}");

        // A restart of the server's ssh: what asks for the home meanwhile is told so in time, and gets it
        // afterwards without another login.
        room.people.stop_sshd()?;
        let start = Instant::now();
        room.console("ls -l ~ 2>&1 | tail -1; echo told: $?\n", "told: 0")?;
        eprintln!(
            "asking while the server is away: {:.1} s",
            start.elapsed().as_secs_f32()
        );
        let away = room.alice(PASSWORD, "true")?;
        ensure!(away.is_err(), "logged in without the server: {away:?}");
        room.people
            .start_sshd(&lab.folder().join("sshd-again.log"))?;
        room.console("cat ~/note && echo again: $((40+2))\n", "again: 42")?;

        // With the last session the home goes.
        room.until_home_is("fuse.sshfs")?;
        room.console("exit\n", "logout")?;
        let start = Instant::now();
        room.until_home_is("overlay")?;
        eprintln!(
            "home away after the logout: {:.1} s",
            start.elapsed().as_secs_f32()
        );
        let failed = room.bob("systemctl --failed --no-legend")?;
        ensure!(failed.trim().is_empty(), "units failed: {failed}");

        // And comes with the next one.
        let start = Instant::now();
        let said = room.alice(PASSWORD, "cat note")?;
        ensure!(said.as_deref() == Ok("mine\n"), "by password: {said:?}");
        eprintln!(
            "login by ssh, home to be mounted: {:.1} s",
            start.elapsed().as_secs_f32()
        );
        let start = Instant::now();
        room.bob("true")?;
        eprintln!(
            "login by ssh with a key, no home: {:.1} s",
            start.elapsed().as_secs_f32()
        );

        // The machine goes down while she works: her home is given back, and nothing waits for it.
        room.console("alice\n", "Password:")?;
        room.console(&format!("{PASSWORD}\n"), "alice@pc01:~$")?;
        room.console("cd ~ && echo here $((40+3))\n", "here 43")?;
        let took = room.goes_off(lab)?.as_secs_f32();
        eprintln!("off after {took:.1} s, with a home mounted by sshfs");
        room.people
            .until_nobody_is_connected(Duration::from_secs(5))?;
        room.server.must_run()
    });
}

#[test]
fn matrix_homes_stay_in_the_machines_memory_or_come_over_nfs() {
    in_lab(|lab| {
        // What an image with nfs-common has more.
        let programs = overlay_dir(lab).join("all/usr/sbin");
        fs::create_dir_all(&programs)?;
        fs::copy("/sbin/mount.nfs", programs.join("mount.nfs"))?;
        let stacks = overlay_dir(lab).join("all/etc/pam.d");
        fs::create_dir_all(&stacks)?;
        for (name, rules) in FEDORA {
            fs::write(stacks.join(name), rules)?;
        }
        let nas = lab.client()?;
        nas.set_address("192.168.67.6".parse()?)?;
        let (homes, logs) = (lab.folder().join("homes"), lab.folder().join("nas"));
        fs::create_dir_all(homes.join("alice"))?;
        fs::create_dir_all(&logs)?;
        fs::write(homes.join("alice/note"), "old\n")?;
        for path in [homes.join("alice"), homes.join("alice/note")] {
            chown(path, Some(ALICE), Some(ALICE))?;
        }
        let _ganesha = ganesha::start_homes(&nas, &logs, &homes)?;

        let login = "[login]\nusers = [\"alice\"]\n";
        let room = Room::new(lab, &format!("{login}home = \"tmpfs\"\n"))?;
        let words = "pwd; echo mine > note; cat note; stat -c %u .; findmnt -n -o FSTYPE -T .";
        // Waits until its ssh is up.
        room.bob("true")?;
        let wrong = room.alice("wrong", "true")?;
        ensure!(is_refused(&wrong), "with a wrong password: {wrong:?}");
        let said = room.alice(PASSWORD, words)?;
        let want = format!("/home/alice\nmine\n{ALICE}\noverlay\n");
        ensure!(said.as_deref() == Ok(&*want), "in memory: {said:?}");
        let seen = room.people.run(&["ls", "/home/alice"])?;
        ensure!(seen.trim().is_empty(), "on the server: {seen}");

        let lines = format!("{login}home = \"nfs\"\nnfs = \"192.168.67.6:/homes\"\n");
        let mut room = room.configured_anew(lab, &lines)?;
        let words = "pwd; echo new >> note; cat note; id -u; findmnt -n -o FSTYPE -T . | tail -1";
        let start = Instant::now();
        let said = room.alice(PASSWORD, words)?;
        eprintln!(
            "login by ssh, home over NFS: {:.1} s",
            start.elapsed().as_secs_f32()
        );
        let want = format!("/home/alice\nold\nnew\n{ALICE}\nnfs4\n");
        ensure!(said.as_deref() == Ok(&*want), "over NFS: {said:?}");
        let note = homes.join("alice/note");
        ensure!(fs::read_to_string(&note)? == "old\nnew\n" && fs::metadata(note)?.uid() == ALICE);
        let took = room.goes_off(lab)?.as_secs_f32();
        eprintln!("off after {took:.1} s, with a home mounted over NFS");
        room.server.must_run()
    });
}

#[test]
fn with_a_key_people_land_in_their_own_home_and_run_a_program_from_it() {
    in_lab(|lab| {
        let lines = "[login]\nusers = [\"alice\"]\nhome = \"machine\"\n";
        let mut room = Room::new(lab, lines)?;
        // Her key and a program are in her home, as on any day before.
        let key = room.person.public_key()?;
        let script = format!(
            "mkdir -m 700 .ssh && echo '{key}' > .ssh/authorized_keys && cp /bin/uname mine && echo old > note"
        );
        let alice = ["su", "-", "alice", "-c", &script];
        room.people.run(&alice)?;

        let words = "pwd; ./mine -n; echo new >> note; cat note; id -u; findmnt -n -o FSTYPE -T . | tail -1";
        let start = Instant::now();
        let said = room
            .person
            .logs_in("alice@pc01", &room.known_hosts, words)?;
        eprintln!(
            "login by key, home to be mounted: {:.1} s",
            start.elapsed().as_secs_f32()
        );
        let want = format!("/home/alice\npc01\nold\nnew\n{ALICE}\nfuse.sshfs\n");
        ensure!(said == want, "{said}");
        let seen = room
            .people
            .run(&["stat", "-c", "%u %s", "/home/alice/note"])?;
        ensure!(seen.trim() == format!("{ALICE} 8"), "on the server: {seen}");
        let start = Instant::now();
        room.person
            .logs_in("alice@pc01", &room.known_hosts, "true")?;
        eprintln!(
            "login by key, home mounted: {:.1} s",
            start.elapsed().as_secs_f32()
        );

        // The password works as well; others see nothing of hers that they could not see on the server.
        let said = room.alice(PASSWORD, "tail -1 note")?;
        ensure!(said.as_deref() == Ok("new\n"), "by password: {said:?}");
        let said = room.bob("cat /home/alice/.ssh/authorized_keys 2>&1; true")?;
        ensure!(said.contains("Permission denied"), "{said}");

        // Nobody else on the link gets the machine's certificate, and it opens no shell.
        let url = format!(
            "http://{}/client/{}/homes-certificate",
            Lab::SERVER,
            room.machine.mac().replace(':', "-")
        );
        let mut curl = room.person.client.command("curl")?;
        let said = succeed(curl.args(["-sS", "-w", "%{http_code}", &url]))?.text;
        ensure!(said.ends_with("403"), "somebody else: {said}");

        // The server's ssh is away for a while, and a long job goes on afterwards.
        room.people.stop_sshd()?;
        let start = Instant::now();
        let said = room.bob("timeout 100 ls /home/alice 2>&1; echo $?")?;
        eprintln!(
            "asking while the server is away: {:.1} s",
            start.elapsed().as_secs_f32()
        );
        ensure!(!said.ends_with("124\n"), "it hangs: {said}");
        room.people
            .start_sshd(&lab.folder().join("sshd-again.log"))?;
        let said = room
            .person
            .logs_in("alice@pc01", &room.known_hosts, "cat note")?;
        ensure!(said == "old\nnew\n", "after the server's restart: {said}");

        // When nobody looks into it any more it is given back.
        let start = Instant::now();
        until(Duration::from_secs(240), "the home to be unmounted", || {
            std::thread::sleep(Duration::from_secs(5));
            let said = room.bob("grep -c fuse.sshfs /proc/mounts; true")?;
            Ok((said.trim() == "0").then_some(()))
        })?;
        eprintln!(
            "home away after the last use: {:.0} s",
            start.elapsed().as_secs_f32()
        );
        let failed = room.bob("systemctl --failed --no-legend")?;
        ensure!(failed.trim().is_empty(), "units failed: {failed}");
        room.server.must_run()
    });
}
