//! Who sees what the hardware does: the oracle of a history.

use rar_model::Translation;

use super::Stored;

/// Sees every use of a translation. Called with the CPU's TLB locked: an implementation must not access memory.
pub trait Watch: Sync {
    /// An access of `cpu`, a store if `write`, goes through this translation.
    fn uses(&self, cpu: u32, translation: &Translation, write: bool);

    /// A walk of `cpu` reads an entry of the page table at this physical address, be it for an access or on speculation.
    fn walks(&self, cpu: u32, table: u64);

    /// A buffered store of `cpu` reaches memory.
    fn drains(&self, cpu: u32, stored: &Stored);

    /// An invalidation on `cpu` drops this translation.
    fn drops(&self, cpu: u32, translation: &Translation);

    /// Returns the address that a CPU walks on speculation, given a random number.
    fn speculates_on(&self, random: u16) -> u64;

    /// The own interrupt of `cpu` is handled.
    fn own_interrupt(&self, cpu: u32);
}

/// Sees nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn uses(&self, _: u32, _: &Translation, _: bool) {}
    fn walks(&self, _: u32, _: u64) {}
    fn drains(&self, _: u32, _: &Stored) {}
    fn drops(&self, _: u32, _: &Translation) {}
    fn speculates_on(&self, _: u16) -> u64 {
        0
    }
    fn own_interrupt(&self, _: u32) {}
}
