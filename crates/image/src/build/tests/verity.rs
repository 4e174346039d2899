//! The hash tree by which clients check what they read of the root.

use std::fs;

use sha2::Sha256;

use super::*;
use crate::MANIFEST_FILE;
use crate::verity::tests::verifies;

impl Lab {
    fn build_with(&self, verity: Option<bool>) -> Result<Published, BuildError> {
        let options = BuildOptions {
            verity,
            ..self.options()
        };
        build(&options, &(), &AtomicBool::new(false))
    }

    fn without_dm_verity(self) -> Self {
        let path = format!("root/usr/lib/modules/6.1/kernel/{DM_VERITY}");
        fs::remove_file(self.at(&path)).unwrap();
        self
    }

    fn verify(&self) -> Vec<&'static str> {
        let image = Catalogue::open(&self.at("state")).image(&"demo".parse().unwrap());
        image.unwrap().current().unwrap().verify().unwrap()
    }
}

fn change(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_image_says_what_the_blocks_of_its_root_must_be() {
    let lab = Lab::new();
    let large = (0..3000_u32).flat_map(|number| Sha256::digest(number.to_le_bytes()));
    let large: Vec<u8> = large.collect();
    lab.put("root/usr/share/large", &large);
    let published = lab.build_with(None).unwrap();
    let verity = published.manifest.root.verity.unwrap();
    let root = published.folder.join(ROOT_FILE);
    let judged = || verifies(&root, &verity);
    assert!(judged());
    assert_eq!(lab.verify(), [""; 0]);
    change(&root, 5000);
    assert!(!judged());
    assert_eq!(lab.verify(), [ROOT_FILE]);
    change(&root, 5000);

    let manifest = published.folder.join(MANIFEST_FILE);
    let text = fs::read_to_string(&manifest).unwrap();
    let other = text.replace(&verity.digits(), &"ab".repeat(32));
    fs::write(&manifest, other).unwrap();
    assert_eq!(lab.verify(), [MANIFEST_FILE]);
    // As versions of netbootd wrote it that knew of no trees.
    let (before, tree) = text.split_once("\"verity\"").unwrap();
    let before = before.trim_end().trim_end_matches(',');
    let (_, after) = tree.split_once('\n').unwrap();
    fs::write(&manifest, format!("{before}\n{after}")).unwrap();
    assert_eq!(lab.verify(), [""; 0]);
}

#[test]
fn a_kernel_that_cannot_check_is_no_hindrance_unless_it_must() {
    let lab = Lab::new().without_dm_verity();
    let notes = Notes::default();
    let published = build(&lab.options(), &notes, &AtomicBool::new(false)).unwrap();
    assert_eq!(published.manifest.root.verity, None);
    let said = notes.0.into_inner().unwrap();
    assert!(
        said.contains("do not check") && said.contains("no dm-verity"),
        "{said}"
    );
    let error = lab.build_with(Some(true)).unwrap_err().to_string();
    assert!(
        error.contains("6.1 cannot check") && error.contains("DM_VERITY"),
        "{error}"
    );
}

#[test]
fn nobody_checks_who_shall_not_and_that_is_another_generation() {
    let lab = Lab::new();
    let with = lab.build_with(Some(true)).unwrap();
    let without = lab.build_with(Some(false)).unwrap();
    assert_eq!(without.manifest.root.verity, None);
    assert_ne!(with.generation, without.generation);
    assert!(without.manifest.files.root.bytes < with.manifest.files.root.bytes);
    assert!(without.manifest.initrd.system.files < with.manifest.initrd.system.files);
}

#[derive(Default)]
struct Notes(Mutex<String>);

impl Progress for Notes {
    fn stage(&self, _stage: Stage, _total: Option<u64>) {}
    fn advance(&self, _amount: u64) {}
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}
