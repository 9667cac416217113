//! Time: the time stamp counter and how fast it counts.

use core::arch::x86_64::{_mm_lfence, _rdtsc};
use core::sync::atomic::{AtomicU64, Ordering};

use x86::cpuid::CpuId;

use super::hpet::Hpet;
use super::notes::note;
use super::port::Port;
use crate::{
    Clock, ClockSource, FirmwareTables, Look, MemoryMap, PmTimer, Rate, Timer, agree, measure,
    rate_of_leaf_15, rate_of_leaf_16,
};

const PIT: Timer = Timer {
    source: ClockSource::Pit,
    frequency: 1_193_182,
    mask: 0xffff,
};
const PM_TIMER: Timer = Timer {
    source: ClockSource::PmTimer,
    frequency: PmTimer::FREQUENCY,
    mask: PmTimer::MASK as u64,
};
/// Millionths by which the crystal of leaf 0x15 may differ from its name. Our choice.
const CRYSTAL_BOUND: u32 = 200;
/// Leaf 0x16 is rounded, and the counter does not always run at the base frequency. Our choice.
const BASE_BOUND: u32 = 10_000;

static FREQUENCY: AtomicU64 = AtomicU64::new(Clock::GUESS.frequency);
/// Nanoseconds of a tick, times 2^[`FRACTION_BITS`].
static TICK: AtomicU64 = AtomicU64::new(tick_of(Clock::GUESS.frequency));
const FRACTION_BITS: u32 = 32;

const fn tick_of(frequency: u64) -> u64 {
    (1_000_000_000 << FRACTION_BITS) / frequency
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

/// Learns the rate of the counter from all that the machine has, and notes where sources disagree.
pub(crate) fn calibrate(tables: &FirmwareTables, map: &MemoryMap) -> Clock {
    let pm_timer = || measure(&PM_TIMER, pm_timer(tables.pm_timer?)).ok();
    let hpet = || {
        let hpet = Hpet::find(tables.hpet?, map)?;
        measure(&hpet.timer(), || Look::take(now, || hpet.count())).ok()
    };
    let pit = || {
        let pit = Pit::start();
        measure(&PIT, || pit.look()).ok()
    };
    let sources = [pm_timer(), hpet(), pit(), cpuid_15(), cpuid_16()];
    let rates = sources.iter().flatten();
    let clock = agree(rates.clone());
    for rate in rates {
        if clock.contradicted_by.contains(rate.source) {
            note(format_args!(
                "clock: sources disagree ({} {} kHz, {} {} kHz); the second is used",
                rate.source,
                rate.frequency / 1000,
                clock.source,
                clock.frequency / 1000
            ));
        }
    }
    FREQUENCY.store(clock.frequency, Ordering::Relaxed);
    TICK.store(tick_of(clock.frequency), Ordering::Relaxed);
    clock
}

fn cpuid_15() -> Option<Rate> {
    let tsc = CpuId::new().get_tsc_info()?;
    let rate = rate_of_leaf_15(tsc.denominator(), tsc.numerator(), tsc.nominal_frequency())?;
    told(ClockSource::Cpuid15, rate, CRYSTAL_BOUND)
}

fn cpuid_16() -> Option<Rate> {
    let frequencies = CpuId::new().get_processor_frequency_info()?;
    let rate = rate_of_leaf_16(u32::from(frequencies.processor_base_frequency()))?;
    told(ClockSource::Cpuid16, rate, BASE_BOUND)
}

fn told(source: ClockSource, frequency: u64, bound: u32) -> Option<Rate> {
    Rate::PLAUSIBLE.contains(&frequency).then_some(Rate {
        source,
        frequency,
        bound,
    })
}

fn pm_timer(timer: PmTimer) -> impl FnMut() -> Look {
    // SAFETY: the FADT names the port of a read-only counter.
    let port = unsafe { Port::new(timer.port) };
    move || Look::take(now, || u64::from(port.read32()))
}

/// Channel 2 of the interval timer (Intel 8254 data sheet), which counts down while this lives.
struct Pit {
    gate: Port,
    channel: Port,
    mode: Port,
    /// The gate's register before.
    before: u8,
}

impl Pit {
    /// Channel 2, low byte then high byte, mode 0: it counts through all 16 bits, again and again.
    const COUNT: u8 = 0xb0;
    /// The count of channel 2 stays for the next two reads.
    const LATCH: u8 = 0x80;

    fn start() -> Self {
        // SAFETY: the interval timer and its gate do not touch memory.
        let [gate, channel, mode] = unsafe { Port::several([0x61, 0x42, 0x43]) };
        let before = gate.read8();
        // Gate on, speaker off.
        gate.write8((before & !0x02) | 0x01);
        mode.write8(Self::COUNT);
        channel.write8(0xff);
        channel.write8(0xff);
        let pit = Self {
            gate,
            channel,
            mode,
            before,
        };
        // The count is loaded at the next clock.
        for _ in 0..8 {
            let _early = pit.look();
        }
        pit
    }

    fn look(&self) -> Look {
        let mut look = Look::take(now, || {
            self.mode.write8(Self::LATCH);
            0
        });
        let count = u16::from_le_bytes([self.channel.read8(), self.channel.read8()]);
        look.count = u64::from(count.wrapping_neg());
        look
    }
}

impl Drop for Pit {
    fn drop(&mut self) {
        self.gate.write8(self.before);
    }
}
