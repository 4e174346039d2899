//! What this machine is, as far as a measurement depends on it.

use std::fs;
use std::path::{Path, PathBuf};

use model::MacAddr;

/// Names and values, each one line; what is not known is left out.
pub(crate) fn facts(root: &Path, card: MacAddr) -> Vec<(String, String)> {
    let machine = Machine { root };
    let facts = [
        ("kernel", machine.text("proc/sys/kernel/osrelease")),
        ("command_line", machine.command_line()),
        ("product", machine.dmi(&["sys_vendor", "product_name"])),
        (
            "firmware",
            machine.dmi(&["bios_vendor", "bios_version", "bios_date"]),
        ),
        ("cpu", machine.cpu("model name")),
        ("microcode", machine.cpu("microcode")),
        ("processors", machine.processors()),
        ("memory", machine.memory()),
        ("card", machine.card(card)),
        ("gpus", machine.gpus()),
    ];
    facts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.filter(|it| !it.is_empty())?)))
        .collect()
}

struct Machine<'a> {
    root: &'a Path,
}

impl Machine<'_> {
    fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// Without the words that prove whose boot it is.
    fn command_line(&self) -> Option<String> {
        let line = self.text("proc/cmdline")?;
        let words = line
            .split_ascii_whitespace()
            .filter(|word| !word.starts_with("netbootd.token="));
        Some(words.collect::<Vec<_>>().join(" "))
    }

    fn dmi(&self, names: &[&str]) -> Option<String> {
        let folder = Path::new("sys/class/dmi/id");
        let words = names.iter().filter_map(|name| self.text(folder.join(name)));
        Some(words.collect::<Vec<_>>().join(" "))
    }

    /// A line of the first processor.
    fn cpu(&self, name: &str) -> Option<String> {
        value(&self.text("proc/cpuinfo")?, name)
    }

    fn processors(&self) -> Option<String> {
        let text = self.text("proc/cpuinfo")?;
        let count = text
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count();
        Some(count.to_string())
    }

    fn memory(&self) -> Option<String> {
        value(&self.text("proc/meminfo")?, "MemTotal")
    }

    /// The card that booted: its driver, its PCI id, and the speed of its link in Mbit/s.
    fn card(&self, card: MacAddr) -> Option<String> {
        let cards = fs::read_dir(self.root.join("sys/class/net")).ok()?;
        let folder = cards.flatten().map(|entry| entry.path()).find(|path| {
            let address = fs::read_to_string(path.join("address")).unwrap_or_default();
            address.trim().parse() == Ok(card) && path.join("device").exists()
        })?;
        let mut text = device(&folder.join("device"))?;
        // A card without a notion of speed says -1 or refuses.
        let speed = self.text(folder.join("speed"));
        if let Some(speed) = speed.filter(|speed| !speed.starts_with('-')) {
            text.push_str(&format!(" {speed} Mbit/s"));
        }
        Some(text)
    }

    /// PCI devices of class 03, display controllers, and 1200, accelerators.
    fn gpus(&self) -> Option<String> {
        let devices = fs::read_dir(self.root.join("sys/bus/pci/devices")).ok()?;
        let mut devices: Vec<PathBuf> = devices.flatten().map(|entry| entry.path()).collect();
        devices.sort();
        let mut found = Vec::new();
        for path in devices {
            let class = fs::read_to_string(path.join("class")).unwrap_or_default();
            if class.starts_with("0x03") || class.starts_with("0x1200") {
                found.extend(device(&path));
            }
        }
        Some(found.join(", "))
    }
}

/// The driver and the PCI id of a device: `e1000e 8086:10d3`.
fn device(folder: &Path) -> Option<String> {
    let id = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        text.trim().trim_start_matches("0x").to_owned()
    };
    let driver = fs::read_link(folder.join("driver")).unwrap_or_default();
    let driver = driver.file_name().unwrap_or_default().to_string_lossy();
    let text = format!("{driver} {}:{}", id("vendor"), id("device"));
    Some(text.trim_matches([' ', ':']).to_owned())
}

/// The value of the first `name : value` line.
fn value(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines();
    let found = lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    });
    found.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_machine_is_told_by_what_matters() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(
            "proc/cmdline",
            "initrd=initrd.img netbootd.token=5ec4e7 quiet\n",
        );
        put(
            "proc/cpuinfo",
            "processor\t: 0\nmodel name\t: A CPU\nmicrocode\t: 0xf4\n\nprocessor\t: 1\nmodel name\t: A CPU\n",
        );
        put(
            "proc/meminfo",
            "MemTotal:       16000000 kB\nMemFree: 1 kB\n",
        );
        put("sys/class/dmi/id/bios_version", "1.2.3\n");
        put("sys/class/net/eth0/address", "52:54:00:00:00:01\n");
        put("sys/class/net/eth0/speed", "1000\n");
        put("sys/class/net/eth0/device/vendor", "0x8086\n");
        put("sys/class/net/eth0/device/device", "0x10d3\n");
        symlink(
            "../../bus/pci/drivers/e1000e",
            root.path().join("sys/class/net/eth0/device/driver"),
        )
        .unwrap();
        put("sys/bus/pci/devices/0000:00:02.0/class", "0x030000\n");
        put("sys/bus/pci/devices/0000:00:02.0/vendor", "0x10de\n");
        put("sys/bus/pci/devices/0000:00:02.0/device", "0x2684\n");
        put("sys/bus/pci/devices/0000:00:03.0/class", "0x020000\n");

        let facts = facts(root.path(), "52:54:00:00:00:01".parse().unwrap());
        let fact = |name: &str| {
            let found = facts.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| &**value)
        };
        assert_eq!(fact("command_line"), Some("initrd=initrd.img quiet"));
        assert_eq!(
            (fact("cpu"), fact("microcode")),
            (Some("A CPU"), Some("0xf4"))
        );
        assert_eq!(
            (fact("processors"), fact("memory")),
            (Some("2"), Some("16000000 kB"))
        );
        assert_eq!(fact("firmware"), Some("1.2.3"));
        assert_eq!(fact("card"), Some("e1000e 8086:10d3 1000 Mbit/s"));
        assert_eq!(fact("gpus"), Some("10de:2684"));
        assert_eq!(fact("product"), None);
    }
}
