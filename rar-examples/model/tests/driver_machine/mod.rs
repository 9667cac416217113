//! A machine of several CPUs on the host: the drivers' hardware path above, a model of the RAR unit per CPU below.
//!
//! Driver and model share no code and no constant. They meet in the memory of the driver, in the registers and in the interrupt
//! commands, as driver and silicon do.

mod apic;
mod board;
mod memory;
mod page_tables;
mod processor;
mod tlbs;

pub(crate) use apic::{APIC_IDS, Addressing};
pub(crate) use board::{Board, BoardShootdown, Service};
pub(crate) use memory::{PER_CPU, TABLE};
pub(crate) use page_tables::frame_of;
pub(crate) use processor::Registers;
pub(crate) use tlbs::{pcid_of, size};

use std::sync::atomic::Ordering;
use std::time::Duration;

use rar_model::Knobs;
use rar_payload::CostModel;
use rar_percpu::fake::pinned;
use rar_percpu::{ApicId, Configured, CpuId, Detected, Enabled, LifeCycleError, RarCpu, StepError};
use rar_regs::{Detection, InterruptPolicy, RarSupport};
use rar_shootdown::{LazySkip, Policy, Shootdown, Statistics};

/// The PCID that every CPU runs.
pub(crate) const PCID: u16 = 5;

/// Bounds in readings of a clock that counts how often it is read.
pub(crate) const COUNTED: Policy = policy(
    Duration::from_nanos(100),
    Duration::from_nanos(100),
    Duration::from_nanos(10),
);

/// Bounds on a real clock: ten seconds, which only a hang reaches.
pub(crate) const PATIENT: Policy = policy(TEN_SECONDS, TEN_SECONDS, TEN_SECONDS);

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

/// What a machine is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) cpus: usize,
    pub(crate) knobs: Knobs,
    pub(crate) interrupts: InterruptPolicy,
    pub(crate) addressing: Addressing,
    pub(crate) service: Service,
    pub(crate) policy: Policy,
}

impl Config {
    /// Four CPUs, IGNORE_IF, one x2APIC command per target, answers within the signal.
    pub(crate) const fn new(knobs: Knobs) -> Self {
        Self {
            cpus: 4,
            knobs,
            interrupts: InterruptPolicy::IgnoreIf,
            addressing: Addressing::Physical,
            service: Service::Prompt,
            policy: COUNTED,
        }
    }

    /// The same with another way of service, and bounds that suit its clock.
    pub(crate) const fn served(self, service: Service) -> Self {
        let policy = match service {
            Service::Threads => PATIENT,
            Service::Prompt | Service::Polled | Service::Manual => self.policy,
        };
        Self {
            service,
            policy,
            ..self
        }
    }
}

/// A CPU's unit in the driver's hands.
pub(crate) type Unit<'d, S> = RarCpu<'d, Registers<'d>, S, 1>;

/// The driver on its machine, all CPUs online.
pub(crate) struct Rig<'r, const TLB: usize> {
    pub(crate) board: &'r Board<'r, TLB>,
    pub(crate) shootdown: &'r BoardShootdown<'r, TLB>,
    pub(crate) interrupts: InterruptPolicy,
}

impl<const TLB: usize> Rig<'_, TLB> {
    /// Asserts that nothing rare happened but what `expected` says.
    pub(crate) fn assert_statistics(&self, expected: Statistics) {
        assert_eq!(self.shootdown.statistics(), expected);
    }

    /// Gives slots back that serve nobody any more.
    pub(crate) fn reclaim_slots(&self) -> usize {
        self.shootdown.domain().reclaim_slots()
    }
}

/// Configures, then enables a CPU.
pub(crate) fn enable<'d, const TLB: usize>(
    board: &Board<'_, TLB>,
    configured: Unit<'d, Configured>,
    cpu: usize,
    policy: InterruptPolicy,
) -> Result<Unit<'d, Enabled>, LifeCycleError> {
    #[expect(unsafe_code, reason = "the kernel's promise of RarCpu::bring_online")]
    // SAFETY: 1. Nothing happens between `configure` and here. 2. The units reach table and vectors by borrowing them.
    // 3. Nothing on a test machine relies on IF.
    unsafe {
        configured.bring_online(&pinned(u32::try_from(cpu).unwrap()), policy, &board.tlbs)
    }
}

/// Takes a CPU offline.
#[expect(
    clippy::result_large_err,
    reason = "the error gives the unit back, as that of the library does"
)]
pub(crate) fn disable<'d, const TLB: usize>(
    board: &Board<'_, TLB>,
    unit: Unit<'d, Enabled>,
    cpu: u32,
) -> Result<Unit<'d, Detected>, StepError<Unit<'d, Enabled>>> {
    #[expect(unsafe_code, reason = "the kernel's promise of RarCpu::take_offline")]
    // SAFETY: 1. and 2. No memory of the host depends on a translation of the board.
    unsafe {
        unit.take_offline(&pinned(cpu), &board.tlbs)
    }
}

/// Registers a CPU and brings it online, all the way.
pub(crate) fn bring_up<'d, const TLB: usize>(
    board: &'d Board<'d, TLB>,
    support: RarSupport,
    cpu: usize,
    policy: InterruptPolicy,
) -> Result<Unit<'d, Enabled>, LifeCycleError> {
    let number = u32::try_from(cpu).unwrap();
    let apic_id = ApicId::new(board.processors[cpu].apic_id);
    let (domain, memory) = (board.domain(), board.memory());
    domain
        .register(CpuId::new(number), apic_id, &memory.cpus()[cpu])
        .unwrap();
    let detected = RarCpu::detect(domain, &pinned(number), support, board.registers(cpu))?;
    let configured = detected.configure(&pinned(number), memory)?;
    enable(board, configured, cpu, policy)
}

/// Runs a test in which everything goes well: no fallback, no second signal, no lost signal.
pub(crate) fn run<const TLB: usize>(
    config: Config,
    test: impl for<'r> FnOnce(&Rig<'r, TLB>, Vec<Unit<'r, Enabled>>),
) {
    run_in_trouble(config, |rig, units| {
        test(rig, units);
        rig.assert_statistics(Statistics::default());
        // The board sees what the driver does not count.
        assert_eq!(rig.board.interrupts.load(Ordering::Acquire), 0);
        assert_eq!(rig.board.dropped.load(Ordering::Acquire), 0);
    });
}

/// Runs a test that is about trouble, and asserts its statistics itself.
pub(crate) fn run_in_trouble<const TLB: usize>(
    config: Config,
    test: impl for<'r> FnOnce(&Rig<'r, TLB>, Vec<Unit<'r, Enabled>>),
) {
    let board = Board::new(&config, &vec![config.knobs; config.cpus]);
    let shootdown = Shootdown::new(&board, config.policy);
    board.attach(shootdown.domain());
    board.with_threads(|| {
        let support = Detection::new().detect(&board.registers(0)).unwrap();
        let units = (0..config.cpus)
            .map(|cpu| bring_up(&board, support, cpu, config.interrupts).unwrap())
            .collect();
        let rig = Rig {
            board: &board,
            shootdown: &shootdown,
            interrupts: config.interrupts,
        };
        test(&rig, units);
        for processor in &board.processors {
            assert_eq!(processor.faults.load(Ordering::Acquire), 0, "#GP(0)");
        }
        assert_eq!(board.memory().strays(), 0, "a unit left table and vector");
    });
}
