//! Requests that need too many operations, collapsed step by step until they fit.

use crate::page_run::PageRuns;
use crate::scope::{Kind, Scope, Space};
use crate::{Globals, Operation, OperationList, Request};

/// The operations that several requests were collapsed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Collapsed {
    /// The operations: together they cover every request.
    pub operations: OperationList,
    /// Whether no request was widened: the operations reach nothing that the requests do not name.
    pub exact: bool,
}

impl Request {
    /// Returns the most precise operations that cover all of `requests` and are at most `limit`.
    ///
    /// Nothing that a request names is ever left out. The result is the first of these steps that
    /// fits:
    ///
    /// 1. The operations of each request, in order.
    /// 2. Ranges of one address space and page size that overlap or touch become one range; what
    ///    repeats another request, or is covered by the request for the whole address space or for
    ///    everything, is dropped.
    /// 3. The address space that needs the most operations is flushed as a whole, then the next
    ///    one, until the rest fits.
    /// 4. All address spaces are flushed; with global translations only if a request names them.
    ///
    /// An empty slice gives an empty list. A `limit` of 0 counts as 1, one above
    /// [`OperationList::MAX`] counts as `MAX`.
    ///
    /// With the feature `unverified` the translations of extended page tables and of VPIDs are
    /// kinds of their own, with the same steps: no operation covers two kinds, so a `limit` below
    /// the number of kinds in `requests` counts as that number.
    ///
    /// The cost is linear in the number of requests while step 1 fits, and quadratic at worst
    /// after that: [`Gather`](crate::Gather) merges ranges as they come.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_payload::{InvpcidScope, Operation, PageRange, PageSize, Pcid, Request};
    ///
    /// // Page-table isolation: the same 130 pages under two PCIDs, 3 operations each.
    /// let range = PageRange::new(0x40_0000, 130, PageSize::Size4K)?;
    /// let [kernel, user] = [Pcid::new(5)?, Pcid::new(0x805)?];
    /// let requests = [kernel, user].map(|pcid| Request::Pages { pcid, range });
    ///
    /// let collapsed = Request::collapse(&requests, 4);
    /// let context = |pcid| Operation::Invpcid(InvpcidScope::Context { pcid });
    /// assert_eq!(collapsed.operations.len(), 4); // a context and three chunks
    /// assert!(!collapsed.exact);
    ///
    /// let collapsed = Request::collapse(&requests, 2);
    /// assert_eq!(collapsed.operations.as_slice(), [context(kernel), context(user)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn collapse(requests: &[Self], limit: usize) -> Collapsed {
        let limit = limit.clamp(1, OperationList::MAX);
        match precise(requests, limit) {
            Some(operations) => Collapsed {
                operations,
                exact: true,
            },
            None => merged_or_widened(requests, limit),
        }
    }
}

/// Step 1, or `None` if it does not fit.
fn precise(requests: &[Request], limit: usize) -> Option<OperationList> {
    let mut list = OperationList::EMPTY;
    for operation in requests.iter().flat_map(Request::operations) {
        if list.len() == limit || !list.push(operation) {
            return None;
        }
    }
    Some(list)
}

/// Steps 2 to 4.
///
/// Each space that stays takes at least one operation, so whether step 4 is needed is decided
/// first. What is left has at most `limit` spaces, and step 3 ends when each is flushed as a whole.
fn merged_or_widened(requests: &[Request], limit: usize) -> Collapsed {
    let mut kinds = Kind::ALL.map(|kind| Tally::new(kind, requests));
    let limit = limit.max(kinds.iter().filter(|tally| tally.fewest() > 0).count());
    let mut exact = true;
    while kinds.iter().map(Tally::fewest).sum::<usize>() > limit {
        let Some(most) = kinds.iter_mut().max_by_key(|tally| tally.fewest()) else {
            break;
        };
        most.take_every();
        exact = false;
    }

    let every = kinds.iter().filter_map(Tally::every_operation);
    let room = limit.saturating_sub(every.clone().count());
    let mut parts = [None; OperationList::MAX];
    let spaces = kinds.iter().flat_map(Tally::spaces);
    for (part, space) in parts.iter_mut().zip(spaces) {
        *part = Some(Part::new(requests, space, limit));
    }
    let total = |parts: &[Option<Part>]| {
        parts
            .iter()
            .flatten()
            .map(|part| part.operations)
            .sum::<u64>()
    };
    while total(&parts) > room as u64 {
        // Of those that need the same number the one that was named first.
        let parts = parts.iter_mut().flatten().rev();
        let Some(most) = parts.max_by_key(|part| part.operations) else {
            break;
        };
        most.widen();
        exact = false;
    }

    let mut operations = OperationList::EMPTY;
    let parts = parts
        .iter()
        .flatten()
        .flat_map(|part| part.operations(requests));
    for operation in every.chain(parts) {
        // The steps above left no more than fit.
        let _pushed = operations.push(operation);
    }
    Collapsed { operations, exact }
}

/// What the requests of one kind name: every space, or some.
struct Tally {
    kind: Kind,
    every: Option<Globals>,
    /// The first spaces that were named, each once. One more than fits a list says "too many".
    spaces: [Option<Space>; OperationList::MAX + 1],
}

impl Tally {
    fn new(kind: Kind, requests: &[Request]) -> Self {
        let mut tally = Self {
            kind,
            every: None,
            spaces: [None; OperationList::MAX + 1],
        };
        let own = requests.iter().map(Scope::of);
        for scope in own.filter(|scope| scope.kind() == kind) {
            match scope {
                Scope::Pages(space, _) | Scope::Space(space) => tally.note(space),
                Scope::Every(_, globals) => {
                    tally.every = Some(tally.every.map_or(globals, |other| other.or(globals)));
                }
            }
        }
        tally
    }

    fn note(&mut self, space: Space) {
        let place = self.spaces.iter_mut().find(|place| match place {
            Some(known) => *known == space,
            None => true,
        });
        if let Some(place) = place {
            *place = Some(space);
        }
    }

    /// Returns the number of operations if each space is flushed as a whole.
    fn fewest(&self) -> usize {
        match self.every {
            Some(_) => 1,
            None => self.spaces.iter().flatten().count(),
        }
    }

    /// Step 4. Spaces hold no global translation, so those may stay.
    fn take_every(&mut self) {
        self.every = Some(Globals::Exclude);
    }

    fn every_operation(&self) -> Option<Operation> {
        self.every.map(|globals| self.kind.operation(globals))
    }

    /// Returns the spaces that are not covered by [`every_operation`](Self::every_operation).
    fn spaces(&self) -> impl Iterator<Item = Space> + '_ {
        let left = self.spaces.iter().flatten().copied();
        left.filter(|_| self.every.is_none())
    }
}

/// One space that stays, and how it is flushed.
#[derive(Clone, Copy)]
struct Part {
    space: Space,
    /// How many operations it takes. 1 if it is flushed as a whole; otherwise no more than one above
    /// the limit is counted.
    operations: u64,
    reach: Reach,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Pages,
    Whole,
}

impl Part {
    fn new(requests: &[Request], space: Space, limit: usize) -> Self {
        let whole = requests
            .iter()
            .any(|request| Scope::of(request) == Scope::Space(space));
        if whole {
            return Self {
                space,
                operations: 1,
                reach: Reach::Whole,
            };
        }
        let limit = limit as u64;
        let mut operations = 0;
        for run in PageRuns::new(requests, space) {
            operations += run.chunk_count();
            if operations > limit {
                // It cannot stay as it is, whatever the number.
                operations = limit + 1;
                break;
            }
        }
        Self {
            space,
            operations,
            reach: Reach::Pages,
        }
    }

    /// Step 3.
    fn widen(&mut self) {
        self.operations = 1;
        self.reach = Reach::Whole;
    }

    fn operations<'a>(&self, requests: &'a [Request]) -> impl Iterator<Item = Operation> + use<'a> {
        let Self { space, reach, .. } = *self;
        let whole = (reach == Reach::Whole).then(|| space.operation());
        let pages = (reach == Reach::Pages).then(|| PageRuns::new(requests, space));
        let chunks = pages.into_iter().flatten().flat_map(|run| run.chunks());
        whole
            .into_iter()
            .chain(chunks.map(move |chunk| space.pages(chunk)))
    }
}
