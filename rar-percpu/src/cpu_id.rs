//! Which CPU: our number of it, and the proof of being on it.

use core::marker::PhantomData;

/// The number that the kernel gives a CPU: 0, 1, 2, ... with no gaps, the index into its per-CPU memory.
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
/// Made where a kernel disables preemption or enters an interrupt handler. It cannot be sent, shared or copied, since all of
/// them would let "this CPU, now" leave the CPU.
#[derive(Debug)]
pub struct PinnedCpu<'a> {
    cpu: CpuId,
    not_send: PhantomData<(&'a (), *const ())>,
}

impl PinnedCpu<'_> {
    /// Returns the CPU that the code runs on.
    #[must_use]
    pub fn id(&self) -> CpuId {
        self.cpu
    }
}

#[expect(
    unsafe_code,
    reason = "being pinned is a promise that only the kernel can make"
)]
mod promise {
    use super::{CpuId, PhantomData, PinnedCpu};

    impl PinnedCpu<'_> {
        /// Returns the proof that this code runs on `cpu`.
        ///
        /// # Safety
        ///
        /// 1. The code runs on `cpu`.
        /// 2. It does not move to another CPU while the value lives: preemption is disabled, or it is an interrupt handler.
        #[must_use]
        pub unsafe fn new(cpu: CpuId) -> Self {
            Self {
                cpu,
                not_send: PhantomData,
            }
        }
    }
}
