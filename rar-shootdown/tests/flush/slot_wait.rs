//! How long a flush looks for a slot: as long as one may come, and no longer.

use super::watched::Watched;
use super::*;

type Spinning = Shootdown<Watched, 1>;

/// Returns four CPUs whose flushes wait for a slot for up to 1,000 looks at the clock.
pub(super) fn spinning(slots: u8) -> &'static Spinning {
    let mut policy = policy(4);
    policy.slot_timeout = Duration::from_nanos(1_000);
    let shootdown: &Spinning = Box::leak(Box::new(Shootdown::new(Watched::default(), policy)));
    for number in 0..4 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        let domain = shootdown.domain();
        domain
            .register(cpu(number), ApicId::new(number), memory)
            .unwrap();
        let online = SoftwareCpu::bring_online(domain, &pinned(number), shootdown.tlb());
        std::mem::forget(online.unwrap());
    }
    shootdown.domain().limit_entries(slots);
    shootdown
}

/// Starts a flush on CPU 0, and returns how often the clock was read until it was sent.
fn looks_of_a_start(shootdown: &Spinning) -> u64 {
    let read = || shootdown.machine().now().as_nanos();
    let before = read();
    let pending = shootdown.start(&pinned(0), &[pages(1)], &AllOnline, ());
    let looks = read() - before - 1;
    pending.wait(&pinned(0)).unwrap();
    looks
}

#[test]
fn a_slot_that_can_never_come_is_not_waited_for() {
    let shootdown = spinning(0);
    assert!(looks_of_a_start(shootdown) <= 1);
    assert_eq!(shootdown.statistics().slotless, 1);
}

#[test]
fn a_slot_that_may_come_is_waited_for_as_long_as_the_policy_says() {
    let shootdown = spinning(1);
    let taken = shootdown.domain().claim_near(&pinned(2), 1).unwrap();
    let looks = looks_of_a_start(shootdown);
    assert!((1_000..1_100).contains(&looks), "{looks}");
    assert_eq!(shootdown.statistics().slotless, 1);
    drop(taken);
}

#[test]
fn a_slot_is_found_wherever_it_comes_free() {
    let shootdown = spinning(2);
    let domain = shootdown.domain();
    // The home of CPU 0 stays in use.
    let [home, other] = [2, 1].map(|number| domain.claim_near(&pinned(number), 1).unwrap());
    let at_spin = (1_000, Box::new(move || drop(other)) as _);
    shootdown.machine().at_spin.replace(Some(at_spin));
    let looks = looks_of_a_start(shootdown);
    assert!(looks < 100, "{looks}");
    assert_eq!(shootdown.statistics().slotless, 0);
    drop(home);
}

#[test]
fn a_cpu_that_holds_the_only_slot_gives_its_own_flush_a_moment_to_be_answered() {
    let shootdown = spinning(1);
    shootdown
        .machine()
        .machine
        .set_hearing(cpu(3), Hearing::Nothing);
    let first = shootdown.start(&pinned(0), &[pages(1)], &AllOnline, ());
    let answer = || {
        shootdown.serve(&pinned(3));
        shootdown
            .machine()
            .machine
            .set_hearing(cpu(3), Hearing::Everything);
    };
    let at_spin = (2, Box::new(answer) as _);
    shootdown.machine().at_spin.replace(Some(at_spin));
    let second = shootdown.start(&pinned(0), &[pages(1)], &AllOnline, ());
    assert_eq!(shootdown.statistics().slotless, 0);
    for pending in [first, second] {
        pending.wait(&pinned(0)).unwrap();
    }
}
