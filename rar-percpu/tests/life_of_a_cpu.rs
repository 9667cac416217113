//! The life of a CPU with RAR, on a file of registers that has a log.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use rar_payload::{
    Globals, InvpcidScope, Operation, PageChunk, PageRange, PageSize, Payload, Pcid,
};
use rar_percpu::fake::{FakeAddresses, FakeTlb, pinned};
use rar_percpu::{
    ActionByte, ActionState, Answer, ApicId, CpuGuard, CpuId, CpuSet, Domain, LifeCycleError,
    Missed, PerCpu, PinnedCpu, RarCpu, RegisterError, Responder, Skippable, SlotIndex, SoftwareCpu,
    Verified,
};
use rar_regs::{Detection, FakeCpu, InterruptPolicy, MsrOperation, RarSupport};

const CONTROL: u32 = 0xED;
const VECTOR: u32 = 0xEE;
const TABLE: u32 = 0xEF;
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

const NO_KNOWN_TYPE: Payload = Payload::from_words([0xFF00, 0, 0, 0, 0, 0, 0, 0]);

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
    // Left over by whoever ran before.
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
    assert_eq!(state.responder(), Responder::Nobody);
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

/// Writes a byte of a vector as microcode does.
fn write_byte(cpu: &PerCpu, index: u8, byte: u8) {
    let first = core::ptr::from_ref(cpu.vector()).cast::<core::sync::atomic::AtomicU8>();
    // SAFETY: the vector is 64 atomic bytes, and a slot is below 64.
    let place = unsafe { first.add(slot(index).get()) };
    // SAFETY: as above; the memory lives for ever.
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
fn identities_are_unique() {
    let domain = Domain::<1>::new();
    let (zero, one, beyond) = (CpuId::new(0), CpuId::new(1), CpuId::new(64));
    let (small, large) = (ApicId::new(3), ApicId::new(0x1_0000));
    let (first, second) = (memory(), memory());
    assert_eq!(domain.register(zero, small, first), Ok(()));
    assert_eq!(
        domain.register(zero, small, first),
        Ok(()),
        "a CPU that comes back"
    );
    assert_eq!(
        domain.register(zero, large, first),
        Err(RegisterError::OtherApicId {
            cpu: zero,
            registered: small,
            requested: large
        })
    );
    assert_eq!(
        domain.register(zero, small, second),
        Err(RegisterError::OtherMemory { cpu: zero })
    );
    assert_eq!(
        domain.register(one, large, first),
        Err(RegisterError::MemoryInUse { cpu: one })
    );
    assert_eq!(
        domain.register(one, small, second),
        Err(RegisterError::ApicIdTaken {
            cpu: one,
            other: zero,
            apic_id: small
        })
    );
    assert_eq!(
        domain.register(one, large, second),
        Ok(()),
        "what was refused left nothing behind"
    );
    assert_eq!(
        domain.register(beyond, ApicId::new(8), memory()),
        Err(RegisterError::NoRoom {
            cpu: beyond,
            capacity: 64
        })
    );
    assert_eq!(domain.registered(), set(&[0, 1]));
    assert_eq!(first.apic_id(), Some(small));
    assert_eq!(second.apic_id(), Some(large));
}

#[test]
fn of_many_cpus_that_register_at_once_none_shares_an_identity() {
    let domain = &Domain::<1>::new();
    let accepted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|cpu| {
                scope.spawn(move || {
                    domain
                        .register(CpuId::new(cpu), ApicId::new(cpu / 2), memory())
                        .is_ok()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    if cfg!(feature = "critical-section") {
        assert_eq!(accepted, 32);
    }
    assert!(accepted <= 32);
    let ids: Vec<_> = domain
        .registered()
        .iter()
        .map(|cpu| domain.cpu(cpu).and_then(PerCpu::apic_id).unwrap().get())
        .collect();
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), unique.len()), (accepted, accepted));
}

#[test]
fn of_many_cpus_that_register_with_one_memory_one_gets_it() {
    let (domain, shared) = (&Domain::<1>::new(), memory());
    let accepted: usize = std::thread::scope(|scope| {
        let register = |cpu| domain.register(CpuId::new(cpu), ApicId::new(cpu), shared);
        let threads: Vec<_> = (0..16)
            .map(|cpu| scope.spawn(move || register(cpu).is_ok()))
            .collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    assert_eq!((accepted, domain.registered().len()), (1, 1));
}

#[test]
fn a_number_and_an_apic_id_are_given_to_another_after_unregister() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let (zero, one, apic_id, state) = (CpuId::new(0), CpuId::new(1), ApicId::new(7), memory());
    assert_eq!(
        domain.unregister(zero),
        Err(RegisterError::NotRegistered { cpu: zero })
    );
    domain.register(zero, apic_id, state).unwrap();
    let online = SoftwareCpu::bring_online(&domain, &pinned(0), &tlb).unwrap();
    let driven = Err(RegisterError::Driven { cpu: zero });
    assert_eq!(domain.unregister(zero), driven);
    // SAFETY: a host; the CPU uses no translation.
    unsafe { online.take_offline(&pinned(0), &tlb) }.unwrap();
    let registers = FakeCpu::with_rar(63);
    let detected = RarCpu::detect(&domain, &pinned(0), support(&registers), &registers).unwrap();
    assert_eq!(domain.unregister(zero), driven, "a value drives it");
    drop(detected);
    assert_eq!(domain.unregister(zero), Ok(()));
    assert!(domain.cpu(zero).is_none() && domain.registered().is_empty());
    assert_eq!(state.apic_id(), None);
    assert_eq!(
        domain.register(one, apic_id, state),
        Err(RegisterError::MemoryInUse { cpu: one }),
        "the memory stays with its number"
    );
    assert_eq!(domain.register(one, apic_id, memory()), Ok(()));
    let _online = SoftwareCpu::bring_online(&domain, &pinned(1), &tlb).unwrap();
    assert_eq!(domain.register(zero, ApicId::new(8), state), Ok(()));
    assert_eq!(domain.online(), set(&[1]));
}

#[test]
fn memory_never_serves_two_domains() {
    let (first, second, shared) = (Domain::<1>::new(), Domain::<1>::new(), memory());
    let cpu = CpuId::new(0);
    first.register(cpu, ApicId::new(0), shared).unwrap();
    let refused = Err(RegisterError::MemoryInUse { cpu });
    assert_eq!(second.register(cpu, ApicId::new(0), shared), refused);
    first.unregister(cpu).unwrap();
    assert_eq!(
        second.register(cpu, ApicId::new(0), shared),
        refused,
        "an initiator of the first may be about to arm it"
    );
    assert_eq!(first.register(cpu, ApicId::new(0), shared), Ok(()));
}

#[test]
fn an_entry_that_cannot_be_decoded_is_refused() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let cpu = pinned(0);
    let _online = software(&domain, &cpu, &tlb);
    store(&domain, 2, &NO_KNOWN_TYPE);
    arm(state, 2);
    let served = domain.serve(&cpu, &tlb);
    assert_eq!((served.succeeded, served.failed), (0, 1));
    assert_eq!(
        state.vector().load(slot(2)).state(),
        Ok(ActionState::Failure)
    );
}

#[test]
fn many_entries_for_one_space_cost_one_flush_of_it_and_few_are_exact() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let cpu = pinned(0);
    let _online = software(&domain, &cpu, &tlb);
    let pcid = Pcid::new(5).unwrap();
    let range = PageRange::new(0x40_0000, 11, PageSize::Size4K).unwrap();
    let pages = PageChunk::new(range).unwrap();
    let pages = Operation::Invpcid(InvpcidScope::Pages { pcid, pages });
    let space = Operation::Invpcid(InvpcidScope::Context { pcid });
    let full = tlb.full_flushes(cpu.id());
    // Four may be those of one flush. Of more, 34 pages are dearer than the space.
    for (entries, flushes, last) in [(4, 4, pages), (5, 1, space), (63, 1, space)] {
        for index in 0..entries {
            store(&domain, index, &pages.encode());
            arm(state, index);
        }
        // What no flush answers is refused, whatever the others are.
        store(&domain, 63, &NO_KNOWN_TYPE);
        arm(state, 63);
        let before = tlb.operations(cpu.id());
        let served = domain.serve(&cpu, &tlb);
        assert_eq!((served.succeeded, served.failed), (entries, 1));
        assert_eq!(tlb.operations(cpu.id()) - before, flushes);
        assert_eq!(tlb.last_operation(cpu.id()), Some(last));
        for index in 0..64 {
            let expected = match index {
                63 => ActionState::Failure,
                _ => ActionState::Success,
            };
            let state = state.vector().load(slot(index)).state();
            assert_eq!(state, Ok(expected), "slot {index} of {entries}");
        }
    }
    assert_eq!(tlb.full_flushes(cpu.id()), full);
}

#[test]
fn lazy_mode_ends_when_the_cpu_comes_back() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [_] = registered(&domain);
    let cpu = pinned(0);
    let online = software(&domain, &cpu, &tlb);
    // SAFETY: a host; the CPU uses no translation.
    unsafe { domain.enter_lazy(&cpu) };
    let is_skipped = || {
        let mut targets = set(&[0]);
        let by_generation = domain.sort_targets(&mut targets, LAZILY);
        assert!(by_generation.is_empty());
        targets.is_empty()
    };
    assert!(is_skipped());
    // SAFETY: a host; the CPU uses no translation.
    unsafe { online.take_offline(&cpu, &tlb) }.unwrap();
    let _back = software(&domain, &cpu, &tlb);
    assert!(!is_skipped());
    assert!(!domain.leave_lazy(&cpu, &tlb).flushed, "no mark was left");
}

#[test]
fn targets_are_sorted_by_how_they_are_to_be_flushed() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let states: [_; 4] = registered(&domain);
    let registers = FakeCpu::with_rar(63);
    let _zero = software(&domain, &pinned(0), &tlb);
    let _one = software(&domain, &pinned(1), &tlb);
    let _two = software(&domain, &pinned(2), &tlb);
    let _three = microcode(&domain, &pinned(3), &registers, &tlb);
    // SAFETY: a host; the CPU uses no translation.
    unsafe { domain.enter_lazy(&pinned(1)) };
    // SAFETY: a host; the CPU uses no translation.
    unsafe { domain.enter_guest(&pinned(2)) }.unwrap();
    assert!(domain.demote(CpuId::new(3)) && !domain.demote(CpuId::new(3)));
    assert!(!domain.demote(CpuId::new(0)), "software is never demoted");
    assert!(!domain.demote(CpuId::new(9)), "nobody is there");
    assert!(states[3].generation().is_demoted());
    let sorted = |skippable| {
        let mut entry = set(&[0, 1, 2, 3]);
        let by_generation = domain.sort_targets(&mut entry, skippable);
        (entry, by_generation)
    };
    assert_eq!(sorted(Skippable::Never), (set(&[0, 1]), set(&[2, 3])));
    assert_eq!(sorted(Skippable::InGuest), (set(&[0, 1]), set(&[3])));
    assert_eq!(sorted(LAZILY), (set(&[0]), set(&[3])));
    assert!(domain.serve(&pinned(3), &tlb).promoted);
    let left = domain.leave_lazy(&pinned(1), &tlb);
    assert!(left.was_lazy && !left.was_in_guest && left.flushed);
    let left = domain.leave_lazy(&pinned(2), &tlb);
    assert!(!left.was_lazy && left.was_in_guest && left.flushed);
    assert_eq!(sorted(LAZILY), (set(&[0, 1, 2, 3]), set(&[])));
    assert_eq!(
        states.map(|state| state.generation().is_demoted()),
        [false; 4]
    );
}

#[test]
fn a_cpu_whose_microcode_answers_enters_no_guest() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [_] = registered(&domain);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    let _enabled = microcode(&domain, &cpu, &registers, &tlb);
    // SAFETY: a host; the CPU uses no translation.
    let refused = unsafe { domain.enter_guest(&cpu) };
    assert_eq!(refused, Err(LifeCycleError::GuestUnderRar(cpu.id())));
    let mut targets = set(&[0]);
    assert!(
        domain
            .sort_targets(&mut targets, Skippable::InGuest)
            .is_empty()
    );
    assert_eq!(targets, set(&[0]), "it was not marked");
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

#[test]
fn a_unit_that_does_not_keep_its_registers_is_never_online() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [_] = registered(&domain);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
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
    let domain = Domain::<1>::new();
    let (cpu, apic_id) = (CpuId::new(0), ApicId::new(u32::MAX));
    assert_eq!(
        domain.register(cpu, apic_id, memory()),
        Err(RegisterError::Broadcast { cpu, apic_id })
    );
}

#[test]
fn a_unit_that_firmware_left_on_is_switched_off_for_software() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let registers = FakeCpu::with_rar(63).with_msr(CONTROL, ENABLE | IGNORE_IF);
    let cpu = pinned(0);
    let detected = RarCpu::detect(&domain, &cpu, support(&registers), &registers).unwrap();
    assert_eq!(
        registers.msr(CONTROL),
        Some(ENABLE | IGNORE_IF),
        "detection writes nothing"
    );
    detected.switch_off(&cpu).unwrap();
    assert_eq!(registers.msr(CONTROL), Some(0));
    let _online = software(&domain, &cpu, &tlb);
    assert_eq!(state.responder(), Responder::Software);
}

#[test]
fn verify_touches_nothing_while_all_is_well_and_restores_what_a_sleep_state_took() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    let enabled = microcode(&domain, &cpu, &registers, &tlb);
    let kept = [CONTROL, VECTOR, TABLE].map(|msr| registers.msr(msr).unwrap());
    registers.clear_log();
    let full = tlb.full_flushes(cpu.id());
    assert_eq!(enabled.verify(&cpu, &tlb), Ok(Verified::Intact));
    assert_eq!(
        (writes(&registers).len(), tlb.full_flushes(cpu.id())),
        (0, full)
    );

    for lost in [CONTROL, VECTOR, TABLE] {
        registers.set_msr(lost, 0).unwrap();
        store(&domain, 4, &EVERYTHING.encode());
        arm(state, 4);
        let full = tlb.full_flushes(cpu.id());
        assert_eq!(enabled.verify(&cpu, &tlb), Ok(Verified::Restored));
        assert_eq!(
            [CONTROL, VECTOR, TABLE].map(|msr| registers.msr(msr).unwrap()),
            kept
        );
        assert_eq!(state.vector().load(slot(4)), ActionByte(0));
        assert!(
            tlb.full_flushes(cpu.id()) > full,
            "the entry was answered by a flush"
        );
        assert!(!state.generation().is_demoted());
        assert!(domain.is_online(cpu.id()));
    }

    assert!(domain.demote(cpu.id()));
    assert_eq!(enabled.verify(&cpu, &tlb), Ok(Verified::Restored));
    assert!(!state.generation().is_demoted());
}

#[test]
fn the_value_of_a_dead_cpu_drives_nothing() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state, _] = registered(&domain);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    let enabled = microcode(&domain, &cpu, &registers, &tlb);
    let other = software(&domain, &pinned(1), &tlb);
    // SAFETY: a host; nothing executes as CPU 0 or CPU 1 any more.
    unsafe { domain.declare_dead(cpu.id()) };
    // SAFETY: as above.
    unsafe { domain.declare_dead(CpuId::new(1)) };
    // SAFETY: as above; twice is once.
    unsafe { domain.declare_dead(CpuId::new(1)) };
    assert!(domain.online().is_empty() && domain.registered().is_empty());
    assert_eq!(state.responder(), Responder::Nobody);
    registers.clear_log();
    let dead = LifeCycleError::Dead(cpu.id());
    assert_eq!(enabled.verify(&cpu, &tlb), Err(dead));
    // SAFETY: a host; the CPU uses no translation.
    let refused = unsafe { enabled.take_offline(&cpu, &tlb) }.unwrap_err();
    assert_eq!(refused.cause, dead);
    // SAFETY: a host; the CPU uses no translation.
    let refused_software = unsafe { other.take_offline(&pinned(1), &tlb) }.unwrap_err();
    assert_eq!(refused_software.cause, LifeCycleError::Dead(CpuId::new(1)));
    assert_eq!(writes(&registers), [], "no register was touched");

    // Another CPU takes all three over, and the old value neither drives it nor gives its right
    // back.
    domain.register(cpu.id(), ApicId::new(0), state).unwrap();
    let successor = software(&domain, &cpu, &tlb);
    assert_eq!(refused.cpu.verify(&cpu, &tlb), Err(dead));
    drop(refused);
    assert!(domain.is_online(cpu.id()));
    assert_eq!(
        SoftwareCpu::bring_online(&domain, &cpu, &tlb)
            .map(drop)
            .unwrap_err(),
        LifeCycleError::Taken(cpu.id())
    );
    // SAFETY: a host; the CPU uses no translation.
    unsafe { successor.take_offline(&cpu, &tlb) }.unwrap();
}

#[test]
fn entries_have_one_owner_from_the_claim_to_the_last_answer() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let states: [_; 2] = registered(&domain);
    let _zero = software(&domain, &pinned(0), &tlb);
    let _one = software(&domain, &pinned(1), &tlb);
    let cpu = pinned(0);
    let context = |pcid| {
        Operation::Invpcid(InvpcidScope::Context {
            pcid: Pcid::new(pcid).unwrap(),
        })
    };
    assert_eq!(
        domain.claim(&cpu, 100).map(|claimed| claimed.len()),
        Some(4)
    );
    assert_eq!(domain.claim(&cpu, 0).map(|claimed| claimed.len()), Some(1));
    assert_eq!(
        domain.free_and_quarantined_slots(),
        (64, 0),
        "dropped, they are back"
    );

    let claimed = domain.claim(&cpu, 2).unwrap();
    assert!(domain.holds_slots(cpu.id()) && !domain.holds_slots(CpuId::new(1)));
    let too_many = [context(1), context(2), context(3)];
    let claimed = claimed.post(&too_many, &set(&[1])).unwrap_err();
    assert!(states[1].vector().is_quiet(), "nothing was armed");
    assert_eq!(claimed.len(), 2);
    // One operation: the second slot is given back.
    let mut posted = claimed.post(&[context(7)], &set(&[1])).unwrap();
    assert_eq!(domain.free_and_quarantined_slots(), (63, 0));
    assert!(!posted.look());
    assert_eq!(posted.open(), &set(&[1]));
    assert!(matches!(
        posted.answer(CpuId::new(1)),
        Answer::Open(_, ActionByte(1))
    ));
    assert_eq!(posted.answer(CpuId::new(0)), Answer::Success, "not asked");
    assert_eq!(domain.serve(&pinned(1), &tlb).succeeded, 1);
    assert!(posted.look());
    assert!(posted.settle().is_empty());
    assert_eq!(domain.free_and_quarantined_slots(), (64, 0));
    assert_eq!(tlb.last_operation(CpuId::new(1)), Some(context(7)));

    // Dropped before the answer, the slot is set apart; the late answer frees it, and no other
    // flush gets it before.
    domain.limit_entries(1);
    drop(
        domain
            .claim(&cpu, 1)
            .unwrap()
            .post(&[context(8)], &set(&[1]))
            .unwrap(),
    );
    assert_eq!(domain.free_and_quarantined_slots(), (0, 1));
    assert!(domain.claim(&cpu, 1).is_none());
    assert_eq!(domain.reclaim_slots(), 0);
    assert_eq!(domain.serve(&pinned(1), &tlb).succeeded, 1);
    assert_eq!(domain.reclaim_slots(), 1);
    assert_eq!(domain.free_and_quarantined_slots(), (1, 0));
}

struct Guard(u32);

// SAFETY: 1. and 2. hold by definition: the thread is the CPU that the test says it is.
unsafe impl CpuGuard for Guard {
    fn cpu(&self) -> CpuId {
        CpuId::new(self.0)
    }
}

#[test]
fn a_guard_of_the_kernels_makes_the_proof_and_outlives_it() {
    let guard = Guard(3);
    assert_eq!(PinnedCpu::from_guard(&guard).id(), CpuId::new(3));
}

#[test]
fn a_domain_and_memory_of_zeroes_are_fresh_ones() {
    // SAFETY: both are made of atomics, and their documentation says that all bytes zero is a fresh
    // one.
    let domain: &'static Domain<1> = unsafe { zeroed() };
    // SAFETY: as above.
    let state: &'static PerCpu = unsafe { zeroed() };
    assert!(domain.online().is_empty() && domain.registered().is_empty());
    assert_eq!(domain.entries(), 64);
    assert_eq!(domain.free_and_quarantined_slots(), (64, 0));
    assert_eq!(
        (state.apic_id(), state.responder()),
        (None, Responder::Nobody)
    );
    let (cpu, tlb) = (pinned(0), FakeTlb::<2>::new());
    domain.register(cpu.id(), ApicId::new(0), state).unwrap();
    let _online = software(domain, &cpu, &tlb);
    assert!(domain.is_online(cpu.id()) && state.vector().is_quiet());
}

/// # Safety
///
/// 1. All bytes zero is a value of the type.
unsafe fn zeroed<T>() -> &'static T {
    // SAFETY: 1. of the caller.
    Box::leak(Box::new(unsafe { core::mem::zeroed::<T>() }))
}
