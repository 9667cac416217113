//! RAR turned off: on one CPU that stays online, and for a whole domain.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::atomic::{AtomicBool, Ordering};

use rar_payload::{Globals, InvpcidScope, Operation};
use rar_percpu::fake::{FakeAddresses, FakeTlb, pinned};
use rar_percpu::{
    ActionByte, ActionState, ApicId, Configured, CpuId, CpuSet, Domain, Enabled, LifeCycleError,
    OnlineCpu, PerCpu, RarCpu, Responder, SlotIndex, SoftwareCpu,
};
use rar_regs::{
    Cpuid, CpuidResult, Detection, FakeCpu, InterruptPolicy, MsrAccess, MsrFault, MsrOperation,
};

const CONTROL: u32 = 0xed;
const ENABLED: u64 = 0xc000_0000;
const EVERYTHING: Operation = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));

/// Registers whose control register can be stuck.
#[derive(Debug)]
struct Registers {
    cpu: FakeCpu,
    is_stuck: AtomicBool,
}

// SAFETY: a fake: nothing is behind its registers.
unsafe impl MsrAccess for &Registers {
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault> {
        // SAFETY: as the caller promised.
        unsafe { self.cpu.read(msr) }
    }

    unsafe fn write(&self, msr: u32, value: u64) -> Result<(), MsrFault> {
        if self.is_stuck.load(Ordering::Acquire) {
            let access = MsrOperation::Write;
            return Err(MsrFault { msr, access });
        }
        // SAFETY: as the caller promised.
        unsafe { self.cpu.write(msr, value) }
    }
}

impl Cpuid for &Registers {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        self.cpu.cpuid(leaf, subleaf)
    }
}

/// One CPU of a domain.
struct Bed {
    domain: &'static Domain<1>,
    memory: &'static PerCpu,
    registers: &'static Registers,
    tlb: FakeTlb<2>,
}

fn keep<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl Bed {
    fn new() -> Self {
        let (domain, memory) = (keep(Domain::<1>::new()), keep(PerCpu::new()));
        let registered = domain.register(CpuId::new(0), ApicId::new(0), memory);
        registered.unwrap();
        let registers = keep(Registers {
            cpu: FakeCpu::with_rar(63),
            is_stuck: AtomicBool::new(false),
        });
        let tlb = FakeTlb::new();
        Self {
            domain,
            memory,
            registers,
            tlb,
        }
    }

    fn configure(
        &self,
    ) -> Result<RarCpu<'static, &'static Registers, Configured, 1>, LifeCycleError> {
        let support = Detection::new().detect(&self.registers).unwrap();
        RarCpu::detect(self.domain, &pinned(0), support, self.registers)?
            .configure(&pinned(0), &FakeAddresses)
    }

    fn enable(
        &self,
        configured: RarCpu<'static, &'static Registers, Configured, 1>,
    ) -> Result<RarCpu<'static, &'static Registers, Enabled, 1>, LifeCycleError> {
        // SAFETY: a host; nothing follows the addresses.
        unsafe { configured.bring_online(&pinned(0), InterruptPolicy::IgnoreIf, &self.tlb) }
    }

    fn up(&self) -> RarCpu<'static, &'static Registers, Enabled, 1> {
        self.enable(self.configure().unwrap()).unwrap()
    }

    fn control(&self) -> u64 {
        self.registers.cpu.msr(CONTROL).unwrap()
    }

    fn full_flushes(&self) -> u64 {
        self.tlb.full_flushes(CpuId::new(0))
    }

    fn has_refused(&self, error: LifeCycleError) {
        assert_eq!(error, LifeCycleError::UnitsRefused(CpuId::new(0)));
        assert!(error.to_string().contains("SoftwareCpu"), "{error}");
        assert_eq!(self.control(), 0, "RAR is disabled");
        assert!(!self.domain.is_online(CpuId::new(0)));
        assert_eq!(self.memory.responder(), Responder::None);
        let handler = SoftwareCpu::bring_online(self.domain, &pinned(0), &self.tlb);
        // SAFETY: a host; the CPU uses no translation.
        unsafe { handler.unwrap().take_offline(&pinned(0), &self.tlb) }.unwrap();
    }
}

fn slot(index: u8) -> SlotIndex {
    SlotIndex::new(index).unwrap()
}

fn arm(bed: &Bed, index: u8) {
    // SAFETY: no unit executes it, and no flush of the test uses this slot.
    unsafe {
        bed.domain
            .table()
            .store_payload(slot(index), &EVERYTHING.encode())
    };
    // SAFETY: as above.
    unsafe { bed.memory.vector().arm_unowned(slot(index)) };
}

#[test]
fn a_cpu_is_switched_to_software_while_it_stays_online_and_is_targeted() {
    let bed = Bed::new();
    let unit = bed.up();
    assert_eq!(
        bed.domain.answered_by_units(),
        CpuSet::of([CpuId::new(0)]).unwrap()
    );
    arm(&bed, 3);
    let full = bed.full_flushes();
    let online = OnlineCpu::from(unit).switch_to_software(&pinned(0), &bed.tlb);
    let online = online.unwrap();
    assert!(matches!(online, OnlineCpu::Software(_)));
    assert_eq!(bed.control(), 0);
    assert!(bed.domain.is_online(CpuId::new(0)));
    assert_eq!(bed.memory.responder(), Responder::Software);
    assert_eq!(bed.memory.vector().load(slot(3)), ActionByte(0));
    assert_eq!(
        bed.full_flushes(),
        full + 1,
        "the entry was answered by a flush"
    );
    assert!(bed.domain.takes_entries_only() && bed.domain.answered_by_units().is_empty());
    // Its handler answers from here on; a second switch changes nothing.
    arm(&bed, 4);
    let online = online.switch_to_software(&pinned(0), &bed.tlb).unwrap();
    assert_eq!(
        bed.memory.vector().load(slot(4)).state(),
        Ok(ActionState::Pending)
    );
    assert_eq!(bed.domain.answer(&pinned(0), &bed.tlb).succeeded, 1);
    // SAFETY: a host; the CPU uses no translation.
    unsafe { online.take_offline(&pinned(0), &bed.tlb) }.unwrap();
    // Without a refusal the CPU may come back by its unit.
    drop(bed.up());
    assert_eq!(bed.control(), ENABLED);
}

#[test]
fn a_switch_that_fails_leaves_the_cpu_online_and_flushed_by_generation() {
    let bed = Bed::new();
    let unit = bed.up();
    let refused = unit.switch_to_software(&pinned(1), &bed.tlb).unwrap_err();
    assert!(matches!(refused.cause, LifeCycleError::WrongCpu { .. }));
    assert!(bed.domain.takes_entries_only(), "nothing has changed");
    bed.registers.is_stuck.store(true, Ordering::Release);
    let stays = refused.cpu.switch_to_software(&pinned(0), &bed.tlb);
    let stays = stays.unwrap_err();
    assert!(matches!(stays.cause, LifeCycleError::Msr(_)));
    assert!(bed.domain.is_online(CpuId::new(0)) && bed.memory.generation().is_demoted());
    assert_eq!(bed.memory.responder(), Responder::Microcode);
    bed.registers.is_stuck.store(false, Ordering::Release);
    let _handler = stays.cpu.switch_to_software(&pinned(0), &bed.tlb).unwrap();
    assert!(!bed.memory.generation().is_demoted() && bed.domain.takes_entries_only());

    let dead = Bed::new();
    let unit = dead.up();
    // SAFETY: nothing executes as the CPU any more.
    unsafe { dead.domain.declare_dead(CpuId::new(0)) };
    let refused = unit.switch_to_software(&pinned(0), &dead.tlb).unwrap_err();
    assert_eq!(refused.cause, LifeCycleError::Dead(CpuId::new(0)));
    assert_eq!(dead.control(), ENABLED, "no register was touched");
}

#[test]
fn a_domain_that_refuses_units_brings_none_online_at_any_step() {
    let bed = Bed::new();
    assert!(!bed.domain.refuses_units());
    let configured = bed.configure().unwrap();
    bed.domain.refuse_units();
    assert!(bed.domain.refuses_units());
    // Between two steps.
    let full = bed.full_flushes();
    bed.has_refused(bed.enable(configured).map(drop).unwrap_err());
    assert!(bed.full_flushes() > full, "it flushed before it left");
    // From the start, with a unit that firmware has left enabled.
    bed.registers.cpu.set_msr(CONTROL, ENABLED).unwrap();
    bed.has_refused(bed.configure().map(drop).unwrap_err());
}

#[test]
fn a_refused_cpu_whose_unit_cannot_be_disabled_stays_online_and_demoted() {
    let bed = Bed::new();
    let configured = bed.configure().unwrap();
    bed.domain.refuse_units();
    // The control register takes one write, and is stuck from then on.
    let tlb = StickingTlb(bed.registers);
    // SAFETY: a host; nothing follows the addresses.
    let up = unsafe { configured.bring_online(&pinned(0), InterruptPolicy::IgnoreIf, &tlb) };
    assert!(matches!(up.map(drop).unwrap_err(), LifeCycleError::Msr(_)));
    assert!(bed.domain.is_online(CpuId::new(0)) && bed.memory.generation().is_demoted());
    assert_eq!(bed.control(), ENABLED);
}

/// A TLB whose flush, which comes after the first write of the control register, makes it stick.
struct StickingTlb(&'static Registers);

// SAFETY: 1. to 4. hold since there is no translation to keep.
unsafe impl rar_percpu::LocalTlb for StickingTlb {
    fn flush(
        &self,
        _: &rar_percpu::PinnedCpu<'_>,
        _: &Operation,
    ) -> Result<(), rar_percpu::Unsupported> {
        Ok(())
    }

    fn flush_everything(&self, _: &rar_percpu::PinnedCpu<'_>) {
        self.0.is_stuck.store(true, Ordering::Release);
    }
}
