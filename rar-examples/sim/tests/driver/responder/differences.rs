//! The allowed differences between software responder and unit, each with a name and the behaviour
//! of both sides.
//!
//! The responder reads an entry as strictly as `rar-payload` and executes it by ordinary
//! instructions. So it refuses more than a lenient unit, and flushes more where no instruction is
//! exact. It also reads all 64 bytes of the vector, while a unit with a smaller table ignores the
//! rest. It must not differ from an honest unit in any other way.

use rar_model::{
    Action, Cr3Mismatch, Execution, FAILURE, InvpcidScope, Knobs, LinearWidth, Outcome, PageReach,
    PageSize, SUCCESS, Tag, Translation,
};

use super::cases::CR3;
use crate::rig::PCID;

/// The model's strict reading of an entry, of any type and with 57-bit addresses.
const STRICT: Knobs = Knobs {
    linear: LinearWidth::Bits57,
    types: 0b11_1111,
    ..Knobs::DEFAULT
};

/// An allowed difference between unit and responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// INVEPT, INVVPID and WRMSR: a unit may execute them, the responder refuses them.
    UnverifiedType,
    /// The entry breaks a rule that this unit does not enforce; the responder refuses it.
    LenientUnit,
    /// A CR3 to match has one of the bits 63:52, which no CR3 has; the responder refuses it.
    WideCr3,
    /// The entry keeps every rule, but this unit has fewer types, or fewer address bits, and
    /// refuses it.
    NarrowUnit,
    /// CR3 differs, so the unit flushes nothing, with either answer. The responder does not compare
    /// CR3: it flushes.
    Cr3NotCompared,
    /// INVPG acts on the current PCID. The responder has no instruction for that while PCIDs are
    /// on: it flushes them all, and globals too if pages are named.
    EveryContext,
    /// This unit reaches other page sizes than the INVPCID instruction does; both drop every page
    /// of the size that is named.
    Reach,
}

impl Difference {
    pub(crate) const ALL: [Self; 7] = [
        Self::UnverifiedType,
        Self::LenientUnit,
        Self::WideCr3,
        Self::NarrowUnit,
        Self::Cr3NotCompared,
        Self::EveryContext,
        Self::Reach,
    ];

    /// Returns the one difference that an entry may show, given its execution by the unit; `None`
    /// where both must agree.
    pub(crate) fn of(execution: &Execution, knobs: &Knobs) -> Option<Self> {
        let strict = Action::decode(execution.words, &STRICT);
        match (execution.decoded, strict) {
            (Ok(_), _) if matches!(execution.outcome, Outcome::Refused(_)) => None,
            (Ok(_), Err(_)) => Some(Self::LenientUnit),
            (Err(_), Err(_)) => None,
            (Err(_), Ok(action)) => is_readable(&action).then_some(Self::NarrowUnit),
            (Ok(action), Ok(_)) => match action {
                Action::Invept(_) | Action::Invvpid(_) | Action::Wrmsr { .. } => {
                    Some(Self::UnverifiedType)
                }
                Action::Invpg { .. } if !is_readable(&action) => Some(Self::WideCr3),
                Action::Invpg { .. } if differs(&action, knobs) => Some(Self::Cr3NotCompared),
                Action::Invpg { .. } => Some(Self::EveryContext),
                Action::Invpcid(InvpcidScope::Pages { .. })
                    if knobs.reach != PageReach::Covering =>
                {
                    Some(Self::Reach)
                }
                Action::Invpcid(_) => None,
            },
        }
    }
}

/// Whether the responder accepts the action.
fn is_readable(action: &Action) -> bool {
    match action {
        Action::Invpg { cr3, .. } => cr3.is_none_or(|cr3| cr3 >> 52 == 0),
        Action::Invpcid(_) => true,
        Action::Invept(_) | Action::Invvpid(_) | Action::Wrmsr { .. } => false,
    }
}

/// Whether an entry asks for another CR3 than the CPU has, in the bits that this unit compares.
fn differs(action: &Action, knobs: &Knobs) -> bool {
    matches!(action, Action::Invpg { cr3: Some(cr3), .. } if (cr3 ^ CR3) & knobs.cr3_mask != 0)
}

/// Returns the bytes that unit and responder must write.
pub(crate) fn bytes(
    difference: Option<Difference>,
    execution: &Execution,
    knobs: &Knobs,
) -> [u8; 2] {
    let differs = execution
        .decoded
        .is_ok_and(|action| differs(&action, knobs));
    let compared = match knobs.cr3_mismatch {
        Cr3Mismatch::Failure if differs => FAILURE,
        _ => SUCCESS,
    };
    match difference {
        None if execution.outcome == Outcome::Performed => [SUCCESS, SUCCESS],
        None => [FAILURE, FAILURE],
        Some(Difference::UnverifiedType) => [SUCCESS, FAILURE],
        Some(Difference::LenientUnit | Difference::WideCr3) => [compared, FAILURE],
        Some(Difference::NarrowUnit) => [FAILURE, SUCCESS],
        Some(Difference::Cr3NotCompared) => [compared, SUCCESS],
        Some(Difference::EveryContext | Difference::Reach) => [SUCCESS, SUCCESS],
    }
}

/// An entry of types 0 to 2, read by its bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry(pub(crate) [u64; 8]);

impl Entry {
    fn kind(self) -> u64 {
        self.0[0] >> 8 & 0xff
    }

    fn subtype(self) -> u64 {
        self.0[0] >> 32 & 7
    }

    pub(crate) fn stride(self) -> PageSize {
        match self.0[0] >> 35 & 3 {
            0 => PageSize::Size4K,
            1 => PageSize::Size2M,
            _ => PageSize::Size1G,
        }
    }

    fn names_a_page_of(self, held: &Translation) -> bool {
        let bytes = self.stride().bytes();
        (0..self.0[0] >> 37 & 63).any(|page| held.covers(self.0[3].wrapping_add(page * bytes)))
    }

    fn is_of_its_pcid(self, held: &Translation) -> bool {
        matches!(held.tag(), Tag::Pcid(pcid) if u64::from(pcid) == self.0[2])
    }

    /// Whether the responder drops a translation: no less than the unit, and no more than its
    /// instructions must.
    pub(crate) fn drops_in_software(self, held: &Translation) -> bool {
        match (self.kind(), self.subtype()) {
            (2, 0) => self.is_of_its_pcid(held) && self.names_a_page_of(held),
            (2, 1) => self.is_of_its_pcid(held),
            (_, 3) => held.tag() != Tag::Global,
            _ => true,
        }
    }

    /// Whether either side must drop a translation: the pages of the named size, of the named
    /// space.
    pub(crate) fn names(self, held: &Translation) -> bool {
        let current = held.tag() == Tag::Pcid(PCID);
        let page = held.size() == self.stride() && self.names_a_page_of(held);
        match (self.kind(), self.subtype()) {
            (2, 0) => self.is_of_its_pcid(held) && page,
            (2, _) => self.drops_in_software(held),
            (_, 0) => current && page,
            (_, 2) => current || held.tag() == Tag::Global,
            _ => current,
        }
    }
}
