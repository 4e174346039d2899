//! Builds that trust times: quicker, and the same generation.

use std::fs::{self, FileTimes};
use std::time::Duration;

use super::*;

/// Everything was written some time ago.
fn settle() {
    thread::sleep(Duration::from_millis(4100));
}

fn trusting(lab: &Lab) -> Result<Published, BuildError> {
    let mut options = lab.options();
    options.trust_times = true;
    build(&options, &(), &AtomicBool::new(false))
}

/// The generation that a build from nothing makes of the same root.
fn fresh(lab: &Lab) -> model::GenerationId {
    let mut options = lab.options();
    options.state_dir = lab.at("other");
    let published = build(&options, &(), &AtomicBool::new(false)).unwrap();
    fs::remove_dir_all(lab.at("other")).unwrap();
    published.generation
}

#[test]
fn a_trusting_build_reads_what_changed_and_makes_the_generation_that_a_full_one_makes() {
    let lab = Lab::new();
    lab.put("root/usr/share/large", &[7; 900_000])
        .put("root/usr/share/word", b"one word")
        .put(
            "root/usr/share/settings",
            b"machine example.org login me password hunter2\n",
        );
    settle();
    lab.put("root/usr/share/young", b"just written");
    // Nothing is known yet: a catalogue without times is read.
    let first = trusting(&lab).unwrap().manifest;
    assert_eq!(first.root.unread_files, 0);
    // The daemon serves by names, and no generation has another file.
    let folder = lab.at("state/images/demo");
    assert!(folder.join(".times").exists());
    for name in fs::read_dir(folder.join(first.generation.to_string())).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "manifest.json" || first.files.iter().any(|(file, _)| file == name),
            "{name}"
        );
    }

    // As long as before, and the time put back.
    let word = lab.at("root/usr/share/word");
    let modified = fs::metadata(&word).unwrap().modified().unwrap();
    fs::write(&word, b"ONE WORD").unwrap();
    let times = FileTimes::new().set_modified(modified);
    File::options()
        .write(true)
        .open(&word)
        .unwrap()
        .set_times(times)
        .unwrap();
    let second = trusting(&lab).unwrap().manifest;
    assert_eq!(second.generation, fresh(&lab));
    let (unread, files) = (second.root.unread_files, u64::from(second.root.files));
    assert!(0 < unread && unread < files - 2, "{unread} of {files}");

    // A name that says that a password is in it: the same file is searched for secrets.
    fs::rename(
        lab.at("root/usr/share/settings"),
        lab.at("root/usr/share/.netrc"),
    )
    .unwrap();
    assert!(matches!(trusting(&lab), Err(BuildError::Secrets(..))));
    fs::remove_file(lab.at("root/usr/share/.netrc")).unwrap();

    // The same tree elsewhere has other numbers: it is read.
    let copied = std::process::Command::new("cp")
        .args(["-a", "--"])
        .args([lab.at("root"), lab.at("copy")])
        .status();
    assert!(copied.unwrap().success());
    fs::remove_dir_all(lab.at("root")).unwrap();
    fs::rename(lab.at("copy"), lab.at("root")).unwrap();
    let third = trusting(&lab).unwrap().manifest;
    assert_eq!(third.root.unread_files, 0);
    assert_eq!(third.generation, fresh(&lab));
}

#[test]
fn a_file_with_an_allowed_secret_is_searched_every_time() {
    let lab = Lab::new();
    lab.put("root/opt/app/.netrc", NETRC);
    settle();
    let mut options = lab.options();
    options.trust_times = true;
    options.allow_secrets = vec!["opt/app/.netrc".parse().unwrap()];
    let stop = AtomicBool::new(false);
    for _ in 0..2 {
        build(&options, &(), &stop).unwrap();
    }
    options.allow_secrets.clear();
    let refused = build(&options, &(), &stop);
    assert!(matches!(refused, Err(BuildError::Secrets(..))));
}
