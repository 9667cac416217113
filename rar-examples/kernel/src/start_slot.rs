//! Where a CPU that starts and the CPU that starts it meet.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// No start is under way.
const IDLE: u32 = 0;
/// The CPU was called, and may come.
const CALLED: u32 = 1;
/// The CPU came, and waits for a stack.
const CAME: u32 = 2;
/// The CPU may go on. The assembly of the trampoline has these numbers too.
const GO: u32 = 3;

/// The meeting place of one CPU, in a cache line of its own: the CPU polls it.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct StartSlot {
    id: AtomicU32,
    state: AtomicU32,
    stack: AtomicU64,
    argument: AtomicU64,
    function: AtomicU64,
}

// The assembly of the trampoline finds the fields there.
const _: () = assert!(offset_of!(StartSlot, state) == 4);
const _: () = assert!(offset_of!(StartSlot, stack) == 8);
const _: () = assert!(offset_of!(StartSlot, argument) == 16);
const _: () = assert!(offset_of!(StartSlot, function) == 24);
const _: () = assert!(size_of::<StartSlot>() == 64);

impl StartSlot {
    /// A slot of no CPU.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            id: AtomicU32::new(0),
            state: AtomicU32::new(IDLE),
            stack: AtomicU64::new(0),
            argument: AtomicU64::new(0),
            function: AtomicU64::new(0),
        }
    }

    /// Gives the slot to the CPU with this APIC id.
    pub fn name(&self, id: u32) {
        // `call` publishes it.
        self.id.store(id, Ordering::Relaxed);
    }

    /// Returns the APIC id.
    pub fn id(&self) -> u32 {
        self.id.load(Ordering::Relaxed)
    }

    /// Lets the CPU come, once.
    pub fn call(&self) {
        // Release pairs with the locked exchange of the CPU: it sees the id.
        self.state.store(CALLED, Ordering::Release);
    }

    /// Returns whether the CPU was called and has not come.
    pub fn is_awaited(&self) -> bool {
        self.state.load(Ordering::Acquire) == CALLED
    }

    /// Returns whether the CPU came, and waits.
    pub fn has_come(&self) -> bool {
        self.state.load(Ordering::Acquire) == CAME
    }

    /// Ends a call. From then on the CPU cannot come, unless it came just before.
    pub fn end_call(&self) {
        let _came = self
            .state
            .compare_exchange(CALLED, IDLE, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Lets a CPU that came call the function at this address, with the argument, on the stack.
    pub fn go(&self, stack: u64, argument: u64, function: u64) {
        self.stack.store(stack, Ordering::Relaxed);
        self.argument.store(argument, Ordering::Relaxed);
        self.function.store(function, Ordering::Relaxed);
        // Release pairs with the poll of the CPU: it sees the three.
        self.state.store(GO, Ordering::Release);
    }

    /// Lets a CPU that came halt forever.
    pub fn send_away(&self) {
        self.state.store(IDLE, Ordering::Release);
    }

    /// Does what the trampoline of a CPU does.
    #[cfg(test)]
    pub(crate) fn come(&self) {
        let _called =
            self.state
                .compare_exchange(CALLED, CAME, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Default for StartSlot {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_comes_only_when_it_is_called() {
        let slot = StartSlot::new();
        slot.come();
        assert!(!slot.has_come());
        slot.call();
        assert!(slot.is_awaited());
        slot.end_call();
        slot.come();
        assert!(!slot.has_come() && !slot.is_awaited());
        slot.call();
        slot.come();
        slot.end_call();
        assert!(slot.has_come());
        slot.send_away();
        assert!(!slot.has_come());
    }
}
