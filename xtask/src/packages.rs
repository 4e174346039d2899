//! Everything that the labs need from Debian, by package name, in this one place.

use std::path::Path;

use anyhow::{Result, bail};

use crate::command::{command, run};
use crate::no_services::NoServices;

/// What `cargo xtask install` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only what the demo and `boot` need, not the tests' clients and peers
    #[arg(long)]
    demo: bool,
    /// Print the names of what is missing, install nothing
    #[arg(long)]
    list: bool,
}

/// One package, a file that shows it is installed, and what we want of it.
pub(crate) struct Package {
    /// Debian's name for it.
    pub(crate) name: &'static str,
    /// A file that only exists where the package is installed.
    pub(crate) witness: &'static str,
}

const fn package(name: &'static str, witness: &'static str) -> Package {
    Package { name, witness }
}

/// To boot a diskless virtual machine: firmware, machine, loaders, a root to boot, a network.
pub(crate) const DEMO: &[Package] = &[
    package("qemu-system-x86", "/usr/bin/qemu-system-x86_64"),
    package("ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd"),
    package("ipxe", "/usr/lib/ipxe/snponly.efi"),
    package("ipxe-qemu", "/usr/lib/ipxe/qemu/pxe-virtio.rom"),
    package("mmdebstrap", "/usr/bin/mmdebstrap"),
    package("iproute2", "/sbin/ip"),
    package("kmod", "/sbin/depmod"),
    package("tcpdump", "/usr/bin/tcpdump"),
    package("openssh-client", "/usr/bin/ssh"),
];

/// To test: clients that nobody here wrote, and the peers that prove the tests.
pub(crate) const TEST: &[Package] = &[
    package("dnsmasq-base", "/usr/sbin/dnsmasq"),
    package("isc-dhcp-client", "/sbin/dhclient"),
    package("isc-dhcp-server", "/usr/sbin/dhcpd"),
    package("dhcpcd-base", "/usr/sbin/dhcpcd"),
    package("kea-admin", "/usr/sbin/perfdhcp"),
    package("busybox-static", "/bin/busybox"),
    package("tftp-hpa", "/usr/bin/tftp"),
    package("atftp", "/usr/bin/atftp"),
    package("curl", "/usr/bin/curl"),
    package("openssl", "/usr/bin/openssl"),
    package("python3", "/usr/bin/python3"),
    package("bind9-dnsutils", "/usr/bin/dig"),
    package("libnfs-utils", "/usr/bin/nfs-ls"),
    package("nfs-common", "/usr/sbin/showmount"),
    package("klibc-utils", "/usr/lib/klibc/bin/nfsmount"),
    package("rpcbind", "/usr/sbin/rpcbind"),
    package(
        "nfs-ganesha-vfs",
        "/usr/lib/x86_64-linux-gnu/ganesha/libfsalvfs.so",
    ),
    package("squashfs-tools", "/usr/bin/mksquashfs"),
    package("squashfs-tools-ng", "/usr/bin/gensquashfs"),
    package("cryptsetup-bin", "/usr/sbin/veritysetup"),
    package("time", "/usr/bin/time"),
    package("e2fsprogs", "/usr/sbin/mkfs.ext4"),
    package("fdisk", "/usr/sbin/sfdisk"),
    package("dosfstools", "/usr/sbin/mkfs.vfat"),
    package("mtools", "/usr/bin/mcopy"),
    package("shim-signed", "/usr/lib/shim/shimx64.efi.signed"),
    package(
        "grub-efi-amd64-signed",
        "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
    ),
    package("qemu-system-arm", "/usr/bin/qemu-system-aarch64"),
    package("qemu-efi-aarch64", "/usr/share/AAVMF/AAVMF_CODE.fd"),
    package("memtest86+", "/boot/memtest86+x64.efi"),
    package("xorriso", "/usr/bin/xorrisofs"),
    package("skopeo", "/usr/bin/skopeo"),
    package("attr", "/usr/bin/setfattr"),
    package("zstd", "/usr/bin/zstd"),
    package("xz-utils", "/usr/bin/xz"),
    package("cpio", "/usr/bin/cpio"),
    package("nmap", "/usr/bin/nmap"),
    package("nftables", "/usr/sbin/nft"),
    package("iptables", "/usr/sbin/iptables-nft"),
    package("iputils-ping", "/usr/bin/ping"),
    package("systemd", "/usr/bin/systemd-analyze"),
];

/// To measure: peers that no test needs.
pub(crate) const BENCH: &[Package] = &[
    package("dnsmasq-base", "/usr/sbin/dnsmasq"),
    package("kea-dhcp4-server", "/usr/sbin/kea-dhcp4"),
    package("knot", "/usr/sbin/knotd"),
    package("dnsperf", "/usr/bin/dnsperf"),
    package("nginx-light", "/usr/sbin/nginx"),
    package("wrk", "/usr/bin/wrk"),
];

/// Installs what is missing, by name, after saying so; says nothing where nothing is missing.
pub(crate) fn all(arguments: &Arguments) -> Result<()> {
    let wanted = if arguments.demo {
        missing(DEMO.iter())
    } else {
        missing(DEMO.iter().chain(TEST))
    };
    if arguments.list {
        for name in wanted {
            println!("{name}");
        }
        return Ok(());
    }
    install(&wanted)
}

/// Installs what the demo and the tests lack.
pub(crate) fn for_tests() -> Result<()> {
    install(&missing(DEMO.iter().chain(TEST)))
}

/// The names of the packages whose witness is not there.
pub(crate) fn missing<'a>(packages: impl Iterator<Item = &'a Package>) -> Vec<&'static str> {
    packages
        .filter(|package| !Path::new(package.witness).exists())
        .map(|package| package.name)
        .collect()
}

/// `apt-get install` of these packages, said first.
pub(crate) fn install(names: &[&str]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    println!(
        "To be installed from Debian, their services not started: {}",
        names.join(" ")
    );
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "there is no apt-get here; install what stands for {} and try again",
            names.join(", ")
        );
    }
    // A fresh machine has no lists of packages, an old one has lists of packages that are gone.
    run(&mut command("apt-get", ["update", "--quiet"]))?;
    let mut install = command(
        "apt-get",
        ["install", "--yes", "--quiet", "--no-install-recommends"],
    );
    install.args(names).env("DEBIAN_FRONTEND", "noninteractive");
    let _no_services = NoServices::new(Path::new("/usr/sbin/policy-rc.d"))?;
    run(&mut install)
}
