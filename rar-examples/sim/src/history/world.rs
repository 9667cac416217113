//! The kernel of a history: its page tables, its frames, its CPU sets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use rar_model::{PageSize, Translation};
use rar_payload::Pcid;
use rar_percpu::AtomicCpuSet;

use super::layout::{KERNEL_PAGES, PAGES, REGIONS, SPACES, Slot, region_address};
use super::oracle::{Oracle, Use};
use super::try_lock::TryLock;
use crate::machine::{Memory, Stored, Watch, lock};
use crate::page_tables::{Entry, slot};

/// Frames of each size are allocated from here on, each only once.
const SMALL: u64 = 0x1_0000_0000;
const LARGE: u64 = 0x100_0000_0000;
const HUGE: u64 = 0x1000_0000_0000;

/// What the CPUs of a history share.
pub(crate) struct World<'m> {
    pub(crate) oracle: Oracle,
    pub(crate) spaces: Vec<AddressSpace>,
    /// The root for CPUs that are offline: nothing is mapped.
    pub(crate) offline_root: u64,
    /// The page table of the global pages, and the place of its directory entry.
    kernel_table: AtomicU64,
    kernel_place: u64,
    pub(crate) kernel_lock: TryLock,
    next: [AtomicU64; 3],
    addresses: Vec<u64>,
    /// The handler of a CPU's own interrupt.
    pub(crate) handler: OnceLock<&'m (dyn Fn(u32) + Sync)>,
}

/// One address space, on its own cache lines.
#[repr(align(64))]
pub(crate) struct AddressSpace {
    pub(crate) root: u64,
    pub(crate) pcid: Pcid,
    /// The CPUs that may cache it.
    pub(crate) cpus: AtomicCpuSet,
    /// Shared for changes of leaves, exclusive for changes of tables.
    pub(crate) lock: TryLock,
    directory: u64,
    pointers: u64,
    /// The page table of each region; none while it is one large page.
    tables: Mutex<HashMap<u8, u64>>,
}

impl World<'_> {
    /// Builds all spaces, every slot mapped.
    pub(crate) fn new(memory: &Memory) -> Self {
        let mut world = Self {
            oracle: Oracle::default(),
            spaces: Vec::new(),
            offline_root: 0,
            kernel_table: AtomicU64::new(0),
            kernel_place: 0,
            kernel_lock: TryLock::default(),
            next: [SMALL, LARGE, HUGE].map(AtomicU64::new),
            addresses: Slot::all().map(Slot::address).collect(),
            handler: OnceLock::new(),
        };
        world.offline_root = world.take(PageSize::Size4K);
        let [kernel_pointers, kernel_directory] = [(); 2].map(|()| world.take(PageSize::Size4K));
        let kernel = Slot::Kernel { page: 0 }.address();
        memory.store(
            slot(kernel_pointers, kernel, 30),
            Entry::table(kernel_directory).0,
        );
        world.kernel_place = slot(kernel_directory, kernel, 21);
        world.replace_kernel_table(memory);
        for number in 1..=SPACES {
            let [root, pointers, directory] = [(); 3].map(|()| world.take(PageSize::Size4K));
            let space = AddressSpace {
                root,
                pcid: Pcid::new(u16::from(number)).unwrap_or(Pcid::ZERO),
                cpus: AtomicCpuSet::new(),
                lock: TryLock::default(),
                directory,
                pointers,
                tables: Mutex::default(),
            };
            let user = region_address(0);
            memory.store(slot(root, kernel, 39), Entry::table(kernel_pointers).0);
            memory.store(slot(root, user, 39), Entry::table(pointers).0);
            memory.store(slot(pointers, user, 30), Entry::table(directory).0);
            for region in 0..REGIONS {
                world.hook_new_table(memory, &space, region);
            }
            world.spaces.push(space);
        }
        for number in 0..SPACES {
            for page in Slot::all().filter(|page| !matches!(page, Slot::Kernel { .. })) {
                if let Some(place) = world.place(number, page) {
                    memory.store(place, world.new_leaf(page));
                }
            }
        }
        world
    }

    /// Returns an unused frame.
    pub(crate) fn take(&self, size: PageSize) -> u64 {
        let [small, large, huge] = &self.next;
        let next = match size {
            PageSize::Size4K => small,
            PageSize::Size2M => large,
            PageSize::Size1G => huge,
        };
        let frame = next.fetch_add(size.bytes(), Ordering::Relaxed);
        self.oracle.maps(frame);
        frame
    }

    /// Returns an entry for a slot with an unused frame.
    pub(crate) fn new_leaf(&self, page: Slot) -> u64 {
        let frame = self.take(page.size());
        let large = match page {
            Slot::Large | Slot::Huge => Entry::LARGE,
            Slot::Small { .. } => 0,
            Slot::Kernel { .. } => Entry::GLOBAL,
        };
        frame | large | Entry::PRESENT | Entry::WRITABLE | Entry::ACCESSED | Entry::DIRTY
    }

    /// Returns where a slot's entry lies; `None` while its region has no page table.
    pub(crate) fn place(&self, space: u8, page: Slot) -> Option<u64> {
        let own = self.space(space);
        let table = match page {
            Slot::Small { region, .. } => own.table(region)?,
            Slot::Large => own.directory,
            Slot::Huge => own.pointers,
            Slot::Kernel { .. } => self.kernel_table.load(Ordering::SeqCst),
        };
        Some(slot(table, page.address(), page.shift()))
    }

    pub(crate) fn space(&self, space: u8) -> &AddressSpace {
        #[expect(clippy::indexing_slicing, reason = "reduced to the number of spaces")]
        &self.spaces[usize::from(space % SPACES)]
    }

    /// Gives a region a new, empty page table.
    pub(crate) fn hook_new_table(&self, memory: &Memory, space: &AddressSpace, region: u8) {
        let table = self.take(PageSize::Size4K);
        lock(&space.tables).insert(region, table);
        memory.store(space.directory_place(region), Entry::table(table).0);
    }

    /// Gives the global pages a new page table with new frames. Returns what may be freed after a
    /// flush.
    pub(crate) fn replace_kernel_table(&self, memory: &Memory) -> Vec<u64> {
        let table = self.take(PageSize::Size4K);
        let pages = || (0..KERNEL_PAGES).map(|page| Slot::Kernel { page });
        for page in pages() {
            memory.store(slot(table, page.address(), 12), self.new_leaf(page));
        }
        self.kernel_table.store(table, Ordering::SeqCst);
        let old = Entry(memory.exchange(self.kernel_place, Entry::table(table).0));
        let leaves = pages().map(|page| slot(old.address(), page.address(), 12));
        self.replaced(memory, old, leaves)
    }

    /// Replaces the directory entry of a region's table, or of its large page. Returns everything
    /// that may be freed after a flush.
    pub(crate) fn unhook(
        &self,
        memory: &Memory,
        space: &AddressSpace,
        region: u8,
        instead: u64,
    ) -> Vec<u64> {
        let old = Entry(memory.exchange(space.directory_place(region), instead));
        lock(&space.tables).remove(&region);
        let leaves =
            (0..PAGES).map(|page| slot(old.address(), Slot::Small { region, page }.address(), 12));
        self.replaced(memory, old, leaves)
    }

    /// What an entry mapped: a page, or a table and the frames of its leaves.
    fn replaced(&self, memory: &Memory, old: Entry, leaves: impl Iterator<Item = u64>) -> Vec<u64> {
        if !old.is_present() {
            return Vec::new();
        }
        let mut gone = vec![old.address()];
        if !old.is_large() {
            let leaves = leaves.map(|place| Entry(memory.load(place)));
            gone.extend(leaves.filter(|leaf| leaf.is_present()).map(Entry::address));
        }
        gone.iter().for_each(|frame| self.oracle.replaces(*frame));
        gone
    }
}

impl AddressSpace {
    /// Returns the page table of a region; `None` while it has none.
    pub(crate) fn table(&self, region: u8) -> Option<u64> {
        lock(&self.tables).get(&(region % REGIONS)).copied()
    }

    fn directory_place(&self, region: u8) -> u64 {
        slot(self.directory, region_address(region % REGIONS), 21)
    }
}

impl Watch for World<'_> {
    fn uses(&self, cpu: u32, translation: &Translation, write: bool) {
        let kind = if write { Use::Store } else { Use::Load };
        self.oracle.judge(cpu, translation, kind);
    }

    fn walks(&self, cpu: u32, table: u64) {
        self.oracle.walks(cpu, table);
    }

    fn records(&self, _: u32, target: u64, bit: u64) {
        self.oracle.records(target, bit);
    }

    fn drains(&self, cpu: u32, stored: &Stored) {
        self.oracle.drains(cpu, stored);
    }

    fn drops(&self, _: u32, translation: &Translation) {
        self.oracle.drops(translation);
    }

    fn speculates_on(&self, random: u16) -> u64 {
        let index = usize::from(random).checked_rem(self.addresses.len());
        index
            .and_then(|index| self.addresses.get(index))
            .copied()
            .unwrap_or(0)
    }

    fn own_interrupt(&self, cpu: u32) {
        if let Some(handler) = self.handler.get() {
            handler(cpu);
        }
    }
}
