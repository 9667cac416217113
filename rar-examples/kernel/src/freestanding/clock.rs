//! Time: the time stamp counter and how fast it counts.

use core::arch::x86_64::{_mm_lfence, _rdtsc};
use core::sync::atomic::{AtomicU64, Ordering};

use x86::cpuid::CpuId;

use super::port::Port;
use crate::{PmTimer, rate_of_leaf_15, rate_of_leaf_16};

const PIT_FREQUENCY: u64 = 1_193_182;
/// 10 ms.
const PIT_COUNT: u16 = 11_932;
/// 10 ms.
const PM_TICKS: u32 = 35_795;
/// Ticks before a timer is taken for missing: more than 10 ms on anything, and below 2 s.
const POLL_TICKS: u64 = 1_000_000_000;
const MEASUREMENTS: usize = 3;
/// Ticks in a second, as good as any guess, where no source says it: deadlines come out wrong by a
/// small factor.
const GUESS: u64 = 3_000_000_000;

static FREQUENCY: AtomicU64 = AtomicU64::new(GUESS);
/// Nanoseconds of a tick, times 2^[`FRACTION_BITS`].
static TICK: AtomicU64 = AtomicU64::new(tick_of(GUESS));
const FRACTION_BITS: u32 = 32;

const fn tick_of(frequency: u64) -> u64 {
    (1_000_000_000 << FRACTION_BITS) / frequency
}

/// Where the rate of the counter was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum ClockSource {
    /// CPUID leaf 0x15: crystal and ratio.
    Cpuid15,
    /// Measured against the ACPI power management timer.
    PmTimer,
    /// Measured against the programmable interval timer.
    Pit,
    /// CPUID leaf 0x16: the base frequency of the processor.
    Cpuid16,
    /// Nothing answered.
    Guess,
}

/// The time stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub struct Clock {
    /// Ticks in a second.
    pub frequency: u64,
    /// Where the rate was learnt.
    pub source: ClockSource,
}

impl core::fmt::Display for Clock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let source = match self.source {
            ClockSource::Cpuid15 => "CPUID leaf 0x15",
            ClockSource::Pit => "the interval timer",
            ClockSource::PmTimer => "the ACPI timer",
            ClockSource::Cpuid16 => "CPUID leaf 0x16",
            ClockSource::Guess => "a guess",
        };
        write!(
            f,
            "time stamp counter at {} kHz by {source}",
            self.frequency / 1000
        )
    }
}

/// Returns the time stamp counter, read after every earlier load.
#[must_use]
pub fn now() -> u64 {
    // SAFETY: LFENCE is part of SSE2, which every 64-bit CPU has.
    unsafe { _mm_lfence() };
    // SAFETY: CR4.TSD is clear, and this is ring 0 anyway.
    unsafe { _rdtsc() }
}

/// Returns the time stamp counter for a measurement: every instruction before it has completed, and
/// none after it has begun.
///
/// A store before it may still wait in the CPU's buffer (SDM vol. 2, "LFENCE").
#[must_use]
pub fn between() -> u64 {
    let now = now();
    // SAFETY: as in `now`.
    unsafe { _mm_lfence() };
    now
}

/// Returns the microseconds since the counter was zero.
#[must_use]
pub fn microseconds() -> u64 {
    now() / (FREQUENCY.load(Ordering::Relaxed) / 1_000_000).max(1)
}

/// Returns the nanoseconds since the counter was zero: one multiplication, since waits read it
/// again and again.
#[must_use]
pub fn nanoseconds() -> u64 {
    let product = u128::from(now()) * u128::from(TICK.load(Ordering::Relaxed));
    u64::try_from(product >> FRACTION_BITS).unwrap_or(u64::MAX)
}

/// Returns how many ticks a millisecond has.
#[must_use]
pub fn ticks_per_millisecond() -> u64 {
    FREQUENCY.load(Ordering::Relaxed) / 1000
}

/// Waits until the condition holds; returns whether it did within the time.
pub fn wait_until(milliseconds: u64, mut condition: impl FnMut() -> bool) -> bool {
    let start = now();
    let length = milliseconds.saturating_mul(ticks_per_millisecond());
    loop {
        if condition() {
            return true;
        }
        if now().wrapping_sub(start) > length {
            return condition();
        }
        core::hint::spin_loop();
    }
}

/// Lets a time pass.
pub fn delay_microseconds(microseconds: u64) {
    let start = now();
    let length = ticks_per_millisecond().saturating_mul(microseconds) / 1000;
    while now().wrapping_sub(start) < length {
        core::hint::spin_loop();
    }
}

/// Learns the rate of the counter from whatever the machine has.
pub(crate) fn calibrate(pm_timer: Option<PmTimer>) -> Clock {
    let clock = cpuid_15()
        .map(|frequency| (frequency, ClockSource::Cpuid15))
        .or_else(|| {
            let frequency = lowest(|| pm_timer.and_then(against_pm_timer))?;
            Some((frequency, ClockSource::PmTimer))
        })
        // Newer machines have its clock turned off.
        .or_else(|| lowest(pit).map(|frequency| (frequency, ClockSource::Pit)))
        .or_else(|| cpuid_16().map(|frequency| (frequency, ClockSource::Cpuid16)))
        .unwrap_or((GUESS, ClockSource::Guess));
    let clock = Clock {
        frequency: clock.0,
        source: clock.1,
    };
    FREQUENCY.store(clock.frequency, Ordering::Relaxed);
    TICK.store(tick_of(clock.frequency), Ordering::Relaxed);
    clock
}

fn cpuid_15() -> Option<u64> {
    let tsc = CpuId::new().get_tsc_info()?;
    rate_of_leaf_15(tsc.denominator(), tsc.numerator(), tsc.nominal_frequency())
}

fn cpuid_16() -> Option<u64> {
    let frequencies = CpuId::new().get_processor_frequency_info()?;
    rate_of_leaf_16(u32::from(frequencies.processor_base_frequency()))
}

/// Measures a few times and takes the lowest rate: a pause of the host between two looks makes a
/// rate too high, never too low.
fn lowest(measure: impl Fn() -> Option<u64>) -> Option<u64> {
    (0..MEASUREMENTS).filter_map(|_| measure()).min()
}

/// Looks at a timer, for as long as it may take.
fn polls(start: u64) -> impl Iterator<Item = ()> {
    core::iter::from_fn(move || (now().wrapping_sub(start) < POLL_TICKS).then_some(()))
}

/// Counts ticks while channel 2 of the interval timer counts down once.
fn pit() -> Option<u64> {
    // SAFETY: the interval timer and its gate do not touch memory.
    let [gate, channel, mode] = unsafe { Port::several([0x61, 0x42, 0x43]) };
    let [low, high] = PIT_COUNT.to_le_bytes();
    let before = gate.read8();
    gate.write8(before & !0x03);
    // Channel 2, low byte then high byte, mode 0: the output rises when the count ends.
    mode.write8(0xb0);
    channel.write8(low);
    channel.write8(high);
    let start_low = gate.read8() & 0x20 == 0;
    gate.write8((before & !0x02) | 0x01);
    let start = now();
    let ended = start_low && polls(start).any(|()| gate.read8() & 0x20 != 0);
    let ticks = now().wrapping_sub(start);
    gate.write8(before);
    let frequency = ticks.checked_mul(PIT_FREQUENCY)? / u64::from(PIT_COUNT);
    (ended && frequency >= 1_000_000).then_some(frequency)
}

fn against_pm_timer(timer: PmTimer) -> Option<u64> {
    // SAFETY: the FADT names the port of a read-only counter.
    let port = unsafe { Port::new(timer.port) };
    let first = port.read32();
    let start = now();
    let ended =
        polls(start).any(|()| port.read32().wrapping_sub(first) & PmTimer::MASK >= PM_TICKS);
    let ticks = now().wrapping_sub(start);
    let passed = u64::from(port.read32().wrapping_sub(first) & PmTimer::MASK);
    let frequency = ticks.checked_mul(PmTimer::FREQUENCY)?.checked_div(passed)?;
    (ended && frequency >= 1_000_000).then_some(frequency)
}
