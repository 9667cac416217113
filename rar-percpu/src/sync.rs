//! The one switch between the atomics of `core`, those of loom, and observed ones.
//!
//! Everything shared with microcode or another CPU is built from the items of this module, so that the very code that
//! ships is what a loom model explores. Under `--cfg rar_loom` the table also shrinks to [`MAX_SLOTS`] = 2, since each atomic
//! costs loom time. Under `--cfg rar_observed` a simulator sees every access.

#[cfg(all(rar_observed, not(rar_loom)))]
pub use crate::observed::{Access, AtomicU8, AtomicU32, AtomicU64, Observer, fence, observe};
#[cfg(all(rar_observed, not(rar_loom)))]
pub use core::sync::atomic::Ordering;
#[cfg(not(any(rar_loom, rar_observed)))]
pub use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(rar_loom)]
pub use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// Number of payload table entries and action vector bytes: the architectural 64, or 2 under loom.
#[cfg(not(rar_loom))]
pub const MAX_SLOTS: usize = 64;
/// Number of payload table entries and action vector bytes: the architectural 64, or 2 under loom.
#[cfg(rar_loom)]
pub const MAX_SLOTS: usize = 2;

/// A function that is `const` except under loom, whose atomics have no `const` constructor.
#[macro_export]
#[doc(hidden)]
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

/// An array filled by an initialiser, `const` except under loom.
#[macro_export]
#[doc(hidden)]
macro_rules! shared_array {
    ($init:expr) => {{
        #[cfg(not(rar_loom))]
        {
            [const { $init }; _]
        }
        #[cfg(rar_loom)]
        {
            core::array::from_fn(|_| $init)
        }
    }};
}
