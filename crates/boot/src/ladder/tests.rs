use proptest::prelude::*;

use super::*;

const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const UEFI: Asker = Asker {
    mac: PC,
    uuid: Some([7; 16]),
    arch: ClientArch::UefiX64,
    is_ipxe: false,
};

/// A minute passes and the machine is switched on again.
fn again(ladder: &mut Ladder, now: &mut u64) -> Answer {
    *now += 60_000;
    ladder.discovered(*now, UEFI, &Way::ALL)
}

#[test]
fn a_loader_that_is_fetched_and_silent_is_followed_by_shim_which_is_remembered() {
    let (mut ladder, mut now) = (Ladder::default(), 0);
    assert_eq!(again(&mut ladder, &mut now).way, Some(Way::Direct));
    assert_eq!(ladder.taken(now, UEFI, &Way::ALL), Some(Way::Direct));
    ladder.fetched(PC);
    let standing = Missed {
        way: Way::Direct,
        miss: Miss::Refused,
        next: Some(Way::Shim),
    };
    assert_eq!(ladder.standing(PC), Some(standing));
    // The firmware's own next try comes at once.
    let answer = ladder.discovered(now + 500, UEFI, &Way::ALL);
    assert_eq!(answer.missed, Some((Way::Direct, Miss::Refused)));
    assert_eq!(answer.way, Some(Way::Shim));
    assert_eq!(ladder.take_missed(PC), Some(standing));
    assert_eq!(ladder.take_missed(PC), None);
    assert_eq!(ladder.worked(now + 9000, PC), Some(Way::Shim));
    assert_eq!(ladder.worked(now + 9001, PC), None);

    let memory = Memory::new(ladder.memory().machines(), ladder.memory().models());
    assert_eq!(&memory, ladder.memory());
    let mut restarted = Ladder::new(memory);
    assert_eq!(again(&mut restarted, &mut now).way, Some(Way::Shim));
    let other_card = Asker {
        mac: MacAddr([9; 6]),
        ..UEFI
    };
    let answer = restarted.discovered(now, other_card, &Way::ALL);
    assert_eq!(answer.way, Some(Way::Shim), "the mainboard is the same");
}

#[test]
fn repeated_discovers_are_one_attempt() {
    let mut ladder = Ladder::default();
    for now in [0, 4000, 12_000, 28_000] {
        assert_eq!(
            ladder.discovered(now, UEFI, &Way::ALL).way,
            Some(Way::Direct)
        );
    }
    let answer = ladder.discovered(60_000, UEFI, &Way::ALL);
    assert_eq!(answer.missed, Some((Way::Direct, Miss::NotTaken)));
    assert_eq!(answer.way, Some(Way::BootServer));
    ladder.taken(61_000, UEFI, &Way::ALL);
    assert_eq!(
        ladder.discovered(66_000, UEFI, &Way::ALL).way,
        Some(Way::Header)
    );
}

#[test]
fn an_ipxe_that_speaks_and_asks_for_nothing_is_followed_by_the_other() {
    let (mut ladder, mut now) = (Ladder::default(), 0);
    again(&mut ladder, &mut now);
    ladder.fetched(PC);
    ladder.spoke(PC);
    let answer = again(&mut ladder, &mut now);
    assert_eq!(answer.missed, Some((Way::Direct, Miss::Stuck)));
    assert_eq!(answer.way, Some(Way::OtherIpxe));
}

/// A machine loses its power after it fetched its loader.
fn power_cut(ladder: &mut Ladder, now: &mut u64) {
    again(ladder, now);
    ladder.fetched(PC);
}

const OVER_HTTP: [Way; 3] = [Way::Direct, Way::OtherIpxe, Way::Shim];
const HTTP: Asker = Asker {
    arch: ClientArch::HttpX64,
    ..UEFI
};

#[test]
fn a_machine_without_secure_boot_is_not_kept_at_shim_by_a_power_cut() {
    let (mut ladder, mut now) = (Ladder::default(), 0);
    power_cut(&mut ladder, &mut now);
    assert_eq!(again(&mut ladder, &mut now).way, Some(Way::Shim));
    ladder.worked(now, PC);
    assert!(ladder.secure_boot(PC, false));
    assert!(!ladder.secure_boot(PC, false));
    assert_eq!(ladder.memory().models(), []);
    let restarted = Ladder::new(Memory::new(ladder.memory().machines(), Vec::new()));
    for mut ladder in [ladder, restarted.clone()] {
        power_cut(&mut ladder, &mut now);
        assert_eq!(again(&mut ladder, &mut now).way, Some(Way::OtherIpxe));
    }
    // By whichever of its firmware's ways to boot.
    let mut ladder = restarted;
    ladder.discovered(now, HTTP, &OVER_HTTP);
    ladder.fetched(PC);
    let answer = ladder.discovered(now + 60_000, HTTP, &OVER_HTTP);
    assert_eq!(answer.way, Some(Way::OtherIpxe));
}

#[test]
fn shim_is_kept_where_both_ipxes_have_failed_without_secure_boot() {
    let (mut ladder, mut now) = (Ladder::default(), 0);
    for way in [Way::Direct, Way::OtherIpxe, Way::Shim] {
        assert_eq!(again(&mut ladder, &mut now).way, Some(way));
        ladder.fetched(PC);
        // An iPXE that was heard of is no sign of Secure Boot, nor is the other one's silence then.
        if way == Way::Direct {
            ladder.spoke(PC);
        }
    }
    ladder.worked(now, PC);
    ladder.secure_boot(PC, false);
    assert_eq!(again(&mut ladder, &mut now).way, Some(Way::Shim));
}

#[test]
fn a_machine_with_secure_boot_begins_with_shim() {
    let (mut ladder, mut now) = (Ladder::default(), 0);
    power_cut(&mut ladder, &mut now);
    again(&mut ladder, &mut now);
    ladder.worked(now, PC);
    assert!(ladder.secure_boot(PC, true));
    assert_eq!(again(&mut ladder, &mut now).way, Some(Way::Shim));
    let mut restarted = Ladder::new(Memory::new(ladder.memory().machines(), Vec::new()));
    let answer = restarted.discovered(now, HTTP, &OVER_HTTP);
    assert_eq!(answer.way, Some(Way::Shim));
    // Nobody has asked since the daemon began.
    assert!(Ladder::new(ladder.memory().clone()).secure_boot(PC, false));
    assert!(!Ladder::default().secure_boot(PC, false));
}

#[test]
fn one_reset_does_not_undo_what_worked() {
    let (mut ladder, mut now) = (Ladder::default(), 0);
    again(&mut ladder, &mut now);
    ladder.worked(now, PC);
    let mut ways = Vec::new();
    for _ in 0..3 {
        ways.push(again(&mut ladder, &mut now).way);
        ladder.fetched(PC);
    }
    assert_eq!(
        ways,
        [Some(Way::Direct), Some(Way::Direct), Some(Way::Shim)]
    );
}

#[test]
fn a_firmware_that_goes_from_pxe_to_http_finds_shim_when_it_is_back_at_pxe() {
    let http = Asker {
        arch: ClientArch::HttpX64,
        ..UEFI
    };
    let over_http = [Way::Direct, Way::OtherIpxe, Way::Shim];
    let mut ladder = Ladder::default();
    ladder.discovered(0, UEFI, &Way::ALL);
    ladder.fetched(PC);
    assert_eq!(
        ladder.discovered(9000, http, &over_http).way,
        Some(Way::Shim)
    );
    assert_eq!(
        ladder.discovered(70_000, http, &over_http).way,
        Some(Way::Shim)
    );
    assert_eq!(
        ladder.discovered(600_000, UEFI, &Way::ALL).way,
        Some(Way::Shim)
    );
    // And one without PXE is not left alone for ever.
    ladder.discovered(700_000, http, &over_http);
    let answer = ladder.discovered(900_000, http, &over_http);
    assert_eq!(answer.way, Some(Way::OtherIpxe));
}

#[test]
fn a_roms_ipxe_that_is_sent_in_a_circle_is_left_alone_for_a_while() {
    let rom = Asker {
        arch: ClientArch::BiosX86,
        is_ipxe: true,
        ..UEFI
    };
    let ways = [Way::Direct, Way::OtherIpxe];
    let mut ladder = Ladder::default();
    let mut told = Vec::new();
    for now in [0, 10_000, 20_000, 30_000] {
        told.push(ladder.discovered(now, rom, &ways).way);
        ladder.fetched(PC);
    }
    assert_eq!(told, [Some(Way::Direct), Some(Way::OtherIpxe), None, None]);
    let answer = ladder.discovered(200_000, rom, &ways);
    assert_eq!(answer.way, Some(Way::Direct));
}

#[test]
fn what_is_remembered_does_not_grow_without_end() {
    let mut ladder = Ladder::default();
    for n in 0..5_000u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let asker = Asker {
            mac: MacAddr([a, b, c, 0, 0, 0]),
            uuid: None,
            ..UEFI
        };
        ladder.discovered(n.into(), asker, &Way::ALL);
        ladder.worked(n.into(), asker.mac);
    }
    let memory = ladder.memory();
    assert_eq!(
        (memory.machines().len(), memory.models().len()),
        (4096, 4096)
    );
    assert_eq!(ladder.trials.len(), MAX_TRIALS);
}

/// How far an attempt comes.
#[derive(Clone, Copy, Debug)]
enum Comes {
    Nowhere,
    Taken,
    Fetched,
    Spoke,
    Worked,
}

fn comes() -> impl Strategy<Value = Comes> {
    prop_oneof![
        3 => Just(Comes::Nowhere),
        3 => Just(Comes::Taken),
        4 => Just(Comes::Fetched),
        2 => Just(Comes::Spoke),
        1 => Just(Comes::Worked),
    ]
}

fn ways() -> impl Strategy<Value = Vec<Way>> {
    prop::sample::subsequence(Way::ALL.to_vec(), 1..=5)
}

fn attempt(ladder: &mut Ladder, now: u64, asker: Asker, ways: &[Way], comes: Comes) -> Way {
    let way = ladder
        .discovered(now, asker, ways)
        .way
        .expect("a firmware is always told");
    match comes {
        Comes::Nowhere => {}
        Comes::Taken => {
            ladder.taken(now, asker, ways);
        }
        Comes::Fetched => ladder.fetched(asker.mac),
        Comes::Spoke => ladder.spoke(asker.mac),
        Comes::Worked => {
            ladder.worked(now, asker.mac);
        }
    }
    way
}

proptest! {
    /// Whatever happened before: a machine that fails in whatever way is told every way before long, and a machine that
    /// boots by one of them alone finds it.
    #[test]
    fn every_way_comes_round(
        ways in ways(),
        before in prop::collection::vec(comes(), 0..20),
        failures in prop::collection::vec(0usize..4, 12),
        only in any::<prop::sample::Index>(),
    ) {
        let (mut ladder, mut now) = (Ladder::default(), 0);
        let mut attempt = |comes| {
            now += 60_000;
            attempt(&mut ladder, now, UEFI, &ways, comes)
        };
        for comes in before {
            attempt(comes);
        }
        let fail = [Comes::Nowhere, Comes::Taken, Comes::Fetched, Comes::Spoke];
        let told: Vec<Way> = failures.into_iter().map(|how| attempt(fail[how])).collect();
        for way in &ways {
            prop_assert!(told.contains(way), "{way:?} is not among {told:?}");
        }
        let only = *only.get(&ways);
        let found = told.iter().position(|way| *way == only);
        prop_assert!(found < Some(2 * ways.len() + 1), "{told:?}");
    }

    /// A machine without Secure Boot that has booted by an iPXE is not sent to shim by two resets in a row, whenever they
    /// come.
    #[test]
    fn without_secure_boot_resets_do_not_lead_to_shim(
        before in prop::collection::vec(comes(), 0..20),
        resets in prop::collection::vec(comes(), 2),
    ) {
        let (mut ladder, mut now) = (Ladder::default(), 0);
        for comes in before {
            now += 60_000;
            attempt(&mut ladder, now, UEFI, &Way::ALL, comes);
        }
        let worked = attempt(&mut ladder, now + 60_000, UEFI, &Way::ALL, Comes::Worked);
        ladder.secure_boot(PC, false);
        if worked == Way::Shim {
            return Ok(());
        }
        let ways: Vec<Way> = resets
            .into_iter()
            .map(|comes| {
                now += 120_000;
                attempt(&mut ladder, now, UEFI, &Way::ALL, comes)
            })
            .collect();
        prop_assert!(!ways.contains(&Way::Shim), "{ways:?}");
        let next = ladder.discovered(now + 60_000, UEFI, &Way::ALL).way;
        prop_assert!(next != Some(Way::Shim) || worked == Way::OtherIpxe, "{ways:?}, then {next:?}");
    }

    /// What worked is told first ever after, as long as it works.
    #[test]
    fn a_success_is_remembered(
        ways in ways(),
        before in prop::collection::vec(comes(), 0..20),
    ) {
        let (mut ladder, mut now) = (Ladder::default(), 0);
        for comes in before {
            now += 60_000;
            attempt(&mut ladder, now, UEFI, &ways, comes);
        }
        let worked = attempt(&mut ladder, now + 60_000, UEFI, &ways, Comes::Worked);
        let mut restarted = Ladder::new(ladder.memory().clone());
        prop_assert_eq!(ladder.discovered(now + 120_000, UEFI, &ways).way, Some(worked));
        prop_assert_eq!(restarted.discovered(now + 120_000, UEFI, &ways).way, Some(worked));
    }

    /// Failures are a machine's own: they change nothing of what is remembered of any other, nor of a model.
    #[test]
    fn failures_teach_nothing(
        machines in prop::collection::vec((0u8..4, 0u8..3), 1..6),
        events in prop::collection::vec((any::<prop::sample::Index>(), comes()), 0..60),
    ) {
        let askers: Vec<Asker> = machines
            .iter()
            .map(|(maker, number)| Asker {
                mac: MacAddr([2, 0, *maker, 0, 0, *number]),
                uuid: Some([maker * 16 + number; 16]),
                ..UEFI
            })
            .collect();
        let (mut ladder, mut now) = (Ladder::default(), 0);
        for (who, comes) in events {
            now += 60_000;
            let (asker, before) = (who.get(&askers), ladder.memory().clone());
            let way = attempt(&mut ladder, now, *asker, &Way::ALL, comes);
            if !matches!(comes, Comes::Worked) {
                prop_assert_eq!(ladder.memory(), &before);
                continue;
            }
            // A success changes this machine and this model's hint, and no other.
            for other in &askers {
                if other.uuid != asker.uuid {
                    prop_assert_eq!(ladder.memory().way(other), before.way(other));
                }
                if other.mac.0[..3] != asker.mac.0[..3] {
                    prop_assert_eq!(ladder.memory().hint(other), before.hint(other));
                }
            }
            prop_assert_eq!(ladder.memory().way(asker), Some(way));
        }
    }
}
