//! User mode: the way to code at privilege level 3, and back.

use core::arch::global_asm;

use super::tables::{CODE_SELECTOR, DATA_SELECTOR, USER_CODE_SELECTOR, USER_DATA_SELECTOR};
use super::trap_frame::TrapFrame;

global_asm!(
    include_str!("user_mode.s"),
    user_data = const USER_DATA_SELECTOR.bits(),
    user_code = const USER_CODE_SELECTOR.bits(),
    data = const DATA_SELECTOR.bits(),
    options(att_syntax),
);

unsafe extern "C" {
    fn rar_kernel_enter_user(rdi: u64, rsi: u64, r10: u64, r8: u64, code: u64) -> u64;

    static rar_kernel_left_user: [u8; 0];
}

/// The bit that is always set; interrupts stay disabled until the kernel's own flags are back.
const RFLAGS: u64 = 1 << 1;

/// What user mode begins with: RCX is zero, and every other register holds something of the
/// kernel's.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are the registers of their names")]
pub struct UserRegisters {
    pub rip: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub r8: u64,
    pub r10: u64,
}

/// Runs code in user mode on this CPU until it executes `INT` of
/// [`vector::USER_END`](super::vector::USER_END).
///
/// Returns the RAX of that moment, or `u64::MAX` after a fault.
///
/// # Safety
///
/// 1. User mode can execute what RIP leads to; the code keeps R12, uses no stack, and ends.
/// 2. What the code writes to is memory that only atomics use.
/// 3. No system register makes user mode more than it is: other pages that it may touch are none of
///    Rust's.
pub unsafe fn run(registers: UserRegisters) -> u64 {
    let UserRegisters {
        rip,
        rdi,
        rsi,
        r8,
        r10,
    } = registers;
    // SAFETY: the code keeps to what the caller promises, and every way out of it comes back as the
    // calling convention wants: by `end`, which every fault of user mode leads to. Interrupts have
    // stacks of their own.
    unsafe { rar_kernel_enter_user(rdi, rsi, r10, r8, rip) }
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
