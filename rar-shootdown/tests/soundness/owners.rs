//! Every slot has one owner, also when flights are dropped, forgotten or interrupted.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use rar_payload::{InvpcidScope, Operation, Pcid};
use rar_percpu::fake::pinned;
use rar_percpu::{
    ApicId, CpuSet, Domain, LocalTlb, PerCpu, PinnedCpu, RegisterError, SoftwareCpu, Unsupported,
};
use rar_shootdown::{AllOnline, Instant, Machine, Message, NotSent, Pending, Shootdown};

use crate::world::{
    Flushed, Flusher, Kind, Unit, World, assert_slots, cpu_id, four, keep, policy, space, world,
};

#[test]
fn finding_02_each_orchestrator_has_a_table_of_its_own_and_shares_no_cpu_memory() {
    let (first, _cpus) = world(policy(), &[Kind::Software, Kind::Microcode]);
    let (second, _others) = world(policy(), &[Kind::Software, Kind::Microcode]);
    assert!(!core::ptr::eq(
        first.domain().table(),
        second.domain().table()
    ));
    let memory = first.domain().cpu(cpu_id(1)).unwrap();
    assert_eq!(
        second.domain().register(cpu_id(5), ApicId::new(5), memory),
        Err(RegisterError::MemoryInUse { cpu: cpu_id(5) })
    );
    for shootdown in [first, second] {
        shootdown.machine().set_unit(1, Unit::Later);
    }
    // Both begin in slot 0. Each CPU carries out what its own orchestrator asked.
    let mut flights = Vec::new();
    for (shootdown, pcid) in [(first, 5), (second, 6)] {
        flights.push(shootdown.start(&pinned(0), &[space(pcid)], &AllOnline, ()));
    }
    for shootdown in [first, second] {
        let domain = shootdown.domain();
        shootdown.machine().run_unit(domain, cpu_id(1), false);
    }
    for pending in flights {
        pending.wait(&pinned(0)).unwrap();
    }
    assert_eq!(first.machine().tlb.of(1), [context(5)]);
    assert_eq!(second.machine().tlb.of(1), [context(6)]);
    assert_slots(first, 0, "all is answered");
    assert_slots(second, 0, "all is answered");
}

fn context(pcid: u16) -> Flushed {
    let pcid = Pcid::new(pcid).unwrap();
    Flushed::Operation(Operation::Invpcid(InvpcidScope::Context { pcid }))
}

#[test]
fn finding_15_forgotten_flights_do_not_end_rar() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Software, Kind::Microcode]);
    for _ in 0..64 {
        std::mem::forget(shootdown.start(&pinned(0), &[space(1)], &AllOnline, ()));
    }
    assert_eq!(shootdown.domain().free_and_quarantined_slots(), (0, 0));
    for _ in 0..64 {
        shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    }
    let statistics = shootdown.statistics();
    assert_eq!((statistics.slotless, statistics.collapsed), (0, 0));
    assert_eq!(shootdown.machine().tlb.operations(1), 64 + 64 * 4);
    shootdown.domain().reclaim_slots();
    assert_slots(shootdown, 0, "what was forgotten is taken over");
}

#[test]
fn the_slots_of_a_dropped_flight_serve_nobody_until_its_late_unit_has_answered() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Software, Kind::Microcode]);
    let (domain, machine) = (shootdown.domain(), shootdown.machine());
    domain.limit_entries(2);
    machine.set_unit(1, Unit::Later);
    drop(shootdown.start(&pinned(0), &[space(1)], &AllOnline, ()));
    assert_slots(shootdown, 1, "CPU 1 has not answered the dropped flight");
    // The other slot is had by a second flight, which is forgotten before its answer.
    std::mem::forget(shootdown.start(&pinned(0), &[space(2)], &AllOnline, ()));
    assert!(domain.claim(&pinned(0), 1).is_none());
    assert_eq!(domain.reclaim_slots(), 0);
    // The late answers are to the operations that were asked, not to those of somebody who had the
    // slots meanwhile.
    machine.run_unit(domain, cpu_id(1), false);
    let mut flushed = machine.tlb.of(1);
    flushed.sort_by_key(|flushed| *flushed != context(1));
    assert_eq!(flushed, [context(1), context(2)]);
    assert_eq!(domain.reclaim_slots(), 2);
    assert_slots(shootdown, 0, "all is answered");
}

#[test]
fn a_dropped_claim_gives_its_slots_back() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Software]);
    let domain = shootdown.domain();
    for count in 0..6 {
        let claimed = domain.claim(&pinned(0), count).unwrap();
        assert_eq!(claimed.len(), count.clamp(1, 4));
        assert!(domain.holds_slots(cpu_id(0)));
    }
    assert_slots(shootdown, 0, "no claim was posted");
}

#[test]
fn a_flight_whose_slot_was_taken_over_has_succeeded_and_touches_it_no_more() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Software, Kind::Microcode]);
    let (domain, machine) = (shootdown.domain(), shootdown.machine());
    domain.limit_entries(1);
    let first = shootdown.start(&pinned(0), &[space(1)], &AllOnline, ());
    machine.set_unit(1, Unit::Later);
    // It takes the slot over, and is not answered yet.
    let second = shootdown.start(&pinned(0), &[space(2)], &AllOnline, ());
    assert!(first.is_done() && !second.is_done());
    first.wait(&pinned(0)).unwrap();
    assert_eq!(
        domain.free_and_quarantined_slots(),
        (0, 0),
        "the slot is the second's"
    );
    machine.run_unit(domain, cpu_id(1), false);
    second.wait(&pinned(0)).unwrap();
    assert_eq!(shootdown.statistics().fallbacks, 0);
    assert_slots(shootdown, 0, "all is answered");
}

thread_local! {
    static HOOK: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A TLB whose flush of an operation is interrupted once.
#[derive(Default)]
struct Interruptible {
    log: std::sync::Mutex<Vec<(u32, Flushed)>>,
}

// SAFETY: 1., 2., 3. hold since there is no translation to keep; 4. the lock is not held while the
// hook runs.
unsafe impl LocalTlb for Interruptible {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        let hook = HOOK.take();
        if let Some(hook) = hook {
            hook();
        }
        let flushed = Flushed::Operation(*operation);
        self.log.lock().unwrap().push((cpu.id().get(), flushed));
        Ok(())
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        let mut log = self.log.lock().unwrap();
        log.push((cpu.id().get(), Flushed::Everything));
    }
}

/// A machine whose messages are only latched; the test says when a handler runs.
#[derive(Default)]
struct Latched {
    tlb: Interruptible,
    clock: AtomicU64,
}

impl Machine<1> for Latched {
    type Tlb = Interruptible;

    fn tlb(&self) -> &Interruptible {
        &self.tlb
    }

    fn send(
        &self,
        _: Message,
        _: &PinnedCpu<'_>,
        _: &Domain<1>,
        _: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.fetch_add(1, Ordering::AcqRel))
    }
}

/// CPU 1 has taken a byte and is interrupted; the handler takes it offline and back online, and its
/// slot serves the next flush by the time that the interrupted responder goes on.
#[test]
fn finding_05_an_interrupted_responder_does_not_answer_for_the_next_owner_of_the_slot() {
    type Flight = Pending<'static, Latched, (), 1>;
    let shootdown: &'static Shootdown<Latched, 1> =
        keep(Shootdown::new(Latched::default(), policy()));
    let (domain, tlb) = (shootdown.domain(), &shootdown.machine().tlb);
    domain.limit_entries(1);
    let mut online = [0, 1].map(|number| {
        domain
            .register(cpu_id(number), ApicId::new(number), keep(PerCpu::new()))
            .unwrap();
        Some(SoftwareCpu::bring_online(domain, &pinned(number), tlb).unwrap())
    });
    let first: Flight = shootdown.start(&pinned(0), &[space(5)], &AllOnline, ());
    let second: &'static Cell<Option<Flight>> = keep(Cell::new(None));
    let cpu_1 = online[1].take().unwrap();
    HOOK.set(Some(Box::new(move || {
        // SAFETY: a host; the CPU uses no translation.
        unsafe { cpu_1.take_offline(&pinned(1), tlb) }.unwrap();
        let back = SoftwareCpu::bring_online(domain, &pinned(1), tlb).unwrap();
        std::mem::forget(back);
        first.wait(&pinned(0)).map_err(|late| late.error).unwrap();
        tlb.log.lock().unwrap().clear();
        second.set(Some(shootdown.start(
            &pinned(0),
            &[space(7)],
            &AllOnline,
            (),
        )));
    })));
    domain.answer(&pinned(1), tlb);
    let second = second.take().unwrap();
    let flushed_by_1 = || {
        let log = tlb.log.lock().unwrap();
        log.iter()
            .filter(|(cpu, flushed)| {
                *cpu == 1 && matches!(flushed, Flushed::Everything)
                    || (1, context(7)) == (*cpu, *flushed)
            })
            .count()
    };
    assert_eq!(
        flushed_by_1(),
        0,
        "nothing of the second was carried out yet"
    );
    assert!(
        !second.is_done(),
        "the interrupted responder answered for the second flush"
    );
    let second = second.try_wait(&pinned(0)).unwrap_err();
    assert_eq!(domain.answer(&pinned(1), tlb).succeeded, 1);
    assert_eq!(flushed_by_1(), 1);
    second.wait(&pinned(0)).map_err(|late| late.error).unwrap();
    assert_eq!(domain.free_and_quarantined_slots(), (1, 0));
}

#[test]
fn a_world_is_shared_between_threads() {
    fn is_sync<T: Sync>() {}
    is_sync::<World>();
    is_sync::<Flusher>();
}
