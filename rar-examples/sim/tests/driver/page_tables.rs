//! Page tables as a map from page to frame.

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rar_model::{PageSize, Tag, Translation};

/// Frames lie 1 GiB apart, so that one fits every page size and its number is the version of the
/// mapping.
const FRAME_SHIFT: u32 = 30;

/// The page tables of all spaces; kernel pages are [`Tag::Global`].
///
/// Nothing is unmapped: a changed mapping is a stale one for every CPU that still caches it.
#[derive(Debug, Default)]
pub(crate) struct PageTables {
    leaves: RwLock<BTreeMap<Key, Leaf>>,
}

type Key = (Option<u16>, u64);

#[derive(Debug)]
struct Leaf {
    size: PageSize,
    frame: AtomicU64,
}

impl PageTables {
    /// Maps a page to frame 1.
    pub(crate) fn map(&self, tag: Tag, linear: u64, size: PageSize) {
        let frame = AtomicU64::new(1);
        let old = self
            .leaves
            .write()
            .unwrap()
            .insert(key(tag, linear), Leaf { size, frame });
        assert!(old.is_none(), "mapped twice: {linear:#x}");
    }

    /// Points a page at its next frame, by an ordinary store, and returns the frame's number.
    pub(crate) fn remap(&self, tag: Tag, linear: u64) -> u64 {
        let leaves = self.leaves.read().unwrap();
        let frame = &leaves[&key(tag, linear)].frame;
        let next = frame.load(Ordering::Relaxed) + 1;
        // Relaxed: what orders it before the targets' next walk is up to the driver.
        frame.store(next, Ordering::Relaxed);
        next
    }

    /// Walks the tables as a CPU in the space of `pcid` does.
    pub(crate) fn walk(&self, pcid: u16, address: u64) -> Option<Translation> {
        let leaves = self.leaves.read().unwrap();
        [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G]
            .into_iter()
            .flat_map(|size| {
                [Tag::Pcid(pcid), Tag::Global].map(|tag| (size, tag, size.start_of(address)))
            })
            .find_map(|(size, tag, linear)| {
                let leaf = leaves.get(&key(tag, linear))?;
                (leaf.size == size).then(|| leaf.translation(tag, linear))
            })
    }

    /// Every leaf as a CPU would cache it now.
    pub(crate) fn leaves(&self) -> Vec<Translation> {
        let leaves = self.leaves.read().unwrap();
        leaves
            .iter()
            .map(|((pcid, linear), leaf)| {
                leaf.translation(pcid.map_or(Tag::Global, Tag::Pcid), *linear)
            })
            .collect()
    }

    /// Whether the tables still contain a cached translation.
    pub(crate) fn agree_with(&self, cached: &Translation) -> bool {
        let leaves = self.leaves.read().unwrap();
        leaves
            .get(&key(cached.tag(), cached.linear()))
            .is_some_and(|leaf| leaf.translation(cached.tag(), cached.linear()) == *cached)
    }
}

impl Leaf {
    fn translation(&self, tag: Tag, linear: u64) -> Translation {
        let physical = self.frame.load(Ordering::Relaxed) << FRAME_SHIFT;
        Translation::new(linear, physical, self.size, tag)
    }
}

/// The number of a translation's frame.
pub(crate) fn frame_of(translation: &Translation) -> u64 {
    translation.physical() >> FRAME_SHIFT
}

fn key(tag: Tag, linear: u64) -> Key {
    match tag {
        Tag::Pcid(pcid) => (Some(pcid), linear),
        Tag::Global => (None, linear),
    }
}

/// Puts translations in a fixed order.
pub(crate) fn sorted(mut held: Vec<Translation>) -> Vec<Translation> {
    held.sort_by_key(|one| (one.linear(), one.size(), pcid_of(one)));
    held
}

/// The PCID of a translation, `None` for a global one.
pub(crate) fn pcid_of(translation: &Translation) -> Option<u16> {
    match translation.tag() {
        Tag::Pcid(pcid) => Some(pcid),
        Tag::Global => None,
    }
}
