//! The guest's own paging, by which its instructions are found.

use crate::memory::direct_map;
use crate::processor::vmcb::Vmcb;

const CR0_PAGING: u64 = 1 << 31;
const CR4_LARGE_PAGES: u64 = 1 << 4;
const CR4_WIDE_ENTRIES: u64 = 1 << 5;
const CR4_FIVE_LEVELS: u64 = 1 << 12;
const EFER_LONG_MODE_ACTIVE: u64 = 1 << 10;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const FRAME: u64 = 0x000f_ffff_ffff_f000;
const PAGE: u64 = 1 << 12;
const LARGE_PAGE: u64 = 1 << 22;

/// How a guest translates linear addresses (SDM vol. 3, "Paging Modes and Control Bits").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paging {
    Off,
    /// Two levels of 32-bit entries.
    Narrow {
        large_pages: bool,
    },
    /// Three levels of 64-bit entries: PAE.
    Wide,
    /// Four or five levels.
    Long {
        levels: u32,
    },
}

impl Paging {
    pub(crate) fn of(vmcb: &Vmcb) -> Self {
        if vmcb.cr0 & CR0_PAGING == 0 {
            Self::Off
        } else if vmcb.efer & EFER_LONG_MODE_ACTIVE != 0 {
            Self::Long {
                levels: if vmcb.cr4 & CR4_FIVE_LEVELS == 0 {
                    4
                } else {
                    5
                },
            }
        } else if vmcb.cr4 & CR4_WIDE_ENTRIES != 0 {
            Self::Wide
        } else {
            Self::Narrow {
                large_pages: vmcb.cr4 & CR4_LARGE_PAGES != 0,
            }
        }
    }

    /// Returns the physical address; `None` if it is not mapped. `read` reads the quadword at a
    /// physical address that is a multiple of 8.
    pub(crate) fn translate(
        self,
        cr3: u64,
        address: u64,
        read: impl Fn(u64) -> u64,
    ) -> Option<u64> {
        match self {
            Self::Off => Some(address),
            Self::Narrow { large_pages } => narrow(cr3, address, large_pages, read),
            Self::Wide => {
                let pointer = read((cr3 & 0xffff_ffe0) + (address >> 30 & 0b11) * 8);
                if pointer & PRESENT == 0 {
                    return None;
                }
                direct_map::walk(pointer, 2, address & 0x3fff_ffff, read)
            }
            Self::Long { levels } => direct_map::walk(cr3, levels, address, read),
        }
    }
}

fn narrow(cr3: u64, address: u64, large_pages: bool, read: impl Fn(u64) -> u64) -> Option<u64> {
    let entry = |table: u64, index: u64| {
        let at = (table & 0xffff_f000) + index * 4;
        let entry = read(at & !7) >> ((at & 4) * 8) & 0xffff_ffff;
        (entry & PRESENT != 0).then_some(entry)
    };
    let top = entry(cr3, address >> 22 & 0x3ff)?;
    if large_pages && top & LARGE != 0 {
        // Bits 20:13 are bits 39:32 of the address (PSE-36).
        let frame = top & 0xffc0_0000 | (top >> 13 & 0xff) << 32;
        return Some(frame | address & (LARGE_PAGE - 1));
    }
    let low = entry(top, address >> 12 & 0x3ff)?;
    Some(low & FRAME | address & (PAGE - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vmcb(cr0: u64, cr4: u64, efer: u64) -> Vmcb {
        let mut vmcb = Vmcb::ZERO;
        (vmcb.cr0, vmcb.cr4, vmcb.efer) = (cr0, cr4, efer);
        vmcb
    }

    #[test]
    fn the_mode_is_that_of_the_control_registers() {
        let paging = |cr0, cr4, efer| Paging::of(&vmcb(cr0, cr4, efer));
        let on = 0x8000_0001;
        assert_eq!(paging(1, 0x30, 0), Paging::Off);
        assert_eq!(paging(on, 0, 0), Paging::Narrow { large_pages: false });
        assert_eq!(paging(on, 0x10, 0), Paging::Narrow { large_pages: true });
        assert_eq!(paging(on, 0x30, 0x100), Paging::Wide);
        assert_eq!(paging(on, 0x20, 0x500), Paging::Long { levels: 4 });
        assert_eq!(paging(on, 0x1020, 0x500), Paging::Long { levels: 5 });
    }

    #[test]
    fn without_paging_an_address_is_physical() {
        let at = |address| Paging::Off.translate(7, address, |_| panic!("reads a table"));
        assert_eq!(at(0xffff_fff0), Some(0xffff_fff0));
    }

    #[test]
    fn two_levels_of_narrow_entries() {
        // Directory at 0x1000: entry 1 -> table 0x2000, entry 2 -> 4 MiB at 0x3_0140_0000.
        let read = |at: u64| match at {
            0x1000 => 0x2003 << 32,
            0x1008 => 0x0140_6083,
            0x2010 => 0x7_7003,
            _ => 0,
        };
        let at =
            |large_pages, address| Paging::Narrow { large_pages }.translate(0x1018, address, read);
        assert_eq!(at(true, 0x40_4abc), Some(0x7_7abc));
        assert_eq!(at(true, 0x40_5abc), None);
        assert_eq!(at(true, 0x81_2345), Some(0x3_0141_2345));
        assert_eq!(at(false, 0x81_2345), None, "bit 7 is ignored");
        assert_eq!(at(true, 0), None);
    }

    #[test]
    fn three_levels_of_wide_entries() {
        // Four pointers at 0x1020: the last -> directory 0x3000 with 2 MiB at 5, table at 6.
        let read = |at: u64| match at {
            0x1038 => 0x3001,
            0x3028 => 1 << 63 | 0x1_0020_0083,
            0x3030 => 0x4003,
            0x4008 => 0x1_2345_6003,
            _ => 0,
        };
        let at = |address| Paging::Wide.translate(0x1020, address, read);
        assert_eq!(at(0xc0a1_2345), Some(0x1_0021_2345));
        assert_eq!(at(0xc0c0_1abc), Some(0x1_2345_6abc));
        assert_eq!(at(0xc0c0_2abc), None);
        assert_eq!(at(0x40c0_1abc), None);
    }

    #[test]
    fn four_levels_are_those_of_the_host() {
        let read = |at: u64| (at & !0xfff) + 0x1003;
        let long = |levels| Paging::Long { levels }.translate(0x1000, 0x1234, read);
        assert_eq!(long(4), Some(0x5234));
        assert_eq!(long(5), Some(0x6234));
    }

    proptest! {
        #[test]
        fn no_tables_make_it_fail(
            cr0: u64,
            cr4: u64,
            efer: u64,
            cr3: u64,
            address: u64,
            entries: [u64; 8],
        ) {
            let paging = Paging::of(&vmcb(cr0, cr4, efer));
            let read = |at: u64| {
                assert!(at.is_multiple_of(8));
                *entries.get((at / 8 % 8) as usize).unwrap()
            };
            let _ = paging.translate(cr3, address, read);
        }
    }
}
