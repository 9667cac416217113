//! The steps of the model.

/// One step: what happens, on which initiator or target, and to which slot or target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    /// What happens.
    pub what: Transition,
    /// The initiator or the target that does it.
    pub who: u8,
    /// A slot or a target, where the step concerns one.
    pub to: u8,
}

/// Whose step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Of a CPU that starts flushes.
    Initiator,
    /// Of a RAR unit.
    Unit,
    /// Of a CPU that is flushed: a handler, or a step of its life.
    Target,
}

macro_rules! transitions {
    ($($actor:ident: $($(#[$doc:meta])* $name:ident),* $(,)?;)*) => {
        /// The kinds of steps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Transition {
            $($($(#[$doc])* $name,)*)*
        }

        impl Transition {
            /// All of them.
            pub const ALL: &[Self] = &[$($(Self::$name,)*)*];

            /// Returns whose step it is.
            #[must_use]
            pub const fn actor(self) -> Actor {
                match self {
                    $($(Self::$name => Actor::$actor,)*)*
                }
            }
        }
    };
}

transitions! {
    Initiator:
        /// The kernel changes the page table.
        ChangePageTable,
        /// A full fence, and the number of joins.
        BeginFlush,
        /// Reads the target set and who is online.
        ReadTargets,
        /// Finds that every target takes an entry, or leaves the ordinary path.
        TakesEntriesOnly,
        /// Decides how a target is flushed; leaves a miss if it is skipped.
        SortTarget,
        /// Claims a free slot.
        ClaimSlot,
        /// Found no free slot.
        NoFreeSlot,
        /// Reads the word of a slot that may serve no flush any more.
        LookAtSlot,
        /// Reads the byte of a CPU there.
        ReadByte,
        /// Takes the slot over, if its word is the same.
        TakeOver,
        /// Forgets the refusal of a CPU.
        ForgetFailure,
        /// Waits for a slot no longer.
        NoSlot,
        /// Writes the payload.
        StorePayload,
        /// Arms a target.
        Arm,
        /// Calls the slot posted.
        Post,
        /// Signals a target.
        Signal,
        /// The signal is lost.
        LoseSignal,
        /// Flushes itself.
        FlushSelf,
        /// Draws a ticket.
        DrawTicket,
        /// Raises the request of a target.
        Request,
        /// Interrupts a target.
        Interrupt,
        /// Sees SUCCESS.
        SeeSuccess,
        /// Sees that its slot was taken over.
        SeeTakenOver,
        /// Sees that a target is not known any more.
        SeeUnknown,
        /// Sees a target out of the online set.
        SeeOffline,
        /// Sees that it has no responder either.
        SeeNoResponder,
        /// Sees that a target has joined since.
        SeeJoined,
        /// Sees that a target has completed the request.
        SeeFlushed,
        /// Demotes a target whose unit is silent.
        Demote,
        /// Counts the demotion.
        CountDemotion,
        /// The first deadline: signals again.
        SignalAgain,
        /// The second deadline, or refusals only: asks for full flushes.
        FallBack,
        /// The third deadline: sends NMIs.
        Escalate,
        /// Sends an NMI to a target.
        SendNmi,
        /// The last deadline.
        GiveUp,
        /// The kernel drops the flush.
        DropFlush,
        /// The kernel forgets the flush.
        ForgetFlush,
        /// Looks whether its bytes are final.
        SettleLook,
        /// Takes its posted slot back.
        Unpost,
        /// Frees its slot.
        GiveBack,
        /// Sets its slot apart.
        Quarantine,
        /// Returns.
        Return;
    Unit:
        /// Begins a scan for the latched signal.
        Scan,
        /// Passes a byte that is not PENDING.
        Pass,
        /// Reads the payload of a PENDING byte.
        ReadPayload,
        /// Flushes.
        UnitFlush,
        /// Makes the byte SUCCESS.
        Answer,
        /// Makes the byte FAILURE.
        Refuse,
        /// Falls silent.
        FallSilent;
    Target:
        /// Takes an interrupt.
        TakeInterrupt,
        /// Takes an NMI.
        TakeNmi,
        /// Serves others in a spin.
        ServeInSpin,
        /// Reads which slots are in use.
        ScanVector,
        /// Takes a pending entry.
        TakeEntry,
        /// Reads a payload and flushes for it.
        FlushEntry,
        /// Makes the byte final.
        FinishEntry,
        /// Reads the newest request.
        ReadNewest,
        /// Flushes everything.
        FlushAll,
        /// Publishes what it read as completed.
        Complete,
        /// Looks whether its vector is quiet.
        LookQuiet,
        /// Ends a demotion.
        Promote,
        /// Counts the end of a demotion.
        CountPromotion,
        /// Leaves the online set.
        PublishOffline,
        /// Disables RAR.
        DisableUnit,
        /// Takes an open entry on the way down.
        TakeOpen,
        /// Finds an entry open that it could not take, as it was armed only then.
        FindOpen,
        /// Ends an open entry.
        EndEntry,
        /// Has no responder any more.
        Retire,
        /// Begins to come up.
        BeginJoin,
        /// Enables RAR.
        EnableUnit,
        /// Flushes everything before it is published.
        FlushBefore,
        /// Ends the modes.
        ClearModes,
        /// Names its responder.
        SetResponder,
        /// Enters the online set.
        PublishOnline,
        /// Counts the join.
        CountJoin,
        /// Flushes everything after it was published.
        FlushAfter,
        /// Publishes the number of the join.
        StoreJoined,
        /// Enters lazy TLB mode.
        EnterLazy,
        /// Ends the mode.
        LeaveLazy,
        /// Flushes what it missed.
        FlushMissed,
        /// Forgets the miss.
        ForgetMissed,
        /// Verifies a unit that fell silent: distrusts it.
        Distrust,
        /// Gets an NMI of something else.
        GetNmi,
        /// Hangs forever.
        Hang,
        /// Dies.
        Die,
        /// Is declared dead: leaves the online set.
        DeclareDead,
        /// Leaves the registered set.
        Unregister,
        /// Leaves the table of CPUs.
        ForgetCpu,
        /// Its life ends.
        EndLife,
        /// Its number is registered again.
        Register;
}

impl Transition {
    /// Whether it may happen to a CPU while a handler runs there.
    pub(crate) const fn cuts_in(self) -> bool {
        matches!(self, Self::GetNmi | Self::Hang | Self::Die)
    }

    /// Returns what the number `to` of an action names, if anything.
    #[must_use]
    pub const fn concerns(self) -> Option<&'static str> {
        match self {
            Self::SortTarget
            | Self::ReadByte
            | Self::ForgetFailure
            | Self::Arm
            | Self::Signal
            | Self::LoseSignal
            | Self::Request
            | Self::Interrupt
            | Self::SendNmi
            | Self::SeeSuccess
            | Self::SeeUnknown
            | Self::SeeOffline
            | Self::SeeNoResponder
            | Self::SeeJoined
            | Self::SeeFlushed => Some("target"),
            Self::ClaimSlot
            | Self::LookAtSlot
            | Self::Pass
            | Self::ReadPayload
            | Self::TakeEntry
            | Self::FlushEntry
            | Self::FinishEntry
            | Self::TakeOpen
            | Self::FindOpen
            | Self::EndEntry => Some("slot"),
            _ => None,
        }
    }
}
