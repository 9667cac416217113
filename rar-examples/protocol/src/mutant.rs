//! Broken protocols: each must break the invariant that it should.

use crate::invariant::Invariant;

macro_rules! mutants {
    ($(
        $(#[doc = $about:literal])*
        $name:ident: $text:literal, $scenario:literal, $invariant:ident;
    )*) => {
        /// A protocol with one fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mutant {
            $($(#[doc = $about])* $name,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Returns what is broken.
            #[must_use]
            pub fn about(self) -> String {
                match self {
                    $(Self::$name => concat!($($about),*).trim().to_owned(),)*
                }
            }

            /// Returns the scenario that shows it.
            #[must_use]
            pub const fn scenario(self) -> &'static str {
                match self {
                    $(Self::$name => $scenario,)*
                }
            }

            /// Returns the invariant that it must break.
            #[must_use]
            pub const fn breaks(self) -> Invariant {
                match self {
                    $(Self::$name => Invariant::$invariant,)*
                }
            }
        }
    };
}

mutants! {
    /// A flush ends at the first answer.
    EndsAtFirstAnswer: "ends-at-first-answer", "healthy", I1;
    /// A target publishes the newest request after its flush, not the one that it read before.
    CompletesNewer: "completes-newer", "refused", I1;
    /// A slot with an open byte is freed, not set apart.
    NoQuarantine: "no-quarantine", "late", I2;
    /// A claim does not change the number of claims.
    ClaimsNotCounted: "claims-not-counted", "forgotten", I2;
    /// The targets are armed before the payload is written.
    ArmsBeforePayload: "arms-before-payload", "healthy", I4;
    /// The targets are signalled before they are armed.
    SignalsBeforeArming: "signals-before-arming", "healthy", I4;
    /// A software responder makes the byte SUCCESS before its flush.
    AnswersBeforeFlush: "answers-before-flush", "software", I4;
    /// A byte that a responder has taken counts as answered.
    TakenIsFinal: "taken-is-final", "software", I5;
    /// A refusal counts as an answer.
    FailureIsSuccess: "failure-is-success", "refused", I5;
    /// A slot leaves quarantine whatever its bytes are, because its CPU has answered since.
    LaterAnswerFrees: "later-answer-frees", "late-slot", I6;
    /// A wait has no last deadline.
    NoDeadline: "no-deadline", "hung", I7;
    /// A spin does not serve what others ask of its CPU.
    SpinServesNothing: "spin-serves-nothing", "each-other", I7;
    /// An initiator that is a target signals itself, too.
    SignalsItself: "signals-itself", "each-other", I8;
    /// The targets are read before the page table is changed.
    ReadsTargetsEarly: "reads-targets-early", "offline", I10;
    /// A CPU that comes online does not flush after its publication.
    NoSecondFlush: "no-second-flush", "offline", I10;
    /// A CPU that leaves lazy TLB mode forgets what it missed without a flush.
    MissForgotten: "miss-forgotten", "lazy", I1;
    /// An initiator that skips a lazy CPU leaves no miss.
    MissNotNoted: "miss-not-noted", "lazy", I1;
    /// A software responder takes an entry without an exchange, so an NMI handler above it does,
    /// too.
    TakesWithoutExchange: "takes-without-exchange", "software", I11;
    /// A CPU that comes up does not clear its vector.
    NotCleared: "not-cleared", "offline", I12;
    /// A CPU that goes offline neither answers what is open nor flushes.
    LeavesWithoutFlush: "leaves-without-flush", "offline", I12;
    /// A CPU out of the online set counts as flushed, before its responder has ended.
    OfflineCountsEarly: "offline-counts-early", "offline", I12;
    /// A flush of freed page tables skips lazy CPUs.
    TablesSkipLazy: "tables-skip-lazy", "lazy", I13;
    /// A demoted CPU is armed.
    ArmsDemoted: "arms-demoted", "verified", I16;
    /// The entries of a CPU that is declared dead are left open.
    DeadLeftOpen: "dead-left-open", "dead", I16;
}
