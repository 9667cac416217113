//! The place of each CPU in the domain.

use core::fmt;

use rar_kernel::paging::MapError;
use rar_kernel::{SpinLock, frames, percpu};
use rar_percpu::{Enabled, RarCpu, SoftwareCpu};
use rar_regs::NativeCpu;
use rar_suite::MAX_CPUS;

/// What answers flushes on a CPU that is online.
pub(crate) enum Member {
    Software(SoftwareCpu<'static>),
    Unit(RarCpu<'static, NativeCpu, Enabled>),
}

/// For each CPU its place in the domain while it is online. Only that CPU takes its lock.
pub(crate) struct Members(&'static [SpinLock<Option<Member>>]);

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").finish_non_exhaustive()
    }
}

impl Members {
    pub(crate) fn new() -> Result<Self, MapError> {
        frames::alloc_static_each(MAX_CPUS, || SpinLock::new(None))
            .map(Self)
            .ok_or(MapError::OutOfFrames)
    }

    pub(crate) fn mine(&self) -> &SpinLock<Option<Member>> {
        #[expect(
            clippy::indexing_slicing,
            reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
        )]
        &self.0[percpu::this().id().index()]
    }
}
