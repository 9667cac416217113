//! Sets, slots and bytes: what the parts of a state are made of.

/// How many CPUs start flushes.
pub const INITIATORS: usize = 2;
/// How many CPUs are flushed.
pub const TARGETS: usize = 2;
/// How many slots the payload table has.
pub const SLOTS: usize = 2;
/// How many flushes an initiator starts at most, one after the other.
pub const FLUSHES_EACH: usize = 2;

/// A set of targets, slots or flushes: bit `n` for number `n`.
pub type Mask = u8;

/// Every target.
pub const ALL_TARGETS: Mask = (1 << TARGETS) - 1;
/// Every slot.
pub const ALL_SLOTS: Mask = (1 << SLOTS) - 1;

/// Returns the set with one member.
#[must_use]
pub fn bit(number: usize) -> Mask {
    1 << number
}

/// Returns whether a set has a member.
#[must_use]
pub fn has(set: Mask, number: usize) -> bool {
    set & bit(number) != 0
}

/// Returns the smallest member of a set that is not empty.
#[must_use]
pub fn first(set: Mask) -> usize {
    set.trailing_zeros() as usize
}

/// The owner state of a slot (`Slots` in `rar-percpu/src/slots.rs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No flush uses it.
    #[default]
    Free,
    /// An initiator owns it and has not armed all targets.
    Claimed,
    /// All targets are armed.
    Posted,
    /// A byte may not be final, and the flush has ended.
    Quarantined,
}

/// The word of a slot: its owner state, its owner, and the number of claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Word {
    /// The owner state.
    pub kind: Kind,
    /// The initiator that claimed it last.
    pub owner: u8,
    /// How often it was claimed.
    pub claims: u8,
}

/// A byte of an action vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Byte {
    /// 0x00.
    #[default]
    Success,
    /// 0x01.
    Pending,
    /// 0x40: a software responder has taken the entry.
    Taken,
    /// 0x80.
    Failure,
}

impl Byte {
    /// As `ActionByte::is_final`.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failure)
    }
}

/// Who makes the bytes of a CPU final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Responder {
    /// The CPU is offline.
    #[default]
    None,
    /// Its RAR unit.
    Microcode,
    /// Its interrupt handler.
    Software,
}
