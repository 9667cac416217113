//! The kernel that is booted, its masks, and unmapping.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::array::from_fn;
use core::sync::atomic::{AtomicU64, Ordering};

use rar_shape_hardware::{Frame, PageTable, Tlb};
use rar_shootdown::rar_payload::{PageRange, Pcid, Request};
use rar_shootdown::rar_percpu::{
    ApicId, CpuId, CpuSet, Domain, LifeCycleError, PinnedCpu, RegisterError, SoftwareCpu,
};
use rar_shootdown::{FlushError, Policy, Shootdown, TargetFn};

use crate::machine::DynMachine;
use crate::promises::{CpuBlock, allocate_block, disable_preemption, load_own_block};

/// Room for 1,024 CPUs. Booting on a machine with more is refused.
pub const WORDS: usize = 16;

/// The kernel, as far as it is concerned with flushes.
pub struct Kernel {
    shootdown: Shootdown<&'static DynMachine, WORDS>,
    blocks: Vec<&'static CpuBlock>,
}

/// The CPUs that may cache translations of an address space.
#[derive(Debug)]
pub struct CpuMask(Box<[AtomicU64]>);

/// An address space.
#[derive(Debug)]
pub struct AddressSpace {
    /// Its CPUs.
    pub mask: CpuMask,
    /// Its page table.
    pub table: PageTable,
}

impl Kernel {
    /// Boots on a machine with these APIC ids: allocates a block for each CPU and registers it.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if there are too many CPUs, or two have one APIC id.
    pub fn boot(
        machine: &'static DynMachine,
        apic_ids: &[ApicId],
    ) -> Result<&'static Self, RegisterError> {
        let mut kernel = Box::new(Self {
            shootdown: Shootdown::new(machine, Policy::new()),
            blocks: Vec::new(),
        });
        for (number, apic_id) in (0..).zip(apic_ids) {
            let cpu = CpuId::new(number);
            let block = allocate_block(cpu);
            kernel.domain().register(cpu, *apic_id, block.rar())?;
            kernel.blocks.push(block);
        }
        Ok(Box::leak(kernel))
    }

    /// Has this CPU load its block, and brings it online.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError`] if the CPU is not registered, or online.
    pub fn bring_online(&self) -> Result<SoftwareCpu<'_, WORDS>, LifeCycleError> {
        load_own_block(&self.blocks);
        let guard = disable_preemption();
        SoftwareCpu::bring_online(self.domain(), &PinnedCpu::from_guard(&guard), &Tlb)
    }

    /// Unmaps the page that the range consists of, and gives its frame back once no CPU can reach
    /// it.
    ///
    /// # Errors
    ///
    /// [`FlushError`] if a CPU stays silent. The frame is leaked.
    pub fn unmap(
        &self,
        space: &AddressSpace,
        range: PageRange,
    ) -> Result<Option<Frame>, FlushError> {
        let frame = space.table.unmap(range.start());
        let request = Request::Pages {
            pcid: Pcid::ZERO,
            range,
        };
        // Called by the library when the page table's change is visible.
        let targets = TargetFn(|_: &Domain<WORDS>| space.mask.snapshot());
        let guard = disable_preemption();
        let cpu = PinnedCpu::from_guard(&guard);
        self.shootdown
            .start(&cpu, &[request], &targets, frame)
            .wait(&cpu)
            // Dropping `late` leaks the frame.
            .map_err(|late| late.error)
    }

    /// The handler of the flush interrupt.
    pub fn on_flush_interrupt(&self) {
        let guard = disable_preemption();
        self.shootdown.serve(&PinnedCpu::from_guard(&guard));
    }

    /// Returns an address space that no CPU uses.
    #[must_use]
    pub fn new_space(&self) -> AddressSpace {
        let words = (0..self.blocks.len().div_ceil(64)).map(|_| AtomicU64::new(0));
        AddressSpace {
            mask: CpuMask(words.collect()),
            table: PageTable::new(),
        }
    }

    /// Returns the domain of all CPUs.
    #[must_use]
    pub fn domain(&self) -> &Domain<WORDS> {
        self.shootdown.domain()
    }
}

impl CpuMask {
    /// Adds a CPU, before it loads the page table. Returns whether the mask has a bit for it: a CPU
    /// without one would not be flushed, and must not use the space.
    #[must_use]
    pub fn set(&self, cpu: CpuId) -> bool {
        self.0.get(cpu.index() / 64).is_some_and(|word| {
            word.fetch_or(1 << (cpu.index() % 64), Ordering::SeqCst);
            true
        })
    }

    /// Copies the words. The mask may have fewer than the set: no CPU is beyond its end.
    fn snapshot(&self) -> CpuSet<WORDS> {
        let word = |index| {
            self.0
                .get(index)
                .map(|word: &AtomicU64| word.load(Ordering::Acquire))
        };
        CpuSet::from_words(from_fn(|index| word(index).unwrap_or(0)))
    }
}
