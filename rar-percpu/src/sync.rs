//! The one switch between the atomics of `core`, those of loom, and observed ones.
//!
//! Everything shared with microcode or another CPU is built from the items of this module, so that
//! the very code that ships is what a loom model explores. Under `--cfg rar_loom` the table and the
//! CPU table shrink, since each atomic costs loom time. Under `--cfg rar_observed` a simulator sees
//! every access.

#[cfg(all(rar_observed, not(rar_loom)))]
pub(crate) use crate::observed::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, fence};
#[cfg(not(rar_loom))]
pub(crate) use core::sync::atomic::Ordering;
#[cfg(not(any(rar_loom, rar_observed)))]
pub(crate) use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, fence};
#[cfg(rar_loom)]
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// The pointers to the CPUs' memory are of `core` under loom too: every access to a CPU begins with
/// one, and to explore each would leave no time for what is behind it.
#[cfg(rar_loom)]
pub(crate) use core::sync::atomic::AtomicPtr;

/// Number of payload table entries and action vector bytes: the architectural 64, or 2 under loom.
#[cfg(not(rar_loom))]
pub(crate) const MAX_SLOTS: usize = 64;
/// Number of payload table entries and action vector bytes: the architectural 64, or 2 under loom.
#[cfg(rar_loom)]
pub(crate) const MAX_SLOTS: usize = 2;

/// Number of CPUs for each word of a set: 64, or 4 under loom.
#[cfg(not(rar_loom))]
pub(crate) const CPUS_PER_WORD: usize = 64;
/// Number of CPUs for each word of a set: 64, or 4 under loom.
#[cfg(rar_loom)]
pub(crate) const CPUS_PER_WORD: usize = 4;

/// A function that is `const` except under loom, whose atomics have no `const` constructor.
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
        #[cfg(not(rar_loom))]
        $(#[$meta])*
        #[must_use]
        $vis const fn $name($($arg: $ty),*) -> $ret $body
        #[cfg(rar_loom)]
        $(#[$meta])*
        #[must_use]
        $vis fn $name($($arg: $ty),*) -> $ret $body
    };
}

/// An array of that length filled by an initialiser, `const` except under loom.
macro_rules! shared_array {
    ($init:expr; $len:expr) => {{
        #[cfg(not(rar_loom))]
        {
            [const { $init }; $len]
        }
        #[cfg(rar_loom)]
        {
            core::array::from_fn::<_, { $len }, _>(|_| $init)
        }
    }};
}

pub(crate) use {const_unless_loom, shared_array};
