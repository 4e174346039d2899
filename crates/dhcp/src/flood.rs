//! A limit on offers that nobody takes up.

/// Offers to strangers in a row before the limit is felt: a whole building switched on at once.
const BURST: u64 = 1000;
/// Offers to strangers per second after that.
const PER_SECOND: u64 = 200;

/// A leaky bucket of offers to clients without a lease or reservation. Binding an offer takes its
/// drop out again, so that honest clients are never limited, however many.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    level: u64,
    second: u64,
}

impl Flood {
    /// Whether one more stranger may be offered an address; counts it.
    pub(crate) fn admits(&mut self, unix: u64) -> bool {
        let passed = unix.abs_diff(self.second);
        self.second = unix;
        self.level = self.level.saturating_sub(passed.saturating_mul(PER_SECOND));
        let admits = self.level < BURST;
        self.level += u64::from(admits);
        admits
    }

    /// A stranger took its offer up.
    pub(crate) fn taken_up(&mut self) {
        self.level = self.level.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_that_are_taken_up_are_never_limited() {
        let mut flood = Flood::default();
        for _ in 0..100_000 {
            assert!(flood.admits(1));
            flood.taken_up();
        }
    }

    #[test]
    fn offers_that_nobody_takes_up_are() {
        let mut flood = Flood::default();
        assert_eq!((0..5000).filter(|_| flood.admits(1)).count() as u64, BURST);
        assert_eq!(
            (0..5000).filter(|_| flood.admits(2)).count() as u64,
            PER_SECOND
        );
        assert_eq!((0..5000).filter(|_| flood.admits(60)).count() as u64, BURST);
    }
}
