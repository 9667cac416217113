//! INIT and start-up for many CPUs with one common wait (SDM vol. 3, "MP Initialization Protocol
//! Algorithm": INIT, 10 ms, start-up, 200 us, start-up).

use crate::StartSlot;

/// Each CPU gets this many INITs.
const ROUNDS: usize = 2;
const INIT_MICROSECONDS: u64 = 10_000;
/// After this, a CPU that has not come gets its second start-up message.
const AGAIN_MICROSECONDS: u64 = 1_000;
/// CPUs are awaited as long as one came in this time: a host may not run a virtual CPU for a while.
const SILENCE_MICROSECONDS: u64 = 1_000_000;
/// CPUs are awaited no longer than this, however they trickle in.
const MOST_MICROSECONDS: u64 = 30_000_000;

/// What a roll call needs of the machine.
pub trait StartMachine {
    /// Resets the CPU.
    fn init(&self, id: u32);
    /// Makes sure that CPUs can start: right before they do.
    fn prepare(&self);
    /// Starts the CPU, which was reset.
    fn startup(&self, id: u32);
    /// Returns the time.
    fn microseconds(&self) -> u64;
    /// Lets a short time pass.
    fn pause(&self);
    /// Says that some CPUs have not come at the first call.
    fn not_yet(&self, cpus: usize);
}

/// Calls the CPUs of these slots, all at once. Afterwards each has come or cannot come any more:
/// CPUs that do not exist cost the same time, however many they are.
pub fn call_roll<'s, I>(machine: &impl StartMachine, slots: impl Fn() -> I)
where
    I: Iterator<Item = &'s StartSlot>,
{
    for round in 0..ROUNDS {
        let absent = || slots().filter(|slot| !slot.has_come());
        for slot in absent() {
            // A CPU that still comes must not be reset in the middle.
            slot.end_call();
        }
        let count = absent().count();
        if count == 0 {
            return;
        }
        if round > 0 {
            machine.not_yet(count);
        }
        for slot in absent() {
            machine.init(slot.id());
        }
        await_all(machine, INIT_MICROSECONDS, || usize::MAX);
        machine.prepare();
        for slot in absent() {
            slot.call();
            machine.startup(slot.id());
        }
        let awaited = || slots().filter(|slot| slot.is_awaited());
        await_all(machine, AGAIN_MICROSECONDS, || awaited().count());
        if awaited().next().is_some() {
            machine.prepare();
        }
        for slot in awaited() {
            machine.startup(slot.id());
        }
        await_all(machine, SILENCE_MICROSECONDS, || awaited().count());
    }
    slots().for_each(StartSlot::end_call);
}

/// Waits until none is left, or none came for so long.
fn await_all(machine: &impl StartMachine, silence: u64, left: impl Fn() -> usize) {
    let begin = machine.microseconds();
    let (mut last, mut before) = (begin, usize::MAX);
    loop {
        let (left, now) = (left(), machine.microseconds());
        if left < before {
            (before, last) = (left, now);
        }
        let waited = now.saturating_sub(begin);
        if left == 0 || now.saturating_sub(last) >= silence || waited >= MOST_MICROSECONDS {
            return;
        }
        machine.pause();
    }
}

#[cfg(test)]
mod tests;
