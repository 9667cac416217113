//! The life of a CPU with RAR, on a file of registers that has a log.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod borrowed;
mod failures;
mod flushing;
mod registration;

use rar_payload::{
    Globals, InvpcidScope, Operation, PageChunk, PageRange, PageSize, Payload, Pcid,
};
use rar_percpu::fake::{FakeAddresses, FakeTlb, pinned};
use rar_percpu::{
    ActionByte, ActionState, Answer, ApicId, CpuGuard, CpuId, CpuSet, Domain, LifeCycleError,
    Missed, PerCpu, PinnedCpu, Progress, RarCpu, RegisterError, Responder, Skippable, SlotIndex,
    SoftwareCpu, Verified,
};
use rar_regs::{Detection, FakeCpu, InterruptPolicy, MsrOperation, RarSupport};

const CONTROL: u32 = 0xed;
const VECTOR: u32 = 0xee;
const TABLE: u32 = 0xef;
const ENABLE: u64 = 1 << 31;
const IGNORE_IF: u64 = 1 << 30;
const EVERYTHING: Operation = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));

const LAZILY: Skippable = Skippable::Lazy(Missed::AnySpace);

fn support(cpu: &FakeCpu) -> RarSupport {
    Detection::new().detect(cpu).unwrap()
}

fn slot(index: u8) -> SlotIndex {
    SlotIndex::new(index).unwrap()
}

fn memory() -> &'static PerCpu {
    Box::leak(Box::new(PerCpu::new()))
}

/// Registers CPUs 0, 1, ... with the APIC ids of the same number, and returns their memory.
fn registered<const CPUS: usize>(domain: &Domain<1>) -> [&'static PerCpu; CPUS] {
    let mut number = 0;
    [(); CPUS].map(|()| {
        let cpu = memory();
        let registered = domain.register(CpuId::new(number), ApicId::new(number), cpu);
        registered.unwrap();
        number += 1;
        cpu
    })
}

fn set(cpus: &[u32]) -> CpuSet<1> {
    CpuSet::of(cpus.iter().copied().map(CpuId::new)).unwrap()
}

fn writes(cpu: &FakeCpu) -> Vec<(u32, u64)> {
    cpu.log()
        .filter(|record| record.access == MsrOperation::Write)
        .map(|record| (record.msr, record.value))
        .collect()
}

/// A pending byte that some initiator of this or of an earlier life has left.
fn arm(cpu: &PerCpu, index: u8) {
    // SAFETY: no flush of the test uses this slot; the payload is the caller's.
    unsafe { cpu.vector().arm_unowned(slot(index)) }
}

fn store(domain: &Domain<1>, index: u8, payload: &Payload) {
    // SAFETY: no unit executes it, and no flush of the test uses this slot.
    unsafe { domain.table().store_payload(slot(index), payload) }
}

const NO_KNOWN_TYPE: Payload = Payload::from_words([0xff00, 0, 0, 0, 0, 0, 0, 0]);

fn software<'d>(
    domain: &'d Domain<1>,
    cpu: &PinnedCpu<'_>,
    tlb: &FakeTlb<2>,
) -> SoftwareCpu<'d, 1> {
    SoftwareCpu::bring_online(domain, cpu, tlb).unwrap()
}

type Up<'d> = RarCpu<'d, &'d FakeCpu, rar_percpu::Enabled, 1>;

fn microcode<'d>(
    domain: &'d Domain<1>,
    cpu: &PinnedCpu<'_>,
    registers: &'d FakeCpu,
    tlb: &FakeTlb<2>,
) -> Up<'d> {
    let configured = RarCpu::detect(domain, cpu, support(registers), registers)
        .and_then(|detected| detected.configure(cpu, &FakeAddresses))
        .unwrap();
    // SAFETY: a host; nothing follows the addresses.
    unsafe { configured.bring_online(cpu, InterruptPolicy::IgnoreIf, tlb) }.unwrap()
}

#[test]
fn a_cpu_comes_up_in_the_order_that_is_safe() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(1));
    let support = support(&registers);
    let state = memory();
    domain.register(cpu.id(), ApicId::new(9), state).unwrap();
    // Left over by what ran before.
    store(&domain, 5, &EVERYTHING.encode());
    arm(state, 5);

    let detected = RarCpu::detect(&domain, &cpu, support, &registers).unwrap();
    let configured = detected.configure(&cpu, &FakeAddresses).unwrap();
    assert_eq!(
        state.vector().load(slot(5)).state(),
        Ok(ActionState::Success),
        "the vector is cleared"
    );
    assert!(!domain.is_online(cpu.id()));
    assert_eq!(tlb.full_flushes(cpu.id()), 0);

    // SAFETY: a host; nothing follows the addresses.
    let enabled =
        unsafe { configured.bring_online(&cpu, InterruptPolicy::IgnoreIf, &tlb) }.unwrap();
    assert!(domain.is_online(cpu.id()));
    assert_eq!(state.responder(), Responder::Microcode);
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

    // SAFETY: a host; the CPU uses no translation.
    let detected = unsafe { enabled.take_offline(&cpu, &tlb) }.unwrap();
    assert!(!domain.is_online(cpu.id()));
    assert_eq!(state.responder(), Responder::None);
    assert_eq!(writes(&registers).last(), Some(&(CONTROL, 0)));

    // The way back after a sleep writes everything again.
    let before = writes(&registers).len();
    let configured = detected.configure(&cpu, &FakeAddresses).unwrap();
    // SAFETY: a host; nothing follows the addresses.
    let _enabled =
        unsafe { configured.bring_online(&cpu, InterruptPolicy::IgnoreIf, &tlb) }.unwrap();
    assert_eq!(writes(&registers).len(), before + 4);
}

#[test]
fn what_is_open_when_a_cpu_leaves_is_answered_by_a_full_flush() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let cpu = pinned(0);
    let online = software(&domain, &cpu, &tlb);
    store(&domain, 9, &EVERYTHING.encode());
    arm(state, 9);
    store(&domain, 8, &NO_KNOWN_TYPE);
    arm(state, 8);
    let before = tlb.full_flushes(cpu.id());
    // SAFETY: a host; the CPU uses no translation.
    unsafe { online.take_offline(&cpu, &tlb) }.unwrap();
    assert_eq!(
        state.vector().load(slot(9)).state(),
        Ok(ActionState::Success)
    );
    assert_eq!(
        state.vector().load(slot(8)).state(),
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
fn a_byte_that_a_unit_was_working_on_is_ended_when_the_unit_is_disabled() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    let enabled = microcode(&domain, &cpu, &registers, &tlb);
    store(&domain, 3, &EVERYTHING.encode());
    write_byte(state, 3, 0x02);
    let before = tlb.full_flushes(cpu.id());
    // SAFETY: a host; the CPU uses no translation.
    let _detected = unsafe { enabled.take_offline(&cpu, &tlb) }.unwrap();
    assert_eq!(state.vector().load(slot(3)), ActionByte(0));
    assert!(tlb.full_flushes(cpu.id()) > before);
}

#[test]
fn an_entry_that_an_interrupted_handler_has_taken_is_left_to_it() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let cpu = pinned(0);
    let online = software(&domain, &cpu, &tlb);
    store(&domain, 3, &EVERYTHING.encode());
    write_byte(state, 3, 0x40);
    // SAFETY: a host; the CPU uses no translation.
    unsafe { online.take_offline(&cpu, &tlb) }.unwrap();
    assert!(state.vector().load(slot(3)).is_taken());
}

/// Writes a byte of a vector as microcode does.
fn write_byte(cpu: &PerCpu, index: u8, byte: u8) {
    let first = core::ptr::from_ref(cpu.vector()).cast::<core::sync::atomic::AtomicU8>();
    // SAFETY: the vector is 64 atomic bytes, and a slot is below 64.
    let place = unsafe { first.add(slot(index).get()) };
    // SAFETY: as above; the memory lives forever.
    let place = unsafe { &*place };
    place.store(byte, core::sync::atomic::Ordering::Release);
}

#[test]
fn a_step_on_another_cpu_is_refused() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let registers = FakeCpu::with_rar(63);
    let [_] = registered(&domain);
    let refused = LifeCycleError::WrongCpu {
        driven: CpuId::new(0),
        cpu: CpuId::new(1),
    };
    let detect = || RarCpu::detect(&domain, &pinned(0), support(&registers), &registers).unwrap();
    let configured = detect().configure(&pinned(0), &FakeAddresses).unwrap();
    registers.clear_log();
    // SAFETY: a host; nothing follows the addresses.
    let error = unsafe { configured.bring_online(&pinned(1), InterruptPolicy::IgnoreIf, &tlb) }
        .unwrap_err();
    assert_eq!(error, refused);
    let error = detect().configure(&pinned(1), &FakeAddresses).map(drop);
    assert_eq!(error.unwrap_err(), refused);
    assert_eq!(detect().switch_off(&pinned(1)).unwrap_err(), refused);
    assert!(!domain.is_online(CpuId::new(0)) && !domain.is_online(CpuId::new(1)));
    assert_eq!(writes(&registers), [], "no register was touched");

    let enabled = microcode(&domain, &pinned(0), &registers, &tlb);
    assert_eq!(enabled.verify(&pinned(1), &tlb).unwrap_err(), refused);
}

#[test]
fn an_unregistered_or_online_cpu_cannot_join() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    let refused = || {
        let by_unit = RarCpu::detect(&domain, &cpu, support(&registers), &registers);
        let software = SoftwareCpu::bring_online(&domain, &cpu, &tlb);
        let error = software.map(drop).unwrap_err();
        assert_eq!(by_unit.map(drop).unwrap_err(), error);
        error
    };
    assert_eq!(refused(), LifeCycleError::NotRegistered(cpu.id()));
    let [_] = registered(&domain);
    let _online = software(&domain, &cpu, &tlb);
    assert_eq!(refused(), LifeCycleError::Taken(cpu.id()));
}

#[test]
fn a_cpu_is_driven_by_one_value_at_a_time() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [_] = registered(&domain);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    let first = RarCpu::detect(&domain, &cpu, support(&registers), &registers).unwrap();
    let second = RarCpu::detect(&domain, &cpu, support(&registers), &registers);
    assert_eq!(
        second.map(drop).unwrap_err(),
        LifeCycleError::Taken(cpu.id())
    );
    assert!(SoftwareCpu::bring_online(&domain, &cpu, &tlb).is_err());
    drop(first);
    let online = software(&domain, &cpu, &tlb);
    // Dropped while it is online, the CPU stays so, and taken.
    drop(online);
    assert!(domain.is_online(cpu.id()));
    assert!(SoftwareCpu::bring_online(&domain, &cpu, &tlb).is_err());
}

#[test]
fn a_step_down_on_another_cpu_changes_nothing() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [_] = registered(&domain);
    let online = software(&domain, &pinned(0), &tlb);
    // SAFETY: a host; the CPU uses no translation.
    let refused = unsafe { online.take_offline(&pinned(1), &tlb) }.unwrap_err();
    assert_eq!(
        refused.cause,
        LifeCycleError::WrongCpu {
            driven: CpuId::new(0),
            cpu: CpuId::new(1)
        }
    );
    assert_eq!(refused.to_string(), refused.cause.to_string());
    assert!(domain.is_online(CpuId::new(0)));
    // SAFETY: a host; the CPU uses no translation.
    unsafe { refused.cpu.take_offline(&pinned(0), &tlb) }.unwrap();
    assert!(!domain.is_online(CpuId::new(0)));
}
