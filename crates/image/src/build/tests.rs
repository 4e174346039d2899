use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Mutex;

use crate::digest::Digester;
use md5::Digest as _;

use super::*;
use crate::kernel::bz_image;
use crate::modules::tests::object;
use crate::scrub::{Action, Rule};
use crate::{INITRD_FILE, KERNEL_FILE};

/// Below the folder of modules.
const DM_VERITY: &str = "drivers/md/dm-verity.ko";

/// A small Debian-like root, an init and a state directory.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let modules = "root/usr/lib/modules/6.1/kernel";
        lab.put("root/boot/vmlinuz-6.1", &bz_image("6.1"))
            .put(
                "root/boot/config-6.1",
                b"CONFIG_RD_ZSTD=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_SQUASHFS_ZSTD=y\nCONFIG_CRYPTO_SHA256=y\n",
            )
            .put("root/etc/hostname", b"template\n")
            .put("root/etc/ssh/ssh_host_ed25519_key", b"secret")
            .put("root/var/lib/dpkg/lock", b"")
            .put("init", &crate::initrd::static_program());
        for (path, modinfo) in [
            ("fs/overlay.ko", "license=GPL"),
            ("fs/nfsv3.ko", "license=GPL"),
            ("fs/squashfs.ko", "license=GPL"),
            ("drivers/block/loop.ko", "license=GPL"),
            (DM_VERITY, "license=GPL"),
            ("drivers/net/ethernet/e1000e.ko", "alias=pci:1"),
        ] {
            lab.put(&format!("{modules}/{path}"), &object(&[modinfo]));
        }
        symlink("usr/lib", lab.at("root/lib")).unwrap();
        lab
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, path: &str, content: &[u8]) -> &Self {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    fn options(&self) -> BuildOptions {
        let name = "demo".parse().unwrap();
        let (source, state) = (self.at("root"), self.at("state"));
        BuildOptions::new(name, &source, &state, &self.at("init"))
    }

    fn build(&self) -> Result<Published, BuildError> {
        build(&self.options(), &(), &AtomicBool::new(false))
    }

    /// Everything below the state directory.
    fn state(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.at("state")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path.clone());
                }
                found.push(path.display().to_string());
            }
        }
        found
    }
}

#[test]
fn a_folder_becomes_a_generation_whose_manifest_tells_the_truth() {
    let lab = Lab::new();
    let published = lab.build().unwrap();
    let manifest = &published.manifest;
    assert_eq!(manifest.kernel.version, "6.1");
    assert_eq!(manifest.kernel.path, "boot/vmlinuz-6.1");
    let mut digests = Vec::new();
    for (name, record) in manifest.files.iter() {
        let content = std::fs::read(published.folder.join(name)).unwrap();
        assert_eq!(record.bytes, content.len() as u64, "{name}");
        let mut digester = Digester::new(record.piece);
        digester.update(&content);
        let digest = digester.finish();
        assert_eq!(record.sha256, hex(&digest), "{name}");
        digests.push(digest);
    }
    let id = manifest::generation_id(digests[0], digests[1], digests[2]);
    assert_eq!(published.generation, id);
    let rules: Vec<_> = manifest
        .left_out
        .iter()
        .map(|left| &left.rule[..])
        .collect();
    assert!(rules.contains(&"ssh-host-keys"), "{rules:?}");
    let kernel = std::fs::read(published.folder.join(KERNEL_FILE)).unwrap();
    assert_eq!(kernel, bz_image("6.1"));

    let generation = || {
        let image = Catalogue::open(&lab.at("state")).image(&published.name);
        image.unwrap().current().unwrap().clone()
    };
    assert_eq!(generation().verify().unwrap(), [""; 0]);
    let mut kernel = kernel;
    kernel[9] ^= 1;
    std::fs::write(published.folder.join(KERNEL_FILE), kernel).unwrap();
    assert_eq!(generation().verify().unwrap(), [KERNEL_FILE]);
}

#[test]
fn an_unchanged_source_is_the_same_generation_and_a_changed_one_is_not() {
    let lab = Lab::new();
    let first = lab.build().unwrap();
    let again = lab.build().unwrap();
    assert_eq!(again.generation, first.generation);
    assert!(again.known);
    lab.put("root/etc/hostname", b"changed\n");
    let changed = lab.build().unwrap();
    assert_ne!(changed.generation, first.generation);
    assert_eq!(changed.manifest.files.initrd, first.manifest.files.initrd);
}

#[test]
fn an_archive_of_the_folder_is_the_same_generation() {
    let lab = Lab::new();
    let from_folder = lab.build().unwrap();
    let tar = |arguments: &[&str]| {
        let status = std::process::Command::new("tar")
            .current_dir(lab.folder.path())
            .args(arguments)
            .status();
        assert!(status.unwrap().success());
    };
    tar(&["-C", "root", "--format=pax", "-cf", "system.tar", "."]);
    tar(&["-C", "root", "--format=pax", "-czf", "system.tar.gz", "."]);
    for name in ["system.tar", "system.tar.gz"] {
        let mut options = lab.options();
        options.source = lab.at(name);
        let published = build(&options, &(), &AtomicBool::new(false)).unwrap();
        assert_eq!(published.generation, from_folder.generation, "{name}");
    }
}

#[test]
fn an_archive_that_cannot_be_used_leaves_nothing() {
    let lab = Lab::new();
    lab.put("bad.tar.gz", &[0x1f, 0x8b, 8, 0]);
    let mut options = lab.options();
    options.source = lab.at("bad.tar.gz");
    let error = build(&options, &(), &AtomicBool::new(false)).unwrap_err();
    assert!(error.to_string().contains("bad.tar.gz"), "{error}");
    assert_eq!(lab.state(), [""; 0]);
}

#[test]
fn a_damaged_initrd_is_not_taken_again() {
    let lab = Lab::new();
    let first = lab.build().unwrap();
    let path = first.folder.join(INITRD_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    lab.put("root/etc/hostname", b"changed\n");
    let next = lab.build().unwrap();
    assert_eq!(next.manifest.files.initrd, first.manifest.files.initrd);
    let image = Catalogue::open(&lab.at("state")).image(&next.name);
    let image = image.unwrap();
    assert_eq!(image.current().unwrap().verify().unwrap(), [""; 0]);
}

#[test]
fn a_state_directory_inside_the_source_is_not_in_the_image() {
    let lab = Lab::new();
    let mut options = lab.options();
    options.state_dir = lab.at("root/data/netbootd");
    let stop = AtomicBool::new(false);
    let first = build(&options, &(), &stop).unwrap();
    assert_eq!(
        build(&options, &(), &stop).unwrap().generation,
        first.generation
    );
}

#[test]
fn a_source_without_a_kernel_fails_at_once_and_leaves_nothing() {
    let lab = Lab::new();
    std::fs::remove_file(lab.at("root/boot/vmlinuz-6.1")).unwrap();
    let error = lab.build().unwrap_err().to_string();
    for word in [
        "no kernel",
        "root",
        "boot/vmlinuz-*",
        "linux-image-amd64",
        "--kernel",
    ] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(lab.state(), [""; 0]);
}

/// Stops the build when it reaches a stage.
struct StopAt<'a>(Stage, &'a AtomicBool, Mutex<bool>);

impl Progress for StopAt<'_> {
    fn stage(&self, stage: Stage, _total: Option<u64>) {
        if stage == self.0 {
            self.1.store(true, Ordering::Relaxed);
            *self.2.lock().unwrap() = true;
        }
    }
    fn advance(&self, _amount: u64) {}
    fn note(&self, _text: &str) {}
}

#[test]
fn a_build_stopped_at_any_stage_leaves_nothing() {
    for stage in [
        Stage::Scan,
        Stage::Squash,
        Stage::Initrd,
        Stage::Kernel,
        Stage::Publish,
    ] {
        let lab = Lab::new();
        let stop = AtomicBool::new(false);
        let progress = StopAt(stage, &stop, Mutex::new(false));
        let error = build(&lab.options(), &progress, &stop).unwrap_err();
        assert!(matches!(error, BuildError::Stopped), "{stage:?}: {error}");
        assert!(*progress.2.lock().unwrap(), "{stage:?} was never reached");
        let left: Vec<_> = lab.state();
        assert_eq!(
            left,
            [lab.at("state/images").display().to_string()],
            "{stage:?}"
        );
    }
}

#[test]
fn a_kernel_that_cannot_read_the_compression_is_told() {
    let lab = Lab::new();
    lab.put(
        "root/boot/config-6.1",
        b"CONFIG_RD_GZIP=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_SQUASHFS_ZLIB=y\n",
    );
    assert_eq!(lab.build().unwrap().manifest.root.compression, "gzip");
    let mut options = lab.options();
    options.compression = Some(Compression::Lz4);
    let error = build(&options, &(), &AtomicBool::new(false)).unwrap_err();
    assert!(error.to_string().contains("6.1 cannot read lz4"), "{error}");
}

#[test]
fn too_little_space_is_seen_before_the_work() {
    let lab = Lab::new();
    assert!(space::check(lab.folder.path(), 0).is_ok());
    let error = space::check(lab.folder.path(), u64::MAX).unwrap_err();
    assert!(error.to_string().contains("not enough space"), "{error}");
}

#[test]
fn a_full_disk_is_named_whatever_was_being_written() {
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let error = BuildError::from(crate::initrd::InitrdError::Write(full));
    let text = error.or_full(Path::new("/var/lib/netbootd")).to_string();
    assert!(text.contains("/var/lib/netbootd is full"), "{text}");
}

const NETRC: &[u8] = b"machine example.org login me password hunter2\n";

#[test]
fn a_secret_that_nobody_allowed_is_named_and_nothing_is_published() {
    let lab = Lab::new();
    lab.put("root/opt/app/.netrc", NETRC)
        .put("root/usr/share/z/.netrc", NETRC);
    let error = lab.build().unwrap_err().to_string();
    for word in [
        "opt/app/.netrc: a password (.netrc)",
        "usr/share/z/.netrc",
        "--allow-secret",
    ] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(lab.state().len(), 1, "{:?}", lab.state());

    let mut options = lab.options();
    options.allow_secrets = vec!["opt/app/.netrc".parse().unwrap()];
    let out = Rule::new("excluded", "asked for", Action::LeaveOut, &["usr/share/z"]).unwrap();
    options.rules = Rules::standard().with(out);
    let published = build(&options, &(), &AtomicBool::new(false)).unwrap();
    let allowed: Vec<_> = published
        .manifest
        .secrets
        .iter()
        .map(|secret| &*secret.path)
        .collect();
    assert_eq!(allowed, ["opt/app/.netrc"]);
    let rules = &published.manifest.rules;
    assert!(
        rules
            .iter()
            .any(|rule| rule.name == "excluded" && rule.patterns == ["usr/share/z"])
    );
}

#[test]
fn what_a_package_ships_is_no_secret_until_somebody_changes_it() {
    let lab = Lab::new();
    let sums = "6d9b1a0fe1cb19d9bbcd2ae3a9d9c3f0";
    let digest = md5::Md5::digest(NETRC);
    let list = format!("{sums}  usr/bin/x\n{}  lib/z/.netrc\n", hex(&digest));
    lab.put("root/usr/lib/z/.netrc", NETRC)
        .put("root/var/lib/dpkg/info/z.md5sums", list.as_bytes());
    lab.build().unwrap();
    lab.put(
        "root/usr/lib/z/.netrc",
        b"machine example.org login me password changed\n",
    );
    assert!(matches!(lab.build(), Err(BuildError::Secrets(secrets, 0)) if secrets.len() == 1));
}

#[test]
fn no_person_and_no_hash_is_in_the_image() {
    let lab = Lab::new();
    let hash = format!("$6$saltsalt${}", "aB./9".repeat(17) + "x");
    lab.put(
        "root/etc/passwd",
        b"root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n",
    )
    .put(
        "root/etc/shadow",
        format!("root:{hash}:1::::::\nann:{hash}:1::::::\n").as_bytes(),
    );
    let published = lab.build().unwrap();
    let names: Vec<_> = published
        .manifest
        .left_out
        .iter()
        .map(|left| &*left.rule)
        .collect();
    assert!(
        names.contains(&"login-users") && names.contains(&"password-hashes"),
        "{names:?}"
    );

    // Asked for, the hashes stay, and then they are secrets like any other.
    let mut options = lab.options();
    options.rules = Rules::standard().without("password-hashes");
    let error = build(&options, &(), &AtomicBool::new(false)).unwrap_err();
    assert!(
        error.to_string().contains("etc/shadow: a password hash"),
        "{error}"
    );
}

/// Does something on a thread that may not read what modes forbid, as root may.
fn without_privilege<T: Send>(what: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective &= !(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set_capabilities(None, sets).unwrap();
            what()
        });
        thread.join().unwrap()
    })
}

#[test]
fn what_cannot_be_read_is_listed_before_the_work_or_left_out_as_asked() {
    let lab = Lab::new();
    lab.put("root/opt/closed", b"x")
        .put("root/opt/folder/file", b"x");
    for path in ["root/opt/closed", "root/opt/folder"] {
        std::fs::set_permissions(lab.at(path), std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    let error = without_privilege(|| lab.build().unwrap_err().to_string());
    for word in [
        "2 names",
        "opt/closed\n",
        "opt/folder\n",
        "--skip-unreadable",
    ] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(lab.state().len(), 1, "{:?}", lab.state());

    let mut options = lab.options();
    options.source_options.unreadable = Unreadable::Skip;
    let published = without_privilege(|| build(&options, &(), &AtomicBool::new(false)).unwrap());
    assert_eq!(published.manifest.unreadable, ["opt/closed", "opt/folder"]);
    assert_eq!(
        published.manifest.root.files + 1,
        lab.build().unwrap().manifest.root.files - 1
    );
    std::fs::set_permissions(
        lab.at("root/opt/folder"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
}

#[test]
fn a_preview_says_what_a_build_would_do_and_writes_nothing() {
    let lab = Lab::new();
    lab.put("root/opt/app/.netrc", NETRC)
        .put("root/usr/share/large", &[7; 5000])
        .put("root/home/ann/file", b"x")
        .put("root/etc/passwd", b"ann:x:1000:1000::/home/ann:/bin/sh\n");
    let seen = preview(&lab.options(), &(), &AtomicBool::new(false)).unwrap();
    assert_eq!(lab.state(), [""; 0]);
    assert_eq!(seen.kernel, Ok("6.1".to_owned()));
    assert_eq!(seen.users, ["ann"]);
    assert_eq!(seen.secrets.refused[0].path, "opt/app/.netrc");
    let rules: Vec<_> = seen
        .survey
        .left_out
        .tallies
        .iter()
        .map(|tally| &*tally.rule)
        .collect();
    assert!(
        rules.contains(&"homes") && rules.contains(&"ssh-host-keys"),
        "{rules:?}"
    );
    let largest = seen.sizes.largest(10);
    assert!(
        largest
            .iter()
            .any(|(path, size)| path == "usr/share" && size.bytes == 5000),
        "{largest:?}"
    );
}

mod carry;
mod crash;
mod reported;
mod times;
mod verity;
