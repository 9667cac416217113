//! A function that one CPU names and others call.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A type that [`AtomicFn`] can hold.
///
/// # Safety
///
/// The type is a function pointer: as large as a pointer, never null, and callable on every CPU.
pub(crate) unsafe trait FunctionPointer: Copy {}

/// No function, or one that was named.
#[derive(Debug)]
pub(crate) struct AtomicFn<F> {
    /// Null, or a function of type `F`.
    pointer: AtomicPtr<()>,
    function: PhantomData<F>,
}

impl<F: FunctionPointer> AtomicFn<F> {
    /// No function.
    pub(crate) const fn new() -> Self {
        const { assert!(size_of::<F>() == size_of::<*mut ()>()) };
        Self {
            pointer: AtomicPtr::new(core::ptr::null_mut()),
            function: PhantomData,
        }
    }

    /// Names the function. What this CPU wrote before is visible to a CPU that [gets](Self::get)
    /// it.
    pub(crate) fn set(&self, function: F) {
        // SAFETY: a function pointer is as large as a pointer, and each is a valid pointer.
        let pointer = unsafe { core::mem::transmute_copy::<F, *mut ()>(&function) };
        self.pointer.store(pointer, Ordering::Release);
    }

    /// Returns the function that was named last.
    pub(crate) fn get(&self) -> Option<F> {
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: a pointer that is not null was stored by `set` from a function of this type.
        (!pointer.is_null()).then(|| unsafe { core::mem::transmute_copy::<*mut (), F>(&pointer) })
    }
}
