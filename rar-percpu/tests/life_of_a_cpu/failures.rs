//! Registers that do not do what they should, and values that drive nothing any more.

use core::cell::Cell;

use rar_percpu::{LocalTlb, Posted, Unsupported};

use super::*;

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

/// A TLB whose next full flush is cut by a handler, behind what it drops.
struct Cut<'h> {
    tlb: &'h FakeTlb<2>,
    handler: Cell<Option<Box<dyn FnOnce() + 'h>>>,
}

// SAFETY: 1. to 3. as of the fake. 4. The handler is taken out before it runs.
unsafe impl LocalTlb for Cut<'_> {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        self.tlb.flush(cpu, operation)
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.tlb.flush_everything(cpu);
        if let Some(handler) = self.handler.take() {
            handler();
        }
    }
}

/// The handler comes between the flush of the call that it cuts into and the end of the entries
/// that were open. If it had the unit work again, another flush could get the slot of one of these
/// entries, and be answered without a flush.
#[test]
fn a_handler_does_not_verify_the_unit_that_is_being_verified() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    domain.limit_entries(1);
    let [_, _] = registered(&domain);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    let enabled = microcode(&domain, &cpu, &registers, &tlb);
    let post = || {
        let claimed = domain.claim(&pinned(1), 1)?;
        Some(claimed.post(&[EVERYTHING], &set(&[0])).unwrap())
    };
    let (mut first, second, verified) = (post(), Cell::new(None), Cell::new(None));
    let full = tlb.full_flushes(cpu.id());
    let cut = Cut {
        tlb: &tlb,
        handler: Cell::new(Some(Box::new(|| {
            verified.set(Some(enabled.verify(&pinned(0), &tlb)));
            // Another CPU looks at its flush, ends it, and starts the next one.
            if first.as_mut().is_some_and(Posted::look) {
                first = None;
                second.set(post());
            }
        }))),
    };
    registers.set_msr(CONTROL, 0).unwrap();
    assert_eq!(enabled.verify(&cpu, &cut), Ok(Verified::Restored));
    drop(cut);
    assert!(
        second.take().is_none_or(|mut second| !second.look()),
        "answered by a flush before it"
    );
    let taken = LifeCycleError::Taken(cpu.id());
    assert_eq!(verified.take(), Some(Err(taken)));
    assert_eq!(tlb.full_flushes(cpu.id()), full + 1);
    assert!(first.is_some_and(|mut first| first.look()));
    // The call is over.
    assert!(domain.demote(cpu.id()));
    assert_eq!(enabled.verify(&cpu, &tlb), Ok(Verified::Restored));
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
    assert_eq!(state.responder(), Responder::None);
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

/// One CPU that stayed counted would keep every later flush from the straight path.
#[test]
fn each_way_back_from_a_demotion_takes_the_cpu_out_of_the_count() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let states: [_; 3] = registered(&domain);
    let registers = [(); 3].map(|()| FakeCpu::with_rar(63));
    let cpus = [0, 1, 2].map(pinned);
    let [_zero, one, two] =
        [0, 1, 2].map(|cpu| microcode(&domain, &cpus[cpu], &registers[cpu], &tlb));
    for round in 0..3 {
        assert!(domain.takes_entries_only(), "round {round}");
        for cpu in &cpus {
            assert!(domain.demote(cpu.id()));
            assert!(!domain.takes_entries_only());
        }
        assert!(domain.answer(&cpus[0], &tlb).promoted);
        assert!(!domain.takes_entries_only(), "two are left");
        assert_eq!(one.verify(&cpus[1], &tlb), Ok(Verified::Restored));
        assert!(!domain.takes_entries_only(), "one is left");
        assert!(domain.answer(&cpus[2], &tlb).promoted);
    }
    assert!(domain.demote(cpus[2].id()));
    // SAFETY: a host; the CPU uses no translation.
    drop(unsafe { two.take_offline(&cpus[2], &tlb) }.unwrap());
    assert!(domain.takes_entries_only(), "a CPU that is offline");
    assert!(states.iter().all(|state| !state.generation().is_demoted()));
}
