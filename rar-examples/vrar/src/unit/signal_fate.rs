//! What becomes of a signal at its target.

use core::fmt;

use rar_model::{Loss, Signalled};
use rar_vocabulary::UnitCounter;

/// What becomes of a signal at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalFate {
    Latched,
    Merged,
    Dropped(Dropped),
}

/// Why a signal is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The unit loses it.
    ByUnit(Loss),
    /// The CPU was told to lose signals.
    Deaf,
}

impl SignalFate {
    pub(crate) const fn of(signalled: Signalled) -> Self {
        match signalled {
            Signalled::Latched => Self::Latched,
            Signalled::Merged => Self::Merged,
            Signalled::Dropped(loss) => Self::Dropped(Dropped::ByUnit(loss)),
        }
    }

    /// Returns whether the target has to look.
    pub(crate) const fn is_taken(self) -> bool {
        matches!(self, Self::Latched | Self::Merged)
    }

    pub(crate) const fn counter(self) -> UnitCounter {
        match self {
            Self::Latched => UnitCounter::Latched,
            Self::Merged => UnitCounter::Merged,
            Self::Dropped(_) => UnitCounter::Dropped,
        }
    }
}

/// The fields of a trace.
impl fmt::Display for SignalFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fate={}", self.counter().name())?;
        match self {
            Self::Latched | Self::Merged => Ok(()),
            Self::Dropped(Dropped::ByUnit(loss)) => write!(f, " why=\"{loss}\""),
            Self::Dropped(Dropped::Deaf) => f.write_str(" why=\"a test makes the CPU deaf\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/rar-machine-trace.txt");

    #[test]
    fn a_fate_reads_as_the_page_says() {
        for signalled in [Signalled::Latched, Signalled::Dropped(Loss::Disabled)] {
            let fate = SignalFate::of(signalled);
            let line = format!(" 0 signal to=1 {fate}\n");
            assert!(PAGE.contains(&line), "{line}");
            assert_eq!(fate.is_taken(), signalled == Signalled::Latched);
        }
        let fates = [
            SignalFate::of(Signalled::Merged),
            SignalFate::Dropped(Dropped::Deaf),
        ];
        assert_eq!(
            fates.map(|fate| fate.to_string()),
            [
                "fate=merged",
                "fate=dropped why=\"a test makes the CPU deaf\""
            ]
        );
        assert_eq!(fates.map(SignalFate::is_taken), [true, false]);
    }
}
