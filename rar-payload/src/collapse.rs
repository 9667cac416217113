//! Requests that need too many operations, or dear ones, collapsed step by step.

use crate::page_run::PageRuns;
use crate::scope::{Kind, Scope, Space};
use crate::{CostModel, Globals, Operation, OperationList, Request};

/// The operations that several requests were collapsed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Collapsed {
    /// The operations: together they cover every request.
    pub operations: OperationList,
    /// Whether no request was widened: the operations reach nothing that the requests do not name.
    pub exact: bool,
    /// Whether a request was widened since the limit left no room for its operations.
    pub crowded: bool,
}

impl Request {
    /// Returns the cheapest operations that cover all of `requests` and are at most `limit`.
    ///
    /// Nothing that a request names is ever left out. The steps:
    ///
    /// 1. The operations of each request, in order, if they fit and their pages together are cheap
    ///    enough for one address space. Nothing else is done then.
    /// 2. Ranges of one address space and page size that overlap or touch become one range; what
    ///    repeats another request, or is covered by the request for the whole address space or for
    ///    everything, is dropped.
    /// 3. Each address space whose pages cost more than it does as a whole is flushed as a whole
    ///    ([`CostModel`]). If the operations do not fit, so is the one that needs the most, then
    ///    the next one, until they do.
    /// 4. If there are more address spaces than fit, all are flushed; with global translations only
    ///    if a request names them.
    ///
    /// An empty slice gives an empty list. A `limit` of 0 counts as 1, one above
    /// [`OperationList::MAX`] counts as `MAX`.
    ///
    /// With the feature `unverified` the translations of extended page tables and of VPIDs are
    /// kinds of their own, with the same steps: no operation covers two kinds, so a `limit` below
    /// the number of kinds in `requests` counts as that number.
    ///
    /// The work is linear in the number of requests, in whatever order they come: at most 12 passes
    /// over them for each address space that stays, two for each range of it up to one too many.
    /// [`Gather`](crate::Gather) merges ranges as they come.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_payload::{CostModel, InvpcidScope, Operation, PageRange, PageSize, Pcid, Request};
    ///
    /// // Page-table isolation: the same 130 pages under two PCIDs, 3 operations each.
    /// let range = PageRange::new(0x40_0000, 130, PageSize::Size4K)?;
    /// let [kernel, user] = [Pcid::new(5)?, Pcid::new(0x805)?];
    /// let requests = [kernel, user].map(|pcid| Request::Pages { pcid, range });
    ///
    /// let collapsed = Request::collapse(&requests, 4, &CostModel::new());
    /// let context = |pcid| Operation::Invpcid(InvpcidScope::Context { pcid });
    /// assert_eq!(collapsed.operations.as_slice(), [context(kernel), context(user)]);
    /// assert!(!collapsed.exact && !collapsed.crowded);
    ///
    /// let collapsed = Request::collapse(&requests, 4, &CostModel::EXACT);
    /// assert_eq!(collapsed.operations.len(), 4); // a context and three chunks
    /// assert!(collapsed.crowded);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn collapse(requests: &[Self], limit: usize, costs: &CostModel) -> Collapsed {
        let limit = limit.clamp(1, OperationList::MAX);
        match precise(requests, limit, costs) {
            Some(operations) => Collapsed {
                operations,
                exact: true,
                crowded: false,
            },
            None => merged_or_widened(requests, limit, costs),
        }
    }
}

/// Step 1, or `None` if it does not fit or may be too dear.
fn precise(requests: &[Request], limit: usize, costs: &CostModel) -> Option<OperationList> {
    let mut list = OperationList::EMPTY;
    let mut pages = 0;
    for request in requests {
        for operation in request.operations() {
            if list.len() == limit || !list.push(operation) {
                return None;
            }
        }
        if let Scope::Pages(_, range) = Scope::of(request) {
            // It fits, so it is short.
            pages += range.page_count();
        }
    }
    costs.keeps(list.len() as u64, pages).then_some(list)
}

/// Steps 2 to 4.
///
/// Each space that stays takes at least one operation, so whether step 4 is needed is decided
/// first. What is left has at most `limit` spaces, and step 3 ends when each is flushed as a whole.
fn merged_or_widened(requests: &[Request], limit: usize, costs: &CostModel) -> Collapsed {
    let mut kinds = Kind::ALL.map(|kind| Tally::new(kind, requests));
    let limit = limit.max(kinds.iter().filter(|tally| tally.fewest() > 0).count());
    let mut crowded = false;
    while kinds.iter().map(Tally::fewest).sum::<usize>() > limit {
        let Some(most) = kinds.iter_mut().max_by_key(|tally| tally.fewest()) else {
            break;
        };
        most.take_every();
        crowded = true;
    }

    let every = kinds.iter().filter_map(Tally::every_operation);
    let room = limit.saturating_sub(every.clone().count());
    let mut parts = [None; OperationList::MAX];
    let spaces = kinds.iter().flat_map(Tally::spaces);
    for (part, space) in parts.iter_mut().zip(spaces) {
        *part = Some(Part::new(requests, space, limit, costs));
    }
    let is_dear = parts.iter().flatten().any(|part| part.is_dear);
    let total = |parts: &[Option<Part>]| {
        let needed = parts.iter().flatten().map(|part| part.needed);
        needed.sum::<usize>()
    };
    while total(&parts) > room {
        // Of those that need the same number the one that was named first.
        let parts = parts.iter_mut().flatten().rev();
        let Some(most) = parts.max_by_key(|part| part.needed) else {
            break;
        };
        *most = Part::whole(most.space);
        crowded = true;
    }

    let mut operations = OperationList::EMPTY;
    let parts = parts.iter().flatten();
    let parts = parts.flat_map(|part| part.operations.as_slice());
    for operation in every.chain(parts.copied()) {
        // The steps above left no more than fit.
        let _pushed = operations.push(operation);
    }
    Collapsed {
        operations,
        exact: !crowded && !is_dear,
        crowded,
    }
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
    operations: OperationList,
    /// How many operations it takes; no more than one above the limit is counted.
    needed: usize,
    /// Whether it is flushed as a whole since its pages cost more.
    is_dear: bool,
}

impl Part {
    fn new(requests: &[Request], space: Space, limit: usize, costs: &CostModel) -> Self {
        let mut scopes = requests.iter().map(Scope::of);
        if scopes.any(|scope| scope == Scope::Space(space)) {
            return Self::whole(space);
        }
        let mut operations = OperationList::EMPTY;
        let (mut needed, mut pages) = (0, 0);
        for run in PageRuns::new(requests, space) {
            let chunks = run.chunks();
            needed += chunks.len();
            pages += run.page_count();
            if !costs.keeps(needed as u64, pages) {
                return Self {
                    is_dear: true,
                    ..Self::whole(space)
                };
            }
            if needed > limit {
                // It cannot stay as it is, whatever the number.
                needed = limit + 1;
                break;
            }
            for chunk in chunks {
                // The limit is no larger than the list.
                let _pushed = operations.push(space.pages(chunk));
            }
        }
        Self {
            space,
            operations,
            needed,
            is_dear: false,
        }
    }

    fn whole(space: Space) -> Self {
        let mut operations = OperationList::EMPTY;
        let _pushed = operations.push(space.operation());
        Self {
            space,
            operations,
            needed: 1,
            is_dear: false,
        }
    }
}
