//! The root file systems that clients boot, made by mmdebstrap from Debian's packages.
//!
//! They lie in `target/lab/roots/` and are made once. `LAB_ROOTS` names a folder with
//! roots that are already there (`full`, and `small` as mmdebstrap leaves it), to save the time.

mod debian;
pub mod odd;
mod small;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::place;

/// A folder that is a root file system, with a kernel in it.
#[derive(Clone, Debug)]
pub struct Root {
    /// What to call the image made of it.
    pub name: &'static str,
    /// The folder.
    pub folder: PathBuf,
}

/// A Debian with systemd, openssh-server and the generic kernel, as it is installed; nothing of
/// ours is in it. About 700 MB, made in about two minutes.
pub fn full() -> Result<Root> {
    let folder = match prepared("full") {
        Some(folder) => folder,
        // One that was made of other packages is not taken for this one.
        None => {
            let mut hasher = DefaultHasher::new();
            FULL.hash(&mut hasher);
            let name = format!("full-{:016x}", hasher.finish());
            made(&name, |folder| debian::make(folder, "minbase", FULL))?
        }
    };
    Ok(Root {
        name: "full",
        folder,
    })
}

const FULL: &[&str] = &[
    "systemd-sysv",
    "udev",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    // Homes on the server.
    "sshfs",
    "linux-image-amd64",
    "iproute2",
    "kmod",
    "procps",
];

/// The same with every network manager that Debian has, each as its package sets it up.
pub fn networks() -> Result<Root> {
    let packages = [FULL, NETWORKS].concat();
    let folder = made("networks", |folder| {
        debian::make(folder, "minbase", &packages)
    })?;
    Ok(Root {
        name: "networks",
        folder,
    })
}

const NETWORKS: &[&str] = &[
    "ifupdown",
    "isc-dhcp-client",
    "network-manager",
    "systemd-resolved",
    "libnss-resolve",
    "iputils-ping",
    "netplan.io",
];

/// busybox, the cloud kernel, and an `/sbin/init` that judges what it booted from and says
/// `VERDICT PASS` or `VERDICT FAIL`. Made in seconds.
pub fn small() -> Result<Root> {
    let folder = made(&small::versioned_name(), |folder| {
        match prepared("small") {
            Some(prepared) => debian::copy(&prepared, folder)?,
            None => debian::make(folder, "extract", SMALL)?,
        }
        small::finish(folder)
    })?;
    Ok(Root {
        name: "small",
        folder,
    })
}

const SMALL: &[&str] = &["busybox-static", "linux-image-cloud-amd64"];

/// The small root for 64-bit ARM machines, with the loaders that their firmware lets start.
pub fn small_arm64() -> Result<Root> {
    let folder = made(&format!("{}-arm64", small::versioned_name()), |folder| {
        debian::make_for(Some("arm64"), folder, "extract", SMALL_ARM64)?;
        small::finish(folder)
    })?;
    Ok(Root {
        name: "small-arm64",
        folder,
    })
}

const SMALL_ARM64: &[&str] = &[
    "busybox-static",
    "linux-image-cloud-arm64",
    "shim-signed",
    "grub-efi-arm64-signed",
];

/// The root called `name`: prepared by somebody, made before, or made now and renamed into place.
fn made(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    if let Some(folder) = prepared(name) {
        return Ok(folder);
    }
    let roots = place::lab().join("roots");
    std::fs::create_dir_all(&roots)?;
    let folder = roots.join(name);
    // Tests run at the same time, in several processes: one makes the root, the others wait.
    let lock = File::create(roots.join(format!("{name}.lock")))?;
    lock.lock()?;
    if !folder.exists() {
        let unfinished = roots.join(format!("{name}.unfinished"));
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        make(&unfinished).with_context(|| format!("cannot make root {name}"))?;
        std::fs::rename(&unfinished, &folder)?;
    }
    Ok(folder)
}

fn prepared(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("LAB_ROOTS")?).join(name);
    folder.exists().then_some(folder)
}

impl Root {
    /// A copy in this folder, of the same name, in which every checked file has another content:
    /// what a new generation of its image is made of.
    pub fn changed(&self, folder: &Path) -> Result<Self> {
        debian::copy(&self.folder, folder)?;
        small::change(folder)?;
        Ok(Self {
            name: self.name,
            folder: folder.to_owned(),
        })
    }

    /// The version of its newest kernel, as in `/boot/vmlinuz-<version>`.
    pub fn kernel_version(&self) -> Result<String> {
        let boot = self.folder.join("boot");
        let mut versions = Vec::new();
        for entry in std::fs::read_dir(&boot).with_context(|| format!("no {}", boot.display()))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            versions.extend(name.strip_prefix("vmlinuz-").map(str::to_owned));
        }
        versions.sort();
        versions
            .pop()
            .with_context(|| format!("no kernel in {}", boot.display()))
    }

    /// Its newest kernel.
    pub fn kernel(&self) -> Result<PathBuf> {
        let version = self.kernel_version()?;
        Ok(self.folder.join("boot").join(format!("vmlinuz-{version}")))
    }
}
