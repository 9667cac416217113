//! What every CPU caches before a change.

use rar_model::{PageSize, Pcids, Tag, TlbModel, Translation};

/// How many CPUs there are. All run the space; in workloads with an idle CPU the last one does not
/// use it.
pub const CPUS: u32 = 4;

/// The CPU that is idle in workloads with one.
pub(super) const IDLE: u32 = CPUS - 1;

/// What is left after a flush.
pub(super) struct After {
    /// What each CPU still caches.
    pub(super) contents: Vec<Vec<Translation>>,
    pub(super) disturbed: u64,
}

/// The space that all CPUs run.
pub(super) const SPACE: u16 = 5;
/// The PCID of its user half, in a kernel that isolates page tables.
pub(super) const USER_HALF: u16 = SPACE | 0x800;
/// Another space, which ran before.
const OTHER: u16 = 6;

/// The start of user memory.
pub(super) const USER: u64 = 0x40_0000;
/// The start of a kernel range that is sometimes remapped.
pub(super) const KERNEL: u64 = 0xffff_c900_0000_0000;

/// The size of each TLB, about that of a second-level TLB; large enough that nothing is evicted.
pub(super) const TLB: usize = 1536;

/// The TLB of one CPU.
pub(super) type Caches = TlbModel<TLB>;

/// Which pages are cached: tag, address of the first, number.
const CACHED: [(Tag, u64, u64); 4] = [
    (Tag::Pcid(SPACE), USER, 640),
    (Tag::Pcid(USER_HALF), USER, 128),
    (Tag::Pcid(OTHER), USER, 256),
    (Tag::Global, KERNEL, 256),
];

/// Returns what every CPU caches.
pub(super) fn translations() -> Vec<Translation> {
    let pages = |(tag, start, count)| (0..count).map(move |page| (tag, start + (page << 12)));
    let all = CACHED.into_iter().flat_map(pages).zip(1..);
    all.map(|((tag, address), frame)| Translation::new(address, frame << 12, PageSize::Size4K, tag))
        .collect()
}

/// Returns the TLB of a CPU that runs the space and caches all of it.
pub(super) fn caches() -> Box<Caches> {
    let mut caches = Box::new(Caches::new(u64::from(SPACE), Pcids::Enabled));
    for translation in translations() {
        caches.fill(translation);
    }
    caches
}
