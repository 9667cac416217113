//! A small store of fixed capacity.

/// Up to `N` values. Nothing is evicted before all places are taken; then values are evicted in
/// turn.
#[derive(Clone, Debug)]
pub(crate) struct Cache<T, const N: usize> {
    places: [Option<T>; N],
    next_victim: usize,
}

impl<T: Copy, const N: usize> Cache<T, N> {
    pub(crate) const fn new() -> Self {
        Self {
            places: [None; N],
            next_victim: 0,
        }
    }

    /// Puts `value` in the place of the one that `is_same` finds, else in a free place, else in the
    /// next victim's.
    pub(crate) fn put(&mut self, value: T, is_same: impl Fn(&T) -> bool) -> Option<T> {
        let place = self
            .places
            .iter()
            .position(|held| held.as_ref().is_some_and(&is_same))
            .or_else(|| self.places.iter().position(Option::is_none));
        let index = place.unwrap_or_else(|| {
            let victim = self.next_victim;
            self.next_victim = (victim + 1).checked_rem(N).unwrap_or(0);
            victim
        });
        self.places.get_mut(index)?.replace(value)
    }

    pub(crate) fn remove(&mut self, is_hit: impl Fn(&T) -> bool) {
        for place in &mut self.places {
            if place.as_ref().is_some_and(&is_hit) {
                *place = None;
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        self.places.iter().flatten().copied()
    }
}
