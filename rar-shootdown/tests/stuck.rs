//! The report about a flush that does not end names every late CPU, and says the truth about each.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rar_payload::{PageRange, PageSize, Pcid, Request};
use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{
    ActionByte, Answer, ApicId, CpuId, CpuSet, Domain, PerCpu, PinnedCpu, Responder, SlotIndex,
    SoftwareCpu,
};
use rar_shootdown::fake::{FakeMachine, Hearing};
use rar_shootdown::{
    AllOnline, Event, FlushError, Instant, Machine, Message, NotSent, Policy, Shootdown, Stuck,
    TargetFn,
};

const CPUS: usize = 64;

/// A fake whose clock goes on by 10 microseconds a reading, and that keeps what it is told.
struct Told {
    machine: FakeMachine<CPUS>,
    has_nmis: AtomicBool,
    reports: Mutex<Vec<String>>,
}

impl Machine<1> for Told {
    type Tlb = FakeTlb<CPUS>;

    fn tlb(&self) -> &FakeTlb<CPUS> {
        Machine::<1>::tlb(&self.machine)
    }

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<1>,
        targets: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        if message == Message::Nmi && !self.has_nmis.load(Ordering::Acquire) {
            return Err(NotSent::Unsupported);
        }
        self.machine.send(message, cpu, domain, targets)
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(Machine::<1>::now(&self.machine).as_nanos() * 10_000)
    }

    fn report(&self, event: &Event) {
        if let Event::Error(_) = event {
            self.reports.lock().unwrap().push(event.to_string());
        }
    }

    fn report_stuck(&self, stuck: &Stuck<'_, 1>) {
        self.reports.lock().unwrap().push(stuck.to_string());
    }
}

type Fake = Shootdown<Told, 1>;

fn fake() -> Fake {
    let mut policy = Policy::new();
    policy.answer_timeout = Duration::from_micros(500);
    policy.resignal_after = Some(Duration::from_micros(200));
    policy.fallback_timeout = Duration::from_micros(1_000);
    let machine = Told {
        machine: FakeMachine::new(),
        has_nmis: AtomicBool::new(true),
        reports: Mutex::default(),
    };
    let shootdown = Fake::new(machine, policy);
    for number in 0..64 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        let (domain, cpu) = (shootdown.domain(), pinned(number));
        domain
            .register(cpu.id(), ApicId::new(2 * number), memory)
            .unwrap();
        let online = SoftwareCpu::bring_online(domain, &cpu, shootdown.tlb());
        std::mem::forget(online.unwrap());
    }
    shootdown
}

fn hang(shootdown: &Fake, cpus: impl IntoIterator<Item = u32>) {
    for number in cpus {
        let machine = &shootdown.machine().machine;
        machine.set_hearing(CpuId::new(number), Hearing::Nothing);
    }
}

fn page() -> Request {
    Request::Pages {
        pcid: Pcid::new(5).unwrap(),
        range: PageRange::page(0x40_0000, PageSize::Size4K).unwrap(),
    }
}

fn sent(shootdown: &Fake) -> [u64; 4] {
    use Message::{Interrupt, Nmi, SecondSignal, Signal};
    [Signal, SecondSignal, Interrupt, Nmi].map(|message| shootdown.machine().machine.sent(message))
}

/// Returns the number of readings of the clock, which grow with the looks at late CPUs, and of
/// messages that one flush takes.
fn effort(shootdown: &Fake) -> (u64, [u64; 4]) {
    let clock = || shootdown.machine().now().as_nanos() / 10_000;
    let (before, sent_before) = (clock(), sent(shootdown));
    shootdown.flush(&pinned(0), &[page()], &AllOnline).unwrap();
    let looks = clock() - before - 1;
    let mut sent = sent(shootdown);
    for (count, before) in sent.iter_mut().zip(sent_before) {
        *count -= before;
    }
    (looks, sent)
}

#[test]
fn with_all_cpus_but_one_hung_the_flush_ends_and_the_report_names_all() {
    let shootdown = fake();
    let ordinary = effort(&shootdown);
    assert_eq!(ordinary, (0, [1, 0, 0, 0]));
    hang(&shootdown, 1..64);
    let error = shootdown.flush(&pinned(0), &[page()], &AllOnline);
    let first = CpuId::new(1);
    assert!(
        matches!(error, Err(FlushError::NoAnswer { cpu, late: 63, .. }) if cpu == first),
        "{error:?}"
    );
    {
        let reports = shootdown.machine().reports.lock().unwrap();
        let [report, error] = reports.as_slice() else {
            panic!("{reports:?}")
        };
        assert_eq!(
            report,
            "TLB flush: CPU 0 has waited 1.530 ms for CPUs 1-63 (63 CPUs)\n  \
             slot 0: 1 page of 4K from 0x400000 of PCID 5\n  \
             full flush 1: requested\n  \
             signal: last sent at 0.000 ms\n  \
             second signal: last sent at 0.210 ms\n  \
             interrupt: last sent at 0.510 ms\n  \
             NMI: last sent at 1.030 ms\n  \
             CPUs 1-63: software, slot 0 PENDING (0x01), full flush 1 requested, 0 done, \
             1 open entry"
        );
        assert!(error.contains("63 CPUs late"), "{error}");
    }

    // The others go on: CPU 1 hears again, and flushes those that do.
    let machine = &shootdown.machine().machine;
    for number in 1..4 {
        machine.set_hearing(CpuId::new(number), Hearing::Everything);
        shootdown.serve(&pinned(number));
    }
    let few = TargetFn(|_: &_| CpuSet::from_words([0b1110]));
    let before = sent(&shootdown);
    shootdown.flush(&pinned(1), &[page()], &few).unwrap();
    assert_eq!(sent(&shootdown)[1..], before[1..], "the signal was enough");

    // Declared dead, the silent ones cost no flush anything.
    for number in 4..64 {
        // SAFETY: a host; nothing runs as the CPU any more.
        #[expect(unsafe_code, reason = "the promise that a CPU is dead, about nothing")]
        unsafe {
            shootdown.domain().declare_dead(CpuId::new(number));
        }
    }
    assert_eq!(effort(&shootdown), ordinary);
    assert_eq!(effort(&shootdown), ordinary);
}

#[test]
fn one_dead_cpu_costs_the_others_nothing_once_it_is_declared() {
    let shootdown = fake();
    let ordinary = effort(&shootdown);
    hang(&shootdown, [7]);
    let late = shootdown.start(&pinned(0), &[page()], &AllOnline, ());
    let late = late.wait(&pinned(0)).unwrap_err();
    // Until then each flush waits for it.
    let other = shootdown.flush(&pinned(2), &[page()], &AllOnline);
    assert!(matches!(other, Err(FlushError::NoAnswer { late: 1, .. })));
    // SAFETY: a host; nothing runs as the CPU any more.
    #[expect(unsafe_code, reason = "the promise that a CPU is dead, about nothing")]
    unsafe {
        shootdown.domain().declare_dead(CpuId::new(7));
    }
    let report = late.pending.stuck(&pinned(0)).to_string();
    assert!(
        report.ends_with(
            "CPU 7: no responder, offline, entries answered, 0 open entries, has flushed since"
        ),
        "{report}"
    );
    late.pending.wait(&pinned(0)).unwrap();
    for _ in 0..100 {
        assert_eq!(effort(&shootdown), ordinary);
    }
    assert_eq!(shootdown.statistics().slotless, 0);
}

#[test]
fn cpus_in_a_row_share_a_line_only_if_their_state_is_the_same() {
    let shootdown = fake();
    hang(&shootdown, [1, 2, 3, 5, 62, 63]);
    let domain = shootdown.domain();
    // SAFETY: a host; the CPU uses no translation.
    #[expect(unsafe_code, reason = "the promise of lazy TLB mode, about nothing")]
    unsafe {
        domain.enter_lazy(&pinned(2));
    }
    let none = TargetFn(|_: &_| CpuSet::from_words([1 << 62]));
    let own = shootdown.start(&pinned(63), &[page()], &none, ());
    let pending = shootdown.start(&pinned(9), &[page()], &AllOnline, ());
    let stuck = pending.stuck(&pinned(9));
    // Nothing was read of the clock, nothing tried again, and nothing requested.
    assert_eq!((stuck.waited(), stuck.full_flush()), (Duration::ZERO, None));
    let state = "software, slot 9 PENDING (0x01)";
    let full = "no full flush requested";
    assert_eq!(
        stuck.to_string(),
        format!(
            "TLB flush: CPU 9 has waited 0.000 ms for CPUs 0-8, CPUs 10-63 (63 CPUs)\n  \
             slot 9: 1 page of 4K from 0x400000 of PCID 5\n  \
             signal: last sent at 0.000 ms\n  \
             CPU 0 (APIC id 0x0): software, entries answered, {full}, 0 open entries\n  \
             CPU 1 (APIC id 0x2): {state}, {full}, 1 open entry\n  \
             CPU 2 (APIC id 0x4): {state}, lazy, {full}, 1 open entry\n  \
             CPU 3 (APIC id 0x6): {state}, {full}, 1 open entry\n  \
             CPU 4 (APIC id 0x8): software, entries answered, {full}, 0 open entries\n  \
             CPU 5 (APIC id 0xa): {state}, {full}, 1 open entry\n  \
             CPUs 6-8: software, entries answered, {full}, 0 open entries\n  \
             CPUs 10-61: software, entries answered, {full}, 0 open entries\n  \
             CPU 62 (APIC id 0x7c): {state}, {full}, 2 open entries\n  \
             CPU 63 (APIC id 0x7e): {state}, {full}, 1 open entry, own flushes in flight"
        ),
        "before the first look every target is named"
    );
    let mut pending = pending;
    assert!(pending.poll(&pinned(9)).is_pending());
    let late: Vec<_> = pending.stuck(&pinned(9)).cpus().iter().collect();
    assert_eq!(late, [1, 2, 3, 5, 62, 63].map(CpuId::new));
    assert_eq!(pending.stuck(&pinned(3)).waiter(), CpuId::new(3));
    for number in [1, 2, 3, 5, 62, 63] {
        shootdown.serve(&pinned(number));
    }
    pending.wait(&pinned(9)).unwrap();
    own.wait(&pinned(63)).unwrap();
}

#[test]
fn a_full_flush_that_was_asked_for_at_once_is_an_attempt_before_the_clock() {
    let shootdown = fake();
    shootdown.domain().limit_entries(0);
    hang(&shootdown, [7]);
    let pending = shootdown.start(&pinned(0), &[page()], &AllOnline, ());
    let attempts: Vec<_> = pending
        .stuck(&pinned(0))
        .attempts()
        .map(|tried| (tried.message, tried.after_micros, tried.sent))
        .collect();
    assert_eq!(attempts, [(Message::Interrupt, 0, Ok(()))]);
    let asked = pending.stuck(&pinned(0)).full_flush();
    assert_eq!(asked.map(|ticket| ticket.number()), Some(1));
    let shown = format!("{:?}", pending.stuck(&pinned(0)));
    assert!(shown.contains("waiter: CpuId(0)"), "{shown}");
    shootdown.serve(&pinned(7));
    pending.wait(&pinned(0)).unwrap();
}

#[test]
fn what_was_not_sent_is_said_with_its_cause() {
    let shootdown = fake();
    shootdown.machine().has_nmis.store(false, Ordering::Release);
    hang(&shootdown, [7]);
    let pending = shootdown.start(&pinned(0), &[page()], &AllOnline, ());
    let late = pending.wait(&pinned(0)).unwrap_err();
    let stuck = late.pending.stuck(&pinned(0));
    let nmi = stuck.attempts().find(|tried| tried.message == Message::Nmi);
    let nmi = nmi.unwrap();
    assert_eq!(nmi.sent, Err(NotSent::Unsupported));
    let line = "NMI: not sent at 1.030 ms, the machine offers no such message";
    assert_eq!(nmi.to_string(), line);
    assert!(stuck.to_string().contains(line), "{stuck}");
    // The interrupt was sent again instead.
    let interrupt = stuck
        .attempts()
        .find(|tried| tried.message == Message::Interrupt);
    assert_eq!(interrupt.unwrap().after_micros, nmi.after_micros);
}

/// Every byte of the slot is final then, so the slot is given back with the error.
#[test]
fn a_refusal_is_in_the_report() {
    let shootdown = fake();
    hang(&shootdown, [7]);
    let pending = shootdown.start(&pinned(0), &[page()], &AllOnline, ());
    // A TLB without room for CPU 7 refuses.
    let refused = shootdown.domain().answer(&pinned(7), &FakeTlb::<1>::new());
    assert_eq!(refused.failed, 1);
    let late = pending.wait(&pinned(0)).unwrap_err();
    let reports = shootdown.machine().reports.lock().unwrap();
    let report = reports.first().unwrap();
    assert!(
        report.contains("\n  slot 0: 1 page of 4K from 0x400000 of PCID 5\n"),
        "{report}"
    );
    assert!(
        report
            .contains("\n  CPU 7 (APIC id 0xe): software, slot 0 FAILURE, full flush 1 requested"),
        "{report}"
    );
    assert!(!report.contains("CPUs)"), "there is one: {report}");
    assert_eq!(shootdown.domain().free_and_quarantined_slots(), (64, 0));
    let refusal = (SlotIndex::new(0).unwrap(), ActionByte(0x80));
    assert!(
        matches!(late.error, FlushError::NoAnswer { entry, .. } if entry == Some(refusal)),
        "{late:?}"
    );
}

#[test]
fn an_entry_of_another_flush_in_the_same_slot_is_not_taken_for_its_own() {
    let shootdown = fake();
    hang(&shootdown, [7]);
    let silent = CpuId::new(7);
    let pending = shootdown.start(&pinned(0), &[page()], &AllOnline, ());
    let late = pending.wait(&pinned(0)).unwrap_err();
    let slot = SlotIndex::new(0).unwrap();
    let state = |pending: &rar_shootdown::Pending<'_, Told, (), 1>| {
        let stuck = pending.stuck(&pinned(0));
        let slots: Vec<_> = stuck.operations().map(|(slot, _)| slot).collect();
        let one = stuck.late_cpus().next().unwrap();
        assert_eq!((one.cpu, one.responder), (silent, Responder::Software));
        (slots, one.answer, one.has_flushed, one.open_entries)
    };
    let open = Some(Answer::Open(slot, ActionByte(1)));
    assert_eq!(state(&late.pending), (vec![slot], open, false, 1));

    // The late answer, and a new entry in the same slot of the same CPU, pending as the first was.
    shootdown.serve(&pinned(7));
    assert_eq!(
        state(&late.pending),
        (vec![slot], Some(Answer::Success), true, 0)
    );
    assert_eq!(shootdown.domain().reclaim_slots(), 1);
    let other = shootdown.start(&pinned(0), &[page()], &AllOnline, ());
    assert_eq!(
        state(&late.pending),
        (vec![], Some(Answer::Success), true, 1)
    );
    late.pending.wait(&pinned(0)).unwrap();
    shootdown.serve(&pinned(7));
    other.wait(&pinned(0)).unwrap();
    assert_eq!(shootdown.domain().free_and_quarantined_slots(), (64, 0));
}
