//! The iPXE script of one client.

use model::BootArguments;

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

/// A script that gives the machine back to its firmware, which goes on with its boot order.
pub fn local_disk() -> &'static str {
    "#!ipxe\necho netbootd: no network boot for this machine, going on to its own disk\nexit\n"
}

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

    use model::{GenerationId, MacAddr, RootMode};

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
            token: "77".into(),
        }
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
}
