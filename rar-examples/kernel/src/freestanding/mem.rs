//! The memory functions that compiled code calls and that the host target leaves to its C library.
//!
//! Written in string instructions and byte loops of volatile accesses: in plain loops the compiler
//! would recognise the very functions and call them again.

use core::arch::asm;
use core::ffi::c_int;

/// Copies `length` bytes between regions that do not overlap.
///
/// # Safety
///
/// As C's `memcpy`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller owns both regions; DF is clear by the ABI.
    unsafe {
        asm!(
            "rep movsb",
            inout("rdi") to => _, inout("rsi") from => _, inout("rcx") length => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Copies `length` bytes between regions that may overlap.
///
/// # Safety
///
/// As C's `memmove`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= length {
        // SAFETY: the destination does not begin inside the source, so that copying upwards
        // overwrites nothing unread.
        return unsafe { memcpy(to, from, length) };
    }
    // SAFETY: the caller owns both regions; copied downwards, and DF is cleared again as the ABI
    // wants it.
    unsafe {
        asm!(
            "std", "rep movsb", "cld",
            inout("rdi") to.wrapping_add(length).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(length).wrapping_sub(1) => _,
            inout("rcx") length => _,
            options(nostack),
        );
    }
    to
}

/// Fills `length` bytes with the low byte of `value`.
///
/// # Safety
///
/// As C's `memset`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memset(to: *mut u8, value: c_int, length: usize) -> *mut u8 {
    // SAFETY: the caller owns the region; DF is clear by the ABI.
    unsafe {
        asm!(
            "rep stosb",
            inout("rdi") to => _, in("eax") value, inout("rcx") length => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Compares `length` bytes as unsigned numbers.
///
/// # Safety
///
/// As C's `memcmp`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> c_int {
    for offset in 0..length {
        // SAFETY: inside the caller's region. Volatile, as the module says.
        let a = unsafe { left.wrapping_add(offset).read_volatile() };
        // SAFETY: as above.
        let b = unsafe { right.wrapping_add(offset).read_volatile() };
        if a != b {
            return c_int::from(a) - c_int::from(b);
        }
    }
    0
}

/// Returns zero if `length` bytes are equal.
///
/// # Safety
///
/// As C's `bcmp`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> c_int {
    // SAFETY: the same contract.
    unsafe { memcmp(left, right, length) }
}

/// Named by the prebuilt `core`, which is compiled to unwind; this kernel aborts, so nothing calls
/// it.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn rust_eh_personality() {}
