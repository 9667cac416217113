//! The layout of a history's address spaces.

use rar_model::PageSize;
use serde::{Deserialize, Serialize};

/// How many address spaces there are, besides the one for CPUs that are offline.
pub(crate) const SPACES: u8 = 3;
/// Regions of small pages in a space, each with its own page table.
pub(crate) const REGIONS: u8 = 2;
/// Small pages of a region.
pub(crate) const PAGES: u8 = 6;
/// Global pages that all spaces share.
pub(crate) const KERNEL_PAGES: u8 = 4;

const USER: u64 = 0x4000_0000;
const LARGE: u64 = USER + (8 << 21);
const HUGE: u64 = 0x8000_0000;
const KERNEL: u64 = 0xffff_8000_0000_0000;

/// A leaf of the page tables that histories change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Slot {
    /// A 4 KiB page of a region.
    Small {
        /// Which region.
        region: u8,
        /// Which page of it.
        page: u8,
    },
    /// The 2 MiB page of a space.
    Large,
    /// The 1 GiB page of a space.
    Huge,
    /// A global 4 KiB page, the same in all spaces.
    Kernel {
        /// Which page.
        page: u8,
    },
}

impl Slot {
    /// Returns all slots of a space, the shared ones included.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let small = (0..REGIONS)
            .flat_map(|region| (0..PAGES).map(move |page| Self::Small { region, page }));
        small
            .chain([Self::Large, Self::Huge])
            .chain((0..KERNEL_PAGES).map(|page| Self::Kernel { page }))
    }

    /// Returns the linear address.
    #[must_use]
    pub fn address(self) -> u64 {
        match self {
            Self::Small { region, page } => region_address(region) + (u64::from(page) << 12),
            Self::Large => LARGE,
            Self::Huge => HUGE,
            Self::Kernel { page } => KERNEL + (u64::from(page) << 12),
        }
    }

    /// Returns the page size.
    #[must_use]
    pub const fn size(self) -> PageSize {
        match self {
            Self::Small { .. } | Self::Kernel { .. } => PageSize::Size4K,
            Self::Large => PageSize::Size2M,
            Self::Huge => PageSize::Size1G,
        }
    }

    /// Returns the lowest address bit that the slot's table translates.
    #[must_use]
    pub const fn shift(self) -> u32 {
        match self {
            Self::Small { .. } | Self::Kernel { .. } => 12,
            Self::Large => 21,
            Self::Huge => 30,
        }
    }
}

/// Returns the first address of a region.
pub(crate) fn region_address(region: u8) -> u64 {
    USER + (u64::from(region) << 21)
}
