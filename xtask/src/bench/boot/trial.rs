//! The best that is known to be possible with the programs that there are: what netbootd's own
//! stages are held against.
//!
//! dnsmasq does not ping, sends router advertisements and tells iPXE that no proxy will come; the
//! kernel and an initrd of busybox come over HTTP (busybox httpd); the initrd has its address on the
//! command line, mounts the folder of the image by the kernel's NFS from nfs-ganesha, and the image
//! that netbootd serves too as a loop, with an overlay. It renders nothing for the client: no keys,
//! no users, no reports.

use std::fs;

use anyhow::{Context, Result};
use integration::roots::Root;
use integration::subject::netbootd;
use integration::subject::peer::{self, dnsmasq, ganesha, initrd};
use integration::{Lab, Setup};

use super::Serving;

/// What its initrd says when the root is mounted.
pub(super) const MOUNTED: &str = "trial: the root is mounted";

const INIT: &str = include_str!("trial-init.sh");

/// What this one machine needs, nothing else.
const MODULES: [&str; 6] = [
    "virtio_pci",
    "virtio_net",
    "nfsv3",
    "squashfs",
    "loop",
    "overlay",
];

pub(super) fn start(lab: &Lab, setup: &Setup<'_>, root: &Root) -> Result<Vec<Serving>> {
    let files = lab.folder().join("trial");
    fs::create_dir_all(&files)?;
    fs::copy(root.kernel()?, files.join("vmlinuz"))?;
    for loader in ["undionly.kpxe", "snponly.efi"] {
        fs::copy(format!("/usr/lib/ipxe/{loader}"), files.join(loader))
            .with_context(|| format!("no {loader}; is package ipxe installed?"))?;
    }
    initrd::make(root, INIT, &MODULES, &files.join("initrd.img"))?;
    let server = Lab::SERVER;
    let script = format!(
        "#!ipxe\n\
         kernel http://{server}/vmlinuz initrd=initrd.img trial.address=${{ip}} \
         trial.netmask=${{netmask}} trial.server={server} trial.nfs=/images/{} {}\n\
         initrd http://{server}/initrd.img\n\
         boot\n",
        root.name,
        setup.kernel_words(ganesha::MOUNT_PORT),
    );
    fs::write(files.join("boot.ipxe"), script)?;
    let image = netbootd::built_image(root)?
        .join(root.name)
        .join("current")
        .canonicalize()?;
    let [rpcbind, ganesha] = ganesha::start(lab, root, &image)?;
    let httpd = peer::start_httpd(lab, &files)?;
    let dnsmasq = dnsmasq::start(lab, setup, &files)?;
    Ok([rpcbind, ganesha, httpd, dnsmasq]
        .map(Serving::Other)
        .into())
}
