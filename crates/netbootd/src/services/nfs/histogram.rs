//! How long calls took, in a few numbers whatever their count.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Number of buckets: the last begins at 2²² µs, four seconds.
pub const BUCKETS: usize = 24;

/// Counts by powers of two: bucket 0 is below a microsecond, bucket `n` below 2ⁿ µs, and the last has
/// all that took longer.
#[derive(Debug, Default)]
pub(super) struct Histogram([AtomicU64; BUCKETS]);

impl Histogram {
    /// So many calls took so long.
    pub(super) fn add(&self, calls: u64, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        if let Some(count) = self.0.get(bucket.min(BUCKETS - 1)) {
            count.fetch_add(calls, Relaxed);
        }
    }

    /// The counts.
    pub(super) fn counts(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|bucket| self.0[bucket].load(Relaxed))
    }
}

/// The time in microseconds below which this share of the calls stayed, as far as buckets can tell;
/// 0 where there were none.
pub fn quantile_micros(counts: &[u64], share: f64) -> u64 {
    let all: u64 = counts.iter().sum();
    let wanted = (all as f64 * share).ceil() as u64;
    let mut sum = 0;
    for (bucket, count) in counts.iter().enumerate() {
        sum += count;
        if sum >= wanted.max(1) {
            return 1 << bucket;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_fall_into_powers_of_two_and_quantiles_come_out() {
        let histogram = Histogram::default();
        histogram.add(90, Duration::from_micros(100));
        histogram.add(9, Duration::from_micros(3000));
        histogram.add(1, Duration::from_secs(3600));
        let counts = histogram.counts();
        assert_eq!((counts[7], counts[12], counts[BUCKETS - 1]), (90, 9, 1));
        assert_eq!(quantile_micros(&counts, 0.5), 128);
        assert_eq!(quantile_micros(&counts, 0.99), 4096);
        assert_eq!(quantile_micros(&counts, 1.0), 1 << 23);
        assert_eq!(quantile_micros(&[0; BUCKETS], 0.5), 0);
    }
}
