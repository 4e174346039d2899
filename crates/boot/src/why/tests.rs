use std::net::Ipv4Addr;

use model::{ClientArch, Firmware, Way};

use super::*;
use crate::ladder::{Miss, Missed};

const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// A boot with these steps, in seconds.
fn boot(steps: &[(u64, Stage, &str)]) -> Timelines {
    let mut timelines = Timelines::default();
    timelines.discovered(0, PC, Firmware::BiosPxe, ClientArch::from_code(0), "Bios");
    timelines.learn(PC, |facts| {
        facts.hostname = Some("pc01".into());
        facts.address = Some(Ipv4Addr::new(192, 168, 67, 20));
    });
    for (at, stage, detail) in steps {
        timelines.reached(at * 1000, PC, *stage, detail);
    }
    timelines
}

fn whole(settled: &str) -> Timelines {
    let mut timelines = boot(&[
        (1, Stage::Offer, "192.168.67.20, undionly.kpxe"),
        (2, Stage::Loader, "undionly.kpxe, 70 KiB over TFTP"),
        (4, Stage::Script, ""),
        (5, Stage::Init, "eth0 is up"),
        (6, Stage::Switched, ""),
        (37, Stage::Running, "31 s after the kernel started"),
        (38, Stage::Login, "ssh, console"),
        (40, Stage::Settled, settled),
    ]);
    timelines.note(5500, PC, "NFS", "mounted /images/full");
    timelines.note(5600, PC, "NFS", "mounted /images/full");
    timelines
}

fn verdict_of(timelines: &Timelines, now: u64) -> String {
    timelines.why(PC, now * 1000).unwrap().verdict
}

#[test]
fn one_timeline_goes_across_all_services_with_the_gaps_between() {
    let why = whole("running").why(PC, 60_000).unwrap();
    let text = why.render();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "pc01 (02:00:00:00:00:01) at 192.168.67.20, boot 1, began 60.0 s ago"
    );
    for want in [
        "     0.0s      0.0s  DHCP    discover  Bios",
        "     2.0s      1.0s  TFTP    loader    undionly.kpxe, 70 KiB over TFTP",
        "     5.5s      0.5s  NFS               mounted /images/full",
        "     6.0s      0.5s  init    switched",
        "    37.0s     31.0s  system  running   31 s after the kernel started  ◄ longest wait",
    ] {
        assert_eq!(
            lines.iter().filter(|line| **line == want).count(),
            1,
            "{want}\n{text}"
        );
    }
    assert_eq!(
        why.verdict,
        "It runs, 37.0 s after its first DISCOVER. The longest wait, 31.0 s, was for running: the \
         image's own services start (`systemd-analyze critical-chain` on the client says which). \
         Nobody has logged in yet."
    );
}

#[test]
fn failed_units_are_named() {
    let timelines = whole("degraded, 1 unit failed: foo.service");
    let said = verdict_of(&timelines, 60);
    assert!(
        said.starts_with("It is up, 37.0 s after its first DISCOVER. Systemd calls it degraded, "),
        "{said}"
    );
    assert!(said.contains("1 unit failed: foo.service"), "{said}");
    let status = &timelines.status(60_000)[0];
    assert_eq!(status.outcome, Outcome::Degraded);
    assert!(status.verdict.contains("foo.service"), "{}", status.verdict);
}

#[test]
fn a_system_that_never_settles_runs_and_says_so() {
    let mut timelines = boot(&[(30, Stage::Running, "")]);
    let message = "still starting: slow.service";
    timelines.failed(600_000, PC, Stage::Settled, message);
    let said = verdict_of(&timelines, 601);
    assert!(said.starts_with("It runs, 30.0 s"), "{said}");
    assert!(said.contains(message), "{said}");
    timelines.reached(700_000, PC, Stage::Settled, "running");
    assert!(!verdict_of(&timelines, 701).contains(message));
}

#[test]
fn a_boot_that_stopped_says_where_and_why() {
    let told = |arch, next| {
        let mut timelines = boot(&[(3, Stage::Loader, "snponly.efi, 170 KiB over TFTP")]);
        timelines.learn(PC, |facts| {
            facts.arch = Some(arch);
            facts.ladder = Some(Missed {
                way: Way::Direct,
                miss: Miss::Refused,
                next,
            });
        });
        verdict_of(&timelines, 300)
    };
    let said = told(ClientArch::UefiX64, Some(Way::Shim));
    assert!(
        said.starts_with(
            "The boot stopped after loader, 4 min ago. It fetched snponly.efi, then silence: Secure Boot refused it, or \
             iPXE hangs on this network card; next time it gets shim and GRUB."
        ),
        "{said}"
    );
    let said = told(ClientArch::UefiX64, Some(Way::OtherIpxe));
    assert!(
        said.contains("the other iPXE (Secure Boot lets only shim and GRUB start: packages "),
        "{said}"
    );
    let said = told(ClientArch::BiosX86, None);
    assert!(
        said.contains("iPXE hangs on this machine; everything has been tried"),
        "{said}"
    );
}

#[test]
fn waiting_for_a_person_is_not_the_boots_fault() {
    let mut timelines = whole("running");
    timelines.reached(9_000_000, PC, Stage::Session, "alice by sshd");
    let why = timelines.why(PC, 9_100_000).unwrap();
    assert_eq!(why.events[why.longest.unwrap()].stage, Some(Stage::Running));
    assert!(!why.verdict.contains("Nobody"), "{}", why.verdict);
    let running = timelines.status(9_100_000)[0].outcome;
    assert_eq!(running, Outcome::Running);
}

#[test]
fn a_client_is_found_by_name_mac_or_address() {
    let timelines = boot(&[]);
    for text in [
        "pc01",
        "PC01",
        "02:00:00:00:00:01",
        "02-00-00-00-00-01",
        "192.168.67.20",
    ] {
        assert_eq!(timelines.find(text), [PC], "{text}");
    }
    for text in ["", "pc1", "192.168.67.2", "02:00:00:00:00:02"] {
        assert_eq!(timelines.find(text), [], "{text}");
    }
}

#[test]
fn earlier_boots_are_told_in_a_line() {
    let mut timelines = boot(&[(3, Stage::Script, "")]);
    timelines.failed(4000, PC, Stage::Kernel, "iPXE error");
    timelines.discovered(60_000, PC, Firmware::BiosPxe, ClientArch::from_code(0), "");
    let why = timelines.why(PC, 61_000).unwrap();
    assert_eq!(
        why.earlier,
        [
            "boot 1, 61.0 s ago, came to script and was last heard of after 4.0 s; kernel failed: iPXE error"
        ]
    );
    assert_eq!(why.status.boot, 2);
}

#[test]
fn an_alarm_is_in_the_verdict() {
    let mut timelines = whole("running");
    timelines.note(6000, PC, "ssh", "ALARM: a second host key was refused");
    let said = verdict_of(&timelines, 60);
    assert!(
        said.contains("ALARM: a second host key was refused."),
        "{said}"
    );
}

#[test]
fn notes_do_not_fill_the_memory() {
    let mut timelines = boot(&[]);
    for n in 0..1000 {
        timelines.note(n, PC, "NFS", &format!("mounted {n}"));
    }
    assert_eq!(timelines.current(PC).unwrap().notes.len(), 32);
}
