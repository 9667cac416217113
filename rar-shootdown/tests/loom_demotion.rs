//! A CPU whose unit fell silent: armed no more, and armed again, while initiators arm it (I1, I16).
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

use loom::thread;
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, Enabled, RarCpu};
use rar_regs::{FakeCpu, RarControl};
use rar_shootdown::AllOnline;

use models::{World, explore, request};

/// A CPU is demoted and promoted while an initiator flushes it: it is flushed by its entry or by
/// generation. It is promoted only after its unit has answered what it was asked before.
#[test]
fn demotion_and_promotion_versus_an_initiator() {
    static PROMOTED: AtomicBool = AtomicBool::new(false);
    static BY_GENERATION: AtomicBool = AtomicBool::new(false);
    let registers = unit::registers();
    explore(2, move || {
        let world = World::new(2, 1);
        core::mem::forget(unit::bring_online(world, 1, registers));
        world
            .machine()
            .hears_signals
            .store(false, Ordering::Relaxed);
        // What the silent unit has not answered.
        let cpu = pinned(0);
        let unanswered = world.shootdown.start(&cpu, &[request(3)], &AllOnline, ());
        assert!(world.domain().demote(CpuId::new(1)));
        let hardware = thread::spawn(move || unit::scan(world, 1));
        let target = thread::spawn(move || {
            if world.shootdown.serve(&pinned(1)).promoted {
                PROMOTED.store(true, Ordering::Relaxed);
                assert!(
                    unanswered.is_done(),
                    "a CPU was promoted with an entry open"
                );
            }
            unanswered
        });
        let initiator = thread::spawn(move || {
            world.store(1, 1);
            world.flush(0, 1);
            assert_eq!(
                world.tlbs().cached(1, 1),
                1,
                "a demoted CPU was not flushed"
            );
            if world.shootdown.statistics().by_generation > 0 {
                BY_GENERATION.store(true, Ordering::Relaxed);
            }
        });
        hardware.join().unwrap();
        core::mem::forget(target.join().unwrap());
        initiator.join().unwrap();
    });
    assert!(
        PROMOTED.load(Ordering::Relaxed) && BY_GENERATION.load(Ordering::Relaxed),
        "never was the CPU promoted"
    );
}

/// Flushes CPU 1, whose unit hears no signal, and returns whether its entry was answered though.
/// `fault` is what has happened if the CPU uses the old translation.
fn flush_of_a_silent_unit(world: World, fault: &str) -> bool {
    world.store(1, 1);
    let cpu = pinned(0);
    let pending = world.shootdown.start(&cpu, &[request(1)], &AllOnline, ());
    let by_entry = world.machine().signalled.load(Ordering::Relaxed);
    // Lets the other run on, which loom does not try before every load.
    thread::yield_now();
    let is_answered = by_entry && pending.is_done();
    pending.wait(&cpu).unwrap();
    assert_eq!(world.tlbs().cached(1, 1), 1, "{fault}");
    is_answered
}

/// A unit that lost its registers is programmed anew, and what is open in its vector answered by
/// one flush, while an initiator arms it: an entry that comes after the flush is not answered by
/// it.
#[test]
fn verify_versus_a_late_arm() {
    static RESTORED: AtomicBool = AtomicBool::new(false);
    let registers = unit::registers();
    explore(2, move || {
        let world = World::new(1, 1);
        let target = unit::bring_online(world, 1, registers);
        let machine = world.machine();
        machine.hears_signals.store(false, Ordering::Relaxed);
        let verifying = thread::spawn(move || {
            // A sleep state took it.
            registers.set_msr(RarControl::MSR, 0).unwrap();
            target.verify(&pinned(1), world.tlbs()).unwrap();
            core::mem::forget(target);
        });
        let initiator = thread::spawn(move || {
            if flush_of_a_silent_unit(world, "a late entry was answered by a flush before it") {
                RESTORED.store(true, Ordering::Relaxed);
            }
        });
        verifying.join().unwrap();
        initiator.join().unwrap();
    });
    assert!(
        RESTORED.load(Ordering::Relaxed),
        "never was an entry answered by the flush"
    );
}

/// RAR is turned off on a CPU that stays online, while an initiator arms it: what is open is
/// answered by one flush, and what comes later by the handler in software.
#[test]
fn switching_to_software_versus_a_late_arm() {
    static BY_THE_SWITCH: AtomicBool = AtomicBool::new(false);
    let registers = unit::registers();
    explore(2, move || {
        let world = World::new(1, 1);
        let target = unit::bring_online(world, 1, registers);
        let machine = world.machine();
        machine.hears_signals.store(false, Ordering::Relaxed);
        let switching = thread::spawn(move || {
            let handler = target.switch_to_software(&pinned(1), world.tlbs());
            core::mem::forget(handler.map_err(|stays| stays.cause).unwrap());
        });
        let initiator = thread::spawn(move || {
            if flush_of_a_silent_unit(world, "an entry was answered without a flush") {
                BY_THE_SWITCH.store(true, Ordering::Relaxed);
            }
        });
        switching.join().unwrap();
        initiator.join().unwrap();
        assert_eq!(registers.msr(RarControl::MSR), Some(0));
    });
    assert!(
        BY_THE_SWITCH.load(Ordering::Relaxed),
        "never was an entry answered by the switch"
    );
}

/// Finds the unit of CPU 1 silent while that CPU goes in some way. Returns whether it was demoted;
/// it leaves no mark, which would make each flush look at every target until it is back.
fn demotion_versus(go: fn(World, RarCpu<'static, &'static FakeCpu, Enabled, 1>)) -> bool {
    static DEMOTED: AtomicBool = AtomicBool::new(false);
    DEMOTED.store(false, Ordering::Relaxed);
    let registers = unit::registers();
    explore(None, move || {
        let world = World::new(1, 1);
        let target = unit::bring_online(world, 1, registers);
        let going = thread::spawn(move || go(world, target));
        if world.domain().demote(CpuId::new(1)) {
            DEMOTED.store(true, Ordering::Relaxed);
        }
        going.join().unwrap();
        assert!(
            world.domain().takes_entries_only(),
            "a CPU that is gone keeps the others from ordinary flushes"
        );
    });
    DEMOTED.load(Ordering::Relaxed)
}

#[test]
fn demotion_versus_a_cpu_that_goes() {
    let offline = demotion_versus(|world, target| {
        // SAFETY: no thread plays the CPU any more.
        let left = unsafe { target.take_offline(&pinned(1), world.tlbs()) };
        drop(left.map_err(|stays| stays.cause).unwrap());
    });
    let dead = demotion_versus(|world, target| {
        core::mem::forget(target);
        // SAFETY: no thread plays the CPU any more.
        unsafe { world.domain().declare_dead(CpuId::new(1)) };
    });
    assert!(offline && dead, "never was a CPU demoted that goes");
}
