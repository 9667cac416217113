//! What the models share: a domain whose CPUs answer in software, and TLBs that remember what was
//! flushed.
#![expect(dead_code, reason = "each file of models uses a part")]

use std::sync::Mutex;

use loom::model::Builder;
use loom::sync::atomic::{AtomicU64, Ordering};
use rar_payload::{InvpcidScope, Operation, Pcid};
use rar_percpu::fake::pinned;
use rar_percpu::{
    ApicId, CpuId, CpuSet, Domain, LocalTlb, PerCpu, PinnedCpu, Posted, Served, SoftwareCpu,
    Unsupported,
};

/// The largest number of CPUs.
pub(crate) const CPUS: usize = 4;

/// The PCID that no TLB here can flush.
pub(crate) const REFUSED: u16 = 9;

/// The PCID of the first space that has a page; the others' follow.
pub(crate) const FIRST_SPACE: u16 = 5;

/// How many spaces have a page.
pub(crate) const SPACES: usize = 2;

/// Which PCIDs each CPU has flushed, and which entries of page tables it uses.
#[derive(Default)]
pub(crate) struct Tlb {
    /// The entry of each space's page: zero, then one.
    pub(crate) tables: [AtomicU64; SPACES],
    cached: [[AtomicU64; SPACES]; CPUS],
    flushed: [AtomicU64; CPUS],
    /// What each CPU's next flush is interrupted by.
    interrupt: [Mutex<Option<Handler>>; CPUS],
}

type Handler = Box<dyn FnOnce() + Send>;

// SAFETY: a flush here is an update of its flag.
unsafe impl LocalTlb for Tlb {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        let pcid = match operation {
            Operation::Invpcid(InvpcidScope::Context { pcid }) => pcid,
            Operation::Invpcid(InvpcidScope::AllContexts(_)) => {
                self.flush_everything(cpu);
                return Ok(());
            }
            _ => return Err(Unsupported),
        };
        if pcid.get() == REFUSED {
            return Err(Unsupported);
        }
        self.flushed[cpu.id().index()].fetch_or(1 << pcid.get(), Ordering::Relaxed);
        let space = pcid.get().checked_sub(FIRST_SPACE).map(usize::from);
        if let Some(space) = space.filter(|space| *space < SPACES) {
            self.refill(cpu, space);
        }
        let handler = self.interrupt[cpu.id().index()].lock().unwrap().take();
        if let Some(handler) = handler {
            handler();
        }
        Ok(())
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        (0..SPACES).for_each(|space| self.refill(cpu, space));
    }
}

impl Tlb {
    /// Reads the entry of the space's page again, which is as good as dropping it.
    fn refill(&self, cpu: &PinnedCpu<'_>, space: usize) {
        let entry = self.tables[space].load(Ordering::Relaxed);
        // One CPU reads nothing older than before.
        self.cached[cpu.id().index()][space].fetch_max(entry, Ordering::Relaxed);
    }
}

/// Everything of one exploration.
#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) domain: &'static Domain<1>,
    pub(crate) tlb: &'static Tlb,
}

pub(crate) fn keep<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl World {
    /// A table of that many slots, and no CPU.
    pub(crate) fn new(slots: u8) -> Self {
        let domain: &Domain<1> = keep(Domain::new());
        domain.limit_entries(slots);
        Self {
            domain,
            tlb: keep(Tlb::default()),
        }
    }

    /// One CPU, which is in lazy TLB mode.
    pub(crate) fn with_a_lazy_cpu() -> Self {
        let world = Self::new(1);
        core::mem::forget(world.bring_online(0));
        // SAFETY: nothing here uses a translation.
        unsafe { world.domain.enter_lazy(&pinned(0)) };
        world
    }

    /// Brings a CPU online that answers in software.
    pub(crate) fn bring_online(self, cpu: u32) -> SoftwareCpu<'static, 1> {
        let memory = keep(PerCpu::new());
        self.domain
            .register(CpuId::new(cpu), ApicId::new(cpu), memory)
            .unwrap();
        SoftwareCpu::bring_online(self.domain, &pinned(cpu), self.tlb).unwrap()
    }

    /// Posts the flush of a PCID; `None` without a slot.
    pub(crate) fn post(self, me: u32, pcid: u16, targets: &[u32]) -> Option<Posted<'static, 1>> {
        let operation = Operation::Invpcid(InvpcidScope::Context {
            pcid: Pcid::new(pcid).unwrap(),
        });
        self.post_operation(me, operation, targets)
    }

    /// Posts any operation; `None` without a slot.
    pub(crate) fn post_operation(
        self,
        me: u32,
        operation: Operation,
        targets: &[u32],
    ) -> Option<Posted<'static, 1>> {
        let targets = CpuSet::of(targets.iter().copied().map(CpuId::new)).unwrap();
        let claimed = self.domain.claim(&pinned(me), 1)?;
        Some(claimed.post(&[operation], &targets).unwrap())
    }

    pub(crate) fn serve(self, cpu: u32) -> Served {
        self.domain.answer(&pinned(cpu), self.tlb)
    }

    /// Whether the CPU has flushed the PCID.
    pub(crate) fn flushed(self, cpu: u32, pcid: u16) -> bool {
        self.tlb.flushed[cpu as usize].load(Ordering::Relaxed) & 1 << pcid != 0
    }

    /// Whether the CPU uses the newest entry of the space.
    pub(crate) fn cached(self, cpu: u32, space: usize) -> bool {
        // An update, since it reads what the CPU uses by now; it orders nothing.
        self.tlb.cached[cpu as usize][space].fetch_add(0, Ordering::Relaxed) == 1
    }

    /// What the CPU's next flush is interrupted by.
    pub(crate) fn interrupt(self, cpu: u32, handler: impl FnOnce() + Send + 'static) {
        *self.tlb.interrupt[cpu as usize].lock().unwrap() = Some(Box::new(handler));
    }
}

/// Explores every interleaving, or those with this many preemptions where all of them would take
/// minutes.
pub(crate) fn explore(
    preemptions: impl Into<Option<usize>>,
    model: impl Fn() + Sync + Send + 'static,
) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions.into().or(builder.preemption_bound);
    builder.check(model);
}
