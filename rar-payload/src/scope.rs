//! What a request reaches: pages of a space, a whole space, or every space of a kind.

#[cfg(feature = "unverified")]
use crate::{Eptp, InveptScope, InvvpidScope, Vpid};
use crate::{Globals, InvpcidScope, Operation, PageChunk, PageRange, Pcid, Request, TableOwner};

/// What an operation can name alone: the translations with one tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Pcid(Pcid),
    #[cfg(feature = "unverified")]
    Ept(Eptp),
    #[cfg(feature = "unverified")]
    Vpid(Vpid),
}

/// A kind of tag. No operation reaches translations of two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pcid,
    #[cfg(feature = "unverified")]
    Ept,
    #[cfg(feature = "unverified")]
    Vpid,
}

/// What a request reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Pages(Space, PageRange),
    Space(Space),
    /// `Globals` matters for [`Kind::Pcid`] only: the other kinds have no narrower operation.
    Every(Kind, Globals),
}

impl Space {
    #[inline]
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Pcid(_) => Kind::Pcid,
            #[cfg(feature = "unverified")]
            Self::Ept(_) => Kind::Ept,
            #[cfg(feature = "unverified")]
            Self::Vpid(_) => Kind::Vpid,
        }
    }

    /// Returns the operation on the whole space.
    #[inline]
    pub(crate) const fn operation(self) -> Operation {
        match self {
            Self::Pcid(pcid) => Operation::Invpcid(InvpcidScope::Context { pcid }),
            #[cfg(feature = "unverified")]
            Self::Ept(eptp) => Operation::Invept(InveptScope::Context { eptp }),
            #[cfg(feature = "unverified")]
            Self::Vpid(vpid) => Operation::Invvpid(InvvpidScope::Context { vpid }),
        }
    }

    /// Returns the operation on some pages of the space. For an extended page table, which has no
    /// such operation, that is the one on the whole space.
    #[inline]
    pub(crate) const fn pages(self, pages: PageChunk) -> Operation {
        match self {
            Self::Pcid(pcid) => Operation::Invpcid(InvpcidScope::Pages { pcid, pages }),
            #[cfg(feature = "unverified")]
            Self::Ept(_) => self.operation(),
            #[cfg(feature = "unverified")]
            Self::Vpid(vpid) => Operation::Invvpid(InvvpidScope::Pages { vpid, pages }),
        }
    }
}

impl Kind {
    #[cfg(not(feature = "unverified"))]
    pub(crate) const ALL: [Self; 1] = [Self::Pcid];
    #[cfg(feature = "unverified")]
    pub(crate) const ALL: [Self; 3] = [Self::Pcid, Self::Ept, Self::Vpid];

    /// Returns the operation on every space of the kind.
    #[inline]
    pub(crate) const fn operation(self, globals: Globals) -> Operation {
        match self {
            Self::Pcid => Operation::Invpcid(InvpcidScope::AllContexts(globals)),
            #[cfg(feature = "unverified")]
            Self::Ept => Operation::Invept(InveptScope::Global),
            #[cfg(feature = "unverified")]
            Self::Vpid => Operation::Invvpid(InvvpidScope::AllContexts),
        }
    }
}

impl Scope {
    #[inline]
    pub(crate) const fn of(request: &Request) -> Self {
        match *request {
            Request::Pages { pcid, range } => Self::Pages(Space::Pcid(pcid), range),
            Request::AddressSpace { pcid }
            | Request::TablesFreed(TableOwner::AddressSpace(pcid)) => {
                Self::Space(Space::Pcid(pcid))
            }
            Request::GlobalPages { .. } | Request::TablesFreed(TableOwner::Kernel) => {
                Self::Every(Kind::Pcid, Globals::Include)
            }
            Request::Everything { globals } => Self::Every(Kind::Pcid, globals),
            #[cfg(feature = "unverified")]
            Request::Ept { eptp } => Self::Space(Space::Ept(eptp)),
            #[cfg(feature = "unverified")]
            Request::EveryEpt => Self::Every(Kind::Ept, Globals::Include),
            #[cfg(feature = "unverified")]
            Request::VpidPages { vpid, range } => Self::Pages(Space::Vpid(vpid), range),
            #[cfg(feature = "unverified")]
            Request::Vpid { vpid } => Self::Space(Space::Vpid(vpid)),
            #[cfg(feature = "unverified")]
            Request::EveryVpid => Self::Every(Kind::Vpid, Globals::Include),
        }
    }

    #[inline]
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Pages(space, _) | Self::Space(space) => space.kind(),
            Self::Every(kind, _) => kind,
        }
    }

    /// Returns the single operation that covers the scope: a whole space or every space.
    #[inline]
    pub(crate) const fn widened(self) -> Operation {
        match self {
            Self::Pages(space, _) | Self::Space(space) => space.operation(),
            Self::Every(kind, globals) => kind.operation(globals),
        }
    }
}

impl Request {
    /// Returns the single operation that certainly covers the request: its whole address space, or
    /// every address space.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_payload::{InvpcidScope, Operation, PageRange, PageSize, Pcid, Request};
    ///
    /// let range = PageRange::page(0x40_0000, PageSize::Size4K)?;
    /// let request = Request::Pages { pcid: Pcid::ZERO, range };
    /// let context = Operation::Invpcid(InvpcidScope::Context { pcid: Pcid::ZERO });
    /// assert_eq!(request.widened(), context);
    /// # Ok::<(), rar_payload::RangeError>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn widened(&self) -> Operation {
        Scope::of(self).widened()
    }
}
