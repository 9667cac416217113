//! The machine and the spaces that all designs run on.

use rar_percpu::AtomicCpuSet;
use rar_percpu::observed::AtomicU64;

use crate::machine::Machine;

/// Nothing is mapped, and little cached.
const TLB: usize = 1;

pub(super) type SimMachine<'m> = Machine<'m, TLB>;

/// A value on its own pair of lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

/// What an initiator flushes: its own address space, or the shared one.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Space {
    pub(super) targets: AtomicCpuSet,
    /// The newest generation of its page tables; only queued calls count it.
    pub(super) generation: Apart<AtomicU64>,
}

/// The machine and the spaces of a point.
pub(super) struct Ground<'g, 'm> {
    pub(super) machine: &'g SimMachine<'m>,
    pub(super) spaces: &'g [Space],
    /// The one space of all initiators, if they are threads of one process. Its set names each CPU.
    pub(super) shared: Option<&'g Space>,
}

impl Ground<'_, '_> {
    /// Returns the space that a CPU flushes.
    pub(super) fn space(&self, cpu: u32) -> &Space {
        let of_its_own = self.spaces.get(cpu as usize);
        match self.shared.or(of_its_own) {
            Some(space) => space,
            None => unreachable!("a space for each CPU"),
        }
    }
}
