//! A machine whose calls a handler can cut into, at any moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rar_payload::{InvpcidScope, Operation};
use rar_percpu::fake::{FakeAddresses, pinned};
use rar_percpu::{
    ApicId, CpuSet, Domain, LocalTlb, OnlineCpu, PerCpu, PinnedCpu, RarCpu, SoftwareCpu,
    Unsupported,
};
use rar_regs::{Detection, FakeCpu, InterruptPolicy};
use rar_shootdown::{Event, Instant, LazySkip, Machine, Message, NotSent, Shootdown};

use crate::world::{Flushed, Kind, World, keep, policy};

pub(crate) type Kernel = Shootdown<Bed, 1>;
pub(crate) type Online = OnlineCpu<'static, &'static FakeCpu, 1>;

type Handler = Arc<dyn Fn() + Send + Sync>;

/// A world, and a handler that cuts in at one moment: before the CPU sends, reads the clock, spins,
/// reports, or flushes its own TLB.
pub(crate) struct Bed {
    pub(crate) world: World,
    handler: Mutex<Option<Handler>>,
    /// How many moments come before the handler does.
    left: AtomicU64,
    has_run: AtomicBool,
}

impl Bed {
    fn new() -> Self {
        Self {
            world: World::new(),
            handler: Mutex::default(),
            left: AtomicU64::new(0),
            has_run: AtomicBool::new(false),
        }
    }

    /// Has a handler cut in, once, after that many moments.
    pub(crate) fn cut_in(&self, moments: u64, handler: impl Fn() + Send + Sync + 'static) {
        self.left.store(moments, Ordering::Release);
        self.has_run.store(false, Ordering::Release);
        *self.handler.lock().unwrap() = Some(Arc::new(handler));
    }

    /// Forgets a handler that has not run; returns whether it has.
    pub(crate) fn has_cut_in(&self) -> bool {
        self.handler.lock().unwrap().take();
        self.has_run.load(Ordering::Acquire)
    }

    fn moment(&self) {
        let handler = {
            let mut handler = self.handler.lock().unwrap();
            let is_early = self
                .left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                    left.checked_sub(1)
                });
            if is_early.is_ok() {
                return;
            }
            // Once: nothing cuts into the handler.
            handler.take()
        };
        if let Some(handler) = handler {
            self.has_run.store(true, Ordering::Release);
            handler();
        }
    }
}

// SAFETY: 1. to 4. as of the world's TLB: there is no translation to keep.
unsafe impl LocalTlb for Bed {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        self.moment();
        self.world.tlb.flush(cpu, operation)
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.moment();
        self.world.tlb.flush_everything(cpu);
    }
}

impl Machine<1> for Bed {
    type Tlb = Self;

    fn tlb(&self) -> &Self {
        self
    }

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<1>,
        targets: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        self.moment();
        let sent = self.world.send(message, cpu, domain, targets);
        self.moment();
        sent
    }

    fn now(&self) -> Instant {
        self.moment();
        self.world.now()
    }

    fn relax(&self) {
        self.moment();
    }

    fn report(&self, event: &Event) {
        self.world.report(event);
        self.moment();
    }
}

/// Returns an orchestrator of CPUs 0, 1, ... that are online, and what drives each.
pub(crate) fn kernel(kinds: &[Kind]) -> (&'static Kernel, Vec<Online>) {
    let mut policy = policy();
    policy.lazy = LazySkip::LOWER_HALF;
    let kernel = keep(Kernel::new(Bed::new(), policy));
    let online = (0..)
        .zip(kinds)
        .map(|(cpu, kind)| bring_online(kernel, cpu, *kind))
        .collect();
    (kernel, online)
}

/// Registers a CPU and brings it online.
pub(crate) fn bring_online(kernel: &'static Kernel, cpu: u32, kind: Kind) -> Online {
    register(kernel, cpu);
    come_up(kernel, cpu, kind)
}

pub(crate) fn register(kernel: &Kernel, cpu: u32) {
    let domain = kernel.domain();
    let me = pinned(cpu).id();
    let memory = domain.cpu(me).unwrap_or_else(|| keep(PerCpu::new()));
    domain.register(me, ApicId::new(cpu), memory).unwrap();
}

/// Brings a registered CPU online.
pub(crate) fn come_up(kernel: &'static Kernel, cpu: u32, kind: Kind) -> Online {
    let (domain, tlb, me) = (kernel.domain(), kernel.tlb(), pinned(cpu));
    if kind == Kind::Software {
        return SoftwareCpu::bring_online(domain, &me, tlb).unwrap().into();
    }
    let registers = keep(FakeCpu::with_rar(63));
    let support = Detection::new().detect(registers).unwrap();
    let configured = RarCpu::detect(domain, &me, support, registers)
        .and_then(|detected| detected.configure(&me, &FakeAddresses))
        .unwrap();
    // SAFETY: a host; nothing follows the addresses.
    unsafe { configured.bring_online(&me, InterruptPolicy::IgnoreIf, tlb) }
        .unwrap()
        .into()
}

/// Takes a CPU offline.
pub(crate) fn take_offline(kernel: &Kernel, cpu: u32, online: Online) {
    // SAFETY: a host; the CPU uses no translation.
    unsafe { online.take_offline(&pinned(cpu), kernel.tlb()) }.unwrap();
}

/// Asserts that the CPU flushed a space, or everything, among the flushes from `first` on.
#[track_caller]
pub(crate) fn assert_flushed(kernel: &Kernel, cpu: u32, first: usize, pcid: u16, why: &str) {
    let all = kernel.machine().world.tlb.of(cpu);
    let named = crate::world::space(pcid).operations().next();
    let is_it = |flushed: &Flushed| match *flushed {
        Flushed::Everything => true,
        Flushed::Operation(Operation::Invpcid(InvpcidScope::AllContexts(_))) => true,
        Flushed::Operation(operation) => Some(operation) == named,
    };
    assert!(
        all[first..].iter().any(is_it),
        "{why}: CPU {cpu} did not flush space {pcid}: {:?}",
        &all[first..]
    );
}
