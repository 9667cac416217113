//! The stacks that traps switch to.

use crate::freestanding::paging::MapError;
use crate::freestanding::paging::kernel_map::map_stack;

/// Tops of the four stacks that traps switch to.
///
/// Every vector has one: the switch happens before the first push, so that the red zone of prebuilt
/// code below RSP survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IstStacks {
    /// Exceptions.
    pub(crate) exception: u64,
    /// Non-maskable interrupts, and nothing else: they come at any moment.
    pub(crate) nmi: u64,
    /// Double faults and machine checks: they come while another stack is broken or in use.
    pub(crate) abort: u64,
    /// Interrupts: handlers do not enable interrupts, so one stack never nests.
    pub(crate) interrupt: u64,
}

impl IstStacks {
    /// Makes the stacks of one CPU, each with an unmapped page below it.
    pub(crate) fn new() -> Result<Self, MapError> {
        Ok(Self {
            exception: map_stack(4)?,
            nmi: map_stack(4)?,
            abort: map_stack(2)?,
            interrupt: map_stack(8)?,
        })
    }

    /// Returns the tops in the order of the interrupt stack table.
    pub(crate) fn tops(&self) -> [u64; 4] {
        [self.exception, self.nmi, self.abort, self.interrupt]
    }
}
