//! The pages of one space that several requests name, as ranges that neither touch nor overlap.

use crate::scope::{Scope, Space};
use crate::{OperationList, PageChunk, PageRange, PageSize, Request};

/// The longest ranges that the page requests of one space add up to: ordered by page size, then by
/// address. Ranges of different sizes stay apart, as it is unknown whether an entry of one size
/// drops translations of another.
///
/// A range that a list of operations cannot hold is cut, and what is cut off may be missing.
///
/// Each range takes at most two passes over the requests, and the end one more. Ranges within
/// [`Window::PAGES`] pages share theirs.
#[derive(Clone)]
pub(crate) struct PageRuns<'a> {
    requests: &'a [Request],
    space: Space,
    size: PageSize,
    window: Window,
    /// The number of the first page in the window.
    base: u64,
    /// How many pages of the window are behind.
    done: u64,
    /// The number of the first page behind the window.
    unseen: u64,
}

impl<'a> PageRuns<'a> {
    pub(crate) const fn new(requests: &'a [Request], space: Space) -> Self {
        Self {
            requests,
            space,
            size: PageSize::Size4K,
            window: Window::EMPTY,
            base: 0,
            done: 0,
            unseen: 0,
        }
    }

    /// Returns the ranges that the requests name, as page numbers of their size.
    fn named(&self) -> impl Iterator<Item = (PageSize, (u64, u64))> + use<'a> {
        let space = self.space;
        self.requests
            .iter()
            .filter_map(move |request| match Scope::of(request) {
                Scope::Pages(of, range) if of == space => {
                    Some((range.size(), range.page_numbers()))
                }
                _ => None,
            })
    }

    /// Lets the window begin at a page of one size.
    fn look_from(&mut self, size: PageSize, base: u64) {
        let mut window = Window::EMPTY;
        for (_, (first, end)) in self.named().filter(|(of, _)| *of == size) {
            window.insert(first.saturating_sub(base), end.saturating_sub(base));
        }
        *self = Self {
            size,
            window,
            base,
            done: 0,
            unseen: base + Window::PAGES,
            ..*self
        };
    }
}

impl Iterator for PageRuns<'_> {
    type Item = PageRange;

    fn next(&mut self) -> Option<PageRange> {
        loop {
            let first = self.window.first_named(self.done);
            let end = self.window.first_unnamed(first);
            if first == Window::PAGES {
                let starts = self.named().map(|(size, (start, _))| (size, start));
                let unseen = (self.size, self.unseen);
                let (size, start) = starts.filter(|start| *start >= unseen).min()?;
                self.look_from(size, start);
            } else if first > 0 && end == Window::PAGES {
                // The range may go on behind the window.
                self.look_from(self.size, self.base + first);
            } else {
                self.done = end;
                let (first, end) = (self.base + first, self.base + end);
                return Some(PageRange::from_page_numbers(first, end, self.size));
            }
        }
    }
}

/// Which of some pages in a row are named.
#[derive(Clone, Copy)]
struct Window([u64; 4]);

impl Window {
    const EMPTY: Self = Self([0; 4]);

    /// More than a list of operations can hold.
    const PAGES: u64 = 256;

    /// Adds the pages from `start` up to and without `end`, as far as the window reaches.
    fn insert(&mut self, start: u64, end: u64) {
        if start >= Self::PAGES || end == 0 {
            return;
        }
        for (word, base) in self.0.iter_mut().zip((0..).step_by(64)) {
            *word |= below(end, base) & !below(start, base);
        }
    }

    /// Returns the first page from `from` on that is named, or the number of pages.
    fn first_named(&self, from: u64) -> u64 {
        for (word, base) in self.0.into_iter().zip((0..).step_by(64)) {
            let named = word & !below(from, base);
            if named != 0 {
                return base + u64::from(named.trailing_zeros());
            }
        }
        Self::PAGES
    }

    /// Returns the first page from `from` on that is not named, or the number of pages.
    fn first_unnamed(&self, from: u64) -> u64 {
        Self(self.0.map(|word| !word)).first_named(from)
    }
}

const _: () = assert!(Window::PAGES > OperationList::MAX as u64 * PageChunk::MAX_PAGES as u64);

/// Returns the bits, in the word of 64 pages from `base` on, of the pages below `page`.
fn below(page: u64, base: u64) -> u64 {
    match page.saturating_sub(base) {
        bit @ 0..64 => (1 << bit) - 1,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn a_window_is_a_set_of_pages() {
        for (start, end) in [(0, 1), (0, 64), (63, 65), (1, 255), (0, 256), (200, 999)] {
            let mut window = Window::EMPTY;
            window.insert(start, end);
            window.insert(256, 300);
            let named = |page| (start..end).contains(&page);
            for page in 0..=Window::PAGES {
                let mut later = page..Window::PAGES;
                let first = later.clone().find(|page| named(*page));
                assert_eq!(window.first_named(page), first.unwrap_or(256));
                let first = later.find(|page| !named(*page));
                assert_eq!(window.first_unnamed(page), first.unwrap_or(256));
            }
        }
    }
}
