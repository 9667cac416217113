//! One CPU that is flushed.

use super::basics::{Byte, Mask, Responder, SLOTS};

/// Bit of [`Target::flags`]: the CPU is in lazy TLB mode.
pub const LAZY: u8 = 1;
/// Bit of [`Target::flags`]: a flush skipped the CPU.
pub const MISSED: u8 = 2;
/// Bit of [`Target::flags`]: the CPU is armed no more.
pub const DEMOTED: u8 = 4;
/// Bit of [`Target::flags`]: a quiet vector does not promote it.
pub const DISTRUSTED: u8 = 8;

/// The RAR unit of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unit {
    /// The control register.
    pub enabled: bool,
    /// It has fallen silent.
    pub deaf: bool,
    /// A signal waits.
    pub latched: bool,
    /// The slots that the scan has not come to.
    pub todo: Mask,
    /// The slot that it works on, plus one.
    pub work: u8,
    /// The payload that it has read.
    pub read: u8,
    /// It has flushed for this entry.
    pub flushed: bool,
}

/// The steps of `Domain::answer`, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Reads which slots are in use.
    #[default]
    Scan,
    /// Takes pending entries.
    Take,
    /// Reads a payload that was taken, and flushes.
    Entry,
    /// Makes the byte final.
    Finish,
    /// Reads the newest request of full flushes.
    Newest,
    /// Flushes everything.
    FlushAll,
    /// Publishes what it read as completed.
    Publish,
    /// Looks whether a demoted CPU's vector is quiet.
    Quiet,
    /// Ends the demotion.
    Promote,
    /// Counts one exception less.
    CountPromotion,
}

/// One call of `Domain::answer`: by an interrupt handler, by an NMI handler above it, by a spin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The next step.
    pub stage: Stage,
    /// The slots in use that were not tried yet.
    pub scan: Mask,
    /// The slots that were taken and not finished.
    pub taken: Mask,
    /// The slot of the entry that is flushed for, plus one.
    pub work: u8,
    /// The newest request that was read.
    pub newest: u8,
    /// It is a handler of an NMI.
    pub nmi: bool,
}

/// Where a target stands in its life: the steps of `RarCpu`, `SoftwareCpu`, `enter_lazy`,
/// `leave_lazy`, `verify` and `declare_dead`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Life {
    /// Online.
    #[default]
    Online,
    /// Out of the online set; RAR is to be disabled.
    LeaveDisable,
    /// Takes the entries that are open, slot by slot.
    LeaveTake,
    /// Flushes everything.
    LeaveFlush,
    /// Reads the newest request.
    LeaveNewest,
    /// Flushes for it.
    LeaveFlushNewest,
    /// Publishes it.
    LeavePublish,
    /// Ends the open entries.
    LeaveEnd,
    /// Ends a demotion.
    LeavePromote,
    /// Counts the end of a demotion.
    LeaveCountPromotion,
    /// Gives up its responder.
    LeaveRetire,
    /// Offline.
    Offline,
    /// Ends the entries that are open, slot by slot.
    JoinEnd,
    /// Enables RAR.
    JoinEnable,
    /// First full flush.
    JoinFlush,
    /// Ends lazy mode without a flush.
    JoinClearModes,
    /// Ends a demotion.
    JoinPromote,
    /// Counts the end of a demotion.
    JoinCountPromotion,
    /// Names its responder.
    JoinResponder,
    /// Enters the online set.
    JoinPublish,
    /// Counts the join.
    JoinCount,
    /// Second full flush.
    JoinFlushAgain,
    /// Publishes the number of the join.
    JoinDone,
    /// In lazy TLB mode.
    Lazy,
    /// Has left the mode; flushes what it missed.
    LazyFlush,
    /// Forgets the miss.
    LazyForget,
    /// Reads the newest request.
    LazyNewest,
    /// Flushes for it.
    LazyFlushNewest,
    /// Publishes it.
    LazyPublish,
    /// Disables RAR.
    VerifyDisable,
    /// Takes the entries that are open.
    VerifyTake,
    /// Flushes everything.
    VerifyFlush,
    /// Reads the newest request.
    VerifyNewest,
    /// Flushes for it.
    VerifyFlushNewest,
    /// Publishes it.
    VerifyPublish,
    /// Ends the open entries.
    VerifyEnd,
    /// Enables RAR.
    VerifyEnable,
    /// Ends the demotion.
    VerifyPromote,
    /// Counts the end of the demotion.
    VerifyCountPromotion,
    /// Hung forever, and in the online set.
    Hung,
    /// Dead, and in the online set.
    Dead,
    /// Declared dead: its open entries are to be ended, slot by slot.
    DeadEnd,
    /// Its demotion is to be ended.
    DeadPromote,
    /// The end of its demotion is to be counted.
    DeadCountPromotion,
    /// Its modes are to be ended.
    DeadClearModes,
    /// It is to be taken out of the registered set.
    DeadUnregister,
    /// Its memory is to be taken out of the table.
    DeadForget,
    /// Its life is to be ended.
    DeadEndLife,
    /// Its number can be registered again.
    Unregistered,
}

/// One CPU that is flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Target {
    /// Its action vector.
    pub bytes: [Byte; SLOTS],
    /// The newest request of full flushes.
    pub newest: u8,
    /// The newest that it has completed.
    pub completed: u8,
    /// Lazy, missed, demoted, distrusted.
    pub flags: u8,
    /// It is in the online set.
    pub online: bool,
    /// It is in the registered set.
    pub registered: bool,
    /// Its memory is in the table of CPUs.
    pub known: bool,
    /// The number of its newest join.
    pub joined: u8,
    /// Who answers.
    pub responder: Responder,
    /// An interrupt waits.
    pub irq: bool,
    /// An NMI waits.
    pub nmi: bool,
    /// Its RAR unit.
    pub unit: Unit,
    /// The calls of `answer` that run, the newest last.
    pub frames: [Frame; 2],
    /// How many of them there are.
    pub depth: u8,
    /// Where it stands in its life.
    pub life: Life,
    /// What the loop at this stage has left to do.
    pub left: Mask,
    /// The entries that it took on the way down.
    pub open: Mask,
    /// The newest request that it read on the way down.
    pub read: u8,
    /// The number of its join, before it is published.
    pub join: u8,
    /// Judged, not shared: what was done on this way up or down.
    pub done: u8,
    /// Judged, not shared: the flushes whose old translation it may still hold.
    pub stale: Mask,
}

/// [`Target::done`]: the vector was cleared.
pub const CLEARED: u8 = 1;
/// [`Target::done`]: RAR was enabled, if there is any.
pub const ENABLED: u8 = 2;
/// [`Target::done`]: everything was flushed.
pub const FLUSHED: u8 = 4;
/// [`Target::done`]: everything was flushed since the CPU was published.
pub const FLUSHED_AGAIN: u8 = 8;

impl Target {
    /// Whether interrupts are delivered.
    pub(crate) fn has_interrupts_enabled(&self) -> bool {
        matches!(
            self.life,
            Life::Online
                | Life::Lazy
                | Life::LazyFlush
                | Life::LazyForget
                | Life::LazyNewest
                | Life::LazyFlushNewest
                | Life::LazyPublish
        ) || self.verifies()
    }

    /// Whether the CPU is in `verify`.
    pub(crate) fn verifies(&self) -> bool {
        matches!(self.life, |Life::VerifyDisable| Life::VerifyTake
            | Life::VerifyFlush
            | Life::VerifyNewest
            | Life::VerifyFlushNewest
            | Life::VerifyPublish
            | Life::VerifyEnd
            | Life::VerifyEnable
            | Life::VerifyPromote
            | Life::VerifyCountPromotion)
    }

    /// Whether the CPU is on its way down.
    pub(crate) fn leaves(&self) -> bool {
        matches!(
            self.life,
            Life::LeaveDisable
                | Life::LeaveTake
                | Life::LeaveFlush
                | Life::LeaveNewest
                | Life::LeaveFlushNewest
                | Life::LeavePublish
                | Life::LeaveEnd
                | Life::LeavePromote
                | Life::LeaveCountPromotion
                | Life::LeaveRetire
        )
    }

    /// Whether the CPU executes nothing, forever.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(
            self.life,
            Life::Hung
                | Life::Dead
                | Life::DeadEnd
                | Life::DeadPromote
                | Life::DeadCountPromotion
                | Life::DeadClearModes
                | Life::DeadUnregister
                | Life::DeadForget
                | Life::DeadEndLife
                | Life::Unregistered
        )
    }

    /// Whether the CPU, or who declares it dead, is about to count the end of a demotion.
    pub(crate) fn is_counting(&self) -> bool {
        let frames = self.frames.iter().take(usize::from(self.depth));
        frames
            .clone()
            .any(|frame| frame.stage == Stage::CountPromotion)
            || matches!(
                self.life,
                Life::LeaveCountPromotion
                    | Life::JoinCountPromotion
                    | Life::VerifyCountPromotion
                    | Life::DeadCountPromotion
            )
    }
}
