//! The driver on a simulated machine without a scheduler: tests call the driver as any CPU, and
//! decide when units answer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rar_model::{Knobs, Translation};
use rar_payload::CostModel;
use rar_percpu::fake::pinned;
use rar_percpu::{Configured, Detected, Enabled, LifeCycleError, RarCpu, StepError};
use rar_regs::{InterruptPolicy, RarSupport};
use rar_shootdown::{LazySkip, Machine as _, Policy, Shootdown, Statistics};
use rar_sim::machine::{Clock, Invlpg, Machine, MachineConfig, Member, Registers, Service, Watch};

use crate::page_tables::{PageTables, sorted};

/// The PCID that every CPU runs.
pub(crate) const PCID: u16 = 5;

/// The APIC ids of the CPUs: with gaps, in four clusters.
pub(crate) const APIC_IDS: [u32; 8] = [0x00, 0x02, 0x03, 0x11, 0x1f, 0x20, 0x21, 0x43];

/// Timeouts for a clock that counts its readings.
pub(crate) const COUNTED: Policy = policy(
    Duration::from_nanos(100),
    Duration::from_nanos(100),
    Duration::from_nanos(10),
);

/// Timeouts for a real clock: ten seconds, which only a hang reaches.
const PATIENT: Policy = policy(TEN_SECONDS, TEN_SECONDS, TEN_SECONDS);

const TEN_SECONDS: Duration = Duration::from_secs(10);

const fn policy(answer: Duration, fallback: Duration, slot: Duration) -> Policy {
    let mut policy = Policy::new();
    policy.answer_timeout = answer;
    policy.fallback_timeout = fallback;
    policy.slot_timeout = slot;
    policy.resignal_after = None;
    policy.lazy = LazySkip::LOWER_HALF;
    // Tests count the entries that ranges take.
    policy.costs = CostModel::EXACT;
    policy
}

/// The machine and the timeouts of a test.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) machine: MachineConfig,
    pub(crate) policy: Policy,
}

impl Setup {
    /// Four CPUs, IGNORE_IF, one x2APIC command per target, answers within the signal.
    pub(crate) fn new(knobs: Knobs) -> Self {
        let machine = MachineConfig {
            knobs: vec![knobs],
            apic_id: |cpu| APIC_IDS[cpu as usize],
            service: Service::Prompt,
            invlpg: Invlpg::MaySpareGlobals,
            clock: Clock::Readings,
            ..MachineConfig::new(4)
        };
        Self {
            machine,
            policy: COUNTED,
        }
    }

    /// The same with another number of CPUs.
    pub(crate) fn cpus(mut self, cpus: u32) -> Self {
        self.machine.cpus = cpus;
        self
    }

    /// The same with units that obey IF or ignore it.
    pub(crate) fn interrupts(mut self, interrupts: InterruptPolicy) -> Self {
        self.machine.interrupts = interrupts;
        self
    }

    /// The same with units that answer at another time.
    pub(crate) fn served(mut self, service: Service) -> Self {
        self.machine.service = service;
        self
    }

    /// The same for [`Rig::on_threads`].
    pub(crate) fn threads(mut self) -> Self {
        self.machine.service = Service::Boundary;
        self.machine.clock = Clock::Time;
        self.policy = PATIENT;
        self
    }
}

/// A CPU's unit in the driver's hands.
pub(crate) type Unit<'d, S, const TLB: usize> = RarCpu<'d, Registers<'d, TLB>, S>;

/// The driver on its machine, all CPUs online.
pub(crate) struct Rig<'r, const TLB: usize> {
    pub(crate) machine: &'r Machine<'r, TLB>,
    pub(crate) shootdown: &'r Shootdown<&'r Machine<'r, TLB>>,
    pub(crate) tables: PageTables,
    pub(crate) stall: &'r Stall,
    pub(crate) interrupts: InterruptPolicy,
}

impl<const TLB: usize> Rig<'_, TLB> {
    /// Asserts the driver's statistics.
    pub(crate) fn assert_statistics(&self, expected: Statistics) {
        assert_eq!(self.shootdown.statistics(), expected);
    }

    /// Reclaims slots that no flush uses any more.
    pub(crate) fn reclaim_slots(&self) -> usize {
        self.shootdown.domain().reclaim_slots()
    }

    /// Every CPU, by number.
    pub(crate) fn cpus(&self) -> std::ops::Range<u32> {
        0..self.machine.cpus()
    }

    /// Lets every CPU cache every page of every space.
    pub(crate) fn warm(&self) {
        let leaves = self.tables.leaves();
        for cpu in self.cpus() {
            self.machine.cpu(cpu).with_tlb(|tlb| {
                for leaf in &leaves {
                    let _evicted = tlb.fill(*leaf);
                }
                assert_eq!(tlb.iter().count(), leaves.len());
            });
        }
    }

    /// Accesses memory on a CPU, under its current PCID, and returns the translation that was used.
    pub(crate) fn access(&self, cpu: u32, address: u64) -> Option<Translation> {
        self.machine.cpu(cpu).with_tlb(|tlb| {
            let cached = tlb.lookup(address);
            cached.or_else(|| {
                let walked = self.tables.walk(tlb.pcid(), address)?;
                tlb.fill(walked);
                Some(walked)
            })
        })
    }

    /// What a CPU caches, in a fixed order.
    pub(crate) fn contents(&self, cpu: u32) -> Vec<Translation> {
        let held = self.machine.cpu(cpu).with_tlb(|tlb| tlb.iter().collect());
        sorted(held)
    }

    /// The oracle: what a CPU caches although the page tables give something else.
    pub(crate) fn stale(&self, cpu: u32) -> Vec<Translation> {
        let mut cached = self.contents(cpu);
        cached.retain(|held| !self.tables.agree_with(held));
        cached
    }

    /// Sets or clears RFLAGS.IF of a CPU. If set, the CPU takes what it held off.
    pub(crate) fn set_interrupts(&self, cpu: u32, on: bool) {
        self.machine.cpu(cpu).set_interrupts(on);
        if on {
            let _served = self.machine.end_instruction(cpu);
        }
    }

    /// Runs `body` as every CPU, each on a thread. A CPU that has ended serves the others until all
    /// have.
    pub(crate) fn on_threads(&self, body: &(dyn Fn(u32) + Sync)) {
        let ended = AtomicU32::new(0);
        self.machine.run_threads(&|cpu| {
            {
                let _ended = CountOnDrop(&ended);
                body(cpu);
            }
            while ended.load(Ordering::Acquire) < self.machine.cpus() {
                // Reading the clock is the instruction at whose end the unit answers.
                let _now = self.machine.now();
            }
        });
    }
}

/// Counts an end, also by a failed assertion.
pub(crate) struct CountOnDrop<'c>(pub(crate) &'c AtomicU32);

impl Drop for CountOnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Makes invalidations of one unit slow: each takes until the driver has spun a number of times.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    spins_left: AtomicU32,
}

/// The CPU whose unit a [`Stall`] makes slow.
pub(crate) const STALLED: u32 = 2;

/// Ends a [`Stall`] when it is dropped.
pub(crate) struct Stalled<'s>(&'s Stall);

impl Stall {
    pub(crate) fn begin(&self, spins: u32) -> Stalled<'_> {
        self.spins_left.store(spins, Ordering::Release);
        Stalled(self)
    }

    pub(crate) fn spins_left(&self) -> u32 {
        self.spins_left.load(Ordering::Acquire)
    }
}

impl Drop for Stalled<'_> {
    fn drop(&mut self) {
        self.0.spins_left.store(0, Ordering::Release);
    }
}

impl Watch for Stall {
    fn invalidates(&self, cpu: u32) {
        while cpu == STALLED && self.spins_left() > 0 {
            std::thread::yield_now();
        }
    }

    fn spins(&self) {
        let _ended = self
            .spins_left
            .try_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
    }
}

/// Enables a configured CPU.
pub(crate) fn enable<'d, const TLB: usize>(
    rig: &Rig<'_, TLB>,
    configured: Unit<'d, Configured, TLB>,
    cpu: u32,
) -> Result<Unit<'d, Enabled, TLB>, LifeCycleError> {
    #[expect(unsafe_code, reason = "the kernel's promise of RarCpu::bring_online")]
    // SAFETY: 1. Nothing happens between `configure` and here. 2. The units reach table and vectors
    // by borrowing them.
    // 3. Nothing on a simulated machine relies on IF.
    unsafe {
        configured.bring_online(&pinned(cpu), rig.interrupts, rig.machine)
    }
}

/// Takes a CPU offline.
#[expect(
    clippy::result_large_err,
    reason = "the error gives the unit back, as that of the library does"
)]
pub(crate) fn disable<'d, const TLB: usize>(
    machine: &Machine<'_, TLB>,
    unit: Unit<'d, Enabled, TLB>,
    cpu: u32,
) -> Result<Unit<'d, Detected, TLB>, StepError<Unit<'d, Enabled, TLB>>> {
    #[expect(unsafe_code, reason = "the kernel's promise of RarCpu::take_offline")]
    // SAFETY: 1. and 2. No memory of the host depends on a simulated translation.
    unsafe {
        unit.take_offline(&pinned(cpu), machine)
    }
}

/// Brings a registered CPU online, all the way.
pub(crate) fn bring_up<'d, const TLB: usize>(
    machine: &'d Machine<'d, TLB>,
    support: RarSupport,
    cpu: u32,
) -> Result<Unit<'d, Enabled, TLB>, LifeCycleError> {
    match machine.join(cpu, Some(support))? {
        Member::Microcode(unit) => Ok(unit),
        Member::Software(_) => unreachable!("the CPU has a unit"),
    }
}

/// Runs a test in which everything goes well: no fallback, no second signal, no lost signal.
pub(crate) fn run<const TLB: usize>(
    setup: Setup,
    test: impl for<'r> FnOnce(&Rig<'r, TLB>, Vec<Unit<'r, Enabled, TLB>>),
) {
    run_in_trouble(setup, |rig, units| {
        test(rig, units);
        rig.assert_statistics(Statistics::default());
        // The machine counts what the driver does not.
        assert_eq!(rig.machine.witness().sent().interrupts, 0);
        assert_eq!(rig.machine.dropped_signals(), 0);
    });
}

/// Runs a test that needs other means than the signal, and asserts the statistics itself.
pub(crate) fn run_in_trouble<const TLB: usize>(
    setup: Setup,
    test: impl for<'r> FnOnce(&Rig<'r, TLB>, Vec<Unit<'r, Enabled, TLB>>),
) {
    let stall = Stall::default();
    let machine = Machine::new(&stall, setup.machine.clone());
    let shootdown = Shootdown::new(&machine, setup.policy);
    machine.register_cpus(shootdown.domain()).unwrap();
    let support = machine.detect().unwrap().unwrap();
    let units = (0..machine.cpus())
        .map(|cpu| {
            machine.load_cr3(cpu, u64::from(cpu + 1) << 20 | u64::from(PCID));
            bring_up(&machine, support, cpu).unwrap()
        })
        .collect();
    let rig = Rig {
        machine: &machine,
        shootdown: &shootdown,
        tables: PageTables::default(),
        stall: &stall,
        interrupts: setup.machine.interrupts,
    };
    test(&rig, units);
    for cpu in rig.cpus() {
        assert_eq!(machine.cpu(cpu).faults(), 0, "#GP(0)");
    }
    assert_eq!(machine.driver().strays(), 0, "a unit left table and vector");
}
