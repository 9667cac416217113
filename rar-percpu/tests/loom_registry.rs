//! Which CPU has which number, APIC id and memory, and who drives it.
#![cfg(rar_loom)]
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

mod models;
#[path = "models/unit.rs"]
mod unit;

use core::sync::atomic::{AtomicBool, Ordering};

use loom::sync::atomic::{AtomicU32, fence};
use loom::thread;
use rar_percpu::fake::{FakeAddresses, pinned};
use rar_percpu::{ApicId, CpuId, PerCpu, RarCpu, SoftwareCpu};
use rar_regs::{Detection, FakeCpu, InterruptPolicy, RarControl};

use models::{World, explore, keep};

/// The APIC id of the CPU that follows a dead one.
const NEXT: ApicId = ApicId::new(7);

/// A number that no CPU had.
const OTHER: CpuId = CpuId::new(1);

/// Two CPUs ask for one APIC id at once, with no critical section: publish, fence, then look. At
/// most one gets it.
#[test]
fn two_cpus_ask_for_one_apic_id() {
    static ONE_GOT_IT: AtomicBool = AtomicBool::new(false);
    static BOTH_GAVE_UP: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let world = World::new(1);
        let register = move |cpu| {
            let memory = keep(PerCpu::new());
            let registered = world
                .domain
                .register(CpuId::new(cpu), ApicId::new(7), memory);
            registered.is_ok()
        };
        let other = thread::spawn(move || register(1));
        let mine = register(0);
        let other = other.join().unwrap();
        assert!(!(mine && other), "two CPUs have one APIC id");
        let reached = if mine || other {
            &ONE_GOT_IT
        } else {
            &BOTH_GAVE_UP
        };
        reached.store(true, Ordering::Relaxed);
    });
    assert!(
        ONE_GOT_IT.load(Ordering::Relaxed) && BOTH_GAVE_UP.load(Ordering::Relaxed),
        "never did both ask at once"
    );
}

/// A CPU is declared dead and its number is used again, while the value that drove the dead one is
/// dropped and a third asks for the right to drive the CPU: one value has it.
#[test]
fn a_dead_cpus_value_gives_nothing_back() {
    static DROPPED_MEANWHILE: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let world = World::new(1);
        let cpu = CpuId::new(0);
        let memory = keep(PerCpu::new());
        let register = move || world.domain.register(cpu, ApicId::new(0), memory);
        register().unwrap();
        let former = SoftwareCpu::bring_online(world.domain, &pinned(0), world.tlb).unwrap();
        // SAFETY: the CPU executes nothing: no thread plays it.
        unsafe { world.domain.declare_dead(cpu) };
        register().unwrap();
        let is_dropped = keep(AtomicBool::new(false));
        let ask = move || {
            let before = is_dropped.load(Ordering::Relaxed);
            let driver = SoftwareCpu::bring_online(world.domain, &pinned(0), world.tlb);
            if !before && is_dropped.load(Ordering::Relaxed) {
                DROPPED_MEANWHILE.store(true, Ordering::Relaxed);
            }
            driver.is_ok()
        };
        let successor = thread::spawn(ask);
        let another = thread::spawn(ask);
        let dropped = thread::spawn(move || {
            drop(former);
            is_dropped.store(true, Ordering::Relaxed);
        });
        let drivers = [successor.join().unwrap(), another.join().unwrap()];
        dropped.join().unwrap();
        assert_eq!(
            drivers.map(u32::from).iter().sum::<u32>(),
            1,
            "two values drive one CPU"
        );
    });
    assert!(
        DROPPED_MEANWHILE.load(Ordering::Relaxed),
        "never was the value dropped while another was made"
    );
}

/// A CPU comes online while its number is taken from it: one of the two fails. A CPU that is online
/// without a number would be skipped by every flush.
#[test]
fn a_number_taken_from_a_cpu_on_its_way_up() {
    static CAME_UP: AtomicBool = AtomicBool::new(false);
    static WAS_LATE: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let (world, cpu) = (World::new(1), CpuId::new(0));
        let memory = keep(PerCpu::new());
        let registered = world.domain.register(cpu, ApicId::new(0), memory);
        registered.unwrap();
        // A step that loom sees: it does not see the pointers to the CPUs' memory.
        let step = keep(AtomicU32::new(0));
        let joining = thread::spawn(move || {
            step.fetch_add(1, Ordering::Relaxed);
            let up = SoftwareCpu::bring_online(world.domain, &pinned(0), world.tlb);
            up.map(core::mem::forget)
        });
        step.fetch_add(1, Ordering::Relaxed);
        let is_taken = world.domain.unregister(cpu).is_ok();
        let is_up = joining.join().unwrap().is_ok();
        assert!(
            !(is_taken && is_up),
            "a CPU is online that no flush reaches"
        );
        let reached = if is_up { &CAME_UP } else { &WAS_LATE };
        reached.store(true, Ordering::Relaxed);
    });
    assert!(
        CAME_UP.load(Ordering::Relaxed) && WAS_LATE.load(Ordering::Relaxed),
        "never did both ask at once"
    );
}

/// A CPU tries to come online while another registers it with an APIC id that is taken.
#[test]
fn a_cpu_that_comes_up_before_its_registration_fails() {
    explore(None, || {
        let (world, cpu) = (World::new(1), CpuId::new(0));
        let id = ApicId::new(7);
        let other = world.domain.register(OTHER, id, keep(PerCpu::new()));
        other.unwrap();
        let memory = keep(PerCpu::new());
        let joining = thread::spawn(move || {
            // A step that loom sees: the number is given by then, or not yet, or no longer.
            let _seen = memory.apic_id();
            let up = SoftwareCpu::bring_online(world.domain, &pinned(0), world.tlb);
            up.map(core::mem::forget)
        });
        let registered = world.domain.register(cpu, id, memory);
        assert!(registered.is_err(), "two CPUs have one APIC id");
        let is_up = joining.join().unwrap().is_ok();
        assert!(!is_up, "a CPU is online that no flush reaches");
        assert!(!world.domain.is_online(cpu));
    });
}

/// A CPU is declared dead and its memory serves the next one, which has a unit, while an initiator
/// that saw the dead one arms it and goes on to its next flush: what came late is no entry of the
/// new CPU's.
#[test]
fn memory_used_again_versus_a_late_arm() {
    static WAS_LATE: AtomicBool = AtomicBool::new(false);
    let registers = keep(FakeCpu::with_rar(1));
    explore(4, move || {
        let world = World::new(1);
        let (domain, number) = (world.domain, CpuId::new(0));
        let memory = keep(PerCpu::new());
        domain.register(number, ApicId::new(0), memory).unwrap();
        let dead = SoftwareCpu::bring_online(domain, &pinned(0), world.tlb);
        core::mem::forget(dead.unwrap());
        // How far the successor is, in steps that loom sees: it does not see the pointers to the
        // CPUs' memory.
        let step = keep(AtomicU32::new(0));
        let successor = thread::spawn(move || {
            // SAFETY: no thread plays the CPU until it comes up again.
            unsafe { domain.declare_dead(number) };
            step.fetch_add(1, Ordering::Relaxed);
            // Another number would have it, if it could.
            let number = if domain.register(OTHER, NEXT, memory).is_ok() {
                OTHER
            } else {
                domain.register(number, NEXT, memory).unwrap();
                number
            };
            unit::bring_online(world, number, registers);
            step.fetch_add(1, Ordering::Relaxed);
            unit::scan(world, memory, number);
        });
        let initiator = thread::spawn(move || {
            let mut first = world.post(1, 1, &[0]).unwrap();
            if step.fetch_add(0, Ordering::Relaxed) == 1 {
                WAS_LATE.store(true, Ordering::Relaxed);
            }
            // The signal: a write to the interrupt command register comes after all stores.
            fence(Ordering::SeqCst);
            first.look();
            drop(first);
            step.fetch_add(0, Ordering::Relaxed);
            let _since = domain.begin_flush();
            let is_next =
                |number: &CpuId| domain.cpu(*number).and_then(PerCpu::apic_id) == Some(NEXT);
            let next = [number, OTHER].into_iter().find(is_next)?;
            if !domain.is_online(next) {
                return None;
            }
            let mut second = world.post(1, 2, &[next.get()])?;
            if second.look() {
                assert!(world.flushed(next.get(), 2), "a late entry lost a flush");
            }
            Some(second)
        });
        successor.join().unwrap();
        core::mem::forget(initiator.join().unwrap());
    });
    assert!(WAS_LATE.load(Ordering::Relaxed), "never was an entry late");
}

/// A CPU comes online by its unit while another refuses units: it is refused, or the other sees it
/// among those to be asked.
#[test]
fn refusal_versus_a_cpu_on_its_way_up() {
    static WAS_REFUSED: AtomicBool = AtomicBool::new(false);
    static WAS_SEEN: AtomicBool = AtomicBool::new(false);
    let registers: &'static FakeCpu = Box::leak(Box::new(FakeCpu::with_rar(1)));
    explore(None, move || {
        let world = World::new(1);
        let support = Detection::new().detect(registers).unwrap();
        let memory = keep(PerCpu::new());
        let registered = world.domain.register(CpuId::new(0), ApicId::new(0), memory);
        registered.unwrap();
        let detected = RarCpu::detect(world.domain, &pinned(0), support, registers).unwrap();
        let configured = detected.configure(&pinned(0), &FakeAddresses).unwrap();
        let joining = thread::spawn(move || {
            let (cpu, policy) = (pinned(0), InterruptPolicy::IgnoreIf);
            // SAFETY: a fake follows no address.
            let up = unsafe { configured.bring_online(&cpu, policy, world.tlb) };
            up.map(core::mem::forget)
        });
        world.domain.refuse_units();
        let is_seen = !world.domain.answered_by_units().is_empty();
        let is_refused = joining.join().unwrap().is_err();
        assert!(
            is_seen || is_refused,
            "a CPU is up by its unit and is not asked"
        );
        if is_refused {
            assert_eq!(registers.msr(RarControl::MSR), Some(0));
            WAS_REFUSED.store(true, Ordering::Relaxed);
        } else {
            WAS_SEEN.store(true, Ordering::Relaxed);
        }
    });
    assert!(
        WAS_REFUSED.load(Ordering::Relaxed) && WAS_SEEN.load(Ordering::Relaxed),
        "never did both happen at once"
    );
}
