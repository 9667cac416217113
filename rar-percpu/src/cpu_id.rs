//! Which CPU: our number of it, and the proof of being on it.

use core::marker::PhantomData;

/// The number that the kernel gives a CPU: 0, 1, 2, ... with no gaps, the index into its per-CPU
/// memory.
///
/// Not the hardware's number, which is [`ApicId`](crate::ApicId).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CpuId(u32);

impl CpuId {
    /// Returns the CPU of that number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Returns the number as an array index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl core::fmt::Display for CpuId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// The proof that the code runs on one CPU and stays there while the value lives.
///
/// Made where a kernel disables preemption or enters an interrupt handler. It cannot be sent,
/// shared or copied, since all of them would let "this CPU, now" leave the CPU. The handler of NMIs
/// makes an [`NmiCpu`].
#[derive(Debug)]
pub struct PinnedCpu<'a> {
    cpu: CpuId,
    not_send: PhantomData<(&'a (), *const ())>,
}

/// A guard of the kernel's that keeps the code on one CPU while it lives: preemption or interrupts
/// are disabled.
///
/// One promise for each type of guard, instead of one at each flush: [`PinnedCpu::from_guard`] is
/// safe.
///
/// # Implementation safety
///
/// 1. While a value lives, the code that can reach it runs on one CPU. The type is not `Send`, or
///    sending it moves no code.
/// 2. [`cpu`](Self::cpu) returns that CPU.
#[expect(
    unsafe_code,
    reason = "being pinned is a promise that only the kernel can make"
)]
pub unsafe trait CpuGuard {
    /// Returns the CPU that the code runs on.
    fn cpu(&self) -> CpuId;
}

impl<'a> PinnedCpu<'a> {
    /// Returns the CPU that the code runs on.
    #[must_use]
    #[inline]
    pub fn id(&self) -> CpuId {
        self.cpu
    }

    /// Returns the proof that the guard is; it lives as long as the guard is borrowed.
    #[must_use]
    #[expect(unsafe_code, reason = "forwards the promise of the guard's type")]
    pub fn from_guard<G: CpuGuard + ?Sized>(guard: &'a G) -> Self {
        // SAFETY: 1. and 2. are the promises of `CpuGuard`, for as long as the guard is borrowed.
        unsafe { Self::new(guard.cpu()) }
    }

    /// Returns the proof that this code runs on `cpu`.
    ///
    /// # Safety
    ///
    /// 1. The code runs on `cpu`.
    /// 2. It does not move to another CPU in the lifetime `'a`, and so while the value lives:
    ///    preemption is disabled, or it is an interrupt handler.
    #[must_use]
    #[expect(
        unsafe_code,
        reason = "being pinned is a promise that only the kernel can make"
    )]
    pub unsafe fn new(cpu: CpuId) -> Self {
        Self {
            cpu,
            not_send: PhantomData,
        }
    }
}

/// The proof that the code runs on one CPU, in its handler of non-maskable interrupts: it answers
/// for the CPU ([`Domain::answer_in_nmi`](crate::Domain::answer_in_nmi)), and does nothing else.
///
/// An NMI may cut in between the two words of an interrupt command, or into the kernel's critical
/// section, so its handler must not send. With this proof instead of a [`PinnedCpu`] a flush in the
/// handler does not compile.
#[derive(Debug)]
pub struct NmiCpu<'a>(PinnedCpu<'a>);

impl<'a> NmiCpu<'a> {
    /// Returns the CPU that the handler runs on.
    #[must_use]
    #[inline]
    pub fn id(&self) -> CpuId {
        self.0.id()
    }

    /// Returns the proof that the guard is; it lives as long as the guard is borrowed.
    #[must_use]
    pub fn from_guard<G: CpuGuard + ?Sized>(guard: &'a G) -> Self {
        Self(PinnedCpu::from_guard(guard))
    }

    /// Returns the proof that this code runs on `cpu`.
    ///
    /// # Safety
    ///
    /// 1. The code runs on `cpu`, and does not move while the value lives: it is an NMI handler.
    #[must_use]
    #[expect(
        unsafe_code,
        reason = "being pinned is a promise that only the kernel can make"
    )]
    pub unsafe fn new(cpu: CpuId) -> Self {
        // SAFETY: 1. and 2. are the caller's 1.
        Self(unsafe { PinnedCpu::new(cpu) })
    }

    pub(crate) fn pinned(&self) -> &PinnedCpu<'a> {
        &self.0
    }
}
