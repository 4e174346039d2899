//! The iPXE script of one client.

use std::net::SocketAddrV4;

use model::{BootArguments, BootChoice, GenerationId, ImageName};

/// What the script needs beyond the arguments for `init`.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// For `init`; also says where the server is.
    pub arguments: &'a BootArguments,
    /// The operator's words for the kernel command line.
    pub kernel_arguments: &'a str,
    /// Asks for the initrd with all drivers, not only those of the card that iPXE uses.
    pub all_drivers: bool,
}

impl Script<'_> {
    /// The text that iPXE runs.
    ///
    /// The kernel is told `initrd=` because its EFI stub finds an initrd by name only. A failure
    /// comes back to us with iPXE's error number and is tried again: the script that the client
    /// then gets may be another one, so that a mended server mends the client.
    pub fn render(&self) -> String {
        let arguments = self.arguments;
        let base = format!("http://{}", host(arguments));
        let files = format!("{base}/images/{}/{}", arguments.image, arguments.generation);
        let space = if self.kernel_arguments.is_empty() {
            ""
        } else {
            " "
        };
        let card = match self.all_drivers {
            true => "",
            false => "?card=${netX/busid:hexraw}",
        };
        format!(
            "#!ipxe\n\
             echo netbootd: {image} {generation} for ${{netX/mac}}\n\
             kernel {files}/vmlinuz initrd=initrd.img {words}{space}{extra} || goto failed\n\
             initrd --name initrd.img {files}/initrd.img{card} || goto failed\n\
             boot || goto failed\n\
             :failed\n\
             echo netbootd: this did not work (iPXE error ${{errno}}); trying again in 5 seconds\n\
             sleep 5\n\
             chain --replace {base}/boot/{mac}.ipxe?failed=${{errno}} || goto failed\n",
            image = arguments.image,
            generation = arguments.generation.short(),
            words = arguments.render_for_ipxe(),
            extra = self.kernel_arguments,
            mac = arguments.mac.hyphenated(),
        )
    }
}

/// A script that gives the machine to its own disk.
///
/// A BIOS that comes back from the network does not always go on to the disk, so its boot sector is
/// started here. UEFI goes on with its boot order where a loader comes back with an error; without one it
/// would show its setup (UEFI 2.10 section 3.1.1).
pub fn local_disk() -> &'static str {
    "#!ipxe\n\
     echo netbootd: no network boot for this machine, going on to its own disk\n\
     iseq ${platform} pcbios && sanboot --no-describe --drive 0x80 ||\n\
     exit 1\n"
}

/// What a signed iPXE asks for before its own DHCP round, beside itself and at the root of TFTP: its script needs no
/// boot file from anybody then. `http` is where our HTTP is.
pub fn autoexec(http: SocketAddrV4) -> String {
    let base = match http.port() {
        80 => http.ip().to_string(),
        _ => http.to_string(),
    };
    format!(
        "#!ipxe\ndhcp && chain --replace http://{base}/boot/${{netX/mac:hexhyp}}.ipxe || autoboot\n"
    )
}

/// The name that it asks for.
pub const AUTOEXEC: &str = "autoexec.ipxe";

/// What a menu offers.
#[derive(Clone, Copy, Debug)]
pub struct Menu<'a> {
    /// Where the machine's own script is; a choice comes back there as `?pick=`. For GRUB, the folder of
    /// its choices.
    pub url: &'a str,
    /// Where the memory test is, without what its name ends with; empty: there is none.
    pub memtest: &'a str,
    /// Words for it: those that say where the console is.
    pub words: &'a str,
    /// The client's name.
    pub hostname: &'a str,
    /// The images with their current and older generations, the newest first.
    pub images: &'a [(&'a ImageName, &'a [GenerationId])],
    /// What is chosen when nobody does.
    pub default: &'a BootChoice,
    /// How long to wait for a choice, in seconds; 0: for ever.
    pub timeout: u32,
}

impl Menu<'_> {
    /// The text that iPXE runs. The first nine images have digits as keys, `l` is the local disk, `s`
    /// the shell.
    pub fn render(&self) -> String {
        let mut text = format!(
            "#!ipxe\n:menu\nmenu netbootd: what shall {} boot?\nitem --gap -- Images\n",
            self.hostname
        );
        for (index, (name, _)) in self.images.iter().enumerate() {
            let key = match index {
                0..9 => format!("--key {} ", index + 1),
                _ => String::new(),
            };
            text += &format!("item {key}{name} {name}\n");
        }
        if self.images.iter().any(|(_, older)| !older.is_empty()) {
            text += "item --gap -- Earlier generations\n";
        }
        for (name, older) in self.images {
            for id in older.iter().take(OLDER) {
                let id = id.short();
                text += &format!("item {name}@{id} {name}, generation {id}\n");
            }
        }
        let timeout = match self.timeout {
            0 => String::new(),
            seconds => format!("--timeout {} ", u64::from(seconds) * 1000),
        };
        text + &format!(
            "item --gap -- This machine\n\
             item --key l local-disk Its own disk\n\
             {memtest}\
             item --key s shell iPXE's command line\n\
             choose --default {default} {timeout}picked || goto local\n\
             iseq ${{picked}} shell && goto shell ||\n\
             iseq ${{picked}} memtest && goto memtest ||\n\
             chain --replace {url}?pick=${{picked}} || goto menu\n\
             :shell\n\
             echo Type exit to come back.\n\
             shell\n\
             goto menu\n\
             :memtest\n\
             iseq ${{platform}} pcbios && set kind bin || set kind efi\n\
             kernel {test}${{kind}} {words} || goto menu\n\
             boot || goto menu\n\
             :local\n\
             chain --replace {url}?pick=local-disk || exit 1\n",
            default = self.default,
            url = self.url,
            test = self.memtest,
            words = self.words,
            memtest = match self.memtest {
                "" => "",
                _ => "item --key m memtest Memory test\n",
            },
        )
    }
}

/// Earlier generations that a menu shows of each image.
pub(crate) const OLDER: usize = 5;

/// A script that says why there is nothing to boot and asks again.
pub fn nothing(reason: &str, url: &str) -> String {
    let reason: String = reason
        .chars()
        .map(|c| if c.is_control() || c == '$' { ' ' } else { c })
        .collect();
    format!(
        "#!ipxe\n:again\necho netbootd: nothing to boot: {reason}\necho netbootd: asking again in 10 seconds\n\
         sleep 10\nchain --replace {url} || goto again\n"
    )
}

/// The address for URLs: an IP literal, since iPXE may have no DNS server; the port unless it is 80.
fn host(arguments: &BootArguments) -> String {
    match arguments.http_port {
        80 => arguments.server.to_string(),
        port => format!("{}:{port}", arguments.server),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::{MacAddr, RootMode};

    use super::*;

    fn arguments(http_port: u16) -> BootArguments {
        BootArguments {
            server: Ipv4Addr::new(192, 168, 67, 1),
            http_port,
            nfs_port: 2049,
            mac: MacAddr([0x52, 0x54, 0, 0, 0, 1]),
            network: None,
            hostname: None,
            image: "demo".parse().unwrap(),
            generation: GenerationId([0xab; 16]),
            root: RootMode::Image,
            read_ahead: 128,
            changes: model::Changes::default(),
            digest: None,
            verity: None,
            token: "77".into(),
        }
    }

    #[test]
    fn a_signed_ipxe_is_sent_to_its_script_and_goes_its_own_way_without() {
        let at = |port| autoexec(SocketAddrV4::new([192, 168, 67, 1].into(), port));
        assert_eq!(
            at(80),
            "#!ipxe\ndhcp && chain --replace http://192.168.67.1/boot/${netX/mac:hexhyp}.ipxe || autoboot\n"
        );
        assert!(at(8067).contains("//192.168.67.1:8067/boot/"));
    }

    #[test]
    fn kernel_and_initrd_come_from_one_generation() {
        let arguments = arguments(80);
        let text = Script {
            arguments: &arguments,
            kernel_arguments: "console=ttyS0",
            all_drivers: false,
        }
        .render();
        let generation = "ab".repeat(16);
        assert!(text.starts_with("#!ipxe\n"));
        let kernel = format!(
            "kernel http://192.168.67.1/images/demo/{generation}/vmlinuz initrd=initrd.img netbootd.server=192.168.67.1 "
        );
        assert!(text.contains(&kernel), "{text}");
        assert!(text.contains(&format!(
            "/images/demo/{generation}/initrd.img?card=${{netX/busid:hexraw}} || goto failed"
        )));
        assert!(text.contains("netbootd.ip=${netX/ip}"));
        assert!(text.contains(" console=ttyS0 || goto failed"));
    }

    #[test]
    fn another_port_is_in_every_url() {
        let arguments = arguments(8067);
        let text = Script {
            arguments: &arguments,
            kernel_arguments: "",
            all_drivers: true,
        }
        .render();
        assert!(!text.contains("card="));
        assert_eq!(text.matches("http://192.168.67.1:8067/").count(), 3);
    }

    #[test]
    fn a_reason_cannot_smuggle_commands() {
        let text = nothing("a\nshell ${x}", "http://192.168.67.1/boot/x.ipxe");
        assert!(
            text.contains("echo netbootd: nothing to boot: a shell  {x}\n"),
            "{text}"
        );
    }

    #[test]
    fn a_menu_offers_images_their_past_and_the_machines_own_disk() {
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let older = [GenerationId([0xcd; 16])];
        let menu = Menu {
            url: "http://192.168.67.1/boot/52-54-00-00-00-01.ipxe",
            hostname: "pc1",
            memtest: "http://192.168.67.1/loader/memtest86+x64.",
            words: "console=ttyS0",
            images: &[(&a, &older), (&b, &[])],
            default: &BootChoice::LocalDisk,
            timeout: 10,
        };
        let text = menu.render();
        for line in [
            "item --key 1 a a",
            "item --key 2 b b",
            "item a@cdcdcdcdcdcd a, generation cdcdcdcdcdcd",
            "item --key l local-disk Its own disk",
            "item --key m memtest Memory test",
            "kernel http://192.168.67.1/loader/memtest86+x64.${kind} console=ttyS0 || goto menu",
            "choose --default local-disk --timeout 10000 picked || goto local",
            "chain --replace http://192.168.67.1/boot/52-54-00-00-00-01.ipxe?pick=${picked} || goto menu",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let patient = Menu { timeout: 0, ..menu };
        assert!(!patient.render().contains("--timeout"));
        let without = Menu {
            memtest: "",
            ..menu
        };
        assert!(!without.render().contains("--key m"));
    }
}
