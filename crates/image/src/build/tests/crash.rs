//! What is left when a build ends as no program can foresee.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

/// A test starts itself again as a process of its own, which knows by this variable what it is.
const FOLDER: &str = "NETBOOTD_TEST_FOLDER";

fn itself(test: &str, lab: &Path) -> Vec<std::ffi::OsString> {
    let exe = std::env::current_exe().unwrap().into_os_string();
    let name = format!("build::tests::crash::{test}");
    let words = ["--exact", name.as_str(), "--nocapture"].map(Into::into);
    let variable = format!("{FOLDER}={}", lab.display()).into();
    ["env".into(), variable, exe]
        .into_iter()
        .chain(words)
        .collect()
}

fn options_in(folder: &Path) -> BuildOptions {
    let (root, state) = (folder.join("root"), folder.join("state"));
    BuildOptions::new("demo".parse().unwrap(), &root, &state, &folder.join("init"))
}

#[test]
fn a_build_killed_at_any_moment_leaves_the_generation_before_it_whole() {
    let stop = AtomicBool::new(false);
    if let Some(folder) = std::env::var_os(FOLDER) {
        let options = options_in(Path::new(&folder));
        let noise = options.source.join("usr/share/noise");
        for round in 0_u32.. {
            std::fs::write(&noise, round.to_le_bytes().repeat(200_000)).unwrap();
            build(&options, &(), &stop).unwrap();
        }
    }
    let lab = Lab::new();
    lab.put("root/usr/share/noise", b"");
    lab.build().unwrap();
    let catalogue = Catalogue::open(&lab.at("state"));
    let test = "a_build_killed_at_any_moment_leaves_the_generation_before_it_whole";
    for round in 0..40 {
        let mut words = itself(test, lab.folder.path()).into_iter();
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(20 + round * 7));
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        let listing = catalogue.list().unwrap();
        assert_eq!(listing.warnings, [""; 0]);
        let current = listing.images[0].current().unwrap();
        assert_eq!(current.verify().unwrap(), [""; 0]);
    }
    catalogue.clean().unwrap();
    let left = lab.state();
    assert!(!left.iter().any(|path| path.contains(".tmp-")), "{left:?}");
    lab.build().unwrap();
}

#[test]
fn a_disk_that_fills_up_is_named_and_the_generation_before_stays() {
    let test = "a_disk_that_fills_up_is_named_and_the_generation_before_stays";
    if let Some(folder) = std::env::var_os(FOLDER) {
        // In a mount name space of our own, with 60 MB for the state directory.
        let options = options_in(Path::new(&folder));
        let stop = AtomicBool::new(false);
        let first = build(&options, &(), &stop).unwrap();
        let noise = options.source.join("usr/share/noise");
        let mut random = io::Read::take(File::open("/dev/urandom").unwrap(), 80 << 20);
        io::copy(&mut random, &mut File::create(noise).unwrap()).unwrap();
        let error = build(&options, &(), &stop).unwrap_err();
        assert!(matches!(error, BuildError::Full(_)), "{error}");
        let image = Catalogue::open(&options.state_dir)
            .image(&options.name)
            .unwrap();
        assert_eq!(image.current, Some(first.generation));
        assert_eq!(image.current().unwrap().verify().unwrap(), [""; 0]);
        let drafts = std::fs::read_dir(options.state_dir.join("images/demo")).unwrap();
        let names: Vec<_> = drafts.map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            !names
                .iter()
                .any(|name| name.to_string_lossy().starts_with(".tmp")),
            "{names:?}"
        );
        return;
    }
    let lab = Lab::new();
    std::fs::create_dir(lab.at("state")).unwrap();
    std::fs::create_dir_all(lab.at("root/usr/share")).unwrap();
    let small = "mount -t tmpfs -o size=60m tmpfs \"$0\" && exec \"$@\"";
    let ran = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", small])
        .arg(lab.at("state"))
        .args(itself(test, lab.folder.path()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stdout)
    );
}

#[test]
fn a_hostile_or_cut_source_names_what_is_wrong_and_the_generation_before_stays() {
    let lab = Lab::new();
    let before = lab.build().unwrap().generation;
    let pack = |words: &[&str]| {
        let mut tar = Command::new("tar");
        let packed = tar.args(words).current_dir(lab.folder.path()).status();
        assert!(packed.unwrap().success());
    };
    pack(&["-cf", "good.tar", "-C", "root", "."]);
    pack(&[
        "-cPf",
        "up.tar",
        "--transform",
        "s,^./etc,../etc,",
        "-C",
        "root",
        ".",
    ]);
    let good = std::fs::read(lab.at("good.tar")).unwrap();
    lab.put("cut.tar", &good[..good.len() / 2]).put(
        "cut.raw",
        &[[0; 510].as_slice(), &[0x55, 0xaa], &[0; 4000]].concat(),
    );
    for (source, words) in [
        ("up.tar", "../etc"),
        ("cut.tar", "cut.tar"),
        ("cut.raw", "cut.raw"),
    ] {
        let mut options = lab.options();
        options.source = lab.at(source);
        let error = build(&options, &(), &AtomicBool::new(false)).unwrap_err();
        assert!(error.to_string().contains(words), "{source}: {error}");
        let image = Catalogue::open(&options.state_dir)
            .image(&options.name)
            .unwrap();
        assert_eq!(image.current, Some(before), "{source}");
        assert_eq!(image.generations.len(), 1, "{source}");
        assert_eq!(image.generations[0].verify().unwrap(), [""; 0], "{source}");
        let left = lab.state();
        assert!(!left.iter().any(|path| path.contains(".tmp-")), "{left:?}");
    }
    let mut options = lab.options();
    options.source = lab.at("good.tar");
    build(&options, &(), &AtomicBool::new(false)).unwrap();
}
