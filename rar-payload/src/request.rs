//! What a kernel means.

use crate::scope::Space;
use crate::{CostModel, Globals, InvpcidScope, Operation, Operations, PageChunk, PageRange, Pcid};
#[cfg(feature = "unverified")]
use crate::{Eptp, InvvpidScope, Vpid};

/// What a kernel wants to be gone from the TLBs, before it is cut to the size of the hardware.
///
/// A request speaks of the target's caches as an INVPCID would. It covers one PCID: a kernel that
/// keeps a second page table per process (page-table isolation) under a second PCID makes two
/// requests. The PCID means the same address space on every target; RAR has no other way to name
/// one.
///
/// # Examples
///
/// ```
/// use rar_payload::{PageRange, PageSize, Pcid, Request};
///
/// let range = PageRange::new(0x40_0000, 100, PageSize::Size4K)?;
/// let request = Request::Pages { pcid: Pcid::ZERO, range };
/// assert_eq!(request.operations().len(), 2); // 63 pages and 37
/// # Ok::<(), rar_payload::RangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Request {
    /// Translations of one address space for a range that is not mapped global.
    Pages {
        /// The address space.
        pcid: Pcid,
        /// The pages.
        range: PageRange,
    },
    /// All translations of one address space that are not global.
    AddressSpace {
        /// The address space.
        pcid: Pcid,
    },
    /// Translations of a range that is mapped global, as kernels map themselves.
    ///
    /// An INVPCID of one address space spares them (Linux RFC v4 relies on it), so that the
    /// operation is everything with globals.
    GlobalPages {
        /// The pages.
        range: PageRange,
    },
    /// A page that held a page table is to be freed: the paging-structure caches have to forget it.
    ///
    /// It always covers its owner's whole address space, and a driver may skip no processor that
    /// could walk the table, lazy or not.
    TablesFreed(TableOwner),
    /// All translations of all address spaces.
    Everything {
        /// Whether global translations go too.
        globals: Globals,
    },
    /// All translations derived from one extended page table: guest-physical and combined ones.
    ///
    /// Only this request and [`EveryEpt`](Self::EveryEpt) reach them. Every request above speaks
    /// of the linear address spaces of the operating system that sends it, and so does a local
    /// flush of everything by INVPCID or CR4: neither says anything about translations that are
    /// tagged with an EPTP or a VPID, unless the implementer of that flush says so.
    #[cfg(feature = "unverified")]
    Ept {
        /// The extended page table.
        eptp: Eptp,
    },
    /// All translations derived from any extended page table.
    #[cfg(feature = "unverified")]
    EveryEpt,
    /// Translations of one virtual processor for a range of guest-linear addresses.
    ///
    /// Only this request, [`Vpid`](Self::Vpid) and [`EveryVpid`](Self::EveryVpid) reach them;
    /// [`Ept`](Self::Ept) says what does not.
    #[cfg(feature = "unverified")]
    VpidPages {
        /// The virtual processor.
        vpid: Vpid,
        /// The pages.
        range: PageRange,
    },
    /// All translations of one virtual processor, global ones included.
    #[cfg(feature = "unverified")]
    Vpid {
        /// The virtual processor.
        vpid: Vpid,
    },
    /// All translations of every virtual processor but 0, the one of the host.
    #[cfg(feature = "unverified")]
    EveryVpid,
}

/// Whose page tables a freed table belonged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TableOwner {
    /// The tables of one address space, reached through this PCID only, without global
    /// translations.
    AddressSpace(Pcid),
    /// Tables shared by all address spaces.
    Kernel,
}

impl Request {
    /// Returns the most precise operations that satisfy the request.
    ///
    /// A request for a range takes one operation for each chunk of it, any other request a single
    /// one. The number has no bound except the size of the range: check the length, and take
    /// [`widened`](Self::widened) or [`collapse`](Self::collapse) where it is too long.
    #[must_use]
    #[inline]
    pub const fn operations(&self) -> Operations {
        match *self {
            Self::Pages { pcid, range } => Operations::pages(pcid, range),
            #[cfg(feature = "unverified")]
            Self::VpidPages { vpid, range } => Operations::vpid_pages(vpid, range),
            _ => Operations::single(self.widened()),
        }
    }

    /// Returns the operation that is the cheapest way to satisfy the request: the precise one, or
    /// that of the whole address space where its pages cost more. `None` if several operations are
    /// cheaper: [`operations`](Self::operations).
    #[must_use]
    #[inline]
    pub const fn cheapest_operation(&self, costs: &CostModel) -> Option<Operation> {
        match *self {
            Self::Pages { pcid, range } => {
                if costs.keeps_in_one(range.page_count()) {
                    let pages = PageChunk::of_short(range);
                    Some(Operation::Invpcid(InvpcidScope::Pages { pcid, pages }))
                } else if is_kept_in_chunks(range, costs) {
                    None
                } else {
                    Some(self.widened())
                }
            }
            #[cfg(feature = "unverified")]
            Self::VpidPages { vpid, range } => {
                if costs.keeps_in_one(range.page_count()) {
                    let pages = PageChunk::of_short(range);
                    Some(Operation::Invvpid(InvvpidScope::Pages { vpid, pages }))
                } else if is_kept_in_chunks(range, costs) {
                    None
                } else {
                    Some(self.widened())
                }
            }
            _ => Some(self.widened()),
        }
    }

    /// Returns whether the [cheapest operation](Self::cheapest_operation) of each of two requests,
    /// if each has one, is the cheapest way to satisfy both.
    #[must_use]
    #[inline]
    pub fn are_kept_apart(one: &Self, two: &Self, costs: &CostModel) -> bool {
        match (one.pages_of_space(), two.pages_of_space()) {
            (Some((space, pages)), Some((of, more))) if space == of => {
                // Each is one chunk, or too dear alone.
                let pages = pages.page_count().saturating_add(more.page_count());
                costs.keeps(2, pages)
            }
            _ => true,
        }
    }

    /// Returns the two operations of a range that takes as many; `None` for any other request.
    #[must_use]
    #[inline]
    pub const fn two_chunks(&self) -> Option<[Operation; 2]> {
        match *self {
            Self::Pages { pcid, range } => match range.two_chunks() {
                Some([one, two]) => Some([
                    Operation::Invpcid(InvpcidScope::Pages { pcid, pages: one }),
                    Operation::Invpcid(InvpcidScope::Pages { pcid, pages: two }),
                ]),
                None => None,
            },
            #[cfg(feature = "unverified")]
            Self::VpidPages { vpid, range } => match range.two_chunks() {
                Some([one, two]) => Some([
                    Operation::Invvpid(InvvpidScope::Pages { vpid, pages: one }),
                    Operation::Invvpid(InvvpidScope::Pages { vpid, pages: two }),
                ]),
                None => None,
            },
            _ => None,
        }
    }

    /// Returns the pages that the request names, if it names some of one address space.
    #[inline]
    const fn pages_of_space(&self) -> Option<(Space, PageRange)> {
        match *self {
            Self::Pages { pcid, range } => Some((Space::Pcid(pcid), range)),
            #[cfg(feature = "unverified")]
            Self::VpidPages { vpid, range } => Some((Space::Vpid(vpid), range)),
            _ => None,
        }
    }

    /// Returns whether page tables are to be freed once this is done: then no processor that may
    /// walk them can be skipped.
    #[must_use]
    pub const fn frees_tables(&self) -> bool {
        matches!(self, Self::TablesFreed(_))
    }
}

impl Request {
    /// Returns whether a processor that runs a guest may be skipped: it uses none of its own
    /// translations, and flushes before it does.
    ///
    /// Not for freed page tables, which it may walk, nor for translations of guests.
    #[must_use]
    pub const fn may_skip_guests(&self) -> bool {
        !self.frees_tables() && !self.names_guest_translations()
    }

    /// Returns whether the request names translations that are tagged with an EPTP or a VPID.
    #[must_use]
    pub const fn names_guest_translations(&self) -> bool {
        !matches!(
            self,
            Self::Pages { .. }
                | Self::AddressSpace { .. }
                | Self::GlobalPages { .. }
                | Self::TablesFreed(_)
                | Self::Everything { .. }
        )
    }
}

/// Whether several entries of pages cost no more than the whole address space.
#[cold]
#[inline(never)]
const fn is_kept_in_chunks(range: PageRange, costs: &CostModel) -> bool {
    costs.keeps(range.chunk_count(), range.page_count())
}
