//! Fuzzing on stable Rust, for tests: a function from bytes to nothing, seeds, and time.
//!
//! ```no_run
//! # fn decode(_: &[u8]) {}
//! let seeds = fuzz::corpus(include_str!("lib.rs"));
//! fuzz::run("calls", &seeds, |input| decode(input));
//! ```
//!
//! [`run`] gives the function every seed, then one change of a seed after the other until its time
//! is over: two seconds in a test run, as long as one likes with `cargo xtask fuzz TARGET --for 60s`.
//! Input number N of seed S is the same on every machine, so a failure is told as these two numbers
//! and is repeated with them. It is blind: it does not see which code an input reaches, so seeds
//! should reach all of it.
#![forbid(unsafe_code)]

mod corpus;
mod mutate;
mod random;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

pub use corpus::corpus;
use random::Random;

/// How long a target runs unless `FUZZ_SECONDS` says otherwise.
const DEFAULT: Duration = Duration::from_secs(2);
/// One input that takes longer hangs whoever sends it the server.
const TOO_LONG: Duration = Duration::from_secs(5);

/// Gives `target` the seeds and what becomes of them, until the time is over.
///
/// `FUZZ_SECONDS` is how long, `FUZZ_SEED` another row of inputs, `FUZZ_ONLY` one input's number.
///
/// # Panics
///
/// When `target` does, or takes longer than five seconds, after saying for which input.
pub fn run(name: &str, seeds: &[Vec<u8>], target: impl Fn(&[u8])) {
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let time = number("FUZZ_SECONDS").map_or(DEFAULT, Duration::from_secs);
    let seed = number("FUZZ_SEED").unwrap_or(0);
    if let Some(only) = number("FUZZ_ONLY") {
        return one(name, seed, only, &input(seeds, seed, only), &target);
    }
    let start = Instant::now();
    let mut count = 0;
    while count < seeds.len() as u64 || start.elapsed() < time {
        one(name, seed, count, &input(seeds, seed, count), &target);
        count += 1;
    }
    println!(
        "{name}: {count} inputs in {:.1} s",
        start.elapsed().as_secs_f32()
    );
}

/// Input number `number`: first the seeds themselves, then changes of them.
fn input(seeds: &[Vec<u8>], seed: u64, number: u64) -> Vec<u8> {
    let as_it_is = usize::try_from(number).ok().and_then(|at| seeds.get(at));
    as_it_is.cloned().unwrap_or_else(|| {
        let mut random = Random::new(seed, number);
        mutate::mutate(seeds, &mut random)
    })
}

fn one(name: &str, seed: u64, number: u64, input: &[u8], target: &impl Fn(&[u8])) {
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    let slow = start.elapsed() > TOO_LONG;
    if outcome.is_err() || slow {
        eprintln!(
            "{name}: input {number} of {} bytes {}; again with: cargo xtask fuzz {name} --seed {seed} --only {number}",
            input.len(),
            if slow { "takes too long" } else { "panics" },
        );
        if input.len() <= 4096 {
            eprintln!(
                "as a line of the corpus:\nfound-{seed}-{number} {}",
                corpus::hex(input)
            );
        }
    }
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    assert!(!slow, "{name}: input {number} took {:?}", start.elapsed());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_known_by_its_number() {
        let seeds = [b"one seed".to_vec(), vec![0; 100]];
        assert_eq!(input(&seeds, 7, 1), seeds[1]);
        assert_eq!(input(&seeds, 7, 1000), input(&seeds, 7, 1000));
        assert_ne!(input(&seeds, 7, 1000), input(&seeds, 8, 1000));
    }

    #[test]
    fn what_a_seed_away_fails_is_found() {
        let seeds = [b"harmless".to_vec()];
        let found = catch_unwind(|| {
            run("a test of fuzz", &seeds, |input| {
                assert!(input.first() != Some(&b'H'), "found");
            });
        });
        assert!(found.is_err());
    }
}
