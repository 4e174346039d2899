//! What happens when a step fails: said on the console, told to the server, tried again.

use std::thread;
use std::time::Duration;

use model::Stage;

use crate::report::Reporter;
use crate::say;

/// How a step failed. The text says what was tried and what the answer was, then what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The cause can pass (the server restarts, a switch port wakes up): tried for ever.
    Passing(String),
    /// The server is there and says no. Tried some more, because an operator may be putting it
    /// right; then the machine restarts, and asks for a new boot script.
    Refused(String),
    /// Trying again cannot help.
    Final(String),
}

/// Refusals in a row that are enough, after about half a minute.
const REFUSALS: u32 = 6;

/// Repeats `attempt` with growing pauses until it succeeds, or gives its last words.
pub(crate) fn until_done<T>(
    stage: Stage,
    reporter: &Reporter,
    attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T, String> {
    let mut failed = 0;
    repeat(attempt, |text, pause| {
        failed += 1;
        match pause {
            Some(pause) => {
                say!("{text}");
                say!(
                    "  trying again in {} s (try {failed} failed)",
                    pause.as_secs()
                );
                reporter.failed(stage, text);
                thread::sleep(pause);
            }
            None => reporter.failed(stage, text),
        }
    })
}

fn repeat<T>(
    mut attempt: impl FnMut() -> Result<T, Failure>,
    mut after: impl FnMut(&str, Option<Duration>),
) -> Result<T, String> {
    let (mut tries, mut refusals) = (0, 0);
    loop {
        let (text, last) = match attempt() {
            Ok(value) => return Ok(value),
            Err(Failure::Final(text)) => (text, true),
            Err(Failure::Refused(text)) => {
                refusals += 1;
                (text, refusals == REFUSALS)
            }
            Err(Failure::Passing(text)) => {
                refusals = 0;
                (text, false)
            }
        };
        after(&text, (!last).then(|| pause(tries)));
        if last {
            return Err(text);
        }
        tries += 1;
    }
}

/// 1, 2, 4, 7, 10, 10, … seconds: a room of machines asks its server a few times a second at
/// most, and none of them notices its return late.
fn pause(tries: u32) -> Duration {
    const SECONDS: [u64; 5] = [1, 2, 4, 7, 10];
    Duration::from_secs(SECONDS[(tries as usize).min(SECONDS.len() - 1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the failures in order, then success; gives the pauses and the outcome.
    fn run(failures: Vec<Failure>) -> (Vec<Option<u64>>, Result<(), String>) {
        let mut failures = failures.into_iter();
        let mut pauses = Vec::new();
        let result = repeat(
            || failures.next().map_or(Ok(()), Err),
            |_, pause| pauses.push(pause.map(|pause| pause.as_secs())),
        );
        (pauses, result)
    }

    #[test]
    fn what_can_pass_is_tried_with_growing_pauses_until_it_has_passed() {
        let (pauses, result) = run(vec![Failure::Passing("x".into()); 9]);
        let seconds: Vec<u64> = pauses.into_iter().flatten().collect();
        assert_eq!(seconds, [1, 2, 4, 7, 10, 10, 10, 10, 10]);
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn a_refusal_is_tried_some_more_and_then_believed() {
        let (pauses, result) = run(vec![Failure::Refused("no".into()); 9]);
        assert_eq!(pauses.len(), 6);
        assert_eq!(result, Err("no".to_owned()));
    }

    #[test]
    fn a_final_failure_is_not_tried_again() {
        let (pauses, result) = run(vec![Failure::Final("never".into())]);
        assert_eq!((pauses, result), (vec![None], Err("never".to_owned())));
    }
}
