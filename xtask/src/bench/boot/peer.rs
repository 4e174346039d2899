//! What an operator has today: dnsmasq as it comes, nfs-ganesha, and the root's own
//! initramfs-tools.
//!
//! dnsmasq has its defaults: it pings before it offers, sends no router advertisements, and serves
//! script, kernel and initrd by TFTP. nfs-ganesha exports the root's folder read-only; the client
//! mounts it read-only with klibc's `nfsmount` (`boot=nfs ro`) and writes nowhere but to the tmpfs
//! file systems that systemd makes. Nothing is done for the services that want to write elsewhere:
//! systemd-logind fails, is tried again, and the login prompt comes without it. The folder is the
//! very one that netbootd's image is made of, and the initrd is the one that its installation left
//! in `/boot` (gzip: a minimal Debian has no zstd).

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use integration::roots::Root;
use integration::subject::names;
use integration::subject::peer::{dnsmasq, ganesha};
use integration::{Lab, Setup};

use super::Serving;

pub(super) fn start(lab: &Lab, setup: &Setup<'_>, root: &Root) -> Result<Vec<Serving>> {
    let files = lab.folder().join("tftp");
    fs::create_dir_all(&files)?;
    let initrd = format!("boot/initrd.img-{}", root.kernel_version()?);
    for (from, name) in [
        (root.kernel()?, "vmlinuz"),
        (root.folder.join(&initrd), "initrd.img"),
        ("/usr/lib/ipxe/undionly.kpxe".into(), "undionly.kpxe"),
        ("/usr/lib/ipxe/snponly.efi".into(), "snponly.efi"),
    ] {
        fs::copy(&from, files.join(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let script = format!(
        "#!ipxe\n\
         kernel vmlinuz initrd=initrd.img boot=nfs root=/dev/nfs nfsroot={}:/roots/{} ip=dhcp ro {}\n\
         initrd initrd.img\n\
         boot\n",
        Lab::SERVER,
        root.name,
        setup.kernel_words(ganesha::MOUNT_PORT),
    );
    fs::write(files.join("boot.ipxe"), script)?;
    let [rpcbind, ganesha] = ganesha::start(lab, root, &files)?;
    let dnsmasq = dnsmasq::run(lab, &configuration(&files)?)?;
    Ok([rpcbind, ganesha, dnsmasq].map(Serving::Other).into())
}

/// dnsmasq's: what it must be told to lease, and to boot the two firmwares by iPXE, and no more.
fn configuration(files: &Path) -> Result<String> {
    let mut text = String::new();
    let (first, last) = names::POOL;
    writeln!(text, "interface={}\nbind-dynamic", Lab::BRIDGE)?;
    writeln!(text, "dhcp-range={first},{last},12h")?;
    writeln!(text, "enable-tftp\ntftp-root={}", files.display())?;
    writeln!(text, "dhcp-match=set:ipxe,175")?;
    writeln!(text, "dhcp-match=set:uefi,option:client-arch,7")?;
    writeln!(text, "dhcp-boot=tag:ipxe,boot.ipxe")?;
    writeln!(text, "dhcp-boot=tag:!ipxe,tag:uefi,snponly.efi")?;
    writeln!(text, "dhcp-boot=tag:!ipxe,tag:!uefi,undionly.kpxe")?;
    // The lab's names are nobody else's business.
    writeln!(text, "no-resolv\nno-hosts\nlog-dhcp")?;
    Ok(text)
}
