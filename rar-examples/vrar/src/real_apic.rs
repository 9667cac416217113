//! The machine's own local APIC, in xAPIC mode. The host drives it; the guest sees [`crate::apic`].
#![expect(unsafe_code, reason = "device registers")]

use core::ptr::NonNull;

pub(crate) const ID: u32 = 0x20;
pub(crate) const TASK_PRIORITY: u32 = 0x80;
const END_OF_INTERRUPT: u32 = 0xB0;
pub(crate) const SPURIOUS: u32 = 0xF0;
const IN_SERVICE: u32 = 0x100;
const TRIGGER_MODE: u32 = 0x180;
const ICR_LOW: u32 = 0x300;
const ICR_HIGH: u32 = 0x310;

/// Delivery status in the low word of the interrupt command.
const BUSY: u32 = 1 << 12;
/// Looks at a busy APIC. It is busy for a microsecond; a dead one must not stop the host.
const LOOKS: u32 = 100_000;
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// The real spurious vector. The guest has one of its own.
pub(crate) const SPURIOUS_VECTOR: u8 = 0xFF;

/// The register page of the local APIC of whatever CPU uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealApic(NonNull<u32>);

// SAFETY: the pointer names device registers that every CPU reaches at this address, each its own.
unsafe impl Send for RealApic {}
// SAFETY: as for `Send`.
unsafe impl Sync for RealApic {}

impl RealApic {
    /// # Safety
    ///
    /// The page of the local APIC is mapped there, uncached, in the host's page tables of every CPU, and in xAPIC mode.
    pub(crate) const unsafe fn new(page: NonNull<u32>) -> Self {
        Self(page)
    }

    fn register(self, offset: u32) -> *mut u32 {
        self.0.as_ptr().wrapping_byte_add((offset & 0xFF0) as usize)
    }

    pub(crate) fn read(self, offset: u32) -> u32 {
        // SAFETY: inside the page, by the mask.
        unsafe { self.register(offset).read_volatile() }
    }

    pub(crate) fn write(self, offset: u32, value: u32) {
        // SAFETY: inside the page. What it sends goes to guests of the shim, or where the guest of this CPU told.
        unsafe { self.register(offset).write_volatile(value) }
    }

    pub(crate) fn id(self) -> u32 {
        self.read(ID) >> 24
    }

    /// Lets every interrupt through.
    pub(crate) fn open(self) {
        self.write(TASK_PRIORITY, 0);
        self.write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
    }

    pub(crate) fn end_of_interrupt(self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    fn bit(self, first: u32, vector: u8) -> bool {
        let vector = u32::from(vector);
        self.read(first + (vector / 32) * 0x10) >> (vector % 32) & 1 != 0
    }

    pub(crate) fn in_service(self, vector: u8) -> bool {
        self.bit(IN_SERVICE, vector)
    }

    /// Returns whether the vector came by a level-triggered interrupt.
    pub(crate) fn is_level(self, vector: u8) -> bool {
        self.bit(TRIGGER_MODE, vector)
    }

    /// Sends an interrupt command to one APIC. A busy APIC is waited for, within bounds.
    pub(crate) fn send(self, destination: u32, low: u32) {
        for _ in 0..LOOKS {
            if self.read(ICR_LOW) & BUSY == 0 {
                break;
            }
            core::hint::spin_loop();
        }
        self.write(ICR_HIGH, destination << 24);
        self.write(ICR_LOW, low);
    }
}

impl crate::apic_registers::Registers for RealApic {
    fn read(&self, offset: u32) -> u32 {
        (*self).read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        (*self).write(offset, value);
    }
}
