//! What one CPU caches of the page tables, and its store buffer.

use std::collections::VecDeque;

use rar_model::{Pcids, TlbModel, Translation};

/// How many entries the paging-structure caches of a CPU hold.
const STRUCTURES: usize = 32;

/// A CPU's TLB and paging-structure caches.
pub type Caches<const TLB: usize> = TlbModel<TLB, STRUCTURES>;

/// The access faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault;

/// A store in a CPU's buffer, already translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The translation of its address.
    pub translation: Translation,
    /// The physical address.
    pub physical: u64,
    /// The value.
    pub value: u64,
}

/// What one CPU caches of the page tables, and its store buffer.
#[derive(Debug)]
pub(crate) struct Mmu<const TLB: usize> {
    pub(crate) tlb: Caches<TLB>,
    pub(super) stores: VecDeque<Stored>,
}

impl<const TLB: usize> Mmu<TLB> {
    pub(crate) fn new() -> Self {
        Self {
            tlb: Caches::with_structures(0, Pcids::Enabled),
            stores: VecDeque::new(),
        }
    }
}
