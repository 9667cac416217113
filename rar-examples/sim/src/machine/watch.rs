//! The boundary to an observer of the hardware, such as the oracle of a history.

use rar_model::Translation;

use super::Stored;

/// Sees every use of a translation.
///
/// Unless a method says otherwise, the CPU's TLB is locked: an implementation must not access
/// memory.
pub trait Watch: Sync {
    /// An access of `cpu`, a store if `write`, goes through this translation.
    fn uses(&self, _cpu: u32, _translation: &Translation, _write: bool) {}

    /// A walk of `cpu`, speculative or not, reads an entry of the page table at this physical
    /// address.
    fn walks(&self, _cpu: u32, _table: u64) {}

    /// A walk of `cpu` sets the A or the D bit (`bit`) of the entry that leads to this physical
    /// address.
    fn records(&self, _cpu: u32, _target: u64, _bit: u64) {}

    /// A buffered store of `cpu` reaches memory.
    fn drains(&self, _cpu: u32, _stored: &Stored) {}

    /// An invalidation on `cpu` drops this translation.
    fn drops(&self, _cpu: u32, _translation: &Translation) {}

    /// The unit of `cpu` is about to invalidate. The TLB is not locked.
    fn invalidates(&self, _cpu: u32) {}

    /// `cpu` is about to drop translations by instructions. The TLB is not locked.
    fn flushes(&self, _cpu: u32) {}

    /// `cpu` or its unit is about to access memory that driver and units share. No other CPU runs
    /// before the access. Called only with `--cfg rar_observed`.
    fn accesses(&self, _cpu: u32) {}

    /// The driver lets a moment pass in a spin.
    fn spins(&self) {}

    /// Returns the address that a CPU walks on speculation, given a random number.
    fn speculates_on(&self, _random: u16) -> u64 {
        0
    }

    /// The own interrupt of `cpu` is handled.
    fn own_interrupt(&self, _cpu: u32) {}
}

/// Sees nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {}
