//! Timers that are right, lie, stand still or answer with ones, on a machine that pauses.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;

use super::*;

const PM: Timer = Timer {
    source: ClockSource::PmTimer,
    frequency: 3_579_545,
    mask: 0x00ff_ffff,
};
const PIT: Timer = Timer {
    source: ClockSource::Pit,
    frequency: 1_193_182,
    mask: 0xffff,
};

/// A machine; time is in picoseconds.
struct Machine {
    /// Ticks of the time stamp counter in a second.
    rate: u64,
    /// Counts of the timer in a second, whatever it should be.
    counts: u64,
    mask: u64,
    now: Cell<u64>,
    /// Reading a counter takes this.
    access: u64,
    /// When the machine pauses, and how long, in their order.
    pauses: RefCell<Vec<(u64, u64)>>,
}

const MICROSECOND: u64 = 1_000_000;
const MILLISECOND: u64 = 1000 * MICROSECOND;
const SECOND: u128 = 1_000_000_000_000;

impl Machine {
    fn new(timer: &Timer, rate: u64) -> Self {
        Self {
            rate,
            counts: timer.frequency,
            mask: timer.mask,
            now: Cell::new(12_345_678_901),
            access: MICROSECOND,
            pauses: RefCell::new(Vec::new()),
        }
    }

    fn with_pauses(self, pauses: &[(u64, u64)]) -> Self {
        let begin = self.now.get();
        let mut later: Vec<_> = pauses
            .iter()
            .map(|(at, long)| (begin + at, *long))
            .collect();
        later.sort_unstable();
        Self {
            pauses: RefCell::new(later),
            ..self
        }
    }

    fn pass(&self, time: u64) {
        self.now.set(self.now.get() + time);
        let mut pauses = self.pauses.borrow_mut();
        while let Some((at, long)) = pauses.first().copied()
            && at <= self.now.get()
        {
            self.now.set(self.now.get() + long);
            pauses.remove(0);
        }
    }

    fn count(&self, rate: u64) -> u64 {
        u64::try_from(u128::from(self.now.get()) * u128::from(rate) / SECOND).unwrap()
    }

    fn tsc(&self) -> u64 {
        self.pass(self.access / 100);
        self.count(self.rate)
    }

    fn timer(&self) -> u64 {
        self.pass(self.access / 2);
        let count = self.count(self.counts) & self.mask;
        self.pass(self.access / 2);
        count
    }

    fn measure(&self, timer: &Timer) -> Result<Rate, NoRate> {
        measure(timer, || Look::take(|| self.tsc(), || self.timer()))
    }

    fn milliseconds(&self, measured: impl FnOnce()) -> u64 {
        let begin = self.now.get();
        measured();
        (self.now.get() - begin) / MILLISECOND
    }
}

/// Whether the true rate is within the bound, as the timer's own tolerance is not used here.
fn is_right(rate: Rate, truth: u64) -> bool {
    let allowed = u128::from(rate.frequency) * u128::from(rate.bound - 500) / 1_000_000;
    u128::from(rate.frequency.abs_diff(truth)) <= allowed + 1
}

#[test]
fn a_right_timer_gives_a_rate_within_a_thousandth() {
    for timer in [PM, PIT] {
        for truth in [50_000_000, 800_000_000, 2_445_000_000, 5_700_000_000] {
            let machine = Machine::new(&timer, truth);
            let mut rate = Err(NoRate::Paused);
            let time = machine.milliseconds(|| rate = machine.measure(&timer));
            let rate = rate.unwrap();
            assert!(is_right(rate, truth) && rate.bound <= 1_000, "{rate:?}");
            assert_eq!(rate.source, timer.source);
            assert!((9..=11).contains(&time), "{time}");
        }
    }
}

#[test]
fn a_look_that_comes_late_makes_no_wrong_rate() {
    // The host runs other things for 4 ms, again and again, or once for 40 ms as the count ends.
    let often: Vec<_> = (0..30)
        .map(|number| (number * 5 * MILLISECOND + 300, 4 * MILLISECOND))
        .collect();
    let late = [(9_995 * MICROSECOND, 40 * MILLISECOND)];
    for pauses in [often.as_slice(), &late] {
        for timer in [PM, PIT] {
            let machine = Machine::new(&timer, 2_445_000_000).with_pauses(pauses);
            let rate = machine.measure(&timer).unwrap();
            assert!(is_right(rate, 2_445_000_000), "{rate:?}");
            assert!(rate.bound < 2_000, "{rate:?}");
        }
    }
}

#[test]
fn a_timer_that_counts_through_unseen_makes_no_wrong_rate() {
    // 65,536 counts and a few, once and again and again.
    let once = [(3 * MILLISECOND, 56 * MILLISECOND)];
    let often: Vec<_> = (0..200)
        .map(|number| (number * 4 * MILLISECOND, (53 + number % 5) * MILLISECOND))
        .collect();
    for pauses in [once.as_slice(), &often] {
        let machine = Machine::new(&PIT, 2_445_000_000).with_pauses(pauses);
        let rate = machine.measure(&PIT).unwrap();
        assert!(is_right(rate, 2_445_000_000), "{rate:?}");
        assert!(rate.bound < 2_000, "{rate:?}");
    }
}

#[test]
fn what_is_no_timer_is_dropped_soon() {
    let time = |timer: &Timer, rate, read: &dyn Fn(u64) -> u64| {
        let machine = Machine::new(timer, rate);
        let mut found = Err(NoRate::Paused);
        let looks = Cell::new(0);
        let time = machine.milliseconds(|| {
            let look = || {
                machine.timer();
                looks.set(looks.get() + 1);
                read(looks.get()) & timer.mask
            };
            found = measure(timer, || Look::take(|| machine.tsc(), look));
        });
        assert!(found.is_err(), "{found:?}");
        time
    };
    for timer in [PM, PIT] {
        for rate in [100_000_000, 3_000_000_000] {
            // No device, a register of another one, a counter that hardly moves, and noise.
            assert!(time(&timer, rate, &|_| u64::MAX) <= 30);
            assert!(time(&timer, rate, &|_| 0x1234) <= 30);
            let slow = time(&timer, rate, &|look| look / 500);
            assert!(slow <= 101_000_000_000 / rate, "{slow}");
            let noise = |look: u64| look.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17;
            assert!(time(&timer, rate, &noise) <= 3);
        }
    }
    // Nothing moves, not even the time stamp counter.
    let looks = Cell::new(0);
    let still = measure(&PIT, || {
        looks.set(looks.get() + 1);
        Look::default()
    });
    assert_eq!(still, Err(NoRate::Dead));
    assert!(looks.get() < MOST_LOOKS + 10);
}

#[test]
fn a_timer_that_lies_gives_a_wrong_rate_and_nothing_shows_it() {
    let mut machine = Machine::new(&PM, 2_445_000_000);
    machine.counts = PM.frequency * 100 / 137;
    let rate = machine.measure(&PM).unwrap();
    assert!((3_345_000_000..3_355_000_000).contains(&rate.frequency));
}

proptest! {
    #[test]
    fn pauses_make_no_wrong_rate(
        truth in SLOWEST..9_900_000_000,
        access in 100_000_u64..5_000_000,
        pauses in prop::collection::vec((0_u64..60_000, 0_u64..120_000), 0..8),
        pit in any::<bool>(),
    ) {
        let timer = if pit { PIT } else { PM };
        let pauses: Vec<_> = pauses
            .iter()
            .map(|(at, long)| (at * MICROSECOND, long * MICROSECOND))
            .collect();
        let mut machine = Machine::new(&timer, truth).with_pauses(&pauses);
        machine.access = access;
        if let Ok(rate) = machine.measure(&timer) {
            prop_assert!(is_right(rate, truth), "{rate:?}");
        }
    }
}
