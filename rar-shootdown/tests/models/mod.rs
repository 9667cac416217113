//! What the models share: a machine of two or three CPUs with one page each, whose signals are
//! heard or not.

use core::sync::atomic::{AtomicBool, AtomicU64 as Plain};
use core::time::Duration;

use loom::model::Builder;
use loom::sync::atomic::{AtomicU64, Ordering};
use rar_payload::{InvpcidScope, Operation, Pcid, Request};
use rar_percpu::fake::pinned;
use rar_percpu::{
    ApicId, CpuId, CpuSet, Domain, LocalTlb, PerCpu, PinnedCpu, SoftwareCpu, Unsupported,
};
use rar_shootdown::{AllOnline, Instant, LazySkip, Machine, Message, NotSent, Policy, Shootdown};

pub(crate) const CPUS: u32 = 3;
/// Spaces 0 to 3, each with one page whose entry is a number that only grows.
pub(crate) const SPACES: usize = 4;

/// Page tables, and a TLB for each CPU that caches as much and as early as it can.
pub(crate) struct Tlbs {
    pub(crate) tables: [AtomicU64; SPACES],
    cached: [[AtomicU64; SPACES]; CPUS as usize],
}

impl Tlbs {
    fn new() -> Self {
        Self {
            tables: core::array::from_fn(|_| AtomicU64::new(0)),
            cached: core::array::from_fn(|_| core::array::from_fn(|_| AtomicU64::new(0))),
        }
    }

    /// What the CPU uses for the space.
    pub(crate) fn cached(&self, cpu: u32, space: usize) -> u64 {
        // An update, since it reads what the CPU uses by now; it orders nothing.
        self.cached[cpu as usize][space].fetch_add(0, Ordering::Relaxed)
    }

    fn refill(&self, cpu: CpuId, spaces: core::ops::Range<usize>) {
        for space in spaces {
            let entry = self.tables[space].load(Ordering::Relaxed);
            // One CPU reads nothing older than before.
            self.cached[cpu.index()][space].fetch_max(entry, Ordering::Relaxed);
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

/// Signals and interrupts are served by the thread that sends them, as the target's handler would,
/// or get lost.
pub(crate) struct Model {
    pub(crate) tlbs: Tlbs,
    // Each of these is for one thread at a time, so that loom need not see it.
    pub(crate) hears_signals: AtomicBool,
    pub(crate) hears_interrupts: AtomicBool,
    /// Whether anybody was signalled.
    pub(crate) signalled: AtomicBool,
    clock: Plain,
}

impl Model {
    /// A machine whose CPUs hear everything.
    pub(crate) fn new() -> Self {
        Self {
            tlbs: Tlbs::new(),
            hears_signals: AtomicBool::new(true),
            hears_interrupts: AtomicBool::new(true),
            signalled: AtomicBool::new(false),
            clock: Plain::new(0),
        }
    }
}

impl Machine<1> for Model {
    type Tlb = Tlbs;

    fn tlb(&self) -> &Tlbs {
        &self.tlbs
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        domain: &Domain<1>,
        targets: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        match message {
            Message::Signal => {
                self.signalled.store(true, Ordering::Relaxed);
                if self.hears_signals.load(Ordering::Relaxed) {
                    for target in targets.iter() {
                        let _served = domain.answer(&pinned(target.get()), &self.tlbs);
                    }
                }
                Ok(())
            }
            Message::Interrupt => {
                if self.hears_interrupts.load(Ordering::Relaxed) {
                    for target in targets.iter() {
                        domain.complete_generation(&pinned(target.get()), &self.tlbs);
                    }
                }
                Ok(())
            }
            _ => Err(NotSent::Unsupported),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    /// No yield: a poll is bounded by the clock, and a yield would make the others run on.
    fn relax(&self) {}
}

/// Long enough for every flush to end that is not held up forever.
pub(crate) fn policy() -> Policy {
    let mut policy = Policy::new();
    policy.answer_timeout = Duration::from_nanos(0);
    policy.fallback_timeout = Duration::from_nanos(4);
    policy.slot_timeout = Duration::from_nanos(0);
    policy.resignal_after = None;
    policy.max_operations = 2;
    policy.lazy = LazySkip::LOWER_HALF;
    policy
}

/// Everything of one exploration.
pub(crate) struct World<M: 'static = Model> {
    pub(crate) shootdown: &'static Shootdown<M, 1>,
}

impl<M> Clone for World<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for World<M> {}

pub(crate) fn keep<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl World {
    /// Every CPU below `online` is online.
    pub(crate) fn new(slots: u8, online: u32) -> Self {
        Self::with_policy(slots, online, policy())
    }

    pub(crate) fn with_policy(slots: u8, online: u32, policy: Policy) -> Self {
        Self::with_machine(Model::new(), slots, online, policy)
    }
}

impl<M: Machine<1, Tlb = Tlbs>> World<M> {
    pub(crate) fn with_machine(machine: M, slots: u8, online: u32, policy: Policy) -> Self {
        let shootdown = keep(Shootdown::new(machine, policy));
        shootdown.domain().limit_entries(slots);
        let world = Self { shootdown };
        (0..online).for_each(|cpu| core::mem::forget(world.bring_online(cpu)));
        world
    }

    pub(crate) fn domain(self) -> &'static Domain<1> {
        self.shootdown.domain()
    }

    pub(crate) fn machine(self) -> &'static M {
        self.shootdown.machine()
    }

    pub(crate) fn tlbs(self) -> &'static Tlbs {
        self.machine().tlb()
    }

    /// Brings a CPU online that answers in software.
    pub(crate) fn bring_online(self, cpu: u32) -> SoftwareCpu<'static, 1> {
        self.register(cpu);
        SoftwareCpu::bring_online(self.domain(), &pinned(cpu), self.tlbs()).unwrap()
    }

    /// Registers a CPU that is not, with fresh memory.
    pub(crate) fn register(self, cpu: u32) {
        let (domain, cpu) = (self.domain(), CpuId::new(cpu));
        if domain.cpu(cpu).is_none() {
            let memory = keep(PerCpu::new());
            domain
                .register(cpu, ApicId::new(cpu.get()), memory)
                .unwrap();
        }
    }

    /// Flushes a space of all CPUs from this one.
    pub(crate) fn flush(self, cpu: u32, space: u16) {
        self.shootdown
            .flush(&pinned(cpu), &[request(space)], &AllOnline)
            .unwrap();
    }

    /// Stores to the page table of a space, as a kernel does before it flushes.
    pub(crate) fn store(self, space: usize, entry: u64) {
        self.tlbs().tables[space].store(entry, Ordering::Relaxed);
    }
}

/// The flush of a space.
pub(crate) fn request(space: u16) -> Request {
    Request::AddressSpace {
        pcid: Pcid::new(space).unwrap(),
    }
}

/// Explores every interleaving, or those with this many preemptions where all of them would take
/// minutes.
pub(crate) fn explore(
    preemptions: impl Into<Option<usize>>,
    model: impl Fn() + Sync + Send + 'static,
) {
    let mut builder = Builder::new();
    builder.max_branches = 10_000;
    builder.preemption_bound = preemptions.into().or(builder.preemption_bound);
    builder.check(model);
}
