//! User mode: one loop of loads at privilege level 3, and the way there and back.

use core::arch::global_asm;

use super::tables::{CODE_SELECTOR, DATA_SELECTOR, USER_CODE_SELECTOR, USER_DATA_SELECTOR};
use super::{TrapFrame, vector};

global_asm!(
    include_str!("user.s"),
    user_data = const USER_DATA_SELECTOR.bits(),
    user_code = const USER_CODE_SELECTOR.bits(),
    data = const DATA_SELECTOR.bits(),
    end = const vector::USER_END,
    options(att_syntax),
);

unsafe extern "C" {
    fn rar_kernel_enter_user(page: u64, notes: u64, value: u64, deadline: u64, code: u64) -> u64;

    static rar_kernel_left_user: [u8; 0];
    static rar_kernel_user_code: [u8; 0];
    static rar_kernel_user_code_end: [u8; 0];
}

/// The bit that is always set; interrupts stay disabled until the kernel's own flags are back.
const RFLAGS: u64 = 1 << 1;

/// Where the loop finds what it needs; all addresses are pages of user mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spin {
    /// What it loads.
    pub(crate) page: u64,
    /// Two words: how many loads it has made, and whether it is to end.
    pub(crate) notes: u64,
    /// What it expects to find.
    pub(crate) value: u64,
    /// The time stamp at which it ends.
    pub(crate) deadline: u64,
    /// A copy of [`code`].
    pub(crate) code: u64,
}

/// The instructions of the loop, wherever they are copied to.
pub(crate) fn code() -> &'static [u8] {
    let start = &raw const rar_kernel_user_code;
    let length = (&raw const rar_kernel_user_code_end)
        .addr()
        .saturating_sub(start.addr());
    // SAFETY: `user.s` has the second symbol behind the first in one section, which is read-only.
    unsafe { core::slice::from_raw_parts(start.cast(), length) }
}

/// Runs the loop on this CPU, and returns what its last load found.
///
/// # Safety
///
/// 1. `code` is a copy of [`code`] that user mode can execute and nobody changes.
/// 2. `notes` leads to two words that only atomics use, and that belong to this CPU.
/// 3. No system register makes user mode more than it is: the other pages that it may touch are none of Rust's.
pub(crate) unsafe fn spin(spin: Spin) -> u64 {
    let Spin {
        page,
        notes,
        value,
        deadline,
        code,
    } = spin;
    // SAFETY: the loop keeps to what the caller promises, and every way out of it comes back as the calling convention wants: by `end`, which
    // every fault of user mode leads to. Interrupts have stacks of their own.
    unsafe { rar_kernel_enter_user(page, notes, value, deadline, code) }
}

pub(super) fn is_user(frame: &TrapFrame) -> bool {
    frame.cs == u64::from(USER_CODE_SELECTOR.bits())
}

/// Lets the trap return to the kernel, where it went to user mode.
pub(super) fn end(frame: &mut TrapFrame, found: u64) {
    if !is_user(frame) {
        return;
    }
    frame.rax = found;
    frame.rip = (&raw const rar_kernel_left_user).addr() as u64;
    frame.cs = u64::from(CODE_SELECTOR.bits());
    frame.ss = u64::from(DATA_SELECTOR.bits());
    frame.rsp = frame.r12;
    frame.rflags = RFLAGS;
}
