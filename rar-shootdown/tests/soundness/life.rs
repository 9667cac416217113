//! What a CPU's unit is while a step of its life fails.

use rar_percpu::fake::pinned;
use rar_percpu::{ApicId, Domain, LifeCycleError, PerCpu, PhysicalAddressOf, RarCpu};
use rar_regs::{
    Cpuid, CpuidResult, Detection, FakeCpu, InterruptPolicy, MsrAccess, MsrFault, MsrOperation,
};
use rar_shootdown::AllOnline;

use crate::world::{Flusher, Kind, World, assert_slots, cpu_id, four, keep, policy, world};

const CONTROL: u32 = 0xed;
const ENABLED: u64 = 0xc000_0000;

struct Nowhere;

// SAFETY: it gives no address.
unsafe impl PhysicalAddressOf for Nowhere {
    fn physical_address_of(&self, _: *const (), _: usize) -> Option<u64> {
        None
    }
}

#[test]
fn finding_11_a_configuration_that_fails_leaves_rar_disabled() {
    let domain = Domain::<1>::new();
    let cpu = pinned(0);
    domain
        .register(cpu.id(), ApicId::new(0), keep(PerCpu::new()))
        .unwrap();
    let registers = FakeCpu::with_rar(63).with_msr(CONTROL, ENABLED);
    let support = Detection::new().detect(&registers).unwrap();
    let detected = RarCpu::detect(&domain, &cpu, support, &registers).unwrap();
    let failed = detected.configure(&cpu, &Nowhere).map(drop).unwrap_err();
    assert!(matches!(failed, LifeCycleError::NoPhysicalAddress(_)));
    assert_eq!(registers.msr(CONTROL), Some(0), "firmware had left it on");
}

/// A control register that takes one write less than it is given.
#[derive(Debug)]
struct Stuck<'a> {
    registers: &'a FakeCpu,
    is_stuck: &'a std::sync::atomic::AtomicBool,
}

// SAFETY: a fake: nothing is behind its registers.
unsafe impl MsrAccess for Stuck<'_> {
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault> {
        // SAFETY: as the caller promised.
        unsafe { self.registers.read(msr) }
    }

    unsafe fn write(&self, msr: u32, value: u64) -> Result<(), MsrFault> {
        if self.is_stuck.load(std::sync::atomic::Ordering::Acquire) {
            let access = MsrOperation::Write;
            return Err(MsrFault { msr, access });
        }
        // SAFETY: as the caller promised.
        unsafe { self.registers.write(msr, value) }
    }
}

impl Cpuid for Stuck<'_> {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        self.registers.cpuid(leaf, subleaf)
    }
}

/// It is unknown whether the unit is enabled: the CPU stays online, and is flushed in a way that
/// needs no unit.
#[test]
fn finding_12_a_cpu_that_could_not_go_offline_is_flushed_by_generation() {
    let shootdown = keep(Flusher::new(World::new(), policy()));
    let (domain, machine) = (shootdown.domain(), shootdown.machine());
    let _initiator = crate::world::bring_online(shootdown, 0, Kind::Software, keep(PerCpu::new()));
    let (registers, cpu) = (keep(FakeCpu::with_rar(63)), pinned(1));
    let is_stuck = keep(std::sync::atomic::AtomicBool::new(false));
    domain
        .register(cpu.id(), ApicId::new(1), keep(PerCpu::new()))
        .unwrap();
    let support = Detection::new().detect(registers).unwrap();
    let access = Stuck {
        registers,
        is_stuck,
    };
    let configured = RarCpu::detect(domain, &cpu, support, access)
        .and_then(|detected| detected.configure(&cpu, &rar_percpu::fake::FakeAddresses))
        .unwrap();
    // SAFETY: a host; nothing follows the addresses.
    let enabled =
        unsafe { configured.bring_online(&cpu, InterruptPolicy::IgnoreIf, &machine.tlb) }.unwrap();
    machine.tlb.clear();
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    assert_eq!(machine.tlb.operations(1), 4, "a control");

    is_stuck.store(true, std::sync::atomic::Ordering::Release);
    // SAFETY: a host; the CPU uses no translation.
    let refused = unsafe { enabled.take_offline(&cpu, &machine.tlb) }.unwrap_err();
    assert!(matches!(refused.cause, LifeCycleError::Msr(_)));
    assert!(domain.is_online(cpu.id()));
    machine.set_unit(1, crate::world::Unit::Deaf);
    machine.tlb.clear();
    let looks = machine.looks();
    for _ in 0..100 {
        shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    }
    assert_eq!(
        (machine.tlb.operations(1), machine.tlb.full_flushes(1)),
        (0, 100)
    );
    assert_eq!(machine.looks(), looks, "no flush waited");
    assert_slots(shootdown, 0, "the unit was not armed");

    // The second try works.
    is_stuck.store(false, std::sync::atomic::Ordering::Release);
    // SAFETY: a host; the CPU uses no translation.
    let _detected = unsafe { refused.cpu.take_offline(&cpu, &machine.tlb) }.unwrap();
    assert!(!domain.is_online(cpu_id(1)));
    assert_eq!(registers.msr(CONTROL), Some(0));
}

#[test]
fn finding_13_the_domain_uses_no_more_entries_than_the_smallest_unit_has() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
    let domain = shootdown.domain();
    assert_eq!(domain.entries(), 64);
    domain
        .register(cpu_id(2), ApicId::new(2), keep(PerCpu::new()))
        .unwrap();
    // Its highest index is 31. The orchestrator was not told.
    let registers = keep(FakeCpu::with_rar(31));
    let support = Detection::new().detect(registers).unwrap();
    let cpu = pinned(2);
    let configured = RarCpu::detect(domain, &cpu, support, registers)
        .and_then(|detected| detected.configure(&cpu, &rar_percpu::fake::FakeAddresses))
        .unwrap();
    let tlb = &shootdown.machine().tlb;
    // SAFETY: a host; nothing follows the addresses.
    let _enabled =
        unsafe { configured.bring_online(&cpu, InterruptPolicy::IgnoreIf, tlb) }.unwrap();
    assert_eq!(domain.entries(), 32);
    // Home slots beyond the table come back into it.
    for initiator in [0, 1, 31, 33, 63] {
        let claimed = domain.claim(&pinned(initiator), 4).unwrap();
        let posted = claimed.post(&[], &Default::default()).unwrap();
        drop(posted);
        shootdown
            .flush(&pinned(initiator), &four(), &AllOnline)
            .unwrap();
    }
    assert_eq!(shootdown.statistics().fallbacks, 0);
    assert_slots(shootdown, 0, "all is answered");
}
