//! The handler of each interrupt vector.

use super::trap_frame::TrapFrame;
use crate::freestanding::atomic_fn::{AtomicFn, FunctionPointer};

/// A handler: runs with interrupts disabled, on the interrupt stack of the CPU.
pub type InterruptHandler = fn(&TrapFrame);

// SAFETY: a function pointer.
unsafe impl FunctionPointer for InterruptHandler {}

static HANDLERS: [AtomicFn<InterruptHandler>; 256] = [const { AtomicFn::new() }; 256];

/// Sets the handler of a vector, for every CPU. The interrupt is acknowledged after the handler
/// returns; an interrupt without a handler is acknowledged and counted.
///
/// Vectors below 0x30 and the spurious one do not come here.
pub fn set_interrupt_handler(vector: u8, handler: InterruptHandler) {
    if let Some(place) = HANDLERS.get(usize::from(vector)) {
        place.set(handler);
    }
}

/// Calls the handler of a vector; returns whether there is one.
pub(crate) fn call(vector: u8, frame: &TrapFrame) -> bool {
    let handler = HANDLERS.get(usize::from(vector)).and_then(AtomicFn::get);
    handler.inspect(|handler| handler(frame)).is_some()
}
