//! The image commands beside a daemon that serves, and boots of images from every kind of source. `SUBJECT` changes
//! nothing.

mod sources;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::subject::netbootd::{asked, command, config_file, state_dir, tried};
use integration::{Lab, Process, Ran, Server, Setup, in_lab, roots, succeed, until};
use rustix::process::Signal;

/// A netbootd that serves the small image and keeps one generation.
struct Serving<'a> {
    lab: &'a Lab,
    server: Server,
}

impl<'a> Serving<'a> {
    fn start(lab: &'a Lab) -> Result<Self> {
        let small = roots::small()?;
        let setup = Setup {
            image: Some(&small),
            config: "[images.small]\nkeep = 1\n[scrub]\nexclude = [\"left-out-by-the-configuration\"]\n",
            ..Setup::default()
        };
        let server = Server::netbootd(lab, &setup)?;
        Ok(Self { lab, server })
    }

    /// `netbootd image …`, whatever becomes of it.
    fn tried(&self, words: &[&str]) -> Result<Ran> {
        tried(self.lab, &[&["image"], words].concat())
    }

    /// What `netbootd image …` prints; it must go well.
    fn image(&self, words: &[&str]) -> Result<String> {
        asked(self.lab, &[&["image"], words].concat())
    }

    /// Builds the small root with a file of these words over it: what the build prints, and the generation.
    fn build(&self, words: &str) -> Result<(String, String)> {
        let over = self.lab.folder().join("over");
        fs::create_dir_all(&over)?;
        fs::write(over.join("word"), words)?;
        fs::write(over.join("left-out-by-the-configuration"), words)?;
        let small = roots::small()?.folder;
        let (small, over) = (path(&small)?, path(&over)?);
        let said = self.image(&["build", "--name", "small", small, over])?;
        let generation = said
            .split_whitespace()
            .next()
            .context("a build says nothing")?;
        Ok((said.clone(), generation.to_owned()))
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not text")
}

/// `NAME@GENERATION` of the current one.
fn current(serving: &Serving<'_>) -> Result<String> {
    let text = serving.image(&["list", "--json"])?;
    let id = fs::read_link(state_dir(serving.lab).join("images/small/current"));
    let id = match id {
        Ok(target) => target.display().to_string(),
        Err(_) => fs::read_to_string(state_dir(serving.lab).join("images/small/current"))?,
    };
    let id = id.trim();
    ensure!(text.contains(id), "{id} is not listed: {text}");
    Ok(format!("small@{id}"))
}

#[test]
fn generations_are_compared_pinned_let_go_and_kept_by_number() {
    in_lab(|lab| {
        let serving = Serving::start(lab)?;
        let first = current(&serving)?;
        serving.image(&["pin", &first])?;
        let (_, second) = serving.build("second")?;
        let diff = serving.image(&["diff", &first, &second])?;
        ensure!(diff.contains("word"), "no word of the new file: {diff}");
        ensure!(!diff.contains("left-out"), "[scrub] is not obeyed: {diff}");
        let (said, third) = serving.build("third")?;
        ensure!(!said.contains("removed"), "more than is old: {said}");
        serving.image(&["unpin", &first])?;
        let ticket = ["boot-next", "52:54:00:00:00:77"];
        asked(lab, &[&ticket[..], &[&second]].concat())?;
        let (said, fourth) = serving.build("fourth")?;
        let gone = |old: &str| format!("removed {}", &old[.."small@12345678".len()]);
        ensure!(said.contains(&gone(&first)), "{first} stays: {said}");
        ensure!(!said.contains(&gone(&second)), "a ticket names it: {said}");
        let refused = serving.tried(&["remove", &second])?;
        ensure!(
            refused.code != Some(0) && refused.errors.contains("a ticket names it"),
            "removed what a machine shall boot: {}",
            refused.everything()
        );
        asked(lab, &[&ticket[..], &["--cancel"]].concat())?;
        let said = serving.image(&["prune"])?;
        ensure!(said.contains(&second), "{second} is not pruned: {said}");
        let list = serving.image(&["list"])?;
        for stays in [&third, &fourth] {
            let id = stays.trim_start_matches("small@");
            ensure!(list.contains(id), "{stays} is gone: {list}");
        }
        let refused = serving.tried(&["remove", &fourth])?;
        ensure!(
            refused.code != Some(0) && refused.errors.contains("new boots get it"),
            "removed what boots: {}",
            refused.everything()
        );
        serving.image(&["remove", &third])?;
        Ok(())
    });
}

#[test]
fn a_generation_is_verified_carried_and_removed() {
    in_lab(|lab| {
        let serving = Serving::start(lab)?;
        let file = lab.folder().join("small.tar");
        serving.image(&["export", "small", path(&file)?])?;
        serving.image(&["import", "--name", "copy", path(&file)?])?;
        serving.image(&["verify"])?;
        let list = serving.image(&["list"])?;
        ensure!(list.contains("copy"), "not imported: {list}");

        // One byte of a copy, which shares nothing with other labs.
        let images = state_dir(lab).join("images");
        let root = fs::read_dir(images.join("copy"))?
            .filter_map(|entry| Some(entry.ok()?.path().join("root.squashfs")))
            .find(|path| path.exists())
            .context("the copy has no root")?;
        let mut bytes = fs::read(&root)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&root, bytes)?;
        let verified = serving.tried(&["verify", "copy"])?;
        let said = verified.everything();
        ensure!(
            verified.code != Some(0) && said.contains("root.squashfs"),
            "damage is not seen: {said}"
        );
        serving.image(&["remove", "copy"])?;
        let list = serving.image(&["list"])?;
        ensure!(!list.contains("copy"), "not removed: {list}");
        ensure!(
            serving.tried(&["verify"])?.code == Some(0),
            "the rest is damaged"
        );
        Ok(())
    });
}

#[test]
fn a_build_is_seen_by_the_daemon_while_it_runs_and_when_it_was_killed() {
    in_lab(|lab| {
        let serving = Serving::start(lab)?;
        let mut build = command(lab, &["image", "build", "--name", "slow"])?;
        build.args(["--compression", "xz:9"]);
        build
            .arg(roots::small()?.folder)
            .arg("--config")
            .arg(config_file(lab));
        let mut build = Process::start(&mut build, &lab.folder().join("build.log"))?;
        let status = |words: &str| {
            until(Duration::from_secs(60), words, || {
                let said = asked(lab, &["status"])?;
                Ok(said.contains(words).then_some(said))
            })
        };
        let said = status("building slow: writing the root image: ")?;
        ensure!(said.contains("/s, "), "no rate: {said}");
        build.signal(Signal::KILL)?;
        build.wait(Duration::from_secs(10))?;
        status("the last build of slow was broken off")?;
        let (_, third) = serving.build("third")?;
        let mut curl = lab.command("curl")?;
        let socket = "/run/netbootd/control.sock";
        curl.args(["-s", "--unix-socket", socket, "http://x/builds"]);
        let builds = succeed(&mut curl)?.text;
        let id = third.trim_start_matches("small@");
        ensure!(
            builds.contains("\"published\"") && builds.contains(id),
            "{builds}"
        );
        Ok(())
    });
}
