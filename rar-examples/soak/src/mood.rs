//! How the CPUs that follow behave between orders.

use crate::random::Random;

/// How the CPUs that follow behave between orders, in one scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// They wait.
    Calm,
    /// They use the pages that change at that moment.
    Restless,
    /// They do so, and become lazy, or let other threads run, at any moment of a flush.
    Wandering,
}

impl Mood {
    pub(crate) fn choose(random: &mut Random) -> Self {
        match random.below(4) {
            0..2 => Self::Calm,
            2 => Self::Restless,
            _ => Self::Wandering,
        }
    }
}
