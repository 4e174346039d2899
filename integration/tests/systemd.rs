//! What systemd says of our unit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The exposure that `systemd/README.md` promises at most (0 is a sealed box, 10 an open door).
const PROMISED_EXPOSURE: f32 = 1.8;

/// The same with the drop-in for network address translation.
const PROMISED_EXPOSURE_WITH_NAT: f32 = 2.2;

/// That of the unit that tells resolved of names.
const PROMISED_EXPOSURE_OF_RESOLVED: f32 = 1.6;

/// A copy of the unit whose programs exist on this machine, alone in a folder, with these drop-ins.
fn unit(test: &str, drop_ins: &[&str]) -> PathBuf {
    let source = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../systemd")
            .join(name);
        std::fs::read_to_string(path).expect("it is in the repository")
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(folder.join("netbootd.service.d")).expect("the folder is writable");
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("it is writable");
        path
    };
    for name in drop_ins {
        let name = format!("netbootd.service.d/{name}");
        put(&name, source(&name));
    }
    let text = source("netbootd.service").replace("/usr/sbin/netbootd", "/bin/true");
    put("netbootd.service", text);
    // It ends with the other, and so names it.
    let name = "netbootd-resolved.service";
    let text = source(name).replace("/usr/sbin/netbootd", "/bin/true");
    put(name, text.replace("/usr/bin/resolvectl", "/bin/true"));
    folder.join("netbootd.service")
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
    for (test, drop_ins) in [("verify", &[][..]), ("verify-nat", &["nat.conf"])] {
        let output = systemd_analyze(&["verify"], &unit(test, drop_ins));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said, "", "systemd-analyze verify complains");
    }
    let unit = unit("verify-resolved", &[]).with_file_name("netbootd-resolved.service");
    let said = systemd_analyze(&["verify"], &unit).stderr;
    assert_eq!(String::from_utf8_lossy(&said), "");
}

fn exposure(unit: &Path) -> f32 {
    let output = systemd_analyze(&["security", "--offline=true", "--no-pager"], unit);
    let said = String::from_utf8_lossy(&output.stdout);
    let exposure = said.lines().find_map(|line| {
        let (_, rest) = line.split_once("Overall exposure level for ")?;
        let (_, rest) = rest.split_once(": ")?;
        rest.split_whitespace().next()?.parse::<f32>().ok()
    });
    exposure.unwrap_or_else(|| panic!("no score in:\n{said}"))
}

#[test]
fn the_exposure_is_what_the_readme_promises() {
    let plain = exposure(&unit("security", &[]));
    assert!(plain <= PROMISED_EXPOSURE, "{plain}");
    let nat = exposure(&unit("security-nat", &["nat.conf"]));
    println!("{plain} without the drop-in nat.conf, {nat} with it");
    // The drop-in was read, and costs no more than it says.
    assert!(plain < nat && nat <= PROMISED_EXPOSURE_WITH_NAT, "{nat}");
    let teller =
        exposure(&unit("security-resolved", &[]).with_file_name("netbootd-resolved.service"));
    assert!(teller <= PROMISED_EXPOSURE_OF_RESOLVED, "{teller}");
}

#[test]
fn the_unit_hears_of_interfaces_that_change() {
    let unit = std::fs::read_to_string(unit("families", &[])).expect("it is written");
    let families = unit
        .lines()
        .find(|line| line.starts_with("RestrictAddressFamilies="));
    assert!(families.is_some_and(|families| families.contains("AF_NETLINK")));
}
