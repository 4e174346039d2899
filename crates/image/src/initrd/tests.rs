use super::*;
use crate::kernel::{Config, Format};
use crate::modules::tests::Source;

/// A Debian-like folder of modules with two network cards, and the init program.
struct Lab {
    source: Source,
    init: tempfile::NamedTempFile,
    config: Config,
}

impl Lab {
    fn new() -> Self {
        let init = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(init.path(), static_program()).unwrap();
        let source = Source::new()
            .module("kernel/fs/overlay.ko", &[])
            .module("kernel/fs/nfsv3.ko", &["depends=nfs"])
            .module("kernel/fs/nfs.ko", &[])
            .module("kernel/fs/squashfs.ko", &[])
            .module("kernel/drivers/block/loop.ko", &[])
            .module(
                "kernel/drivers/net/ethernet/intel/e1000e.ko",
                &["alias=pci:v00008086d000010D3sv*sd*bc*sc*i*"],
            )
            .module(
                "kernel/drivers/net/ethernet/realtek/r8169.ko",
                &[
                    "firmware=rtl_nic/a.fw",
                    "firmware=rtl_nic/gone.fw",
                    "depends=libphy",
                    "alias=pci:v000010ECd00008168sv*sd*bc*sc*i*",
                ],
            )
            .module(
                "kernel/drivers/net/ethernet/bnx2x.ko",
                &["firmware=bnx2x.fw"],
            )
            .module("kernel/drivers/net/ethernet/8390/pcnet_cs.ko", &[])
            .module("kernel/drivers/net/usb/qmi_wwan.ko", &[])
            .module("kernel/drivers/net/phy/libphy.ko", &[])
            .module("kernel/drivers/net/phy/realtek.ko", &["depends=libphy"])
            .module("kernel/drivers/gpu/i915.ko", &[])
            .put(
                "modules.builtin",
                b"kernel/drivers/net/ethernet/8390/ne2k-pci.ko\nkernel/drivers/ata/ahci.ko\n\
                  kernel/drivers/virtio/virtio_pci.ko\n",
            )
            .put(
                "modules.builtin.modinfo",
                b"ne2k_pci.alias=pci:v000010ECd00008029sv*sd*bc*sc*i*\0ne2k_pci.license=GPL\0\
                  ahci.alias=pci:v00008086d00002681sv*sd*bc*sc*i*\0",
            )
            .put(
                "../../firmware/rtl_nic/a.fw.zst",
                &zstd::encode_all(&b"blob"[..], 1).unwrap(),
            );
        Self {
            source,
            init,
            config: Config::parse("CONFIG_RD_ZSTD=y\nCONFIG_BLK_DEV_INITRD=y\n"),
        }
    }

    fn without(self, module: &str) -> Self {
        let path = self.source.0.path().join("lib/modules/6.1").join(module);
        std::fs::remove_file(path).unwrap();
        self
    }

    fn with<T>(
        &self,
        drivers: &str,
        use_plan: impl FnOnce(Result<Plan<'_>, InitrdError>) -> T,
    ) -> T {
        let tree = self.source.tree();
        let kernel = Kernel {
            path: "boot/vmlinuz-6.1".into(),
            version: "6.1".into(),
            format: Format::BzImage,
            modules: Some("lib/modules/6.1".into()),
            config: self.config.clone(),
        };
        let init = self.init.path().to_owned();
        use_plan(Plan::new(
            &tree,
            &kernel,
            &init,
            &drivers.parse().unwrap(),
            true,
        ))
    }

    /// Names of the files, and the notes.
    fn list(&self, drivers: &str) -> (Vec<String>, Vec<String>) {
        self.with(drivers, |plan| {
            let plan = plan.unwrap();
            let mut packed = Vec::new();
            let report = plan.write(&mut packed).unwrap();
            assert_eq!(report.packed, packed.len() as u64);
            let (base, rest) = packed.split_at(report.base as usize);
            let (base, rest) = (unpack(base), unpack(rest));
            assert_eq!(report.unpacked, (base.len() + rest.len()) as u64);
            let names = [names(&base), names(&rest)].concat();
            (names, plan.notes().to_vec())
        })
    }
}

/// One archive, with what fills it up to four bytes.
fn unpack(packed: &[u8]) -> Vec<u8> {
    assert_eq!(packed.len() % 4, 0);
    let mut decoder = zstd::stream::read::Decoder::new(packed)
        .unwrap()
        .single_frame();
    let mut archive = Vec::new();
    io::Read::read_to_end(&mut decoder, &mut archive).unwrap();
    archive
}

/// The names in a newc archive, read as the kernel reads it.
fn names(mut archive: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let number = |field: usize| {
            let text = std::str::from_utf8(&archive[6 + field * 8..14 + field * 8]).unwrap();
            usize::from_str_radix(text, 16).unwrap()
        };
        let (size, name_len) = (number(6), number(11));
        let name = String::from_utf8(archive[110..109 + name_len].to_vec()).unwrap();
        if name == "TRAILER!!!" {
            return names;
        }
        names.push(name);
        archive = &archive[(110 + name_len).next_multiple_of(4) + size.next_multiple_of(4)..];
    }
}

#[test]
fn an_initrd_holds_every_wired_card_and_nothing_of_other_hardware() {
    let (names, notes) = Lab::new().list("all");
    for name in [
        "dev/console",
        "newroot",
        "init",
        "lib/modules/6.1/modules.dep",
        "lib/modules/6.1/kernel/fs/nfs.ko",
        "lib/modules/6.1/kernel/drivers/net/ethernet/intel/e1000e.ko",
        "lib/modules/6.1/kernel/drivers/net/phy/realtek.ko",
        "lib/firmware/rtl_nic/a.fw",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:#?}");
    }
    for word in ["i915", "pcnet_cs", "qmi_wwan", "bnx2x", "gone.fw", ".zst"] {
        assert!(!names.iter().any(|n| n.contains(word)), "{word}");
    }
    assert!(notes[0].contains("bnx2x"), "{notes:?}");
}

#[test]
fn listed_drivers_come_with_their_chips_and_alone() {
    let (names, _) = Lab::new().list("r8169");
    assert!(names.iter().any(|name| name.ends_with("/realtek.ko")));
    assert!(!names.iter().any(|name| name.contains("e1000e")));
    let error = Lab::new().with("rtl9999", |plan| plan.err().unwrap().to_string());
    assert!(error.contains("no driver rtl9999"), "{error}");
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    let write = |plan: Result<Plan<'_>, InitrdError>| {
        let (plan, mut bytes) = (plan.unwrap(), Vec::new());
        plan.write(&mut bytes).unwrap();
        (bytes, plan.digest().unwrap())
    };
    let lab = Lab::new();
    assert_eq!(lab.with("all", write), lab.with("all", write));
    assert_ne!(lab.with("all", write).1, lab.with("r8169", write).1);
}

#[test]
fn a_kernel_that_cannot_be_booted_over_the_network_is_refused() {
    let lab = Lab::new().without("kernel/fs/overlay.ko");
    let error = lab.with("all", |plan| plan.err().unwrap().to_string());
    assert!(error.contains("OVERLAY_FS"), "{error}");
}

#[test]
fn a_kernel_without_nfs_is_told_what_still_works() {
    let (_, notes) = Lab::new().without("kernel/fs/nfsv3.ko").list("all");
    assert!(notes[0].contains("root = \"ram\""), "{notes:?}");
}

/// What a client with `card` unpacks of `drivers.img`.
fn drivers_for(card: &str) -> Option<Vec<String>> {
    Lab::new().with("all", |plan| {
        let mut packed = Vec::new();
        let index = plan.unwrap().write_drivers(1000, &mut packed).unwrap();
        assert_eq!(index.base, 1000);
        let ranges = index.for_card(card.parse().unwrap())?;
        let mut found = Vec::new();
        for part in index.parts.values() {
            let inside = |range: &std::ops::Range<u64>| range.contains(&part.offset);
            if part.bytes > 0 && ranges.iter().any(inside) {
                let range = part.offset as usize..(part.offset + part.bytes) as usize;
                found.extend(names(&unpack(&packed[range])));
            }
        }
        found.retain(|name| name.ends_with(".ko") || name.ends_with(".fw"));
        Some(found)
    })
}

#[test]
fn a_known_card_gets_its_driver_with_firmware_and_chips_and_no_other() {
    let drivers = "lib/modules/6.1/kernel/drivers/net";
    assert_eq!(
        drivers_for("8086:10d3").unwrap(),
        [format!("{drivers}/ethernet/intel/e1000e.ko")]
    );
    assert_eq!(
        drivers_for("10ec:8168").unwrap(),
        [
            format!("{drivers}/phy/libphy.ko"),
            format!("{drivers}/phy/realtek.ko"),
            format!("{drivers}/ethernet/realtek/r8169.ko"),
            "lib/firmware/rtl_nic/a.fw".to_owned(),
        ]
    );
    assert_eq!(drivers_for("14e4:1657"), None);
    // In the kernel: nothing to send, where it is a network card.
    assert_eq!(drivers_for("10ec:8029"), Some(vec![]));
    assert_eq!(drivers_for("1af4:1000"), Some(vec![]));
    assert_eq!(drivers_for("8086:2681"), None);
}
