//! What a unit took out of the TLB for an entry: for a broken unit not what the entry asks for.

use core::ops::Range;

use rar_model::{Globals, Invalidation, PageReach, PageSize, Pages};

/// What left the TLB, in whichever address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Some pages, or every address.
    pages: Option<(Pages, PageReach)>,
    globals: Globals,
}

const SIZES: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];
const REACHES: [PageReach; 3] = [PageReach::Covering, PageReach::SameSize, PageReach::Span];

impl Effect {
    /// Returns the effect; `None` if the translations of this kind of guest stay.
    pub(crate) fn of(invalidation: Invalidation) -> Option<Self> {
        match invalidation {
            Invalidation::Pages {
                pages,
                reach,
                globals,
                ..
            } => Some(Self {
                pages: Some((pages, reach)),
                globals,
            }),
            Invalidation::Everything { globals, .. } => Some(Self {
                pages: None,
                globals,
            }),
            Invalidation::Ept(_) | Invalidation::Vpid(_) => None,
        }
    }

    /// Returns whether a cached page went that holds these addresses, global or not.
    pub(crate) fn drops(&self, held: &Range<u64>, global: bool) -> bool {
        if global && self.globals == Globals::Exclude {
            return false;
        }
        let Some((pages, reach)) = self.pages else {
            return true;
        };
        let size = pages.size.bytes();
        match reach {
            PageReach::SameSize if held.end - held.start != size => false,
            PageReach::Covering | PageReach::SameSize => {
                pages.addresses().any(|address| held.contains(&address))
            }
            PageReach::Span => pages
                .addresses()
                .any(|start| start < held.end && held.start < start.saturating_add(size)),
        }
    }

    /// Returns three bytes and an address from which [`decode`](Self::decode) makes the effect
    /// again.
    pub(crate) fn encode(effect: Option<Self>) -> ([u8; 3], u64) {
        let Some(Self { pages, globals }) = effect else {
            return ([0; 3], 0);
        };
        let globals = if globals == Globals::Include { 2 } else { 0 };
        let Some((pages, reach)) = pages else {
            return ([1 | globals, 0, 0], 0);
        };
        let kind = code(&SIZES, pages.size) | code(&REACHES, reach) << 4;
        ([1 | globals | 4, kind, pages.count], pages.start)
    }

    pub(crate) fn decode([flags, kind, count]: [u8; 3], start: u64) -> Option<Self> {
        if flags & 1 == 0 {
            return None;
        }
        let pages = match (
            SIZES.get(usize::from(kind & 0xf)),
            REACHES.get(usize::from(kind >> 4)),
        ) {
            (Some(&size), Some(&reach)) if flags & 4 != 0 => {
                Some((Pages { start, size, count }, reach))
            }
            _ => None,
        };
        Some(Self {
            pages,
            globals: if flags & 2 == 0 {
                Globals::Exclude
            } else {
                Globals::Include
            },
        })
    }
}

fn code<T: PartialEq>(all: &[T], one: T) -> u8 {
    let place = all.iter().zip(0..).find(|(each, _)| **each == one);
    place.map_or(0, |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use rar_model::{Contexts, Structures};

    use super::*;

    const LARGE: Range<u64> = 0x20_0000..0x40_0000;

    fn pages(size: PageSize, count: u8, reach: PageReach, globals: Globals) -> Effect {
        let invalidation = Invalidation::Pages {
            pages: Pages {
                start: 0x20_5000 & !(size.bytes() - 1),
                size,
                count,
            },
            reach,
            contexts: Contexts::Current,
            globals,
            structures: Structures::Keep,
        };
        Effect::of(invalidation).unwrap()
    }

    #[test]
    fn the_reach_says_which_sizes_go() {
        use PageReach::{Covering, SameSize, Span};
        use PageSize::{Size2M, Size4K};
        for (size, count, reach, held, expected) in [
            (Size4K, 2, Covering, 0x20_6000..0x20_7000, true),
            (Size4K, 2, Covering, 0x20_7000..0x20_8000, false),
            (Size4K, 0, Covering, 0x20_5000..0x20_6000, false),
            (Size4K, 1, Covering, LARGE, true),
            (Size4K, 1, SameSize, LARGE, false),
            (Size4K, 1, SameSize, 0x20_5000..0x20_6000, true),
            (Size2M, 1, SameSize, LARGE, true),
            (Size2M, 1, Covering, 0x20_5000..0x20_6000, false),
            (Size2M, 1, Span, 0x20_5000..0x20_6000, true),
            (Size2M, 1, Span, 0x40_0000..0x40_1000, false),
        ] {
            let effect = pages(size, count, reach, Globals::Exclude);
            assert_eq!(
                effect.drops(&held, false),
                expected,
                "{effect:x?} {held:x?}"
            );
            assert!(!effect.drops(&held, true));
        }
    }

    #[test]
    fn what_is_encoded_comes_back() {
        let mut effects = vec![None];
        for globals in [Globals::Include, Globals::Exclude] {
            effects.push(Some(Effect {
                pages: None,
                globals,
            }));
            for size in SIZES {
                for reach in REACHES {
                    effects.push(Some(pages(size, 64, reach, globals)));
                }
            }
        }
        for effect in effects {
            let (bytes, start) = Effect::encode(effect);
            assert_eq!(Effect::decode(bytes, start), effect);
        }
    }
}
