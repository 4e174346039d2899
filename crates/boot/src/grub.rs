//! The same scripts for GRUB: what machines with Secure Boot run, since Debian's iPXE is not signed.
//!
//! Everything comes over TFTP, where a path alone names a file: Debian's signed GRUB knows no HTTP, and
//! with Secure Boot on it loads no module that does.

use model::BootArguments;

use crate::script::{Menu, OLDER};

/// Where GRUB asks for its configuration first; the client is told by its address.
pub const CONFIGURATION: &str = "grub/grub.cfg";

/// A script that boots an image. The network is what `arguments` say of it: GRUB names no netmask.
pub fn boot(arguments: &BootArguments, kernel_arguments: &str) -> String {
    let (image, generation) = (&arguments.image, arguments.generation);
    let files = format!("/images/{image}/{generation}");
    let ours = arguments.render();
    let words = ours
        .split_whitespace()
        .chain(kernel_arguments.split_whitespace());
    let words: Vec<String> = words.map(quoted).collect();
    format!(
        "echo {said}\n\
         if linux {files}/vmlinuz {words}; then\n\
         \x20 if initrd {files}/initrd.img; then\n\
         \x20   boot\n\
         \x20 fi\n\
         fi\n\
         echo 'netbootd: this did not work; trying again in 5 seconds'\n\
         sleep 5\n\
         configfile /{folder}/failed.grub\n",
        said = quoted(&format!(
            "netbootd: {image} {} for {}",
            generation.short(),
            arguments.mac
        )),
        words = words.join(" "),
        folder = folder(arguments.mac),
    )
}

/// The folder on TFTP of a client's choices: `CHOICE.grub` in it boots what was chosen.
pub fn folder(client: model::MacAddr) -> String {
    format!("boot/{}", client.hyphenated())
}

/// Systems that a disk may have, those before others that are started by their own loader.
const SYSTEMS: &str = "/EFI/Microsoft/Boot/bootmgfw.efi /EFI/debian/shimx64.efi /EFI/ubuntu/shimx64.efi \
    /EFI/fedora/shimx64.efi /EFI/BOOT/BOOTX64.EFI /EFI/BOOT/BOOTAA64.EFI";

/// A script that gives the machine to its own disk. Firmware that a loader comes back to without an
/// error shows its setup and not the next entry of its boot order (UEFI 2.10 section 3.1.1), so the
/// disk's loader is started here.
pub fn local_disk() -> String {
    format!(
        "echo 'netbootd: no network boot for this machine, going on to its own disk'\n\
         for loader in {SYSTEMS}; do\n\
         \x20 if search --no-floppy --file --set=disk $loader; then\n\
         \x20   chainloader ($disk)$loader\n\
         \x20   boot\n\
         \x20 fi\n\
         done\n\
         echo 'netbootd: it has no disk with a system that GRUB finds'\n\
         sleep 5\n\
         exit\n"
    )
}

/// A script that says why there is nothing to boot and asks again.
pub fn nothing(reason: &str) -> String {
    let reason = quoted(&format!("netbootd: nothing to boot: {reason}"));
    format!(
        "echo {reason}\necho 'netbootd: asking again in 10 seconds'\nsleep 10\nconfigfile /{CONFIGURATION}\n"
    )
}

impl Menu<'_> {
    /// The text that GRUB runs; keys and order are those of iPXE's menu. Its command line is its own
    /// key `c`.
    pub fn render_for_grub(&self) -> String {
        let timeout = match self.timeout {
            0 => "-1".to_owned(),
            seconds => seconds.to_string(),
        };
        let mut text = format!(
            "set default={}\nset timeout={timeout}\n",
            quoted(&self.default.to_string())
        );
        let mut entry = |title: &str, key: &str, id: &str, does: &str| {
            let key = match key {
                "" => String::new(),
                key => format!("--hotkey={key} "),
            };
            text += &format!(
                "menuentry {} {key}--id {} {{\n  {does}\n}}\n",
                quoted(title),
                quoted(id)
            );
        };
        let picks = |id: &str| format!("configfile /{}/{id}.grub", self.url);
        for (index, (name, _)) in self.images.iter().enumerate() {
            let key = match index {
                0..9 => (index + 1).to_string(),
                _ => String::new(),
            };
            entry(name.as_str(), &key, name.as_str(), &picks(name.as_str()));
        }
        for (name, older) in self.images {
            for id in older.iter().take(OLDER) {
                let id = id.short();
                let choice = format!("{name}@{id}");
                entry(
                    &format!("{name}, generation {id}"),
                    "",
                    &choice,
                    &picks(&choice),
                );
            }
        }
        entry("Its own disk", "l", "local-disk", &picks("local-disk"));
        if !self.memtest.is_empty() {
            let start = format!("linux {}efi {}\n  boot", self.memtest, self.words);
            entry("Memory test", "m", "memtest", &start);
        }
        text
    }
}

/// A word that GRUB takes as it is. What cannot be shown is a blank.
fn quoted(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::{BootChoice, ClientNetwork, GenerationId, MacAddr};

    use super::*;

    fn arguments() -> BootArguments {
        let line = format!(
            "netbootd.server=192.168.67.1 netbootd.mac=52:54:00:00:00:01 \
             netbootd.image=demo netbootd.generation={} netbootd.token=77",
            "ab".repeat(16)
        );
        BootArguments {
            network: Some(ClientNetwork {
                address: Ipv4Addr::new(192, 168, 67, 9),
                prefix_len: 24,
                gateway: None,
                dns: None,
            }),
            ..BootArguments::parse(&line).unwrap()
        }
    }

    #[test]
    fn kernel_and_initrd_come_from_one_generation_over_tftp() {
        let text = boot(&arguments(), "console=ttyS0 'x; reboot'");
        let files = format!("/images/demo/{}", "ab".repeat(16));
        assert!(
            text.contains(&format!(
                "linux {files}/vmlinuz 'netbootd.server=192.168.67.1' "
            )),
            "{text}"
        );
        assert!(
            text.contains(&format!("initrd {files}/initrd.img;")),
            "{text}"
        );
        assert!(
            text.contains(" 'netbootd.ip=192.168.67.9' 'netbootd.mask=255.255.255.0' "),
            "{text}"
        );
        assert!(
            text.contains(r" 'console=ttyS0' ''\''x;' 'reboot'\'''; then"),
            "{text}"
        );
    }

    #[test]
    fn a_menu_has_ipxes_keys_and_choices() {
        let a = "a".parse().unwrap();
        let older = [GenerationId([0xcd; 16])];
        let menu = Menu {
            url: &folder(MacAddr([0x52, 0x54, 0, 0, 0, 1])),
            memtest: "/memtest86+x64.",
            words: "console=ttyS0",
            hostname: "pc1",
            images: &[(&a, &older)],
            default: &BootChoice::LocalDisk,
            timeout: 10,
        };
        let text = menu.render_for_grub();
        for wanted in [
            "set default='local-disk'\nset timeout=10\n",
            "menuentry 'a' --hotkey=1 --id 'a' {\n  configfile /boot/52-54-00-00-00-01/a.grub\n}",
            "menuentry 'a, generation cdcdcdcdcdcd' --id 'a@cdcdcdcdcdcd' {",
            "--hotkey=l --id 'local-disk' {",
            "linux /memtest86+x64.efi console=ttyS0\n",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        let patient = Menu {
            timeout: 0,
            memtest: "",
            ..menu
        };
        let text = patient.render_for_grub();
        assert!(
            text.contains("set timeout=-1\n") && !text.contains("memtest"),
            "{text}"
        );
    }

    #[test]
    fn a_disk_is_asked_for_windows_first() {
        let text = local_disk();
        let at = |loader: &str| text.find(loader).unwrap();
        assert!(at("bootmgfw.efi") < at("BOOTX64.EFI"));
    }

    #[test]
    fn a_reason_cannot_smuggle_commands() {
        let text = nothing("it's\n$x; reboot");
        assert!(
            text.starts_with(r"echo 'netbootd: nothing to boot: it'\''s $x; reboot'"),
            "{text}"
        );
    }
}
