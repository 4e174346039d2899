//! Whether the daemon may change rules.

use std::path::Path;

use rustix::thread::{CapabilitySet, capabilities};

/// What is said where it may not.
pub const WANTED: &str = "netbootd needs CAP_NET_ADMIN for it: install systemd/netbootd.service.d/nat.conf as \
     /etc/systemd/system/netbootd.service.d/nat.conf, then systemctl daemon-reload and restart netbootd";

/// Where systemd looks for a unit and its drop-ins.
pub const UNIT_FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Whether this process may.
pub fn is_here() -> bool {
    capabilities(None).is_ok_and(|own| own.effective.contains(CapabilitySet::NET_ADMIN))
}

/// Why the daemon may not change rules, if it may not. A check runs with full privilege, and the unit's
/// daemon does not: where the unit is installed, its files say what it may.
pub fn missing() -> Option<String> {
    let unit = UNIT_FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join("netbootd.service"))
        .find(|unit| unit.exists());
    let may = match unit {
        Some(unit) => grants(&unit) || drop_ins().any(|file| grants(&file)),
        _ => is_here(),
    };
    (!may).then(|| WANTED.to_owned())
}

fn drop_ins() -> impl Iterator<Item = std::path::PathBuf> {
    let folders = UNIT_FOLDERS.map(|folder| Path::new(folder).join("netbootd.service.d"));
    let files = folders
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok());
    let paths = files.flatten().flatten().map(|file| file.path());
    paths.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "conf")
    })
}

/// Whether a file of the unit has a line that gives the daemon the capability.
fn grants(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().any(|line| {
        let granted = line.trim().strip_prefix("AmbientCapabilities=");
        granted.is_some_and(|names| names.split_whitespace().any(|name| name == "CAP_NET_ADMIN"))
    })
}
