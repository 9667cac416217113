//! The switch between guest and host: assembly, and what it shares with Rust.
#![expect(unsafe_code, reason = "the world switch is assembly")]

use core::arch::global_asm;
use core::mem::offset_of;

use crate::processor::vmcb::Vmcb;

global_asm!(
    include_str!("world.s"),
    FX = const offset_of!(World, fx),
    RCX = const offset_of!(World, rcx),
    RDX = const offset_of!(World, rdx),
    RBX = const offset_of!(World, rbx),
    RBP = const offset_of!(World, rbp),
    RSI = const offset_of!(World, rsi),
    RDI = const offset_of!(World, rdi),
    R8 = const offset_of!(World, upper) ,
    R9 = const offset_of!(World, upper) + 8,
    R10 = const offset_of!(World, upper) + 16,
    R11 = const offset_of!(World, upper) + 24,
    R12 = const offset_of!(World, upper) + 32,
    R13 = const offset_of!(World, upper) + 40,
    R14 = const offset_of!(World, upper) + 48,
    R15 = const offset_of!(World, upper) + 56,
    VMCB = const offset_of!(World, vmcb),
    TAKEN = const offset_of!(World, taken),
    VMCB_RFLAGS = const offset_of!(Vmcb, rflags),
    VMCB_RSP = const offset_of!(Vmcb, rsp),
    VMCB_RIP = const offset_of!(Vmcb, rip),
);

/// What the assembly saves and restores around a stay in the host. RAX, RSP, RIP and RFLAGS are in
/// the [`Vmcb`].
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct World {
    /// FXSAVE. The upper halves of wider registers stay in the processor: nothing in the host
    /// touches them.
    fx: [u8; 512],
    /// Physical address of the VMCB.
    pub(crate) vmcb: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rbx: u64,
    pub(crate) rbp: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    /// R8 to R15.
    pub(crate) upper: [u64; 8],
    /// Bit v: the host has taken vector v.
    pub(crate) taken: [u64; 4],
    /// The CPU that this belongs to.
    pub(crate) memory: *const (),
}

impl World {
    pub(crate) const ZERO: Self = Self {
        fx: [0; 512],
        vmcb: 0,
        rcx: 0,
        rdx: 0,
        rbx: 0,
        rbp: 0,
        rsi: 0,
        rdi: 0,
        upper: [0; 8],
        taken: [0; 4],
        memory: core::ptr::null(),
    };

    /// Forgets a non-maskable interrupt that the host has taken.
    pub(crate) fn forget_nmi(&mut self) {
        let [first, ..] = &mut self.taken;
        *first &= !(1 << 2);
    }
}

unsafe extern "C" {
    fn rar_vrar_enter(world: *mut World, vmcb: *mut Vmcb, stack: *mut u8, tables: u64);
    fn rar_vrar_take(world: *mut World);
    fn rar_vrar_halt(world: *mut World);
    fn rar_vrar_unblock_nmi();
    static rar_vrar_stubs: [[u8; 16]; 256];
}

/// Makes the CPU a guest that goes on behind this call.
///
/// # Safety
///
/// 1. `vmcb` is filled in except RSP, RIP and RFLAGS, and `world` names it and its
///    [`CpuMemory`](crate::CpuMemory).
/// 2. EFER.SVME is set, VM_HSAVE_PA names a page of this CPU, and the IDT loaded has the [`stubs`]
///    with IST 0.
/// 3. Interrupts are disabled; `stack` is the 16-byte aligned top of a stack that nothing else
///    uses.
/// 4. `tables` is the physical address of page tables that map all of that, the code and the
///    statics of the shim where they are now.
/// 5. All of that stays forever.
pub(crate) unsafe fn enter(world: *mut World, vmcb: *mut Vmcb, stack: *mut u8, tables: u64) {
    // SAFETY: the caller's promises are what the assembly needs; it keeps to the C calling
    // convention.
    unsafe { rar_vrar_enter(world, vmcb, stack, tables) }
}

/// Lets the host take the interrupts that wait: they show in `taken`.
pub(crate) fn take(world: &mut World) {
    // SAFETY: called in the host, with GIF clear, RFLAGS.IF set and the shim's IDT loaded.
    unsafe { rar_vrar_take(world) }
}

/// Waits in the host until an interrupt came, and takes it.
pub(crate) fn halt(world: &mut World) {
    // SAFETY: as for `take`.
    unsafe { rar_vrar_halt(world) }
}

/// Ends the service of a non-maskable interrupt: the next can come.
pub(crate) fn unblock_nmi() {
    // SAFETY: called in the host, in ring 0; returns with the same stack, flags and segments.
    unsafe { rar_vrar_unblock_nmi() }
}

/// Returns the address of the entry point of vector 0; the others follow, 16 bytes each.
pub(crate) fn stubs() -> u64 {
    (&raw const rar_vrar_stubs).addr() as u64
}
