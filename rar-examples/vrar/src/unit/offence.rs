//! What a driver must never do.

use rar_vocabulary::UnitCounter;

/// What a driver must never do; each kind is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// A request with a vector, a shorthand, the broadcast or a level: no source says what a
    /// processor does then.
    UnknownRequest,
    /// An entry that ended in FAILURE.
    RefusedEntry,
    /// A payload that was changed between its signal and its execution.
    ChangedPayload,
    /// ENABLE set while an entry of the vector was pending.
    EnabledWithPending,
    /// An access to a RAR register that raised #GP.
    Register,
    /// An access to memory that is hidden: the CPU is gone.
    HiddenMemory,
}

impl Offence {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::UnknownRequest,
        Self::RefusedEntry,
        Self::ChangedPayload,
        Self::EnabledWithPending,
        Self::Register,
        Self::HiddenMemory,
    ];

    /// Returns the kind in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::UnknownRequest => "a request that no public source knows",
            Self::RefusedEntry => "an entry that the unit refuses",
            Self::ChangedPayload => "a payload changed between signal and execution",
            Self::EnabledWithPending => "RAR enabled with an entry pending",
            Self::Register => "a RAR register access that faults",
            Self::HiddenMemory => "an access to memory that is hidden",
        }
    }

    /// Returns the name in a trace.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownRequest => "unknown-request",
            Self::RefusedEntry => "refused-entry",
            Self::ChangedPayload => "changed-payload",
            Self::EnabledWithPending => "enabled-with-pending",
            Self::Register => "register",
            Self::HiddenMemory => "hidden-memory",
        }
    }

    /// Returns the counter.
    #[must_use]
    pub const fn counter(self) -> UnitCounter {
        match self {
            Self::UnknownRequest => UnitCounter::OffenceUnknownRequest,
            Self::RefusedEntry => UnitCounter::OffenceRefusedEntry,
            Self::ChangedPayload => UnitCounter::OffenceChangedPayload,
            Self::EnabledWithPending => UnitCounter::OffenceEnabledWithPending,
            Self::Register => UnitCounter::OffenceRegister,
            Self::HiddenMemory => UnitCounter::OffenceHiddenMemory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Offence;

    #[test]
    fn the_counter_has_the_name_of_the_offence() {
        for offence in Offence::ALL {
            let name = offence.counter().name();
            assert_eq!(name.strip_prefix("offence-"), Some(offence.name()));
        }
    }
}
