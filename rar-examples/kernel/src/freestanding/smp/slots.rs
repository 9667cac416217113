//! The slots in which CPUs are called, one for each of the list.

use core::sync::atomic::{AtomicUsize, Ordering};

use rar_regs::ApicId;

use super::trampoline::Trampoline;
use crate::freestanding::{apic, clock};
use crate::{CpuList, StartMachine, StartSlot, call_roll, println};

static SLOTS: [StartSlot; CpuList::CAPACITY] = [const { StartSlot::new() }; CpuList::CAPACITY];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Gives each CPU of the list its slot, before any is called.
pub(super) fn name(ids: &[u32]) {
    for (slot, id) in SLOTS.iter().zip(ids) {
        slot.name(*id);
    }
    // Release pairs with the load in `slots`.
    COUNT.store(ids.len().min(SLOTS.len()), Ordering::Release);
}

/// Returns the slots in the order of the list.
pub(super) fn slots() -> &'static [StartSlot] {
    SLOTS.get(..COUNT.load(Ordering::Acquire)).unwrap_or(&SLOTS)
}

/// Returns the slot of a CPU.
pub(super) fn slot(id: ApicId) -> Option<&'static StartSlot> {
    slots().iter().find(|slot| slot.id() == id.get())
}

/// Resets the CPUs of these slots and lets them come into the trampoline.
pub(super) fn call(trampoline: &Trampoline, slots: &[StartSlot]) {
    call_roll(&Caller(trampoline), || slots.iter());
}

/// Calls by the local APIC of this CPU.
struct Caller<'t>(&'t Trampoline);

impl StartMachine for Caller<'_> {
    fn init(&self, id: u32) {
        // A CPU that cannot be addressed does not come.
        let _ = apic::send_init(ApicId::new(id));
    }

    fn prepare(&self) {
        self.0.mend();
    }

    fn startup(&self, id: u32) {
        // As above.
        let _ = apic::send_startup(ApicId::new(id), self.0.vector());
    }

    fn microseconds(&self) -> u64 {
        clock::microseconds()
    }

    fn pause(&self) {
        core::hint::spin_loop();
    }

    fn not_yet(&self, cpus: usize) {
        println!("{cpus} CPUs do not start, trying once more");
    }
}
