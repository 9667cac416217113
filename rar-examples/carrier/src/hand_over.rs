//! The end of the carrier: it puts the payload into place and leaves for its first instruction.
#![expect(unsafe_code, reason = "gives the machine's memory to another kernel")]

use core::arch::{asm, global_asm};
use core::convert::Infallible;
use core::mem::offset_of;

use rar_carrier::{Entry, HANDOVER_BYTES, Handover, PayloadError, Plan, Step};
use rar_kernel::int::word;
use rar_vrar::HIDE;

/// What the assembly reads.
#[repr(C)]
struct Parameters {
    /// RAX of a VMMCALL that takes the carrier away, or zero.
    hide: u64,
    mode: u64,
    entry: u64,
    rsi: u64,
    stack: u64,
    eax: u32,
    ebx: u32,
    segments: [u8; 10],
    no_gates: [u8; 10],
    /// Makes the size a multiple of the alignment.
    unused: [u8; 4],
}

// Without padding: all bytes are copied, and those of padding have no value.
const _: () = assert!(size_of::<Parameters>() == 5 * 8 + 2 * 4 + 10 + 10 + 4);

global_asm!(
    include_str!("hand_over.s"),
    HIDE = const offset_of!(Parameters, hide),
    MODE = const offset_of!(Parameters, mode),
    ENTRY = const offset_of!(Parameters, entry),
    RSI = const offset_of!(Parameters, rsi),
    STACK = const offset_of!(Parameters, stack),
    EAX = const offset_of!(Parameters, eax),
    EBX = const offset_of!(Parameters, ebx),
    SEGMENTS = const offset_of!(Parameters, segments),
    NO_GATES = const offset_of!(Parameters, no_gates),
);

unsafe extern "C" {
    static rar_carrier_hand_over: u8;
    static rar_carrier_hand_over_end: u8;
}

/// Whether the guest loses the memory that the carrier keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It was named by [`Shim::hide`](rar_vrar::Shim::hide), and is taken away at the last moment.
    Hidden,
    /// The guest can reach it.
    Exposed,
}

/// CR4 of the guest: PAE, OSFXSR and OSXMMEXCPT.
const CR4: u64 = 0x620;
const LONG: u64 = 0;
const PROTECTED: u64 = 1;

/// Returns the block for the handover at this physical address.
///
/// # Safety
///
/// The block is free RAM below 4 GiB that nothing else uses, and this is the only call.
pub(crate) unsafe fn block(address: u64) -> &'static mut [u8] {
    let start: *mut u8 = core::ptr::with_exposed_provenance_mut(word(address));
    // SAFETY: RAM is mapped one to one and writable, and nothing else uses the block.
    unsafe { core::slice::from_raw_parts_mut(start, word(HANDOVER_BYTES)) }
}

/// Puts the payload into place and leaves for its first instruction.
///
/// # Errors
///
/// The handover is full; nothing has changed.
///
/// # Safety
///
/// 1. No other CPU runs, no frame is handed out any more, and no reference to a file of the
///    payload is used again.
/// 2. The plan was made for the guest's RAM of this machine, and the handover is its block.
pub(crate) unsafe fn enter(
    plan: &Plan,
    mut handover: Handover<'static>,
    kept: Kept,
) -> Result<Infallible, PayloadError> {
    let begin = &raw const rar_carrier_hand_over;
    let length = (&raw const rar_carrier_hand_over_end).addr() - begin.addr();
    // SAFETY: the assembly between the two symbols.
    let code = unsafe { core::slice::from_raw_parts(begin, length) };
    let code = handover.code(code)?;
    let tables = handover.identity_map()?;
    let stack = handover.stack()?;
    let (table, limit) = handover.segments()?;
    let mut segments = [0; 10];
    for (to, from) in segments
        .iter_mut()
        .zip(limit.to_le_bytes().into_iter().chain(table.to_le_bytes()))
    {
        *to = from;
    }
    let mut parameters = Parameters {
        hide: match kept {
            Kept::Hidden => HIDE,
            Kept::Exposed => 0,
        },
        mode: LONG,
        entry: 0,
        rsi: 0,
        stack,
        eax: 0,
        ebx: 0,
        segments,
        no_gates: [0; 10],
        unused: [0; 4],
    };
    match plan.entry {
        Entry::Long { rip, rsi } => (parameters.entry, parameters.rsi) = (rip, rsi),
        Entry::Protected { eip, eax, ebx } => {
            parameters.mode = PROTECTED;
            parameters.entry = u64::from(eip);
            (parameters.eax, parameters.ebx) = (eax, ebx);
        }
    }
    let start: *const u8 = (&raw const parameters).cast();
    // SAFETY: the bytes of a value that lives until the end of this function, without padding.
    let bytes = unsafe { core::slice::from_raw_parts(start, size_of::<Parameters>()) };
    let at = handover.code(bytes)?;
    for step in plan.steps.all() {
        // SAFETY: 1. and 2.
        unsafe { take(*step) };
    }
    // SAFETY: the tables map the carrier's code and the handover where they lie. The code there
    // needs nothing of the carrier, which may be hidden from it, and nothing is used again.
    unsafe {
        asm!(
            "mov cr4, {cr4}",
            "mov cr3, {tables}",
            "jmp {code}",
            cr4 = in(reg) CR4,
            tables = in(reg) tables,
            code = in(reg) code,
            in("rdi") at,
            options(noreturn),
        )
    }
}

/// # Safety
///
/// The step writes to the guest's RAM only.
unsafe fn take(step: Step) {
    let place = |address| core::ptr::with_exposed_provenance_mut::<u8>(word(address));
    match step {
        Step::Copy { from, to, length } => {
            // SAFETY: RAM is mapped one to one, readable and, where it is free, writable.
            unsafe { core::ptr::copy(place(from), place(to), word(length)) };
        }
        Step::Clear { start, length } => {
            // SAFETY: as above.
            unsafe { core::ptr::write_bytes(place(start), 0, word(length)) };
        }
    }
}
