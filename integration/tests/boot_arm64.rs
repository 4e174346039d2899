//! 64-bit ARM machines: shim, GRUB, the image's own kernel and our `init`, from a server of another kind.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::subject::netbootd::asked;
use integration::{Lab, Machine, Mode, Neighbour, RootKind, Server, Setup, in_lab, roots};

/// Several times what it takes on one busy core.
const LIMIT: Duration = Duration::from_secs(400);

fn boots(lab: &Lab, mode: Mode, root: RootKind) -> Result<()> {
    let small = roots::small_arm64()?;
    // What `apt-get download` and `dpkg -x` bring on a server that is no ARM machine.
    let loaders = lab.folder().join("loaders");
    fs::create_dir_all(&loaders)?;
    for (from, name) in [
        ("shim/shimaa64.efi.signed", "shimaa64.efi"),
        (
            "grub/arm64-efi-signed/grubnetaa64.efi.signed",
            "grubaa64.efi",
        ),
    ] {
        fs::copy(small.folder.join("usr/lib").join(from), loaders.join(name))?;
    }
    let config = format!("[loaders]\nfolders = [{loaders:?}]\n");
    let setup = Setup {
        mode,
        root,
        image: Some(&small),
        kernel_arguments: "console=ttyAMA0",
        config: &config,
        ..Setup::default()
    };
    let mut server = Server::netbootd(lab, &setup)?;
    // Signed GRUB reads no proxy's offer: see `boot_secure`.
    let _neighbour = match mode {
        Mode::Full => None,
        Mode::Proxy => Some(Neighbour::naming_us(lab)?),
    };
    let mut machine = Machine::arm64(lab, 1024)?;
    let verdict = machine.until_says(&["VERDICT PASS", "VERDICT FAIL"], LIMIT)?;
    eprintln!("{}", asked(lab, &["why", machine.mac()])?);
    ensure!(verdict == "VERDICT PASS", "{}", machine.console.text());
    server.must_run()
}

#[test]
fn matrix_an_arm64_machine_boots_an_image() {
    in_lab(|lab| boots(lab, Mode::Full, RootKind::Image));
}

#[test]
fn matrix_an_arm64_machine_boots_a_tree() {
    in_lab(|lab| boots(lab, Mode::Full, RootKind::Tree));
}

#[test]
fn matrix_an_arm64_machine_boots_in_proxy_mode() {
    in_lab(|lab| boots(lab, Mode::Proxy, RootKind::Image));
}
