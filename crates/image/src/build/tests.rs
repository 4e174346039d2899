use std::os::unix::fs::symlink;
use std::sync::Mutex;

use super::*;
use crate::INITRD_FILE;
use crate::kernel::bz_image;
use crate::modules::tests::object;

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
                b"CONFIG_RD_ZSTD=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_SQUASHFS_ZSTD=y\n",
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
        let digest: [u8; 32] = Sha256::digest(&content).into();
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
