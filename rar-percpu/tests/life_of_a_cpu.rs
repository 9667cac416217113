//! The life of a CPU with RAR, on a file of registers that has a log.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use rar_payload::{Globals, InvpcidScope, Operation, Payload};
use rar_percpu::fake::{FakeAddresses, FakeTlb, pinned};
use rar_percpu::{
    ActionState, ApicId, CpuId, Domain, LifeCycleError, PayloadTable, PerCpu, RarCpu,
    RegisterError, Responder, SlotIndex, SoftwareCpu,
};
use rar_regs::{Detection, FakeCpu, InterruptPolicy, MsrOperation, RarSupport};

const CONTROL: u32 = 0xED;
const VECTOR: u32 = 0xEE;
const TABLE: u32 = 0xEF;
const ENABLE: u64 = 1 << 31;
const IGNORE_IF: u64 = 1 << 30;

fn support(cpu: &FakeCpu) -> RarSupport {
    Detection::new().detect(cpu).unwrap()
}

fn slot(index: u8) -> SlotIndex {
    SlotIndex::new(index).unwrap()
}

fn writes(cpu: &FakeCpu) -> Vec<(u32, u64)> {
    cpu.log()
        .filter(|record| record.access == MsrOperation::Write)
        .map(|record| (record.msr, record.value))
        .collect()
}

#[test]
fn a_cpu_comes_up_in_the_order_that_is_safe() {
    let (table, cpus, tlb) = (
        PayloadTable::new(),
        [PerCpu::new(), PerCpu::new()],
        FakeTlb::<2>::new(),
    );
    let domain = Domain::<1>::new(&table, &cpus);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(1));
    let support = support(&registers);
    domain.register(cpu.id(), ApicId::new(9)).unwrap();
    // Left over by whoever ran before.
    table.store(
        slot(5),
        &Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include)),
    );
    cpus[1].vector().arm(slot(5));

    let detected = RarCpu::detect(&domain, &cpu, support, &registers).unwrap();
    let configured = detected.configure(&cpu, &FakeAddresses).unwrap();
    assert_eq!(
        cpus[1].vector().load(slot(5)).state(),
        Ok(ActionState::Success),
        "the vector is cleared"
    );
    assert!(!domain.is_online(cpu.id()));
    assert_eq!(tlb.full_flushes(cpu.id()), 0);

    // SAFETY: a host; nothing follows the addresses.
    let enabled = unsafe { configured.enable(&cpu, InterruptPolicy::IgnoreIf, &tlb) }.unwrap();
    assert!(domain.is_online(cpu.id()));
    assert_eq!(cpus[1].responder(), Responder::Microcode);
    assert_eq!(
        tlb.full_flushes(cpu.id()),
        2,
        "one before the publication, one after"
    );
    let written = writes(&registers);
    assert_eq!(
        written.iter().map(|(msr, _)| *msr).collect::<Vec<_>>(),
        [CONTROL, VECTOR, TABLE, CONTROL]
    );
    assert_eq!(written[0].1, 0);
    assert_eq!(written[3].1, ENABLE | IGNORE_IF);
    assert_eq!(written[1].1 % 64, 0);
    assert_eq!(written[2].1 % 4096, 0);

    let detected = enabled.disable(&cpu, &tlb).unwrap();
    assert!(!domain.is_online(cpu.id()));
    assert_eq!(cpus[1].responder(), Responder::Nobody);
    assert_eq!(writes(&registers).last(), Some(&(CONTROL, 0)));

    // The way back after a sleep writes everything again.
    let before = writes(&registers).len();
    let configured = detected.configure(&cpu, &FakeAddresses).unwrap();
    // SAFETY: a host; nothing follows the addresses.
    let _enabled = unsafe { configured.enable(&cpu, InterruptPolicy::IgnoreIf, &tlb) }.unwrap();
    assert_eq!(writes(&registers).len(), before + 4);
}

#[test]
fn what_is_open_when_a_cpu_leaves_is_answered_by_a_full_flush() {
    let (table, cpus, tlb) = (PayloadTable::new(), [PerCpu::new()], FakeTlb::<1>::new());
    let domain = Domain::<1>::new(&table, &cpus);
    let cpu = pinned(0);
    domain.register(cpu.id(), ApicId::new(0)).unwrap();
    let online = SoftwareCpu::join(&domain, &cpu, &tlb).unwrap();
    let flush = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    table.store(slot(9), &flush);
    cpus[0].vector().arm(slot(9));
    // SAFETY: no unit executes it, and it is of no known type.
    unsafe { table.store_payload(slot(8), &Payload::from_words([0xFF00, 0, 0, 0, 0, 0, 0, 0])) };
    cpus[0].vector().arm(slot(8));
    let before = tlb.full_flushes(cpu.id());
    online.leave(&cpu, &tlb).unwrap();
    assert_eq!(
        cpus[0].vector().load(slot(9)).state(),
        Ok(ActionState::Success)
    );
    assert_eq!(
        cpus[0].vector().load(slot(8)).state(),
        Ok(ActionState::Failure),
        "no flush stands for what is no flush"
    );
    assert!(tlb.full_flushes(cpu.id()) > before);
    assert_eq!(
        tlb.operations(cpu.id()),
        0,
        "the entry itself was not carried out"
    );
}

#[test]
fn a_step_on_another_cpu_is_refused() {
    let (table, cpus, tlb) = (
        PayloadTable::new(),
        [PerCpu::new(), PerCpu::new()],
        FakeTlb::<2>::new(),
    );
    let domain = Domain::<1>::new(&table, &cpus);
    let registers = FakeCpu::with_rar(63);
    domain.register(CpuId::new(0), ApicId::new(0)).unwrap();
    let configured = RarCpu::detect(&domain, &pinned(0), support(&registers), &registers)
        .and_then(|detected| detected.configure(&pinned(0), &FakeAddresses))
        .unwrap();
    // SAFETY: a host; nothing follows the addresses.
    let error =
        unsafe { configured.enable(&pinned(1), InterruptPolicy::IgnoreIf, &tlb) }.unwrap_err();
    assert_eq!(
        error,
        LifeCycleError::WrongCpu {
            driven: CpuId::new(0),
            cpu: CpuId::new(1)
        }
    );
    assert!(!domain.is_online(CpuId::new(0)) && !domain.is_online(CpuId::new(1)));
}

#[test]
fn an_unregistered_or_online_cpu_cannot_join() {
    let (table, cpus, tlb) = (PayloadTable::new(), [PerCpu::new()], FakeTlb::<1>::new());
    let domain = Domain::<1>::new(&table, &cpus);
    let cpu = pinned(0);
    let refused = |domain| SoftwareCpu::join(domain, &cpu, &tlb).map(drop).unwrap_err();
    assert_eq!(refused(&domain), LifeCycleError::NotRegistered(cpu.id()));
    domain.register(cpu.id(), ApicId::new(0)).unwrap();
    let _online = SoftwareCpu::join(&domain, &cpu, &tlb).unwrap();
    assert_eq!(refused(&domain), LifeCycleError::Taken(cpu.id()));
}

#[test]
fn identities_are_unique() {
    let (table, cpus) = (PayloadTable::new(), [PerCpu::new(), PerCpu::new()]);
    let domain = Domain::<1>::new(&table, &cpus);
    let (zero, one, two) = (CpuId::new(0), CpuId::new(1), CpuId::new(2));
    let (small, large) = (ApicId::new(3), ApicId::new(0x1_0000));
    assert_eq!(domain.register(zero, small), Ok(()));
    assert_eq!(
        domain.register(zero, small),
        Ok(()),
        "a CPU that comes back"
    );
    assert_eq!(
        domain.register(zero, large),
        Err(RegisterError::OtherApicId {
            cpu: zero,
            registered: small,
            requested: large
        })
    );
    assert_eq!(
        domain.register(one, small),
        Err(RegisterError::ApicIdTaken {
            cpu: one,
            other: zero,
            apic_id: small
        })
    );
    assert_eq!(domain.register(one, large), Ok(()));
    assert_eq!(
        domain.register(two, ApicId::new(8)),
        Err(RegisterError::NoRoom {
            cpu: two,
            capacity: 2
        })
    );
}

#[test]
fn of_many_cpus_that_register_at_once_none_shares_an_identity() {
    let (table, cpus) = (PayloadTable::new(), [const { PerCpu::new() }; 64]);
    let domain = &Domain::<1>::new(&table, &cpus);
    let accepted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|cpu| {
                scope.spawn(move || {
                    domain
                        .register(CpuId::new(cpu), ApicId::new(cpu / 2))
                        .is_ok()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    assert_eq!(accepted, 32);
}

#[test]
fn an_entry_that_cannot_be_decoded_is_refused() {
    let (table, cpus, tlb) = (PayloadTable::new(), [PerCpu::new()], FakeTlb::<1>::new());
    let domain = Domain::<1>::new(&table, &cpus);
    let cpu = pinned(0);
    domain.register(cpu.id(), ApicId::new(0)).unwrap();
    let _online = SoftwareCpu::join(&domain, &cpu, &tlb).unwrap();
    // SAFETY: no unit executes it, and it is of no known type.
    unsafe { table.store_payload(slot(2), &Payload::from_words([0xFF00, 0, 0, 0, 0, 0, 0, 0])) };
    cpus[0].vector().arm(slot(2));
    let served = domain.serve(&cpu, &tlb);
    assert_eq!((served.succeeded, served.failed), (0, 1));
    assert_eq!(
        cpus[0].vector().load(slot(2)).state(),
        Ok(ActionState::Failure)
    );
}

#[test]
fn a_deferral_ends_when_the_cpu_comes_back() {
    let (table, cpus, tlb) = (PayloadTable::new(), [PerCpu::new()], FakeTlb::<1>::new());
    let domain = Domain::<1>::new(&table, &cpus);
    let cpu = pinned(0);
    domain.register(cpu.id(), ApicId::new(0)).unwrap();
    let online = SoftwareCpu::join(&domain, &cpu, &tlb).unwrap();
    domain.defer(&cpu);
    assert!(cpus[0].generation().spare_if_deferred());
    online.leave(&cpu, &tlb).unwrap();
    let _back = SoftwareCpu::join(&domain, &cpu, &tlb).unwrap();
    assert!(!cpus[0].generation().spare_if_deferred());
}

#[test]
fn a_cpu_is_driven_by_one_value_at_a_time() {
    let (table, cpus, tlb) = (PayloadTable::new(), [PerCpu::new()], FakeTlb::<1>::new());
    let domain = Domain::<1>::new(&table, &cpus);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    domain.register(cpu.id(), ApicId::new(0)).unwrap();
    let first = RarCpu::detect(&domain, &cpu, support(&registers), &registers).unwrap();
    let second = RarCpu::detect(&domain, &cpu, support(&registers), &registers);
    assert_eq!(
        second.map(drop).unwrap_err(),
        LifeCycleError::Taken(cpu.id())
    );
    assert!(SoftwareCpu::join(&domain, &cpu, &tlb).is_err());
    drop(first);
    let online = SoftwareCpu::join(&domain, &cpu, &tlb).unwrap();
    // Dropped while it is online, the CPU stays so, and taken.
    drop(online);
    assert!(domain.is_online(cpu.id()));
    assert!(SoftwareCpu::join(&domain, &cpu, &tlb).is_err());
}

#[test]
fn a_step_down_on_another_cpu_changes_nothing() {
    let (table, cpus, tlb) = (
        PayloadTable::new(),
        [PerCpu::new(), PerCpu::new()],
        FakeTlb::<2>::new(),
    );
    let domain = Domain::<1>::new(&table, &cpus);
    domain.register(CpuId::new(0), ApicId::new(0)).unwrap();
    let online = SoftwareCpu::join(&domain, &pinned(0), &tlb).unwrap();
    let refused = online.leave(&pinned(1), &tlb).unwrap_err();
    assert_eq!(
        refused.error,
        LifeCycleError::WrongCpu {
            driven: CpuId::new(0),
            cpu: CpuId::new(1)
        }
    );
    assert!(domain.is_online(CpuId::new(0)));
    refused.value.leave(&pinned(0), &tlb).unwrap();
    assert!(!domain.is_online(CpuId::new(0)));
}

#[test]
fn a_unit_that_does_not_keep_its_registers_is_never_online() {
    let (table, cpus, tlb) = (PayloadTable::new(), [PerCpu::new()], FakeTlb::<1>::new());
    let domain = Domain::<1>::new(&table, &cpus);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    domain.register(cpu.id(), ApicId::new(0)).unwrap();
    let configured = RarCpu::detect(&domain, &cpu, support(&registers), Forgetful(&registers))
        .and_then(|detected| detected.configure(&cpu, &FakeAddresses));
    assert!(matches!(
        configured.map(drop).unwrap_err(),
        LifeCycleError::NotRetained {
            msr: VECTOR,
            read: 0,
            ..
        }
    ));
    assert!(!domain.is_online(cpu.id()));
    assert_eq!(tlb.full_flushes(cpu.id()), 0);
}

/// A CPU whose registers swallow what is written, as an emulator's do.
struct Forgetful<'a>(&'a FakeCpu);

// SAFETY: a fake: nothing is behind its registers.
unsafe impl rar_regs::MsrAccess for Forgetful<'_> {
    unsafe fn read(&self, msr: u32) -> Result<u64, rar_regs::MsrFault> {
        // SAFETY: as the caller promised.
        unsafe { self.0.read(msr) }
    }

    unsafe fn write(&self, _: u32, _: u64) -> Result<(), rar_regs::MsrFault> {
        Ok(())
    }
}

impl rar_regs::Cpuid for Forgetful<'_> {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> rar_regs::CpuidResult {
        self.0.cpuid(leaf, subleaf)
    }
}

#[test]
fn the_broadcast_is_no_cpus_apic_id() {
    let (table, cpus) = (PayloadTable::new(), [PerCpu::new()]);
    let domain = Domain::<1>::new(&table, &cpus);
    let (cpu, apic_id) = (CpuId::new(0), ApicId::new(u32::MAX));
    assert_eq!(
        domain.register(cpu, apic_id),
        Err(RegisterError::Broadcast { cpu, apic_id })
    );
}
