//! One CPU that starts flushes.

use super::basics::{Mask, Word};

/// Where an initiator stands in `Shootdown::start`, `flush` and `Pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum At {
    /// Is about to change the page table.
    #[default]
    Store,
    /// Executes the fence.
    Begin,
    /// Reads the targets.
    Read,
    /// Looks whether any target needs a second look.
    Look,
    /// Decides how each target is flushed.
    Sort,
    /// Claims a free slot.
    Claim,
    /// Waits for a slot.
    Wait,
    /// Looks at the bytes of a slot that serves no flush any more.
    TakeOver,
    /// Forgets old refusals in a slot that it took over.
    Forget,
    /// Writes the payload.
    Payload,
    /// Arms the targets.
    Arm,
    /// Calls the slot posted.
    Post,
    /// Signals the targets.
    Signal,
    /// Draws the number of a request of full flushes.
    Ticket,
    /// Raises the request of each target.
    Request,
    /// Interrupts each target.
    Interrupt,
    /// Flushes itself.
    FlushSelf,
    /// Waits for the answers.
    Await,
    /// Demotes a target.
    Demote,
    /// Counts the demotion.
    CountDemotion,
    /// Signals again.
    SignalAgain,
    /// Sends NMIs.
    Nmi,
    /// Gives its slot back, or sets it apart.
    Settle,
    /// Takes its slot back from CPUs that might take it over.
    Unpost,
    /// Forgets the refusals of its own entry.
    ForgetOwn,
    /// Frees the slot.
    GiveBack,
    /// Sets the slot apart.
    Quarantine,
    /// Returns to the kernel.
    Return,
    /// Has no flush left.
    Done,
}

/// How far a flush has escalated (`Phase` in `rar-shootdown/src/pending.rs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Nothing is sent.
    #[default]
    Start,
    /// The targets were signalled.
    Signalled,
    /// The targets were signalled twice.
    SignalledAgain,
    /// They were asked for a full flush.
    Asked,
    /// They got an NMI.
    AskedAgain,
}

/// What a flush returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// `Ok`: what it owned may be freed.
    #[default]
    Flushed,
    /// `FlushError::NoAnswer`.
    Late,
    /// The flush was dropped: what it owned is leaked.
    Dropped,
    /// The flush was forgotten, with its slot.
    Forgotten,
}

/// One CPU that starts flushes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Initiator {
    /// The next step.
    pub at: At,
    /// Which of its flushes this is.
    pub flush: u8,
    /// It has left the ordinary path.
    pub general: bool,
    /// The joins before the flush.
    pub since: u8,
    /// The targets that were online.
    pub aim: Mask,
    /// What the loop at this step has left to do.
    pub left: Mask,
    /// The targets with an entry that have not succeeded (`Posted::open`).
    pub open: Mask,
    /// The targets that are asked by generation.
    pub asked: Mask,
    /// The targets that are not known to have flushed.
    pub unflushed: Mask,
    /// It has entries.
    pub posted: bool,
    /// The slot that it owns or looks at, plus one.
    pub slot: u8,
    /// The word by which it owns the slot, or that it found there.
    pub word: Word,
    /// The ticket that it waits for; zero stands for nothing.
    pub ticket: u8,
    /// How far it has escalated.
    pub phase: Phase,
    /// The target that it saw out of the online set, plus one.
    pub gone: u8,
    /// What it returns.
    pub outcome: Outcome,
    /// It waits until its deadlines.
    pub late: bool,
    /// It has flushed itself, where it is a target.
    pub flushed_self: bool,
    /// Judged, not shared: the targets that it has armed.
    pub armed: Mask,
}

impl Initiator {
    /// Returns the slot that it owns or looks at.
    #[must_use]
    pub fn slot_index(&self) -> usize {
        usize::from(self.slot).saturating_sub(1)
    }
}
