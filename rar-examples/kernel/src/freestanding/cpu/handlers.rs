//! Who handles which interrupt.

use core::sync::atomic::{AtomicPtr, Ordering};

use super::TrapFrame;

/// A handler: runs with interrupts disabled, on the interrupt stack of the CPU.
pub type InterruptHandler = fn(&TrapFrame);

static INTERRUPTS: [AtomicPtr<()>; 256] = [const { AtomicPtr::new(core::ptr::null_mut()) }; 256];

/// Sets the handler of a vector, for every CPU. The interrupt is acknowledged after the handler returns; one without a handler is just
/// acknowledged.
///
/// Vectors below 0x30 and the spurious one do not come here.
pub fn set_interrupt_handler(vector: u8, handler: InterruptHandler) {
    if let Some(place) = INTERRUPTS.get(usize::from(vector)) {
        place.store(handler as *mut (), Ordering::Release);
    }
}

pub(super) fn call(vector: u8, frame: &TrapFrame) {
    let handler = INTERRUPTS
        .get(usize::from(vector))
        .map_or(core::ptr::null_mut(), |place| place.load(Ordering::Acquire));
    if !handler.is_null() {
        // SAFETY: every pointer in the table but null was stored by `set_interrupt_handler` from a function of this type.
        let handler = unsafe { core::mem::transmute::<*mut (), InterruptHandler>(handler) };
        handler(frame);
    }
}
