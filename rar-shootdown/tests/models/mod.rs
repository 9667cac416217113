//! What the models share: a machine of two or three CPUs with one page each, whose signals are heard or not.

use core::sync::atomic::AtomicBool;

use loom::model::Builder;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU64, Ordering};
use rar_payload::{InvpcidScope, Operation, Pcid, Request};
use rar_percpu::fake::pinned;
use rar_percpu::{
    ApicId, CpuId, CpuSet, Domain, LocalTlb, PayloadTable, PerCpu, PinnedCpu, SoftwareCpu,
    Unsupported,
};
use rar_shootdown::{Everyone, Machine, Policy, Shootdown, Ticks};

pub(crate) const CPUS: u32 = 3;
/// Spaces 0 to 3, each with one page whose entry is a number that only grows.
pub(crate) const SPACES: usize = 4;

/// Page tables, and a TLB for each CPU that caches as much and as early as it can.
pub(crate) struct Tlbs {
    pub(crate) tables: [AtomicU64; SPACES],
    cached: [Mutex<[u64; SPACES]>; CPUS as usize],
}

impl Tlbs {
    fn new() -> Self {
        Self {
            tables: core::array::from_fn(|_| AtomicU64::new(0)),
            cached: core::array::from_fn(|_| Mutex::new([0; SPACES])),
        }
    }

    /// What the CPU uses for the space.
    pub(crate) fn cached(&self, cpu: u32, space: usize) -> u64 {
        self.cached[cpu as usize].lock().unwrap()[space]
    }

    fn refill(&self, cpu: CpuId, spaces: core::ops::Range<usize>) {
        let mut cached = self.cached[cpu.index()].lock().unwrap();
        for space in spaces {
            cached[space] = self.tables[space].load(Ordering::Relaxed);
        }
    }
}

// SAFETY: what is named is read again from the tables, which is as good as gone.
unsafe impl LocalTlb for Tlbs {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        let Operation::Invpcid(InvpcidScope::Context { pcid }) = operation else {
            return Err(Unsupported);
        };
        let space = usize::from(pcid.get());
        self.refill(cpu.id(), space..space + 1);
        Ok(())
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.refill(cpu.id(), 0..SPACES);
    }
}

/// Signals and interrupts are served by the thread that sends them, as the target's handler would, or get lost.
pub(crate) struct Model {
    domain: &'static Domain<'static, 1>,
    pub(crate) tlbs: Tlbs,
    // Each of these is for one thread at a time, so that loom need not see it.
    pub(crate) hears_signals: AtomicBool,
    pub(crate) hears_interrupts: AtomicBool,
    /// Whether anybody was signalled.
    pub(crate) signalled: AtomicBool,
    clock: AtomicU64,
}

impl Machine for Model {
    type Tlb = Tlbs;

    fn tlb(&self) -> &Tlbs {
        &self.tlbs
    }

    fn signal<const W: usize>(&self, _: &PinnedCpu<'_>, targets: &CpuSet<W>) {
        self.signalled.store(true, Ordering::Relaxed);
        if self.hears_signals.load(Ordering::Relaxed) {
            for target in targets.iter() {
                let _served = self.domain.serve(&pinned(target.get()), &self.tlbs);
            }
        }
    }

    fn interrupt<const W: usize>(&self, _: &PinnedCpu<'_>, targets: &CpuSet<W>) {
        if self.hears_interrupts.load(Ordering::Relaxed) {
            for target in targets.iter() {
                self.domain
                    .serve_generation(&pinned(target.get()), &self.tlbs);
            }
        }
    }

    fn now(&self) -> Ticks {
        Ticks(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    /// No yield: a poll is bounded by the clock, and a yield would make the others run on.
    fn relax(&self) {}
}

/// Long enough for every flush to end that nobody holds up for ever.
pub(crate) const POLICY: Policy = Policy {
    answer: 3,
    fallback: 24,
    slot: 1,
    resignal: None,
    operations: 2,
};

/// Everything of one exploration.
#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) domain: &'static Domain<'static, 1>,
    pub(crate) machine: &'static Model,
    pub(crate) shootdown: &'static Shootdown<'static, Model, 1>,
}

impl World {
    /// Every CPU below `online` is online.
    pub(crate) fn new(slots: usize, online: u32) -> Self {
        Self::with_policy(slots, online, POLICY)
    }

    pub(crate) fn with_policy(slots: usize, online: u32, policy: Policy) -> Self {
        fn keep<T>(value: T) -> &'static T {
            Box::leak(Box::new(value))
        }
        let (table, cpus) = (
            keep(PayloadTable::new()),
            keep([PerCpu::new(), PerCpu::new(), PerCpu::new()]),
        );
        let domain = keep(Domain::new(table, cpus));
        let machine = keep(Model {
            domain,
            tlbs: Tlbs::new(),
            hears_signals: AtomicBool::new(true),
            hears_interrupts: AtomicBool::new(true),
            signalled: AtomicBool::new(false),
            clock: AtomicU64::new(0),
        });
        let shootdown = keep(Shootdown::new(machine, domain, slots, policy));
        let world = Self {
            domain,
            machine,
            shootdown,
        };
        (0..online).for_each(|cpu| core::mem::forget(world.join(cpu)));
        world
    }

    /// Brings a CPU online that answers in software.
    pub(crate) fn join(self, cpu: u32) -> SoftwareCpu<'static, 1> {
        self.register(cpu);
        SoftwareCpu::join(self.domain, &pinned(cpu), &self.machine.tlbs).unwrap()
    }

    pub(crate) fn register(self, cpu: u32) {
        self.domain
            .register(CpuId::new(cpu), ApicId::new(cpu))
            .unwrap();
    }

    /// Flushes a space of all CPUs from this one.
    pub(crate) fn flush(self, cpu: u32, space: u16) {
        self.shootdown
            .flush(&pinned(cpu), &[request(space)], &Everyone)
            .unwrap();
    }

    /// Stores to the page table of a space, as a kernel does before it flushes.
    pub(crate) fn store(self, space: usize, entry: u64) {
        self.machine.tlbs.tables[space].store(entry, Ordering::Relaxed);
    }
}

/// The flush of a space.
pub(crate) fn request(space: u16) -> Request {
    Request::AddressSpace {
        pcid: Pcid::new(space).unwrap(),
    }
}

/// Explores every interleaving, or those with so many preemptions where all of them would take minutes.
pub(crate) fn explore(
    preemptions: impl Into<Option<usize>>,
    model: impl Fn() + Sync + Send + 'static,
) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions.into().or(builder.preemption_bound);
    builder.check(model);
}
