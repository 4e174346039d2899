//! What systemd says of our unit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The exposure that `systemd/README.md` promises at most (0 is a sealed box, 10 an open door).
const PROMISED_EXPOSURE: f32 = 1.8;

/// A copy of the unit whose programs exist on this machine, alone in a folder.
fn unit(test: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/netbootd.service");
    let text = std::fs::read_to_string(source).expect("the unit is in the repository");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    let unit = folder.join("netbootd.service");
    std::fs::write(&unit, text.replace("/usr/sbin/netbootd", "/bin/true")).expect("it is writable");
    unit
}

fn systemd_analyze(words: &[&str], unit: &Path) -> Output {
    Command::new("systemd-analyze")
        .args(words)
        .arg(unit)
        .output()
        .expect("systemd-analyze is installed (Debian: systemd)")
}

#[test]
fn systemd_understands_every_line() {
    let output = systemd_analyze(&["verify"], &unit("verify"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "", "systemd-analyze verify complains");
}

#[test]
fn the_exposure_is_what_the_readme_promises() {
    let output = systemd_analyze(
        &["security", "--offline=true", "--no-pager"],
        &unit("security"),
    );
    let said = String::from_utf8_lossy(&output.stdout);
    let exposure = said.lines().find_map(|line| {
        let (_, rest) = line.split_once("Overall exposure level for netbootd.service:")?;
        rest.split_whitespace().next()?.parse::<f32>().ok()
    });
    let exposure = exposure.unwrap_or_else(|| panic!("no score in:\n{said}"));
    assert!(exposure <= PROMISED_EXPOSURE, "{exposure}");
}
