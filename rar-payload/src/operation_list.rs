//! A few operations, inline.

use crate::{Globals, InvpcidScope, Operation};

/// At most [`MAX`](Self::MAX) operations, in a value without an allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OperationList {
    /// Those from `length` on are [`UNUSED`](Self::UNUSED).
    operations: [Operation; Self::MAX],
    length: usize,
}

impl OperationList {
    /// The largest number of operations in a list.
    pub const MAX: usize = 4;

    /// The list without an operation.
    pub const EMPTY: Self = Self {
        operations: [Self::UNUSED; Self::MAX],
        length: 0,
    };

    const UNUSED: Operation = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));

    /// Returns the operations.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[Operation] {
        self.operations.get(..self.length).unwrap_or_default()
    }

    /// Returns the number of operations.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Returns whether there is no operation.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds an operation and returns whether there was room for it.
    #[must_use = "an operation that was not added is never executed"]
    #[inline]
    pub(crate) fn push(&mut self, operation: Operation) -> bool {
        let Some(place) = self.operations.get_mut(self.length) else {
            return false;
        };
        *place = operation;
        self.length += 1;
        true
    }
}

impl Default for OperationList {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl AsRef<[Operation]> for OperationList {
    fn as_ref(&self) -> &[Operation] {
        self.as_slice()
    }
}

impl<'a> IntoIterator for &'a OperationList {
    type Item = &'a Operation;
    type IntoIter = core::slice::Iter<'a, Operation>;

    fn into_iter(self) -> Self::IntoIter {
        self.as_slice().iter()
    }
}
