//! The atomics of `core`, each access shown to an observer first (`--cfg rar_observed`).
//!
//! A simulator on a host counts cache lines with it and changes to another CPU between any two
//! accesses, in the very code that ships.

extern crate std;

use core::ops::Range;
use core::sync::atomic::{self, Ordering};
use std::sync::OnceLock;

use crate::domain::Domain;
use crate::per_cpu::PerCpu;

/// What an access does to a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes it.
    Write,
    /// Reads and writes it in one: on x86 a locked instruction, before which buffered stores reach
    /// memory.
    Update,
    /// Touches none: a fence, before which buffered stores reach memory if it is sequentially
    /// consistent.
    Fence(Ordering),
}

/// Sees every access to what CPUs share, before it happens.
pub trait Observer: Sync {
    /// The calling thread is about to access the memory at this address (0 for a fence).
    fn before(&self, address: usize, access: Access);
}

static OBSERVER: OnceLock<&'static dyn Observer> = OnceLock::new();

/// Sets the observer of this process; only the first call has an effect. Returns whether this was
/// it.
pub fn observe(observer: &'static dyn Observer) -> bool {
    OBSERVER.set(observer).is_ok()
}

/// Returns the addresses of the owner states of a domain's slots.
#[must_use]
pub fn slot_states<const WORDS: usize>(domain: &Domain<WORDS>) -> Range<usize> {
    addresses_of(domain.slots())
}

/// Returns the addresses of a domain's sets: who is online, who is registered.
#[must_use]
pub fn sets<const WORDS: usize>(domain: &Domain<WORDS>) -> [Range<usize>; 2] {
    [
        addresses_of(domain.online_set()),
        addresses_of(domain.registered_set()),
    ]
}

/// Returns the addresses of the counts that a registered CPU keeps.
#[must_use]
pub fn counters_of(cpu: &PerCpu) -> Range<usize> {
    addresses_of(cpu.counters())
}

/// Returns the addresses of the counts of CPUs that are not registered.
#[must_use]
pub fn counters_of_others<const WORDS: usize>(domain: &Domain<WORDS>) -> Range<usize> {
    addresses_of(domain.counters_of_others())
}

fn addresses_of<T>(object: &T) -> Range<usize> {
    let start = core::ptr::from_ref(object).addr();
    start..start + size_of::<T>()
}

fn before(address: usize, access: Access) {
    if let Some(observer) = OBSERVER.get() {
        observer.before(address, access);
    }
}

/// Shows the observer a read of memory that is not atomic: of each line of an object.
pub fn read<T>(object: &T) {
    const LINE: usize = 64;
    let Range { start, end } = addresses_of(object);
    for line in (start / LINE * LINE..end).step_by(LINE) {
        before(line.max(start), Access::Read);
    }
}

/// As [`atomic::fence`].
pub fn fence(order: Ordering) {
    before(0, Access::Fence(order));
    atomic::fence(order);
}

macro_rules! observed {
    ($name:ident: $value:ty) => {
        #[doc = concat!("As [`atomic::", stringify!($name), "`].")]
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name(atomic::$name);

        impl $name {
            /// As in `core`.
            #[must_use]
            pub const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            /// As in `core`.
            pub fn load(&self, order: Ordering) -> $value {
                self.shown(Access::Read).load(order)
            }

            /// As in `core`.
            pub fn store(&self, value: $value, order: Ordering) {
                self.shown(Access::Write).store(value, order);
            }

            /// As in `core`.
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                self.shown(Access::Update).swap(value, order)
            }

            /// As in `core`.
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.shown(Access::Update).fetch_add(value, order)
            }

            /// As in `core`.
            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.shown(Access::Update).fetch_sub(value, order)
            }

            /// As in `core`.
            pub fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                self.shown(Access::Update).fetch_and(value, order)
            }

            /// As in `core`.
            pub fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                self.shown(Access::Update).fetch_or(value, order)
            }

            /// As in `core`.
            pub fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                self.shown(Access::Update).fetch_max(value, order)
            }

            /// As in `core`.
            ///
            /// # Errors
            ///
            /// The value that was found instead of `current`.
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.shown(Access::Update)
                    .compare_exchange(current, new, success, failure)
            }

            fn shown(&self, access: Access) -> &atomic::$name {
                before(core::ptr::from_ref(self).addr(), access);
                &self.0
            }
        }
    };
}

observed!(AtomicU8: u8);
observed!(AtomicU32: u32);
observed!(AtomicU64: u64);

/// As [`atomic::AtomicPtr`].
#[derive(Debug)]
#[repr(transparent)]
pub struct AtomicPtr<T>(atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    /// As in `core`.
    #[must_use]
    pub const fn new(value: *mut T) -> Self {
        Self(atomic::AtomicPtr::new(value))
    }

    /// As in `core`.
    pub fn load(&self, order: Ordering) -> *mut T {
        self.shown(Access::Read).load(order)
    }

    /// As in `core`.
    pub fn store(&self, value: *mut T, order: Ordering) {
        self.shown(Access::Write).store(value, order);
    }

    /// As in `core`.
    ///
    /// # Errors
    ///
    /// The value that was found instead of `current`.
    pub fn compare_exchange(
        &self,
        current: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        self.shown(Access::Update)
            .compare_exchange(current, new, success, failure)
    }

    fn shown(&self, access: Access) -> &atomic::AtomicPtr<T> {
        before(core::ptr::from_ref(self).addr(), access);
        &self.0
    }
}
