//! The words that netbootd puts on a kernel command line, and `init` reads from it.
//!
//! One type renders and parses them, so that the server and the client cannot disagree.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::{Changes, FileDigest, GenerationId, ImageName, MacAddr, Verity};

/// How a client gets its root file system. All three come from the same image generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RootMode {
    /// The image file over NFS, loop-mounted by the client (the default).
    #[default]
    Image,
    /// The image's files over NFS; the server decompresses.
    Tree,
    /// The image fetched whole over HTTP into memory; the server is not needed again.
    Ram,
}

impl RootMode {
    /// `image`, `tree` or `ram`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Tree => "tree",
            Self::Ram => "ram",
        }
    }

    /// From `image`, `tree` or `ram`.
    pub fn from_name(text: &str) -> Option<Self> {
        [Self::Image, Self::Tree, Self::Ram]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}

/// The address that the loader leased, handed on so that `init` needs no DHCP round of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientNetwork {
    /// The client's own address.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix in bits, 0 to 32.
    pub prefix_len: u8,
    /// Default router, if the lease named one.
    pub gateway: Option<Ipv4Addr>,
    /// DNS server, if the lease named one.
    pub dns: Option<Ipv4Addr>,
}

/// Everything that netbootd tells `init` on the kernel command line, as `netbootd.<key>=<value>`.
///
/// `render` writes the network as iPXE settings (`${netX/ip}`), which iPXE replaces by what it
/// leased, from us or from the other DHCP server in proxy mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootArguments {
    /// `server`: our address on the client's link.
    pub server: Ipv4Addr,
    /// `http`: TCP port of HTTP.
    pub http_port: u16,
    /// `nfs`: TCP port of NFS and MOUNT.
    pub nfs_port: u16,
    /// `mac`: the network card that booted; the one that `init` brings up.
    pub mac: MacAddr,
    /// `ip`, `mask`, `gw`, `dns`: the address from the loader's lease; `None`: `init` asks by DHCP.
    pub network: Option<ClientNetwork>,
    /// `hostname`, when the server has a name for the client.
    pub hostname: Option<String>,
    /// `image`: what to boot.
    pub image: ImageName,
    /// `generation` of the image, the one that the kernel came from.
    pub generation: GenerationId,
    /// `root`: how to get the root file system.
    pub root: RootMode,
    /// `read_ahead`: how much of a file is fetched ahead of who reads it in order, in KiB.
    pub read_ahead: u32,
    /// `overlay`: what the changes to the root may take of the client's memory.
    pub changes: Changes,
    /// `digest` of the image file, for the client that fetches it whole.
    pub digest: Option<FileDigest>,
    /// `verity`: what the blocks of the image file must hash to, for the client that checks them.
    pub verity: Option<Verity>,
    /// `token`: proves to the server that a request belongs to this attempt; hexadecimal.
    pub token: String,
}

/// What is missing from, or wrong with, the words on a kernel command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootArgumentsError {
    /// A word that `init` cannot do without is absent.
    Missing(&'static str),
    /// A word is there and does not parse; the key and its value.
    Invalid(&'static str, String),
}

impl fmt::Display for BootArgumentsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "the kernel command line has no netbootd.{key}="),
            Self::Invalid(key, value) => {
                write!(
                    f,
                    "netbootd.{key}={value} on the kernel command line makes no sense"
                )
            }
        }
    }
}

impl std::error::Error for BootArgumentsError {}

impl BootArguments {
    /// Where HTTP answers.
    pub fn http(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.server, self.http_port)
    }

    /// The words, separated by spaces, for an iPXE script. `self.network` is not used: iPXE fills
    /// in what it leased (see the type).
    pub fn render_for_ipxe(&self) -> String {
        self.render_with(
            "${netX/ip}",
            "${netX/netmask}",
            "${netX/gateway}",
            "${netX/dns}",
        )
    }

    /// The words, separated by spaces, with the network spelled out.
    pub fn render(&self) -> String {
        let text = |address: Option<Ipv4Addr>| address.map(|a| a.to_string()).unwrap_or_default();
        match &self.network {
            None => self.render_with("", "", "", ""),
            Some(network) => self.render_with(
                &network.address.to_string(),
                &mask_from_prefix(network.prefix_len).to_string(),
                &text(network.gateway),
                &text(network.dns),
            ),
        }
    }

    fn render_with(&self, ip: &str, mask: &str, gateway: &str, dns: &str) -> String {
        let mut words = format!(
            "netbootd.server={} netbootd.http={} netbootd.nfs={} netbootd.mac={} netbootd.ip={ip} \
             netbootd.mask={mask} netbootd.gw={gateway} netbootd.dns={dns} netbootd.image={} \
             netbootd.generation={} netbootd.root={} netbootd.read_ahead={} netbootd.token={}",
            self.server,
            self.http_port,
            self.nfs_port,
            self.mac,
            self.image,
            self.generation,
            self.root.as_str(),
            self.read_ahead,
            self.token,
        );
        if let Some(hostname) = &self.hostname {
            words.push_str(" netbootd.hostname=");
            words.push_str(hostname);
        }
        if self.changes != Changes::default() {
            words.push_str(&format!(" netbootd.overlay={}", self.changes));
        }
        if let Some(digest) = &self.digest {
            words.push_str(&format!(" netbootd.digest={digest}"));
        }
        if let Some(verity) = &self.verity {
            words.push_str(&format!(" netbootd.verity={verity}"));
        }
        words
    }

    /// Reads `/proc/cmdline`. Words that are not ours are skipped; the last of two equal keys wins.
    pub fn parse(command_line: &str) -> Result<Self, BootArgumentsError> {
        let value = |key: &'static str| {
            command_line
                .split_ascii_whitespace()
                .rev()
                .find_map(|word| {
                    word.strip_prefix("netbootd.")?
                        .strip_prefix(key)?
                        .strip_prefix('=')
                })
                .filter(|value| !value.is_empty())
        };
        let required = |key| value(key).ok_or(BootArgumentsError::Missing(key));
        let invalid = |key, text: &str| BootArgumentsError::Invalid(key, text.to_owned());
        fn parsed<T: std::str::FromStr>(
            key: &'static str,
            text: &str,
        ) -> Result<T, BootArgumentsError> {
            text.parse()
                .map_err(|_| BootArgumentsError::Invalid(key, text.to_owned()))
        }
        let optional_address = |key| value(key).map(|text| parsed(key, text)).transpose();

        let network = match (value("ip"), value("mask")) {
            (Some(ip), Some(mask)) => Some(ClientNetwork {
                address: parsed("ip", ip)?,
                prefix_len: prefix_from_mask(parsed("mask", mask)?)
                    .ok_or_else(|| invalid("mask", mask))?,
                gateway: optional_address("gw")?,
                dns: optional_address("dns")?,
            }),
            _ => None,
        };
        let root = value("root").unwrap_or("image");
        Ok(Self {
            server: parsed("server", required("server")?)?,
            http_port: parsed("http", value("http").unwrap_or("80"))?,
            nfs_port: parsed("nfs", value("nfs").unwrap_or("2049"))?,
            mac: parsed("mac", required("mac")?)?,
            network,
            hostname: value("hostname").map(str::to_owned),
            image: parsed("image", required("image")?)?,
            generation: parsed("generation", required("generation")?)?,
            root: RootMode::from_name(root).ok_or_else(|| invalid("root", root))?,
            read_ahead: parsed("read_ahead", value("read_ahead").unwrap_or("128"))?,
            changes: value("overlay")
                .map_or(Ok(Changes::default()), |text| parsed("overlay", text))?,
            digest: value("digest")
                .map(|text| parsed("digest", text))
                .transpose()?,
            verity: value("verity")
                .map(|text| parsed("verity", text))
                .transpose()?,
            token: required("token")?.to_owned(),
        })
    }
}

fn mask_from_prefix(prefix_len: u8) -> Ipv4Addr {
    let host_bits = 32u32.saturating_sub(u32::from(prefix_len));
    Ipv4Addr::from(u32::MAX.checked_shl(host_bits).unwrap_or(0))
}

fn prefix_from_mask(mask: Ipv4Addr) -> Option<u8> {
    let ones = u32::from(mask).leading_ones() as u8;
    (mask_from_prefix(ones) == mask).then_some(ones)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> BootArguments {
        BootArguments {
            server: Ipv4Addr::new(192, 168, 67, 1),
            http_port: 8067,
            nfs_port: 2049,
            mac: MacAddr([0x52, 0x54, 0, 0, 0, 1]),
            network: Some(ClientNetwork {
                address: Ipv4Addr::new(192, 168, 67, 20),
                prefix_len: 24,
                gateway: None,
                dns: Some(Ipv4Addr::new(192, 168, 67, 1)),
            }),
            hostname: Some("pc1".into()),
            image: "demo".parse().unwrap(),
            generation: GenerationId([7; 16]),
            root: RootMode::Tree,
            read_ahead: 128,
            changes: "zram:4G".parse().unwrap(),
            digest: Some(FileDigest {
                piece: 1 << 20,
                sha256: [9; 32],
            }),
            verity: Some(Verity {
                blocks: 53_700,
                root_hash: [0xa5; 32],
            }),
            token: "0123abcd".into(),
        }
    }

    #[test]
    fn the_kernel_command_line_round_trips() {
        for network in [arguments().network, None] {
            let arguments = BootArguments {
                network,
                ..arguments()
            };
            let line = format!("console=ttyS0 {} quiet", arguments.render());
            assert_eq!(BootArguments::parse(&line), Ok(arguments));
        }
    }

    #[test]
    fn the_words_are_those_that_inits_of_earlier_generations_read() {
        let words = format!(
            "netbootd.server=192.168.67.1 netbootd.http=8067 netbootd.nfs=2049 \
             netbootd.mac=52:54:00:00:00:01 netbootd.ip=192.168.67.20 netbootd.mask=255.255.255.0 \
             netbootd.gw= netbootd.dns=192.168.67.1 netbootd.image=demo netbootd.generation={} \
             netbootd.root=tree netbootd.read_ahead=128 netbootd.token=0123abcd netbootd.hostname=pc1 \
             netbootd.overlay=zram:4096M netbootd.digest=1048576:{} netbootd.verity=53700:{}",
            "07".repeat(16),
            "09".repeat(32),
            "a5".repeat(32)
        );
        assert_eq!(arguments().render(), words);
        let plain = BootArguments {
            digest: None,
            verity: None,
            ..arguments()
        };
        assert!(words.starts_with(&plain.render()));
    }

    #[test]
    fn ipxe_fills_in_what_it_leased() {
        let line = arguments()
            .render_for_ipxe()
            .replace("${netX/ip}", "10.0.0.9")
            .replace("${netX/netmask}", "255.255.254.0")
            .replace("${netX/gateway}", "10.0.0.1")
            .replace("${netX/dns}", "");
        let network = BootArguments::parse(&line).unwrap().network.unwrap();
        assert_eq!(network.prefix_len, 23);
        assert_eq!(network.gateway, Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(network.dns, None);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(
            BootArguments::parse("quiet"),
            Err(BootArgumentsError::Missing("server"))
        );
        let line = arguments().render().replace("255.255.255.0", "255.0.255.0");
        let error = BootArguments::parse(&line).unwrap_err();
        assert_eq!(
            error,
            BootArgumentsError::Invalid("mask", "255.0.255.0".into())
        );
        // Who is to check and does not know by what must not go on without.
        let line = arguments().render().replace("=53700:", "=0:");
        let error = BootArguments::parse(&line).unwrap_err();
        assert!(matches!(error, BootArgumentsError::Invalid("verity", _)));
    }
}
