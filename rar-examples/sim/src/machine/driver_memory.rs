//! The memory that driver and units share: the payload table and the action vectors, under physical
//! addresses.
#![expect(
    unsafe_code,
    reason = "the unit reaches the driver's memory as microcode does: by address, past the \
     driver's accessors"
)]

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rar_payload::Payload;
use rar_percpu::{ActionVector, CpuId, Domain, PayloadTable, PerCpu, PhysicalAddressOf, SlotIndex};

/// The physical address of the payload table: the top page below 46 bits, so that every address bit
/// is used.
pub const PAYLOAD_TABLE: u64 = (1 << 46) - 0x1000;
/// The physical address of the memory of CPU 0, which begins with its action vector. Aligned to 64
/// bytes and no more, so that code can rely only on that.
pub const ACTION_VECTORS: u64 = 0x2_0000_0fc0;

/// The driver's memory under made-up physical addresses.
#[derive(Debug)]
pub struct DriverMemory<'m> {
    table: &'m PayloadTable,
    /// The memory of a domain's CPUs is never freed.
    cpus: &'static [PerCpu],
    strays: AtomicU64,
}

impl<'m> DriverMemory<'m> {
    /// Returns the memory of a domain, and new memory for `cpus` CPUs.
    pub(crate) fn new(domain: &'m Domain, cpus: u32) -> Self {
        let cpus: Vec<_> = (0..cpus).map(|_| PerCpu::new()).collect();
        Self {
            table: domain.table(),
            cpus: Box::leak(cpus.into_boxed_slice()),
            strays: AtomicU64::new(0),
        }
    }

    /// Returns the memory of the CPUs, by number.
    #[must_use]
    pub fn cpus(&self) -> &'static [PerCpu] {
        self.cpus
    }

    /// Returns how often a unit accessed an address outside table and vectors.
    pub fn strays(&self) -> u64 {
        self.strays.load(Ordering::Acquire)
    }

    /// Returns the bytes of a CPU's action vector, read past the driver's accessors.
    ///
    /// # Panics
    ///
    /// If the machine has no such CPU.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "documented panic, a mistake of the user"
    )]
    pub fn actions(&self, cpu: usize) -> [u8; SlotIndex::COUNT] {
        bytes(self.cpus[cpu].vector())
            .each_ref()
            .map(|byte| byte.load(Ordering::Acquire))
    }

    /// Returns the quadwords of an entry that units read, past the driver's accessors.
    #[must_use]
    pub fn payload(&self, slot: usize) -> [u64; 4] {
        let entry = PAYLOAD_TABLE + (slot * size_of::<Payload>()) as u64;
        [0, 8, 16, 24].map(|offset| {
            let word = self.find_payload_word(entry + offset);
            word.map_or(0, |word| word.load(Ordering::Relaxed))
        })
    }

    /// The byte of an action vector at a physical address.
    pub(crate) fn action_byte(&self, address: u64) -> Option<&'m AtomicU8> {
        let found = self.find_action_byte(address);
        self.count_stray(found.is_none());
        found
    }

    fn find_action_byte(&self, address: u64) -> Option<&'m AtomicU8> {
        let offset = usize::try_from(address.checked_sub(ACTION_VECTORS)?).ok()?;
        let cpu = self.cpus.get(offset / size_of::<PerCpu>())?;
        bytes(cpu.vector()).get(offset % size_of::<PerCpu>())
    }

    /// The quadword of the payload table at a physical address.
    pub(crate) fn payload_word(&self, address: u64) -> Option<&'m AtomicU64> {
        let found = self.find_payload_word(address);
        self.count_stray(found.is_none());
        found
    }

    fn find_payload_word(&self, address: u64) -> Option<&'m AtomicU64> {
        let offset = usize::try_from(address.checked_sub(PAYLOAD_TABLE)?).ok()?;
        if offset >= size_of::<PayloadTable>() || !offset.is_multiple_of(8) {
            return None;
        }
        let bytes = std::ptr::from_ref(self.table).cast::<u8>();
        let word = bytes.wrapping_add(offset).cast::<AtomicU64>();
        // SAFETY: the table is 512 atomic quadwords (`repr(C)`), the offset is a multiple of 8
        // inside it, and the reference keeps them alive.
        Some(unsafe { &*word })
    }

    /// Returns the words that hold quadwords 0 to 3 of an entry, for tests that change them behind
    /// the driver. Accesses to them are not steps.
    pub(crate) fn entry(&self, slot: SlotIndex) -> Option<[&'m AtomicU64; 4]> {
        let start = PAYLOAD_TABLE + (size_of::<[u64; 8]>() * slot.get()) as u64;
        let word = |offset| self.find_payload_word(start + offset);
        Some([word(0)?, word(8)?, word(16)?, word(24)?])
    }

    /// Returns the action byte of a CPU, for tests that change it behind the driver.
    #[must_use]
    pub fn byte(&self, cpu: CpuId, slot: SlotIndex) -> Option<&'m AtomicU8> {
        let offset = size_of::<PerCpu>() * cpu.index() + slot.get();
        self.find_action_byte(ACTION_VECTORS + offset as u64)
    }

    fn count_stray(&self, stray: bool) {
        if stray {
            self.strays.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// The bytes of a vector, as microcode accesses them.
fn bytes(vector: &ActionVector) -> &[AtomicU8; SlotIndex::COUNT] {
    let bytes = std::ptr::from_ref(vector).cast();
    // SAFETY: the vector is 64 atomic bytes (`repr(C)`), and the reference keeps them alive.
    unsafe { &*bytes }
}

// SAFETY: no microcode uses the addresses. The simulated units access exactly these two pieces,
// which are borrowed.
unsafe impl PhysicalAddressOf for DriverMemory<'_> {
    fn physical_address_of(&self, virtual_address: *const (), bytes: usize) -> Option<u64> {
        let pieces = [
            (
                PAYLOAD_TABLE,
                std::ptr::from_ref(self.table).addr(),
                size_of::<PayloadTable>(),
            ),
            (
                ACTION_VECTORS,
                self.cpus.as_ptr().addr(),
                size_of_val(self.cpus),
            ),
        ];
        pieces.into_iter().find_map(|(physical, start, length)| {
            let offset = virtual_address.addr().checked_sub(start)?;
            (offset + bytes <= length).then(|| physical + offset as u64)
        })
    }
}
