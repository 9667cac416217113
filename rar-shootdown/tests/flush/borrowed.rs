//! A machine that is borrowed is asked for everything that an owned one is.

use super::watched::Watched;
use super::*;

/// Flushes a CPU that hears nothing, and returns what the machine was asked for.
fn flush_a_silent_cpu<M: Machine<1>>(machine: M, counts: impl Fn(&M) -> &Watched) -> [u64; 4] {
    let shootdown: Shootdown<M, 1> = Shootdown::new(machine, policy(4));
    let counts = counts(shootdown.machine());
    for number in [0, 1] {
        let memory = Box::leak(Box::new(PerCpu::new()));
        let domain = shootdown.domain();
        domain
            .register(cpu(number), ApicId::new(number), memory)
            .unwrap();
        let online = SoftwareCpu::bring_online(domain, &pinned(number), shootdown.tlb());
        std::mem::forget(online.unwrap());
    }
    counts.machine.set_hearing(cpu(1), Hearing::Nothing);
    let late = shootdown.flush(&pinned(0), &[pages(1)], &AllOnline);
    assert!(matches!(late, Err(FlushError::NoAnswer { late: 1, .. })));
    counts.calls()
}

#[test]
fn a_borrowed_machine_gets_every_call_that_an_owned_one_gets() {
    let owned = flush_a_silent_cpu(Watched::default(), |machine| machine);
    assert!(owned.iter().all(|calls| *calls > 0), "{owned:?}");
    let counts = Watched::default();
    assert_eq!(flush_a_silent_cpu(&counts, |machine| *machine), owned);
}
