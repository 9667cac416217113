//! Stand-ins for tests on a host: a TLB that only keeps a log, and a CPU to be on.
#![expect(
    unsafe_code,
    reason = "a fake makes the promises of the real thing, about nothing"
)]

use rar_payload::{Operation, Payload};

use crate::cpu_id::{CpuId, NmiCpu, PinnedCpu};
use crate::local_tlb::{LocalTlb, Unsupported};
use crate::physical_address_of::PhysicalAddressOf;
use crate::sync::{AtomicU64, Ordering, const_unless_loom, shared_array};

/// A log of what each of `CPUS` CPUs was told to flush. No translation exists, so none can be
/// stale.
#[derive(Debug)]
pub struct FakeTlb<const CPUS: usize> {
    cpus: [FlushLog; CPUS],
}

#[derive(Debug)]
struct FlushLog {
    full: AtomicU64,
    operations: AtomicU64,
    last: [AtomicU64; 8],
}

impl<const CPUS: usize> FakeTlb<CPUS> {
    const_unless_loom! {
        /// Returns an empty log.
        pub fn new() -> Self {
            Self {
                cpus: shared_array!(FlushLog {
                    full: AtomicU64::new(0),
                    operations: AtomicU64::new(0),
                    last: shared_array!(AtomicU64::new(0); 8),
                }; CPUS),
            }
        }
    }

    /// Returns how often the CPU flushed everything.
    #[must_use]
    pub fn full_flushes(&self, cpu: CpuId) -> u64 {
        self.cpus
            .get(cpu.index())
            .map_or(0, |log| log.full.load(Ordering::Acquire))
    }

    /// Returns how many operations the CPU carried out.
    #[must_use]
    pub fn operations(&self, cpu: CpuId) -> u64 {
        self.cpus
            .get(cpu.index())
            .map_or(0, |log| log.operations.load(Ordering::Acquire))
    }

    /// Returns the last operation that the CPU carried out.
    #[must_use]
    pub fn last_operation(&self, cpu: CpuId) -> Option<Operation> {
        let log = self
            .cpus
            .get(cpu.index())
            .filter(|log| log.operations.load(Ordering::Acquire) > 0)?;
        Operation::decode(&Payload::from_words(core::array::from_fn(|word| {
            log.last
                .get(word)
                .map_or(0, |word| word.load(Ordering::Relaxed))
        })))
        .ok()
    }
}

impl<const CPUS: usize> Default for FakeTlb<CPUS> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: 1., 2., 3. hold since there is no translation to keep; 4. each call is a few atomic
// stores.
unsafe impl<const CPUS: usize> LocalTlb for FakeTlb<CPUS> {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        let log = self.cpus.get(cpu.id().index()).ok_or(Unsupported)?;
        for (word, value) in log.last.iter().zip(operation.encode().words()) {
            word.store(value, Ordering::Relaxed);
        }
        log.operations.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        if let Some(log) = self.cpus.get(cpu.id().index()) {
            log.full.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Physical addresses for a host: the virtual ones, cut to 36 bits, which no fake register follows.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeAddresses;

// SAFETY: no microcode runs on a host, so that nothing follows the address.
unsafe impl PhysicalAddressOf for FakeAddresses {
    fn physical_address_of(&self, virtual_address: *const (), _bytes: usize) -> Option<u64> {
        Some(virtual_address.addr() as u64 & 0xf_ffff_ffff)
    }
}

/// Returns the claim to be on a CPU, for a test thread that plays it.
#[must_use]
pub fn pinned(cpu: u32) -> PinnedCpu<'static> {
    // SAFETY: 1. and 2. hold by definition: the thread is the CPU that the test says it is.
    unsafe { PinnedCpu::new(CpuId::new(cpu)) }
}

/// Returns the claim to be in the NMI handler of a CPU, for a test thread that plays it.
#[must_use]
pub fn in_nmi(cpu: u32) -> NmiCpu<'static> {
    // SAFETY: 1. holds by definition, as in `pinned`.
    unsafe { NmiCpu::new(CpuId::new(cpu)) }
}
