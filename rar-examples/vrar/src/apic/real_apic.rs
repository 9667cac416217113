//! The machine's own local APIC, in the mode in which the launch found it. The host drives it; the
//! guest sees [`crate::apic`].
#![expect(unsafe_code, reason = "device registers")]

use core::ops::RangeInclusive;
use core::ptr::NonNull;

use crate::apic::logical_address::LogicalAddress;
use crate::bits::low;
use crate::processor::native;
use crate::processor::permissions::X2APIC_FIRST;

pub(crate) const ID: u32 = 0x20;
pub(crate) const TASK_PRIORITY: u32 = 0x80;
const END_OF_INTERRUPT: u32 = 0xb0;
pub(crate) const LOGICAL_DESTINATION: u32 = 0xd0;
pub(crate) const DESTINATION_FORMAT: u32 = 0xe0;
pub(crate) const SPURIOUS: u32 = 0xf0;
const IN_SERVICE: u32 = 0x100;
const TRIGGER_MODE: u32 = 0x180;
/// The local vector table, in numbers of registers: the offset divided by 16.
const LOCAL_VECTORS: RangeInclusive<u32> = 0x32..=0x37;
const MASKED: u32 = 1 << 16;
const INITIAL_COUNT: u32 = 0x380;
pub(crate) const LINT0: u32 = 0x350;
const ICR_LOW: u32 = 0x300;
const ICR_HIGH: u32 = 0x310;

/// In IA32_APIC_BASE.
const BASE_X2APIC: u64 = 1 << 10;
/// Delivery status in the low word of the interrupt command.
const BUSY: u32 = 1 << 12;
/// Looks at a busy APIC. It is busy for a microsecond; a dead one must not stop the host.
const MAX_POLLS: u32 = 100_000;
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// The real spurious vector. The guest has one of its own.
pub(crate) const SPURIOUS_VECTOR: u8 = 0xff;
/// The spurious register of an APIC that lets every interrupt through.
pub(crate) const SPURIOUS_OPEN: u32 = SOFTWARE_ENABLE | SPURIOUS_VECTOR as u32;

/// The way to the local APIC of whatever CPU uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RealApic {
    /// In xAPIC mode: its page of registers.
    Page(NonNull<u32>),
    /// In x2APIC mode.
    Registers,
}

// SAFETY: the pointer names device registers that every CPU reaches at this address, each its own.
unsafe impl Send for RealApic {}
// SAFETY: as for `Send`.
unsafe impl Sync for RealApic {}

/// Where a register lies in the page.
fn register(page: NonNull<u32>, offset: u32) -> *mut u32 {
    page.as_ptr().wrapping_byte_add((offset & 0xff0) as usize)
}

impl RealApic {
    /// # Safety
    ///
    /// The APIC of every CPU that uses it is in the mode of the base register given. In xAPIC mode
    /// its page is mapped there, uncached, in the host's page tables of every CPU.
    pub(crate) const unsafe fn new(page: NonNull<u32>, base: u64) -> Self {
        if base & BASE_X2APIC == 0 {
            Self::Page(page)
        } else {
            Self::Registers
        }
    }

    pub(crate) fn read(self, offset: u32) -> u32 {
        match self {
            // SAFETY: inside the page, by the mask.
            Self::Page(page) => unsafe { register(page, offset).read_volatile() },
            // SAFETY: the host reads only registers that every x2APIC has.
            Self::Registers => low(unsafe { native::read_msr(X2APIC_FIRST + offset / 16) }),
        }
    }

    pub(crate) fn write(self, offset: u32, value: u32) {
        match self {
            // SAFETY: inside the page. What it sends goes to guests of the shim, or where the guest
            // of this CPU asks.
            Self::Page(page) => unsafe { register(page, offset).write_volatile(value) },
            // SAFETY: a register that every x2APIC has. A reserved bit that the guest sets in its
            // local vector table ends this CPU by the fault that the guest would have had.
            Self::Registers => unsafe {
                native::write_msr(X2APIC_FIRST + offset / 16, u64::from(value));
            },
        }
    }

    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Page(_) => self.read(ID) >> 24,
            Self::Registers => self.read(ID),
        }
    }

    /// Lets every interrupt through.
    pub(crate) fn open(self) {
        self.write(TASK_PRIORITY, 0);
        self.write(SPURIOUS, SPURIOUS_OPEN);
    }

    /// Resets what INIT resets, except that interrupts are let through.
    pub(crate) fn reset(self) {
        LOCAL_VECTORS.for_each(|entry| self.write(entry << 4, MASKED));
        self.write(INITIAL_COUNT, 0);
        self.open();
    }

    /// Returns the logical address; that of an x2APIC follows from its id.
    pub(crate) fn logical(self) -> LogicalAddress {
        match self {
            Self::Page(_) => LogicalAddress {
                destination: self.read(LOGICAL_DESTINATION),
                format: self.read(DESTINATION_FORMAT),
            },
            Self::Registers => LogicalAddress::RESET,
        }
    }

    /// Sets the logical address of an xAPIC.
    pub(crate) fn set_logical(self, address: LogicalAddress) {
        if let Self::Page(_) = self {
            self.write(DESTINATION_FORMAT, address.format);
            self.write(LOGICAL_DESTINATION, address.destination);
        }
    }

    pub(crate) fn end_of_interrupt(self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    pub(crate) fn end_of_interrupts(self, count: u32) {
        (0..count).for_each(|_| self.end_of_interrupt());
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
        if matches!(self, Self::Registers) {
            // SAFETY: ring 0 and x2APIC mode. What it sends goes to guests of the shim, or where
            // the guest of this CPU asks.
            unsafe { native::send_x2apic(u64::from(destination) << 32 | u64::from(low)) };
            return;
        }
        for _ in 0..MAX_POLLS {
            if self.read(ICR_LOW) & BUSY == 0 {
                break;
            }
            core::hint::spin_loop();
        }
        self.write(ICR_HIGH, destination << 24);
        self.write(ICR_LOW, low);
    }
}

impl crate::apic::register_effect::Registers for RealApic {
    fn read(&self, offset: u32) -> u32 {
        (*self).read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        (*self).write(offset, value);
    }
}
