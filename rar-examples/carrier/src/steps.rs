//! What is done to memory before the payload runs.

/// One step: the order matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes are copied; the ranges may overlap.
    Copy {
        /// From this physical address.
        from: u64,
        /// To this one.
        to: u64,
        /// How many bytes.
        length: u64,
    },
    /// Bytes become zero.
    Clear {
        /// From this physical address.
        start: u64,
        /// How many bytes.
        length: u64,
    },
}

const MOST: usize = 128;

/// The steps in their order.
#[derive(Clone, Debug)]
pub struct Steps {
    steps: [Step; MOST],
    count: usize,
}

impl Steps {
    /// No steps.
    #[must_use]
    pub const fn none() -> Self {
        const NOTHING: Step = Step::Clear {
            start: 0,
            length: 0,
        };
        Self {
            steps: [NOTHING; MOST],
            count: 0,
        }
    }

    /// Returns the steps.
    #[must_use]
    pub fn all(&self) -> &[Step] {
        self.steps.get(..self.count).unwrap_or(&[])
    }

    /// Adds a step that has something to do; returns whether there was room.
    pub(crate) fn push(&mut self, step: Step) -> bool {
        let (Step::Copy { length, .. } | Step::Clear { length, .. }) = step;
        if length == 0 {
            return true;
        }
        let Some(place) = self.steps.get_mut(self.count) else {
            return false;
        };
        *place = step;
        self.count += 1;
        true
    }
}
