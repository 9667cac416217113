//! The local APIC of this CPU, in whichever mode the machine runs.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rar_regs::{ApicId, XapicMmio};
use x86::cpuid::CpuId;

use crate::freestanding::cpu::msr::{read_msr, write_msr};
use crate::freestanding::cpu::{probe, vector};
use crate::freestanding::frames::PAGE;
use crate::freestanding::int::{low32, word};
use crate::freestanding::once::Once;
use crate::freestanding::paging::{self, MapError};
use crate::println;

/// SDM vol. 3, "Local APIC Register Address Map": offsets in the page of an xAPIC.
pub(super) mod offset {
    /// From a register to the next one.
    pub(in super::super) const NEXT: u32 = 0x10;
    pub(super) const ID: u32 = 0x20;
    pub(in super::super) const VERSION: u32 = 0x30;
    pub(super) const TASK_PRIORITY: u32 = 0x80;
    pub(in super::super) const END_OF_INTERRUPT: u32 = 0xb0;
    pub(super) const LOGICAL_DESTINATION: u32 = 0xd0;
    pub(super) const SPURIOUS: u32 = 0xf0;
    /// The first of eight registers.
    pub(in super::super) const IN_SERVICE: u32 = 0x100;
    /// The first of eight registers.
    pub(in super::super) const REQUESTED: u32 = 0x200;
    pub(super) const ERROR_STATUS: u32 = 0x280;
    pub(in super::super) const LVT_CORRECTED: u32 = 0x2f0;
    pub(in super::super) const LVT_TIMER: u32 = 0x320;
    pub(in super::super) const LVT_THERMAL: u32 = 0x330;
    pub(in super::super) const LVT_PERFORMANCE: u32 = 0x340;
    pub(in super::super) const LVT_LINT0: u32 = 0x350;
    pub(in super::super) const LVT_LINT1: u32 = 0x360;
    pub(in super::super) const LVT_ERROR: u32 = 0x370;
    pub(super) const TIMER_INITIAL: u32 = 0x380;
    pub(super) const TIMER_CURRENT: u32 = 0x390;
    pub(super) const TIMER_DIVIDE: u32 = 0x3e0;
}

const BASE_X2APIC: u64 = 1 << 10;
const BASE_ENABLE: u64 = 1 << 11;
const X2APIC_FIRST_MSR: u32 = 0x800;
pub(super) const LVT_MASKED: u32 = 1 << 16;
/// The vector comes from a legacy controller.
const LVT_EXTERNAL: u32 = 0x700;
const LVT_NMI: u32 = 0x400;
const SPURIOUS_ENABLE: u32 = 1 << 8;
/// The timer counts every 128th tick of its clock.
const DIVIDE_BY_128: u32 = 0b1010;

/// The way to the local APIC: the same on every CPU.
#[derive(Debug)]
pub enum LocalApic {
    /// By model-specific registers.
    X2apic,
    /// By a page of registers.
    Xapic {
        /// The page, mapped uncached; every CPU sees its own APIC there.
        registers: XapicRegisters,
        /// The sender of interrupt commands.
        sender: XapicMmio,
    },
}

/// The register page of an xAPIC.
#[derive(Clone, Copy, Debug)]
pub struct XapicRegisters(NonNull<AtomicU32>);

// SAFETY: the page is mapped forever and each CPU reaches its own registers through it.
unsafe impl Sync for XapicRegisters {}
// SAFETY: as above.
unsafe impl Send for XapicRegisters {}

impl XapicRegisters {
    fn at(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: offsets of this module stay inside the page.
        let register = unsafe { self.0.byte_add(offset as usize) };
        // SAFETY: the page is mapped forever; 32-bit loads and stores are how its registers are
        // accessed.
        unsafe { register.as_ref() }
    }
}

static XAPIC: Once<LocalApic> = Once::new();
static X2APIC: LocalApic = LocalApic::X2apic;
static IN_X2APIC_MODE: AtomicBool = AtomicBool::new(false);

/// Returns the APIC, once it was started.
#[must_use]
pub fn get() -> Option<&'static LocalApic> {
    if IN_X2APIC_MODE.load(Ordering::Acquire) {
        return Some(&X2APIC);
    }
    XAPIC.get()
}

/// The whole machine drives its APICs by registers from here on: every CPU calls
/// [`LocalApic::start`] before it takes or sends an interrupt.
pub fn go_to_x2apic() {
    IN_X2APIC_MODE.store(true, Ordering::Release);
}

/// Returns whether CPUID shows a local APIC; it does not where firmware has disabled it, either.
fn has_apic() -> bool {
    CpuId::new()
        .get_feature_info()
        .is_some_and(|features| features.has_apic())
}

/// Chooses the mode for the whole machine and maps the registers: x2APIC where firmware left it on
/// or CPUID offers it.
pub(crate) fn choose(x2apic_offered: bool, physical: u64) -> Result<(), MapError> {
    if !has_apic() {
        println!("no local APIC: a single CPU, without a watchdog");
        return Ok(());
    }
    // SAFETY: the register exists on every CPU with a local APIC.
    let base = unsafe { read_msr(x86::msr::IA32_APIC_BASE) };
    if x2apic_offered || base & BASE_X2APIC != 0 {
        go_to_x2apic();
        return Ok(());
    }
    paging::map_device(physical, PAGE)?;
    let page: *mut u32 = core::ptr::with_exposed_provenance_mut(word(physical));
    let page = NonNull::new(page).ok_or(MapError::OutOfReach { address: physical })?;
    let _first = XAPIC.set(LocalApic::Xapic {
        registers: XapicRegisters(page.cast()),
        // SAFETY: the page of xAPIC registers, mapped uncached forever.
        sender: unsafe { XapicMmio::new(page) },
    });
    Ok(())
}

impl LocalApic {
    /// Returns the name of the mode.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::X2apic => "x2APIC",
            Self::Xapic { .. } => "xAPIC",
        }
    }

    pub(super) fn read(&self, offset: u32) -> u32 {
        match self {
            // SAFETY: in x2APIC mode each register of the page is an MSR.
            Self::X2apic => low32(unsafe { read_msr(X2APIC_FIRST_MSR + offset / 16) }),
            Self::Xapic { registers, .. } => registers.at(offset).load(Ordering::Relaxed),
        }
    }

    /// As [`read`](Self::read), for a register that this APIC, or a hypervisor, may not have.
    pub(super) fn read_if_there(&self, offset: u32) -> Option<u32> {
        match self {
            Self::X2apic => {
                // SAFETY: reading a local vector has no effect.
                let value = unsafe { probe::read_register(X2APIC_FIRST_MSR + offset / 16) };
                value.map(low32)
            }
            Self::Xapic { .. } => Some(self.read(offset)),
        }
    }

    pub(super) fn write(&self, offset: u32, value: u32) {
        match self {
            // SAFETY: as above; this module writes values that are legal in either mode and do not
            // touch memory.
            Self::X2apic => unsafe { write_msr(X2APIC_FIRST_MSR + offset / 16, u64::from(value)) },
            Self::Xapic { registers, .. } => registers.at(offset).store(value, Ordering::Release),
        }
    }

    /// Enables this CPU's APIC in the machine's mode, with nothing but interprocessor interrupts
    /// let through, and nothing in service.
    pub fn start(&self) {
        // SAFETY: see `choose`.
        let base = unsafe { read_msr(x86::msr::IA32_APIC_BASE) };
        let mut wanted = base | BASE_ENABLE;
        if matches!(self, Self::X2apic) {
            wanted |= BASE_X2APIC;
        }
        if base & BASE_ENABLE == 0 {
            // x2APIC mode is entered from xAPIC mode only (SDM vol. 3, "x2APIC State Transitions").
            // SAFETY: enables the APIC where it is.
            unsafe { write_msr(x86::msr::IA32_APIC_BASE, base | BASE_ENABLE) };
        }
        if wanted != base {
            // SAFETY: a legal transition; the mode is what the rest of the kernel uses.
            unsafe { write_msr(x86::msr::IA32_APIC_BASE, wanted) };
        }
        self.mask_local_vectors();
        self.write(offset::TASK_PRIORITY, 0);
        self.write(
            offset::SPURIOUS,
            SPURIOUS_ENABLE | u32::from(vector::SPURIOUS),
        );
        self.write(offset::ERROR_STATUS, 0);
        self.end_all();
    }

    /// Passes on the interrupts of the legacy controllers, and non-maskable ones.
    pub(crate) fn virtual_wire(&self) {
        self.accept_legacy();
        self.write(offset::LVT_LINT1, LVT_NMI);
    }

    /// Returns the number of this CPU's APIC.
    #[must_use]
    pub fn id(&self) -> ApicId {
        let id = self.read(offset::ID);
        ApicId::new(match self {
            Self::X2apic => id,
            Self::Xapic { .. } => id >> 24,
        })
    }

    /// Gives this CPU, one of the first eight, the logical address by which devices name it, and
    /// returns that: a bit of eight. An x2APIC has it from its id, an xAPIC in flat mode gets one.
    #[must_use]
    pub fn take_logical_address(&self) -> u8 {
        let member = 1_u8 << (self.id().get() % 8);
        match self {
            Self::X2apic => member,
            Self::Xapic { .. } => {
                // Another one than an x2APIC would have.
                let chosen = member.rotate_left(3);
                self.write(offset::LOGICAL_DESTINATION, u32::from(chosen) << 24);
                chosen
            }
        }
    }

    /// Starts this CPU's timer: one interrupt when it has counted down. A count of zero stops it.
    pub fn start_timer(&self, count: u32) {
        let masked = if count == 0 { LVT_MASKED } else { 0 };
        self.write(offset::TIMER_DIVIDE, DIVIDE_BY_128);
        self.write(offset::LVT_TIMER, masked | u32::from(vector::TIMER));
        self.write(offset::TIMER_INITIAL, count);
    }

    /// Lets interrupts of the legacy controllers through to this CPU.
    pub fn accept_legacy(&self) {
        self.write(offset::LVT_LINT0, LVT_EXTERNAL);
    }

    /// Holds them back again.
    pub fn refuse_legacy(&self) {
        self.write(offset::LVT_LINT0, LVT_MASKED);
    }

    /// Returns what this CPU's timer has still to count.
    #[must_use]
    pub fn timer_rest(&self) -> u32 {
        self.read(offset::TIMER_CURRENT)
    }
}

/// Acknowledges the interrupt in service on this CPU.
pub(crate) fn end_of_interrupt() {
    if let Some(apic) = get() {
        apic.write(offset::END_OF_INTERRUPT, 0);
    }
}

/// Acknowledges a vector on this CPU if it is in service; returns whether it was. A spurious
/// interrupt, or an exception of that number, is not.
pub(crate) fn end_if_in_service(vector: u8) -> bool {
    let apic = get().filter(|apic| apic.is_in_service(vector));
    apic.inspect(|apic| apic.write(offset::END_OF_INTERRUPT, 0))
        .is_some()
}
