//! The few slots that one flush owns.

use crate::slots::Claim;

/// The largest number of slots that one flush owns.
pub(crate) const MAX: usize = 4;

/// Up to [`Claimed::MAX`] slots that one flush owns.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    len: u8,
    claims: [Claim; MAX],
}

impl Claims {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns whether the owner has left the first slot, and so all of them.
    #[inline]
    pub(crate) fn are_left(&self) -> bool {
        let [first, ..] = &self.claims;
        first.is_left()
    }

    /// Returns the claim if there is one only.
    #[inline]
    pub(crate) fn single(&self) -> Option<&Claim> {
        let [first, ..] = &self.claims;
        (self.len == 1).then_some(first)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Claim] {
        self.claims.get(..self.len.into()).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Claim] {
        self.claims.get_mut(..self.len.into()).unwrap_or_default()
    }

    /// Adds a claim, for which the caller knows that there is room.
    #[inline]
    pub(crate) fn push(&mut self, claim: Claim) {
        if let Some(place) = self.claims.get_mut(usize::from(self.len)) {
            *place = claim;
            self.len += 1;
        }
    }

    /// Keeps none.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Keeps the first ones.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.len = u8::try_from(count).map_or(self.len, |count| self.len.min(count));
    }

    /// Keeps only some.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Claim) -> bool) {
        let before = core::mem::take(self);
        for claim in before.claims.into_iter().take(before.len.into()) {
            if keep(&claim) {
                self.push(claim);
            }
        }
    }
}
