//! A driver and the CPUs below it.

use core::cell::Cell;

use rar_payload::Operation;
use rar_percpu::fake::{FakeAddresses, pinned};
use rar_percpu::{
    ApicId, AtomicCpuSet, CpuId, CpuSet, Domain, LifeCycleError, LocalTlb, PerCpu, PinnedCpu,
    RarCpu, SoftwareCpu, Unsupported,
};
use rar_regs::{Detection, FakeCpu, InterruptPolicy};
use rar_shootdown::{Instant, Machine, Message, NotSent, Policy, Shootdown};

use crate::world::{World, answer_uncounted, rar_bench_outside_signal, silence, vector_at};

/// A TLB that costs nothing.
pub(crate) struct NoTlb;

// SAFETY: 1., 2., 3. hold since there is no translation to keep; 4. nothing is done.
unsafe impl LocalTlb for NoTlb {
    #[inline(always)]
    fn flush(&self, _: &PinnedCpu<'_>, _: &Operation) -> Result<(), Unsupported> {
        Ok(())
    }

    #[inline(always)]
    fn flush_everything(&self, _: &PinnedCpu<'_>) {}
}

/// The machine below the driver: a clock that is one load, and a signal that is one call.
pub(crate) struct Bench {
    tlb: NoTlb,
    clock: Cell<u64>,
    world: &'static World,
    signal: Cell<extern "C" fn(&World)>,
    /// How often the driver looks in vain before the targets answer; 0 if the signal decides that.
    vain_looks: Cell<u32>,
}

impl<const WORDS: usize> Machine<WORDS> for Bench {
    type Tlb = NoTlb;

    #[inline(always)]
    fn tlb(&self) -> &NoTlb {
        &self.tlb
    }

    #[inline(always)]
    fn send(
        &self,
        _: Message,
        _: &PinnedCpu<'_>,
        _: &Domain<WORDS>,
        _: &CpuSet<WORDS>,
    ) -> Result<(), NotSent> {
        self.signal.get()(self.world);
        Ok(())
    }

    #[inline(always)]
    fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.get())
    }

    #[inline(always)]
    fn relax(&self) {
        let left = self.vain_looks.get();
        if left > 0 {
            self.vain_looks.set(left - 1);
            if left == 1 {
                rar_bench_outside_signal(self.world);
            }
        }
    }
}

/// Who answers on the targets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Microcode,
    Software,
}

/// How the bench's hardware takes a signal.
#[derive(Clone, Copy)]
pub(crate) enum Signal {
    /// It is answered inside the counted call, and not counted.
    Outside,
    /// It is answered where nothing is counted.
    Uncounted,
    /// No target answers.
    Silence,
}

/// A driver whose CPU 0 flushes, and CPUs 1 to N that are its targets. All are online and in one
/// address space.
pub(crate) struct Bed<const WORDS: usize> {
    pub(crate) shootdown: &'static Shootdown<Bench, WORDS>,
    pub(crate) cpu: PinnedCpu<'static>,
    pub(crate) space: &'static AtomicCpuSet<WORDS>,
    pub(crate) targets: u32,
    pub(crate) world: &'static World,
}

impl<const WORDS: usize> Bed<WORDS> {
    /// Returns a bed with that many targets.
    pub(crate) fn new(
        targets: u32,
        answers: Answers,
        policy: Policy,
    ) -> Result<Self, LifeCycleError> {
        // Never freed: the domain keeps what it is given.
        let memory: &'static [PerCpu] =
            Box::leak((0..=targets).map(|_| PerCpu::new()).collect::<Box<_>>());
        let vectors = memory
            .iter()
            .skip(1)
            .map(|cpu| vector_at(std::ptr::from_ref(cpu.vector()).cast()))
            .collect();
        let world: &'static World = Box::leak(Box::new(World::new(vectors)));
        let machine = Bench {
            tlb: NoTlb,
            clock: Cell::new(0),
            world,
            signal: Cell::new(rar_bench_outside_signal),
            vain_looks: Cell::new(0),
        };
        let shootdown: &'static _ =
            Box::leak(Box::new(Shootdown::<_, WORDS>::new(machine, policy)));
        let space: &'static _ = Box::leak(Box::new(AtomicCpuSet::<WORDS>::new()));
        for (number, memory) in (0..).zip(memory) {
            bring_online(shootdown, number, memory, answers)?;
            space
                .insert(CpuId::new(number))
                .map_err(|_| LifeCycleError::NotRegistered(CpuId::new(number)))?;
        }
        Ok(Self {
            shootdown,
            cpu: pinned(0),
            space,
            targets,
            world,
        })
    }

    /// The targets answer the next flush, which is not to be answered at once, after `looks` looks.
    pub(crate) fn answer_after(&self, looks: u32) {
        self.shootdown.machine().vain_looks.set(looks);
    }

    /// Changes how the hardware takes a signal.
    pub(crate) fn set_signal(&self, signal: Signal) {
        self.shootdown.machine().signal.set(match signal {
            Signal::Outside => rar_bench_outside_signal,
            Signal::Uncounted => answer_uncounted,
            Signal::Silence => silence,
        });
    }
}

fn bring_online<const WORDS: usize>(
    shootdown: &'static Shootdown<Bench, WORDS>,
    number: u32,
    memory: &'static PerCpu,
    answers: Answers,
) -> Result<(), LifeCycleError> {
    let (domain, tlb) = (shootdown.domain(), &NoTlb);
    let cpu = pinned(number);
    domain.register(cpu.id(), ApicId::new(number), memory)?;
    // Each stays online for good.
    match answers {
        Answers::Software => std::mem::forget(SoftwareCpu::bring_online(domain, &cpu, tlb)?),
        Answers::Microcode => {
            let registers: &'static FakeCpu = Box::leak(Box::new(FakeCpu::with_rar(63)));
            let support = Detection::new()
                .detect(registers)
                .map_err(|_| LifeCycleError::NotRegistered(cpu.id()))?;
            let unit = RarCpu::detect(domain, &cpu, support, registers)?;
            let unit = unit.configure(&cpu, &FakeAddresses)?;
            // SAFETY: 1., 2., 3. a fake follows no address, and has no translations.
            std::mem::forget(unsafe { unit.bring_online(&cpu, InterruptPolicy::IgnoreIf, tlb) }?);
        }
    }
    Ok(())
}
