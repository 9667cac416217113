//! Physical memory that is the very memory of the driver: its payload table and its action vectors.
#![expect(
    unsafe_code,
    reason = "the unit reaches the driver's memory as microcode does: by address, past the driver's accessors"
)]

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rar_model::PhysicalMemory;
use rar_percpu::{ActionVector, Domain, PayloadTable, PerCpu, PhysicalAddressOf};

/// Where the payload table is said to lie: the top page below 46 bits, so that every address bit is used.
pub(crate) const TABLE: u64 = (1 << 46) - 0x1000;
/// Where the per-CPU memory is said to lie; a line that is no page, so that only 64 bytes of alignment can be relied on.
pub(crate) const PER_CPU: u64 = 0x2_0000_0fc0;

/// The driver's memory under made-up physical addresses.
#[derive(Debug)]
pub(crate) struct DriverMemory<'m> {
    table: &'m PayloadTable,
    /// Memory of a domain's CPUs lives for ever.
    cpus: &'static [PerCpu],
    strays: AtomicU64,
}

impl<'m> DriverMemory<'m> {
    /// The memory of a domain, and new memory for so many CPUs.
    pub(crate) fn new(domain: &'m Domain<1>, cpus: usize) -> Self {
        let cpus: Vec<_> = (0..cpus).map(|_| PerCpu::new()).collect();
        Self {
            table: domain.table(),
            cpus: Box::leak(cpus.into_boxed_slice()),
            strays: AtomicU64::new(0),
        }
    }

    /// The memory of the CPUs, by number.
    pub(crate) fn cpus(&self) -> &'static [PerCpu] {
        self.cpus
    }

    /// How often a unit reached for an address that is neither table nor vector.
    pub(crate) fn strays(&self) -> u64 {
        self.strays.load(Ordering::Acquire)
    }

    /// The byte of an action vector at a physical address.
    fn action_byte(&self, address: u64) -> Option<&AtomicU8> {
        let offset = usize::try_from(address.checked_sub(PER_CPU)?).ok()?;
        let cpu = self.cpus.get(offset / size_of::<PerCpu>())?;
        let offset = offset % size_of::<PerCpu>();
        if offset >= size_of::<ActionVector>() {
            return None;
        }
        let bytes = std::ptr::from_ref(cpu.vector()).cast::<AtomicU8>();
        // SAFETY: the vector is 64 atomic bytes (`repr(C)`), the offset is below 64, and the reference keeps them alive.
        Some(unsafe { &*bytes.wrapping_add(offset) })
    }

    /// The quadword of the payload table at a physical address.
    fn payload_word(&self, address: u64) -> Option<&AtomicU64> {
        let offset = usize::try_from(address.checked_sub(TABLE)?).ok()?;
        if offset >= size_of::<PayloadTable>() || !offset.is_multiple_of(8) {
            return None;
        }
        let bytes = std::ptr::from_ref(self.table).cast::<u8>();
        let word = bytes.wrapping_add(offset).cast::<AtomicU64>();
        // SAFETY: the table is 512 atomic quadwords (`repr(C)`), the offset is a multiple of 8 inside it, and the reference
        // keeps them alive.
        Some(unsafe { &*word })
    }

    fn stray(&self) {
        self.strays.fetch_add(1, Ordering::AcqRel);
    }
}

impl PhysicalMemory for DriverMemory<'_> {
    fn load_u8(&self, address: u64) -> u8 {
        self.action_byte(address).map_or_else(
            || {
                self.stray();
                u8::MAX
            },
            |byte| byte.load(Ordering::Acquire),
        )
    }

    fn store_u8(&self, address: u64, value: u8) {
        match self.action_byte(address) {
            Some(byte) => byte.store(value, Ordering::Release),
            None => self.stray(),
        }
    }

    fn load_u64(&self, address: u64) -> u64 {
        self.payload_word(address).map_or_else(
            || {
                self.stray();
                u64::MAX
            },
            |word| word.load(Ordering::Relaxed),
        )
    }
}

// SAFETY: no microcode follows the addresses. The unit that does goes through `PhysicalMemory` above, which knows exactly
// these two pieces and borrows both.
unsafe impl PhysicalAddressOf for DriverMemory<'_> {
    fn physical_address_of(&self, virtual_address: *const (), bytes: usize) -> Option<u64> {
        let pieces = [
            (
                TABLE,
                std::ptr::from_ref(self.table).addr(),
                size_of::<PayloadTable>(),
            ),
            (PER_CPU, self.cpus.as_ptr().addr(), size_of_val(self.cpus)),
        ];
        pieces.into_iter().find_map(|(physical, start, length)| {
            let offset = virtual_address.addr().checked_sub(start)?;
            (offset + bytes <= length).then(|| physical + offset as u64)
        })
    }
}
