//! What is explored: who answers, what may happen, how many flushes.

use crate::state::{
    Budget, INITIATORS, Kind, Life, Responder, SLOTS, State, TARGETS, Target, Unit, Word,
};
use crate::transition::Transition as T;

/// A machine with two initiators, two targets and two slots, and what may happen to it.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Who answers on the targets.
    pub responder: Responder,
    /// The targets are the initiators: each flushes itself and the other, with interrupts disabled.
    pub each_other: bool,
    /// How many targets there are; the others are CPUs that never come up.
    pub targets: usize,
    /// How many flushes each initiator starts.
    pub flushes: [u8; INITIATORS],
    /// The policy sends a second signal.
    pub signals_again: bool,
    /// The machine offers NMIs.
    pub nmi: bool,
    /// How many slots the domain uses.
    pub slots: usize,
    /// The policy lets lazy CPUs be skipped.
    pub skips_lazy: bool,
    /// The flushes of initiator 1 are of freed page tables.
    pub tables: bool,
    /// What may happen.
    pub budget: Budget,
    /// The steps that it is about: a scenario that does not make each of them is empty.
    pub reaches: &'static [T],
    /// It takes long: not in `cargo xtask test`.
    pub is_long: bool,
}

const NOTHING: Budget = Budget {
    late: 0,
    nmis: 0,
    hung: 0,
    lost: 0,
    refused: 0,
    deaf: 0,
    dropped: 0,
    forgotten: 0,
    leaves: 0,
    lazy: 0,
    verifies: 0,
    deaths: 0,
};

const UNITS: Scenario = Scenario {
    name: "",
    about: "",
    responder: Responder::Microcode,
    each_other: false,
    targets: TARGETS,
    flushes: [1, 1],
    signals_again: false,
    nmi: false,
    slots: SLOTS,
    skips_lazy: false,
    tables: false,
    budget: NOTHING,
    reaches: &[T::SeeSuccess],
    is_long: false,
};

impl Scenario {
    /// All that are explored.
    pub const ALL: &[Self] = &[
        Self {
            name: "healthy",
            about: "RAR units answer",
            flushes: [2, 2],
            is_long: true,
            ..UNITS
        },
        Self {
            name: "each-other",
            about: "two CPUs without RAR flush each other and themselves, with interrupts disabled",
            responder: Responder::Software,
            each_other: true,
            flushes: [2, 2],
            reaches: &[T::ServeInSpin, T::FlushSelf],
            ..UNITS
        },
        Self {
            name: "refused",
            about: "units refuse entries",
            budget: Budget {
                refused: 2,
                ..NOTHING
            },
            reaches: &[T::Refuse, T::FallBack, T::ForgetFailure],
            ..UNITS
        },
        Self {
            name: "forgotten",
            about: "a flush is forgotten, and its slot taken over",
            flushes: [2, 1],
            budget: Budget {
                forgotten: 1,
                ..NOTHING
            },
            reaches: &[T::ForgetFlush, T::TakeOver],
            is_long: true,
            ..UNITS
        },
        Self {
            name: "dropped",
            about: "a flush is dropped, and its slot taken over; one slot",
            slots: 1,
            flushes: [2, 1],
            budget: Budget {
                dropped: 1,
                ..NOTHING
            },
            reaches: &[T::DropFlush, T::Quarantine, T::TakeOver],
            is_long: true,
            ..UNITS
        },
        Self {
            name: "lost",
            about: "a signal is lost, and sent again; one initiator",
            flushes: [1, 0],
            signals_again: true,
            budget: Budget {
                late: 1,
                lost: 1,
                ..NOTHING
            },
            reaches: &[T::LoseSignal, T::SignalAgain, T::FallBack],
            is_long: true,
            ..UNITS
        },
        Self {
            name: "late",
            about: "a unit answers too late: fallback, NMI, quarantine, demotion, promotion; one \
                initiator",
            flushes: [1, 0],
            nmi: true,
            budget: Budget { late: 1, ..NOTHING },
            reaches: &[
                T::FallBack,
                T::SendNmi,
                T::GiveUp,
                T::Quarantine,
                T::Demote,
                T::Promote,
            ],
            is_long: true,
            ..UNITS
        },
        Self {
            name: "late-slot",
            about: "the same, and its slot is taken over; one target, one slot",
            targets: 1,
            slots: 1,
            nmi: true,
            budget: Budget { late: 1, ..NOTHING },
            reaches: &[T::Quarantine, T::Demote, T::Promote, T::TakeOver],
            ..UNITS
        },
        Self {
            name: "silent",
            about: "a unit falls silent forever; one target, one slot",
            targets: 1,
            slots: 1,
            budget: Budget {
                late: 2,
                deaf: 1,
                ..NOTHING
            },
            reaches: &[T::FallSilent, T::Demote, T::Quarantine, T::NoSlot],
            ..UNITS
        },
        Self {
            name: "verified",
            about: "a unit falls silent, and its CPU programs it anew; one initiator, one target",
            targets: 1,
            flushes: [2, 0],
            budget: Budget {
                late: 2,
                deaf: 1,
                verifies: 1,
                ..NOTHING
            },
            reaches: &[
                T::FallSilent,
                T::Demote,
                T::Distrust,
                T::EnableUnit,
                T::Promote,
            ],
            ..UNITS
        },
        Self {
            name: "hung",
            about: "CPUs hang forever, with their units; one initiator",
            flushes: [1, 0],
            budget: Budget {
                late: 1,
                hung: 2,
                ..NOTHING
            },
            reaches: &[T::Hang, T::GiveUp, T::Quarantine],
            ..UNITS
        },
        Self {
            name: "software",
            about: "interrupt handlers answer, and an NMI handler above them",
            responder: Responder::Software,
            budget: Budget { nmis: 1, ..NOTHING },
            reaches: &[T::GetNmi, T::TakeEntry],
            ..UNITS
        },
        Self {
            name: "software-late",
            about: "an interrupt handler answers too late; one target, one slot",
            targets: 1,
            slots: 1,
            responder: Responder::Software,
            nmi: true,
            budget: Budget { late: 1, ..NOTHING },
            reaches: &[
                T::FallBack,
                T::SendNmi,
                T::GiveUp,
                T::Quarantine,
                T::TakeOver,
            ],
            ..UNITS
        },
        Self {
            name: "offline",
            about: "a CPU with a unit goes offline and comes back",
            budget: Budget {
                leaves: 1,
                ..NOTHING
            },
            reaches: &[
                T::PublishOffline,
                T::SeeOffline,
                T::SeeJoined,
                T::StoreJoined,
            ],
            is_long: true,
            ..UNITS
        },
        Self {
            name: "offline-software",
            about: "a CPU without RAR goes offline and comes back",
            responder: Responder::Software,
            budget: Budget {
                leaves: 1,
                ..NOTHING
            },
            reaches: &[
                T::PublishOffline,
                T::SeeOffline,
                T::SeeJoined,
                T::StoreJoined,
            ],
            is_long: true,
            ..UNITS
        },
        Self {
            name: "lazy",
            about: "CPUs enter and leave lazy TLB mode; one initiator frees page tables",
            skips_lazy: true,
            tables: true,
            budget: Budget { lazy: 2, ..NOTHING },
            reaches: &[T::EnterLazy, T::FlushMissed],
            is_long: true,
            ..UNITS
        },
        Self {
            name: "dead",
            about: "a CPU dies, is declared dead, and its number comes up again",
            budget: Budget {
                deaths: 1,
                ..NOTHING
            },
            reaches: &[T::Die, T::DeclareDead, T::SeeUnknown, T::Register],
            is_long: true,
            ..UNITS
        },
    ];

    /// Returns the state before the first step: every target online, nothing in flight.
    #[must_use]
    pub fn start(&self) -> State {
        let is_unit = self.responder == Responder::Microcode;
        let target = Target {
            online: true,
            registered: true,
            known: true,
            responder: self.responder,
            unit: Unit {
                enabled: is_unit,
                ..Unit::default()
            },
            life: Life::Online,
            ..Target::default()
        };
        // Out of every set, without a next step.
        let absent = Target {
            life: Life::Hung,
            ..Target::default()
        };
        let mut state = State {
            slots: [Word {
                kind: Kind::Free,
                ..Word::default()
            }; crate::state::SLOTS],
            payload: [0; crate::state::SLOTS],
            tickets: 0,
            joins: 0,
            exceptions: 0,
            targets: std::array::from_fn(|t| if t < self.targets { target } else { absent }),
            initiators: Default::default(),
            budget: self.budget,
            changed: 0,
            ok: 0,
            broken: 0,
        };
        for (initiator, flushes) in state.initiators.iter_mut().zip(self.flushes) {
            if flushes == 0 {
                initiator.at = crate::state::At::Done;
            }
        }
        state
    }

    /// Returns whether a flush of this initiator is one of freed page tables.
    #[must_use]
    pub fn is_of_tables(&self, initiator: usize) -> bool {
        self.tables && initiator == 1
    }
}
