//! Requests rounded up to a single operation.

use crate::{Globals, InvpcidScope, Operation, Pcid, Request, TableOwner};

/// The two sizes a request can be rounded up to.
#[derive(Clone, Copy)]
enum Widened {
    Context(Pcid),
    AllContexts(Globals),
}

impl Widened {
    const fn of(request: &Request) -> Self {
        match *request {
            Request::Pages { pcid, .. }
            | Request::AddressSpace { pcid }
            | Request::TablesFreed(TableOwner::AddressSpace(pcid)) => Self::Context(pcid),
            Request::GlobalPages { .. } | Request::TablesFreed(TableOwner::Kernel) => {
                Self::AllContexts(Globals::Include)
            }
            Request::Everything { globals } => Self::AllContexts(globals),
        }
    }

    const fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Context(a), Self::Context(b)) if a.get() == b.get() => self,
            // One address space reaches no global translation, so two of them need none either.
            (Self::Context(_), Self::Context(_)) => Self::AllContexts(Globals::Exclude),
            (Self::AllContexts(a), Self::AllContexts(b)) => Self::AllContexts(a.or(b)),
            (Self::AllContexts(globals), Self::Context(_))
            | (Self::Context(_), Self::AllContexts(globals)) => Self::AllContexts(globals),
        }
    }

    const fn operation(self) -> Operation {
        Operation::Invpcid(match self {
            Self::Context(pcid) => InvpcidScope::Context { pcid },
            Self::AllContexts(globals) => InvpcidScope::AllContexts(globals),
        })
    }
}

impl Request {
    /// Returns the single operation that certainly covers the request: all of its address space, or
    /// every address space.
    #[must_use]
    pub const fn widened(&self) -> Operation {
        Widened::of(self).operation()
    }

    /// Returns the smallest single operation that certainly covers all of `requests`.
    ///
    /// One address space if all of them lie in the same one, else every address space; with global
    /// translations if any of them needs it. For an empty slice that is everything, since no
    /// operation does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_payload::{Globals, InvpcidScope, Operation, PageRange, PageSize, Pcid, Request};
    ///
    /// let user = Request::AddressSpace { pcid: Pcid::ZERO };
    /// let kernel = Request::GlobalPages { range: PageRange::page(0xFFFF_8000_0000_0000, PageSize::Size4K)? };
    /// assert_eq!(Request::covering(&[user, user]), user.widened());
    /// let everything = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    /// assert_eq!(Request::covering(&[user, kernel]), everything);
    /// # Ok::<(), rar_payload::RangeError>(())
    /// ```
    #[must_use]
    pub const fn covering(requests: &[Self]) -> Operation {
        let [first, rest @ ..] = requests else {
            return Widened::AllContexts(Globals::Include).operation();
        };
        let mut widened = Widened::of(first);
        let mut rest = rest;
        while let [next, after @ ..] = rest {
            widened = widened.union(Widened::of(next));
            rest = after;
        }
        widened.operation()
    }
}
