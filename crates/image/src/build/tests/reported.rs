//! What a build tells those who did not start it.

use super::*;
use crate::catalogue::{BuildState, BuildStatus};

fn builds(lab: &Lab) -> Vec<BuildStatus> {
    Catalogue::open(&lab.at("state")).builds().unwrap()
}

/// Keeps what is reported at each stage.
struct Watching<'a>(&'a Lab, Mutex<Vec<BuildStatus>>);

impl Progress for Watching<'_> {
    fn stage(&self, _stage: Stage, _total: Option<u64>) {
        self.1.lock().unwrap().extend(builds(self.0));
    }
    fn advance(&self, _amount: u64) {}
    fn note(&self, _text: &str) {}
}

#[test]
fn a_build_reports_its_phases_and_how_it_ended() {
    let lab = Lab::new();
    let watching = Watching(&lab, Mutex::default());
    let stop = AtomicBool::new(false);
    let published = build(&lab.options(), &watching, &stop).unwrap();
    let seen = watching.1.into_inner().unwrap();
    assert!(seen.iter().all(|it| it.state == BuildState::Running));
    assert!(seen.iter().all(|it| it.process == std::process::id()));
    let squash = seen
        .iter()
        .find(|it| it.phase == Stage::Squash.as_str())
        .unwrap();
    assert!(squash.total.is_some() && squash.source.ends_with("root"));

    let ended = builds(&lab);
    assert_eq!(ended[0].state, BuildState::Published);
    assert_eq!(
        ended[0].generation.as_deref(),
        Some(&*published.generation.to_string())
    );
    lab.put("root/opt/.netrc", NETRC);
    lab.build().unwrap_err();
    let ended = builds(&lab);
    assert_eq!(ended[0].state, BuildState::Failed);
    assert!(ended[0].error.contains("opt/.netrc"), "{}", ended[0].error);
}

#[test]
fn a_build_that_is_no_more_is_not_said_to_run_and_damage_is_no_build() {
    let lab = Lab::new();
    lab.build().unwrap();
    let file = lab.at("state/images/demo/.build");
    let mut status = builds(&lab).remove(0);
    status.state = BuildState::Running;
    std::fs::write(&file, serde_json::to_vec(&status).unwrap()).unwrap();
    // This process is there, and has no draft.
    assert_eq!(builds(&lab)[0].state, BuildState::Broken);
    for damage in [&b"{"[..], b"", &[b' '; 2 << 20]] {
        std::fs::write(&file, damage).unwrap();
        assert_eq!(builds(&lab), []);
    }
}
