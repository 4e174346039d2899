//! Mounting: the kernel's own file systems, and the image's root in its three modes.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{BootArguments, Changes, RootMode};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::loop_device::LoopDevice;
use crate::modules::Modules;
use crate::retry::Failure;
use crate::verity::Checked;
use crate::{console, say, zram};

/// Where the initrd keeps what the root is made of. These mounts stay under the new root, out of
/// sight: nothing in the running system can unmount what it stands on.
const PARTS: &str = "/netboot";

/// How long a server may take to accept a connection before the person is told.
const CONNECT: Duration = Duration::from_secs(3);

/// Mounts proc, sysfs, devtmpfs and run, each unless it is there already.
pub(crate) fn kernel_file_systems() -> Result<(), String> {
    let quiet = MountFlags::NOSUID | MountFlags::NODEV;
    let strict = quiet | MountFlags::NOEXEC;
    devices(Path::new("/"))?;
    for (kind, target, flags, data) in [
        ("proc", "/proc", strict, ""),
        ("sysfs", "/sys", strict, ""),
        // As systemd mounts it; programs may run from it, because the client program does.
        ("tmpfs", "/run", quiet, "mode=0755,size=20%,nr_inodes=800k"),
    ] {
        folder(Path::new(target), 0o755).map_err(|error| format!("mkdir {target}: {error}"))?;
        match mount(kind, target, kind, flags, data) {
            Ok(()) | Err(Errno::BUSY) => {}
            Err(error) => return Err(format!("mounting {kind} on {target}: {error}")),
        }
    }
    Ok(())
}

/// Mounts `/dev` of a root. The kernel has one devtmpfs, so each mount shows the same devices; the
/// image's own nodes are none, because its file system is mounted without them.
pub(crate) fn devices(root: &Path) -> Result<(), String> {
    let target = root.join("dev");
    let failed = |error: io::Error| format!("mounting devtmpfs on {}: {error}", target.display());
    folder(&target, 0o755).map_err(failed)?;
    match mount(
        "devtmpfs",
        &target,
        "devtmpfs",
        MountFlags::NOSUID,
        "mode=0755",
    ) {
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(error) => Err(failed(error.into())),
    }
}

/// Mounts the variables of the machine's UEFI where the image's system expects them. The error says why there are none.
pub(crate) fn firmware_variables(modules: &Modules) -> Result<&'static Path, String> {
    let folder = Path::new("/sys/firmware/efi/efivars");
    if !folder.exists() {
        return Err("this machine was not started by UEFI".to_owned());
    }
    modules
        .load("efivarfs")
        .map_err(|error| error.to_string())?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match mount("efivarfs", folder, "efivarfs", flags, "") {
        Ok(()) | Err(Errno::BUSY) => Ok(folder),
        Err(error) => Err(format!("mounting {}: {error}", folder.display())),
    }
}

/// Modules that the root in this mode stands on, in the order in which they are wanted.
pub(crate) fn modules_for(mode: RootMode) -> &'static [&'static str] {
    match mode {
        RootMode::Image => &["nfsv3", "loop", "squashfs", "overlay"],
        RootMode::Tree => &["nfsv3", "overlay"],
        RootMode::Ram => &["loop", "squashfs", "overlay"],
    }
}

/// Loads them, and what else these arguments ask for. A missing one is only said: the mount that needs it fails with
/// the better reason, and a kernel may have it under another name.
pub(crate) fn load_modules(arguments: &BootArguments, modules: &Modules) {
    let zram = arguments.changes.zram.then_some(&"zram");
    let verity = arguments.verity.map(|_| {
        // The processor's own; the kernel takes the quickest that is there.
        modules.load_for_device("crypto-sha256");
        &"dm_verity"
    });
    let wanted = modules_for(arguments.root).iter();
    for name in wanted.chain(zram).chain(verity) {
        if let Err(error) = modules.load(name) {
            say!("{error}");
        }
    }
}

/// Mounts the generation's NFS export, as one image file or as a tree. Returns where.
pub(crate) fn nfs(arguments: &BootArguments) -> Result<PathBuf, Failure> {
    let export = match arguments.root {
        RootMode::Tree => format!("/roots/{}@{}", arguments.image, arguments.generation),
        RootMode::Image | RootMode::Ram => {
            format!("/images/{}/{}", arguments.image, arguments.generation)
        }
    };
    let server = (arguments.server, arguments.nfs_port);
    let source = format!("{}:{export}", arguments.server);
    // The kernel's own mount waits for minutes on a server that is silent; this one says so.
    TcpStream::connect_timeout(&server.into(), CONNECT).map_err(|error| {
        Failure::Passing(format!(
            "the NFS server {}:{} does not answer: {error}. Is netbootd running there, does a firewall let TCP {} pass, does the switch port forward yet?",
            server.0, server.1, server.1
        ))
    })?;
    let target =
        part("nfs").map_err(|error| Failure::Final(format!("making {PARTS}/nfs: {error}")))?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV;
    let result = console::patiently(&format!("waiting for NFS to mount {source}"), || {
        mount(&source, &target, "nfs", flags, &nfs_options(arguments))
    });
    match result {
        Ok(()) => {
            set_read_ahead(&target, arguments.read_ahead);
            Ok(target)
        }
        Err(error) => Err(nfs_failure(&source, error)),
    }
}

fn nfs_options(arguments: &BootArguments) -> String {
    let port = arguments.nfs_port;
    // nolock: no lockd or statd is asked for. nocto and actimeo: a generation never changes.
    // hard: a running client waits for its server, however long that takes.
    // Not noacl: overlayfs asks its lower layer for ACLs when a user who does not own a file opens
    // or runs it, and takes "there are none here" (EOPNOTSUPP) for a refusal. The server has to
    // answer NFS_ACL's GETACL, if only with an empty list.
    format!(
        "addr={},vers=3,proto=tcp,mountproto=tcp,port={port},mountport={port},nolock,nocto,\
         hard,timeo=150,retrans=3,rsize=1048576,actimeo=3600",
        arguments.server
    )
}

fn nfs_failure(source: &str, error: Errno) -> Failure {
    let text = format!("mounting {source} over NFS: {}", io::Error::from(error));
    match error {
        Errno::NODEV | Errno::PROTONOSUPPORT | Errno::INVAL | Errno::NOSYS => {
            Failure::Final(format!(
                "{text}. The initrd's kernel cannot do NFS 3: rebuild the image with the modules nfs and nfsv3"
            ))
        }
        Errno::NOENT | Errno::STALE | Errno::NOTDIR => Failure::Refused(format!(
            "{text}. The server no longer has this generation of the image"
        )),
        Errno::ACCESS | Errno::PERM => Failure::Refused(format!(
            "{text}. The server does not export it to this address, or no longer has this generation"
        )),
        _ => Failure::Passing(text),
    }
}

/// Loop-mounts the squashfs image, checked block by block if the arguments say by what. Returns where.
pub(crate) fn squashfs(image: &Path, arguments: &BootArguments) -> Result<PathBuf, Failure> {
    let name = image.display();
    let device = LoopDevice::bind(image).map_err(|error| {
        let text = format!("binding {name} to a loop device: {error}");
        match error.kind() {
            io::ErrorKind::NotFound => Failure::Refused(format!(
                "{text}. Either the server has no such image, or the kernel has no module loop"
            )),
            _ => Failure::Passing(text),
        }
    })?;
    let verity = arguments.verity.as_ref();
    let checked = verity.map(|verity| Checked::over(&device.path, verity));
    let checked = checked.transpose().map_err(|error| {
        Failure::Refused(format!(
            "checking {name} by its hash tree: {error}. Either the file is not the one that was published, or the kernel has no dm-verity: `verity = false` for the image does without"
        ))
    })?;
    let target =
        part("image").map_err(|error| Failure::Final(format!("making {PARTS}/image: {error}")))?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV;
    let source = checked.as_ref().map_or(&device.path, |device| &device.path);
    match mount(source, &target, "squashfs", flags, "") {
        Ok(()) => {
            set_read_ahead(&target, arguments.read_ahead);
            Ok(target)
        }
        Err(error @ Errno::NODEV) => Err(Failure::Final(format!(
            "mounting {name}: {error}. The kernel has no squashfs: rebuild the image with that module"
        ))),
        Err(error @ Errno::IO) if checked.is_some() => Err(Failure::Refused(format!(
            "mounting {name}: {error}. A block of it does not match its hash: on the server, `netbootd image verify {}@{}` says whether it is damaged there or on the way",
            arguments.image,
            arguments.generation.short()
        ))),
        Err(error) => Err(Failure::Refused(format!(
            "mounting {name} as squashfs: {error}. The file is damaged, or compressed in a way that this kernel cannot read"
        ))),
    }
}

/// An empty file in memory for the image of mode `ram`, which is `bytes` large.
pub(crate) fn image_file(bytes: u64) -> Result<(File, PathBuf), Failure> {
    // What the system needs beside the image, to start at all.
    const SPARE: u64 = 128 << 20;
    let available = memory("MemAvailable:");
    if let Some(available) = available.filter(|available| *available < bytes.saturating_add(SPARE))
    {
        return Err(Failure::Final(format!(
            "the image takes {} MiB of memory and the system {} MiB more, and this machine has {} MiB free: boot it with root image or tree",
            bytes >> 20,
            SPARE >> 20,
            available >> 20
        )));
    }
    let create = || {
        let target = part("memory")?;
        let size = bytes.next_multiple_of(4096) + 65536;
        let data = format!("mode=0700,size={size}");
        mount("netbootd-image", &target, "tmpfs", MountFlags::NODEV, &data)?;
        let path = target.join("root.squashfs");
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok((file, path))
    };
    create().map_err(|error: io::Error| {
        Failure::Final(format!("making room for the image in memory: {error}"))
    })
}

/// Bytes of this machine's memory, as the kernel counts them.
pub(crate) fn memory(what: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    memory_of(&text, what)
}

/// Bytes, from the text of `/proc/meminfo`.
fn memory_of(meminfo: &str, what: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(what))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// A writable root over `lower`, all changes in memory. Returns where, and what is to be told of it.
pub(crate) fn overlay(lower: &Path, kept: Changes) -> Result<(PathBuf, String), String> {
    let total = memory("MemTotal:").ok_or("/proc/meminfo names no MemTotal")?;
    let mut bytes = kept.bytes(total);
    let mut told = String::new();
    if kept.zram {
        told = match zram::start(bytes) {
            Ok(()) => ", changes in zram".to_owned(),
            Err(reason) => {
                // More than the machine has would end in its memory, not in a full file system.
                bytes = bytes.min(total / 2);
                say!("{reason}. Changes are kept in plain memory");
                format!(", changes in plain memory: {reason}")
            }
        };
    }
    let step = |what: &str, error: io::Error| format!("{what}: {error}");
    let changes = part("changes").map_err(|error| step("making a folder", error))?;
    mount(
        "netbootd-changes",
        &changes,
        "tmpfs",
        MountFlags::empty(),
        &format!("mode=0755,size={bytes}"),
    )
    .map_err(|error| step("mounting a tmpfs for changes", error.into()))?;
    let (upper, work) = (changes.join("upper"), changes.join("work"));
    let prepare = || {
        // The root folder's owner and mode are those of the upper layer.
        let like = fs::metadata(lower)?;
        folder(&upper, 0o755)?;
        folder(&work, 0o755)?;
        fs::set_permissions(&upper, fs::Permissions::from_mode(like.mode() & 0o7777))?;
        std::os::unix::fs::chown(&upper, Some(like.uid()), Some(like.gid()))?;
        folder(Path::new("/newroot"), 0o755)
    };
    prepare().map_err(|error| step("preparing the overlay", error))?;
    let data = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let target = PathBuf::from("/newroot");
    mount("netbootd", &target, "overlay", MountFlags::empty(), &data).map_err(|error| {
        format!("mounting the overlay: {error}. The kernel may have no module overlay: rebuild the image with it")
    })?;
    Ok((target, told))
}

/// Undoes a part, so that it can be tried again. What is not mounted needs no undoing.
pub(crate) fn forget(name: &str) {
    let _ = rustix::mount::unmount(
        Path::new(PARTS).join(name),
        rustix::mount::UnmountFlags::DETACH,
    );
}

fn part(name: &str) -> io::Result<PathBuf> {
    let path = Path::new(PARTS).join(name);
    folder(&path, 0o700)?;
    Ok(path)
}

fn folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
}

fn mount(
    source: impl AsRef<Path>,
    target: impl AsRef<Path>,
    kind: &str,
    flags: MountFlags,
    data: &str,
) -> rustix::io::Result<()> {
    let data = CString::new(data).map_err(|_| Errno::INVAL)?;
    rustix::mount::mount(
        source.as_ref(),
        target.as_ref(),
        kind,
        flags,
        data.as_c_str(),
    )
}

/// Sets the read-ahead of the file system's device. That it cannot be set costs speed, no more.
fn set_read_ahead(mounted: &Path, kib: u32) {
    let Ok(metadata) = fs::metadata(mounted) else {
        return;
    };
    let device = metadata.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    let _ = fs::write(file, kib.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_server_is_sorted_by_whether_it_can_pass() {
        let sorted = |error| match nfs_failure("s:/x", error) {
            Failure::Passing(_) => "passing",
            Failure::Refused(_) => "refused",
            Failure::Final(_) => "final",
        };
        assert_eq!(sorted(Errno::CONNREFUSED), "passing");
        assert_eq!(sorted(Errno::TIMEDOUT), "passing");
        assert_eq!(sorted(Errno::ACCESS), "refused");
        assert_eq!(sorted(Errno::NOENT), "refused");
        assert_eq!(sorted(Errno::NODEV), "final");
    }

    #[test]
    fn free_memory_is_read_from_meminfo() {
        let text = "MemTotal:  100 kB\nMemFree: 7 kB\nMemAvailable:     64 kB\n";
        assert_eq!(memory_of(text, "MemAvailable:"), Some(65536));
        assert_eq!(memory_of("MemTotal: 1 kB\n", "MemAvailable:"), None);
    }
}
