//! Guests by VMX: one that is the host itself, with the same page tables and a tag of its own, for
//! as long as a closure runs.
//!
//! No register of the processor's configuration is written: a machine whose firmware has not
//! allowed VMX runs no guest.

mod capabilities;
mod state;

use core::arch::{asm, global_asm};
use core::ffi::c_void;
use core::fmt;

use rar_kernel::frames::{self, PAGE};
use rar_kernel::{CpuList, Once, irq, paging, percpu, probe};
use x86::bits64::vmx::{vmclear, vmptrld, vmxoff, vmxon};
use x86::controlregs::{cr0, cr3};
use x86::dtables::{DescriptorTablePointer, lgdt, lidt, sgdt, sidt};
use x86::segmentation::{cs, ss};
use x86::task::tr;
use x86::vmx::VmFail;

pub(crate) use self::capabilities::obstacle;
use self::state::{Host, Ways, label};

global_asm!(include_str!("vmx/switch.s"), options(att_syntax));

unsafe extern "C" {
    fn rar_lab_vmx_enter(work: *const c_void) -> u64;
    fn rar_lab_vmx_exit();
    fn rar_lab_vmx_guest();
}

type Work<'w> = &'w dyn Fn() -> bool;

/// The one tag that guests use; the host's is 0.
const VPID: u16 = 1;
/// INVVPID's type for all translations of one tag.
const ONE_TAG: u64 = 1;
const STACK_PAGES: u64 = 8;
/// The reason of an exit by VMCALL (SDM vol. 3, "VMX Basic Exit Reasons").
const VMCALL: u64 = 18;
const CR4_VMX: u64 = 1 << 13;

/// What a CPU needs to run guests: two pages that the processor alone uses, and the guest's stack.
#[derive(Clone, Copy, Debug)]
struct Memory {
    operation: u64,
    vmcs: u64,
    stack: u64,
}

static MEMORY: [Once<Memory>; CpuList::CAPACITY] = [const { Once::new() }; CpuList::CAPACITY];

/// Why a guest did not run to its end.
#[derive(Debug)]
pub(crate) enum GuestError {
    /// See [`obstacle`], or no memory is left.
    NotHere,
    /// The processor refuses an instruction of VMX.
    Refused(VmFail),
    /// The guest left for this reason; all ones: it was never entered.
    Left(u64),
}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHere => f.write_str("no guest runs here: no VMX, or no memory is left"),
            Self::Refused(why) => write!(f, "an instruction of VMX failed: {why:?}"),
            Self::Left(reason) => {
                write!(
                    f,
                    "the guest was not to leave, but did for reason {reason:#x}"
                )
            }
        }
    }
}

impl From<VmFail> for GuestError {
    fn from(fail: VmFail) -> Self {
        Self::Refused(fail)
    }
}

/// What the guest does.
#[unsafe(no_mangle)]
extern "C" fn rar_lab_vmx_work(work: *const c_void) {
    let work: *const Work<'_> = work.cast();
    // SAFETY: `in_operation` passes a closure on its stack, which waits for this guest to leave.
    let until = unsafe { &*work };
    while !until() {
        core::hint::spin_loop();
    }
}

/// Runs a guest on this CPU that asks `until` again and again, until it says yes.
pub(crate) fn run(until: &dyn Fn() -> bool) -> Result<(), GuestError> {
    let controls = capabilities::controls().ok_or(GuestError::NotHere)?;
    let memory = memory().ok_or(GuestError::NotHere)?;
    // Nothing but the guest's own exits may come between what follows.
    let _off = irq::Disabled::new();
    set_vmx(true);
    // SAFETY: CR4 allows it, and the page has the revision in it and no other use.
    let mut result = unsafe { vmxon(memory.operation) }.map_err(GuestError::from);
    if result.is_ok() {
        result = in_operation(controls, memory, until);
        // SAFETY: this CPU is in VMX operation, and no VMCS is needed any more.
        let _left = unsafe { vmxoff() };
    }
    set_vmx(false);
    result
}

fn in_operation(
    controls: capabilities::Controls,
    memory: Memory,
    until: Work<'_>,
) -> Result<(), GuestError> {
    let host = this_cpu();
    let ways = Ways {
        begin: label(rar_lab_vmx_guest),
        stack: memory.stack,
        exit: label(rar_lab_vmx_exit),
    };
    // SAFETY: a page of this CPU with the revision in it.
    unsafe { vmclear(memory.vmcs) }?;
    // SAFETY: as above, and it is cleared.
    unsafe { vmptrld(memory.vmcs) }?;
    // SAFETY: the VMCS is current.
    unsafe { state::write(controls, VPID, &host, ways) }?;
    forget_tag();
    // SAFETY: the guest is this kernel itself, on a stack of its own, and comes back by VMCALL;
    // whatever else ends it comes back too. Interrupts are disabled.
    let reason = unsafe { rar_lab_vmx_enter((&raw const until).cast()) };
    // An exit leaves the tables' limits at their largest.
    // SAFETY: the table that was loaded before.
    unsafe { lgdt(&host.gdt) };
    // SAFETY: as above.
    unsafe { lidt(&host.idt) };
    // SAFETY: the page of the VMCS, which is not current afterwards.
    unsafe { vmclear(memory.vmcs) }?;
    match reason {
        VMCALL => Ok(()),
        other => Err(GuestError::Left(other)),
    }
}

fn memory() -> Option<Memory> {
    let place = MEMORY.get(percpu::this().id().index())?;
    if let Some(memory) = place.get() {
        return Some(*memory);
    }
    let revision = u64::from(capabilities::revision()?);
    let region = || {
        let frame = frames::take(1, PAGE)?;
        // SAFETY: a frame of our own in the identity map.
        unsafe { probe::store(frame, revision) }.ok()?;
        Some(frame)
    };
    let memory = Memory {
        operation: region()?,
        vmcs: region()?,
        stack: paging::map_stack(STACK_PAGES).ok()?,
    };
    place.set(memory).copied()
}

fn this_cpu() -> Host {
    let (mut gdt, mut idt) = (
        DescriptorTablePointer::<u64>::default(),
        DescriptorTablePointer::<u64>::default(),
    );
    // SAFETY: stores a register of this CPU in a local.
    unsafe { sgdt(&mut gdt) };
    // SAFETY: as above.
    unsafe { sidt(&mut idt) };
    Host {
        // SAFETY: ring 0; reading it has no effect.
        cr0: unsafe { cr0() }.bits() as u64,
        // SAFETY: as above.
        cr3: unsafe { cr3() },
        cr4: cr4(),
        code: cs().bits(),
        data: ss().bits(),
        // SAFETY: ring 0; reading it has no effect.
        task: unsafe { tr() }.bits(),
        // SAFETY: reading it has no effect.
        gs_base: unsafe { probe::read_register(x86::msr::IA32_GS_BASE) }.unwrap_or(0),
        gdt,
        idt,
    }
}

/// The whole register: the `x86` crate's type drops the bits that it has no name for.
fn cr4() -> u64 {
    let value;
    // SAFETY: ring 0; reading CR4 has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Lets this CPU enter VMX operation, or no longer.
fn set_vmx(on: bool) {
    let value = if on {
        cr4() | CR4_VMX
    } else {
        cr4() & !CR4_VMX
    };
    // SAFETY: ring 0, the processor has VMX, and is not in VMX operation when the bit goes.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) }
}

/// Drops the translations of guests that ran before.
fn forget_tag() {
    let descriptor = [u64::from(VPID), 0];
    // SAFETY: VMX operation, and the processor has INVVPID in this type. Dropping translations
    // changes no memory.
    unsafe {
        asm!("invvpid {}, [{}]", in(reg) ONE_TAG, in(reg) &raw const descriptor, options(nostack));
    }
}
