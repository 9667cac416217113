//! The pages of one space that several requests name, as ranges that neither touch nor overlap.

use crate::scope::{Scope, Space};
use crate::{PageRange, PageSize, Request};

/// The longest ranges that the page requests of one space add up to: ordered by page size, then by
/// address. Ranges of different sizes stay apart, as it is unknown whether an entry of one size
/// drops translations of another.
#[derive(Clone)]
pub(crate) struct PageRuns<'a> {
    requests: &'a [Request],
    space: Space,
    size: Option<PageSize>,
    /// Page number below which no run may start any more.
    lowest_start: u64,
}

impl<'a> PageRuns<'a> {
    pub(crate) const fn new(requests: &'a [Request], space: Space) -> Self {
        Self {
            requests,
            space,
            size: Some(PageSize::Size4K),
            lowest_start: 0,
        }
    }

    /// Returns the ranges of the current size that the requests name, as page numbers.
    fn named(
        &self,
        size: PageSize,
    ) -> impl DoubleEndedIterator<Item = (u64, u64)> + Clone + use<'a> {
        let space = self.space;
        self.requests
            .iter()
            .filter_map(move |request| match Scope::of(request) {
                Scope::Pages(of, range) if of == space && range.size() == size => {
                    Some(range.page_numbers())
                }
                _ => None,
            })
    }
}

impl Iterator for PageRuns<'_> {
    type Item = PageRange;

    fn next(&mut self) -> Option<PageRange> {
        loop {
            let size = self.size?;
            let named = self.named(size);
            let first = named
                .clone()
                .map(|(first, _)| first)
                .filter(|first| *first >= self.lowest_start)
                .min();
            let Some(first) = first else {
                self.size = size.next_larger();
                self.lowest_start = 0;
                continue;
            };
            let end = extend(named, first);
            // A range that starts at the end belongs to this run.
            self.lowest_start = end + 1;
            return Some(PageRange::from_page_numbers(first, end, size));
        }
    }
}

/// Returns the exclusive end of the run that starts at `first`, the lowest start of those left.
///
/// The passes alternate in direction, so that ascending and descending requests take two.
fn extend(named: impl DoubleEndedIterator<Item = (u64, u64)> + Clone, first: u64) -> u64 {
    let mut end = first;
    let reach = |end: u64, (start, own_end): (u64, u64)| {
        if (first..=end).contains(&start) {
            end.max(own_end)
        } else {
            end
        }
    };
    loop {
        let before = end;
        end = named.clone().fold(end, reach);
        end = named.clone().rfold(end, reach);
        if end == before {
            return end;
        }
    }
}
