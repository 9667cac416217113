//! The processor time of boots with the shim, beside those without.

use std::time::Duration;

use crate::case_judge::{Showed, one_passed};

/// The time with the shim, in percent of that without, may be this at most.
const MOST_PERCENT: u128 = 130;

/// The least times of some boots: the load of a host only adds to a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) boots: u32,
    with_shim: Duration,
    without: Duration,
}

impl Times {
    /// No boot yet.
    pub(crate) const NONE: Self = Self {
        boots: 0,
        with_shim: Duration::MAX,
        without: Duration::MAX,
    };

    /// Adds a pair of boots.
    pub(crate) fn add(&mut self, with_shim: Duration, without: Duration) {
        self.boots += 1;
        self.with_shim = self.with_shim.min(with_shim);
        self.without = self.without.min(without);
    }

    /// Returns whether the shim takes no more than it may.
    pub(crate) fn are_close(&self) -> bool {
        self.percent() <= MOST_PERCENT
    }

    /// Returns the times in words, as a result or as what is wrong.
    pub(crate) fn judge(&self) -> Result<Showed, String> {
        let note = format!(
            "{:.2} s of processor time, without the shim {:.2} s: {} %",
            self.with_shim.as_secs_f64(),
            self.without.as_secs_f64(),
            self.percent()
        );
        match self.are_close() {
            true => Ok(one_passed(note)),
            false => Err(format!(
                "{note} (expected at most {MOST_PERCENT} %), the least of {} boots",
                self.boots
            )),
        }
    }

    fn percent(&self) -> u128 {
        self.with_shim.as_millis() * 100 / self.without.as_millis().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(pairs: &[(u64, u64)]) -> Times {
        let mut times = Times::NONE;
        for &(with_shim, without) in pairs {
            let [with_shim, without] = [with_shim, without].map(Duration::from_millis);
            times.add(with_shim, without);
        }
        times
    }

    #[test]
    fn a_slow_shim_fails_and_a_busy_host_does_not() {
        assert!(times(&[(1300, 1000)]).judge().is_ok());
        assert!(times(&[(1310, 1000)]).judge().is_err());
        assert!(times(&[(1310, 1000), (1200, 1500)]).judge().is_ok());
        assert!(times(&[(1310, 1000), (1400, 900)]).judge().is_err());
        let why = times(&[(1500, 1000)]).judge().unwrap_err();
        assert!(why.contains("150 % (expected at most 130 %)"), "{why}");
    }
}
