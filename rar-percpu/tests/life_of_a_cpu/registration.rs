//! Who may register, and with which number, APIC id and memory.

use super::*;

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
fn the_broadcast_is_no_cpus_apic_id() {
    let domain = Domain::<1>::new();
    let (cpu, apic_id) = (CpuId::new(0), ApicId::new(u32::MAX));
    assert_eq!(
        domain.register(cpu, apic_id, memory()),
        Err(RegisterError::Broadcast { cpu, apic_id })
    );
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
        (None, Responder::None)
    );
    let (cpu, tlb) = (pinned(0), FakeTlb::<2>::new());
    domain.register(cpu.id(), ApicId::new(0), state).unwrap();
    let _online = software(domain, &cpu, &tlb);
    assert!(domain.is_online(cpu.id()) && state.vector().is_quiet());
}

/// Who sends by it would else send an interrupt to a unit, or a request to a handler.
#[test]
fn who_answers_on_every_cpu_is_known_as_long_as_it_is_the_same() {
    for is_by_unit in [true, false] {
        let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
        let _memory = registered::<2>(&domain);
        let registers = FakeCpu::with_rar(63);
        let up = |cpu: u32, is_by_unit: bool| {
            if is_by_unit {
                std::mem::forget(microcode(&domain, &pinned(cpu), &registers, &tlb));
            } else {
                std::mem::forget(software(&domain, &pinned(cpu), &tlb));
            }
        };
        assert_eq!(domain.only_responder(), None);
        up(0, is_by_unit);
        let first = if is_by_unit {
            Responder::Microcode
        } else {
            Responder::Software
        };
        assert_eq!(domain.only_responder(), Some(first));
        up(1, !is_by_unit);
        assert_eq!(domain.only_responder(), None);
    }
}

/// # Safety
///
/// 1. All bytes zero is a value of the type.
unsafe fn zeroed<T>() -> &'static T {
    // SAFETY: 1. of the caller.
    Box::leak(Box::new(unsafe { core::mem::zeroed::<T>() }))
}
