//! A server that dies while clients use it, and comes back.

use std::time::Duration;

use anyhow::ensure;
use integration::{Card, Firmware, Machine, RootKind, Server, Setup, in_lab, roots};

fn outlives_a_restart(root: RootKind) {
    in_lab(|lab| {
        let small = roots::small()?;
        let setup = Setup {
            root,
            image: Some(&small),
            kernel_arguments: "quiet",
            ..Setup::default()
        };
        let server = Server::start(lab, &setup)?;
        let mut machine = Machine::start(lab, Firmware::Bios, Card::Virtio, 1024)?;
        machine.until_says(&["init of the image runs"], Duration::from_secs(240))?;
        let mut server = server.kill_and_start_again(lab, &setup)?;
        let verdict =
            machine.until_says(&["VERDICT PASS", "VERDICT FAIL"], Duration::from_secs(240))?;
        ensure!(
            verdict == "VERDICT PASS",
            "after the restart the client says {verdict}"
        );
        server.must_run()
    });
}

#[test]
fn a_client_of_the_image_file_outlives_a_killed_server() {
    outlives_a_restart(RootKind::Image);
}

#[test]
fn a_client_of_the_tree_outlives_a_killed_server() {
    outlives_a_restart(RootKind::Tree);
}
