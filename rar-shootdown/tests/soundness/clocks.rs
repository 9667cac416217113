//! A clock that is wrong makes a wait shorter or longer, never endless, and never fails a flush by
//! itself.

use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, FlushError};

use crate::world::{Kind, Takes, Unit, assert_slots, cpu_id, policy, space, world};

/// How often the clock may be read by a flush of a CPU that never answers: the waits of the policy
/// are 100 ns each.
const FEW: u64 = 1_000;

#[test]
fn a_wait_for_a_silent_cpu_ends_whatever_the_clock_does() {
    type Time = fn(u64) -> u64;
    let clocks: [(&str, Time); 5] = [
        ("even", |look| look),
        ("jumps ahead once", |look| {
            look + if look > 10 { 1 << 60 } else { 0 }
        }),
        ("goes back once", |look| {
            look + if look > 10 { 0 } else { 1 << 60 }
        }),
        (
            "to and fro",
            |look| if look % 2 == 0 { look } else { 1 << 40 },
        ),
        ("at its end", |look| {
            u64::MAX - 5 + look.min(5) - if look % 7 == 0 { 3 } else { 0 }
        }),
    ];
    for (name, clock) in clocks {
        let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
        let machine = shootdown.machine();
        machine.set_unit(1, Unit::Deaf);
        machine.set_takes(1, Takes::Nothing);
        machine.set_clock(clock);
        shootdown
            .flush(&pinned(0), &[space(1)], &AllOnline)
            .unwrap_err();
        assert!(machine.looks() < FEW, "{name}: {} looks", machine.looks());
        assert_slots(shootdown, 1, "CPU 1 is deaf");
    }
}

/// The timer ends each of the two waits after four million looks. The NMI comes before the end, and
/// the error after it.
#[test]
fn a_clock_that_never_goes_on_ends_the_wait_for_a_silent_cpu() {
    const BOUND: u64 = 9_000_000;
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
    let machine = shootdown.machine();
    machine.set_unit(1, Unit::Deaf);
    machine.set_takes(1, Takes::Nothing);
    machine.set_clock(|look| {
        assert!(look < BOUND, "the wait has no end");
        7
    });
    let error = shootdown
        .flush(&pinned(0), &[space(1)], &AllOnline)
        .unwrap_err();
    assert!(matches!(error, FlushError::NoAnswer { late: 1, .. }));
    assert_eq!(machine.sent(), [1, 0, 1, 1], "each message in its turn");
    assert_slots(shootdown, 1, "CPU 1 is deaf");
}

#[test]
fn a_clock_that_stands_still_for_a_while_fails_nothing() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
    let machine = shootdown.machine();
    machine.set_unit(1, Unit::Later);
    machine.set_clock(move |look| {
        if look == 50_000 {
            machine.run_unit(shootdown.domain(), cpu_id(1), false);
        }
        7
    });
    shootdown
        .flush(&pinned(0), &[space(1)], &AllOnline)
        .unwrap();
    assert_eq!(machine.sent(), [1, 0, 0, 0], "no fallback");
    assert_slots(shootdown, 0, "all is answered");
}

/// The unit answers at the tenth look, and the clock jumps by centuries before that.
#[test]
fn one_jump_is_no_timeout() {
    for jump in [1 << 50, u64::MAX / 2] {
        let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
        let machine = shootdown.machine();
        machine.set_unit(1, Unit::Later);
        machine.set_clock(move |look| {
            if look == 10 {
                machine.run_unit(shootdown.domain(), cpu_id(1), false);
            }
            look + if look >= 5 { jump } else { 0 }
        });
        shootdown
            .flush(&pinned(0), &[space(1)], &AllOnline)
            .unwrap();
        assert_eq!(machine.sent(), [1, 0, 0, 0], "no fallback");
        assert_slots(shootdown, 0, "all is answered");
    }
}

/// The initiator is not run for long between its look at the byte and its look at the clock, and
/// the unit answers meanwhile.
#[test]
fn the_byte_is_read_once_more_after_the_deadline() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
    let machine = shootdown.machine();
    machine.set_unit(1, Unit::Later);
    // The last look of the wait: one nanosecond a look, and a hundred have passed at this one.
    machine.set_clock(move |look| {
        if look == 101 {
            machine.run_unit(shootdown.domain(), cpu_id(1), false);
        }
        look
    });
    shootdown
        .flush(&pinned(0), &[space(1)], &AllOnline)
        .unwrap();
    assert_eq!(machine.looks(), 102, "the wait was over");
    assert_eq!(machine.sent(), [1, 0, 0, 0], "no fallback");
    assert_slots(shootdown, 0, "all is answered");
}
