//! Settings of all knobs together, by name.

use crate::{Knobs, Offence, ZeroPages};

crate::named_enum! {
    /// A setting of all knobs, for command lines. None of them is broken.
    pub enum Preset {
        Strict "strict" "Every encoding without a known meaning ends in FAILURE: the default.";
        Lenient "lenient"
            "Fields that should be zero are treated as zero, as long as a meaning is left.";
        Sparing "sparing" "Every open question is answered in the way that flushes least.";
    }
}

impl Preset {
    /// Returns its knobs.
    #[must_use]
    pub const fn knobs(self) -> Knobs {
        match self {
            Self::Strict => Knobs::DEFAULT,
            Self::Lenient => Knobs::LENIENT,
            Self::Sparing => Knobs::SPARING,
        }
    }
}

impl Knobs {
    /// The unit that executes whatever has a meaning: it runs drivers that leave stale fields in
    /// their payloads. Registers keep their rules.
    pub const LENIENT: Self = Self {
        reserved_bits: Offence::Ignore,
        unused_fields: Offence::Ignore,
        misaligned: Offence::Ignore,
        zero_pages: ZeroPages::Nothing,
        ..Self::DEFAULT
    };
}
