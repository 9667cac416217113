use rar_payload::{Globals, InvpcidScope, Operation, Pcid};

use super::*;
use crate::fake::{FakeTlb, pinned};
use crate::local_tlb::Unsupported;

const LAZILY: Skippable = Skippable::Lazy(Missed::AnySpace);

fn space(pcid: u16) -> Missed {
    Missed::Space(Pcid::new(pcid).unwrap())
}

fn skip(generation: &FlushGeneration, missed: Missed) {
    assert_eq!(
        generation.service(Skippable::Lazy(missed)),
        Service::Skipped
    );
}

/// What the CPU flushed on its way back: the operations, the last of them, the full flushes.
fn back(generation: &FlushGeneration, tlb: &FakeTlb<1>) -> (u64, Option<Operation>, u64) {
    let cpu = pinned(0);
    let before = (tlb.operations(cpu.id()), tlb.full_flushes(cpu.id()));
    assert!(generation.leave_lazy(&cpu, tlb).flushed);
    (
        tlb.operations(cpu.id()) - before.0,
        tlb.last_operation(cpu.id()),
        tlb.full_flushes(cpu.id()) - before.1,
    )
}

#[test]
fn a_request_of_any_number_is_one_to_answer() {
    let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
    assert!(!generation.is_asked());
    for bit in 0..47 {
        generation.request(Ticket(1 << bit));
        assert!(generation.is_asked(), "request 2^{bit}");
        assert!(generation.complete(&cpu, &tlb));
        assert!(!generation.is_asked(), "request 2^{bit}");
    }
}

#[test]
fn a_mode_and_what_was_missed_in_it_are_nothing_to_answer() {
    let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
    for number in [1, 2] {
        generation.enter_lazy();
        assert!(!generation.is_asked());
        skip(&generation, Missed::Anything);
        generation.enter_guest();
        assert!(!generation.is_asked());
        generation.request(Ticket(number));
        assert!(generation.is_asked());
        assert!(generation.complete(&cpu, &tlb));
        assert!(!generation.is_asked());
    }
    generation.demote();
    assert!(generation.is_asked(), "whether it may be armed again");
    generation.distrust();
    assert!(!generation.is_asked(), "only `verify` finds that out");
}

#[test]
fn one_flush_answers_all_requests_before_it() {
    let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
    generation.request(Ticket(1));
    generation.request(Ticket(3));
    generation.request(Ticket(2));
    assert!(!generation.is_completed(Ticket(1)));
    assert!(generation.complete(&cpu, &tlb));
    assert!(generation.is_completed(Ticket(3)) && !generation.is_completed(Ticket(4)));
    assert_eq!(tlb.full_flushes(cpu.id()), 1);
    assert!(!generation.complete(&cpu, &tlb));
    assert_eq!(tlb.full_flushes(cpu.id()), 1);
}

#[test]
fn a_status_says_what_was_asked_what_is_done_and_each_mode() {
    let generation = FlushGeneration::new();
    let says = || generation.status().to_string();
    assert_eq!(says(), "no full flush requested");
    generation.request(Ticket(3));
    assert_eq!(says(), "full flush 3 requested, 0 done");
    assert!(generation.complete(&pinned(0), &FakeTlb::<1>::new()));
    generation.enter_lazy();
    assert_eq!(says(), "lazy, full flush 3 requested, 3 done");
    generation.enter_guest();
    generation.demote();
    generation.distrust();
    let text = says();
    for mode in ["in a guest, ", "unit silent, ", "registers unverified, "] {
        assert!(text.contains(mode), "{mode}: {text}");
    }
}

#[test]
fn a_lazy_cpu_is_skipped_and_flushes_on_its_way_back() {
    let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
    assert_eq!(generation.service(LAZILY), Service::Entry);
    generation.enter_lazy();
    assert_eq!(generation.service(Skippable::Never), Service::Entry);
    assert_eq!(generation.service(Skippable::InGuest), Service::Entry);
    assert_eq!(generation.service(LAZILY), Service::Skipped);
    assert!(!generation.complete(&cpu, &tlb), "a mark is no request");
    let left = generation.leave_lazy(&cpu, &tlb);
    assert_eq!(
        (left.was_lazy, left.was_in_guest, left.flushed),
        (true, false, true)
    );
    assert_eq!(
        (tlb.operations(cpu.id()), tlb.full_flushes(cpu.id())),
        (1, 0)
    );
    assert!(!generation.leave_lazy(&cpu, &tlb).flushed, "once is enough");
    assert_eq!(generation.service(LAZILY), Service::Entry);
}

#[test]
fn a_cpu_flushes_what_it_missed_and_keeps_its_number() {
    let (generation, tlb) = (FlushGeneration::new(), FakeTlb::<1>::new());
    generation.request(Ticket(7));
    assert!(generation.complete(&pinned(0), &tlb));
    let pcid = Pcid::new(5).unwrap();
    let one = Operation::Invpcid(InvpcidScope::Context { pcid });
    let all = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Exclude));
    for (missed, expected) in [
        (&[space(5)] as &[_], (1, Some(one), 0)),
        (&[space(5), space(5)], (1, Some(one), 0)),
        (&[space(4), space(5)], (1, Some(all), 0)),
        // The second and the third share bits with the first.
        (&[space(4), space(5), space(0)], (1, Some(all), 0)),
        (&[space(5), Missed::AnySpace], (1, Some(all), 0)),
        (&[space(5), Missed::Anything], (0, Some(all), 1)),
        (&[Missed::Anything, space(5)], (0, Some(all), 1)),
    ] {
        generation.enter_lazy();
        missed.iter().for_each(|missed| skip(&generation, *missed));
        assert_eq!(back(&generation, &tlb), expected, "{missed:?}");
        assert_eq!(generation.newest(), Ticket(7));
    }
}

#[test]
fn what_a_guest_went_without_is_anything() {
    let (generation, tlb) = (FlushGeneration::new(), FakeTlb::<1>::new());
    generation.enter_lazy();
    skip(&generation, space(5));
    generation.enter_guest();
    skip(&generation, space(5));
    assert_eq!(back(&generation, &tlb), (0, None, 1));
}

/// A TLB whose flush is interrupted by a handler that needs user memory, and that refuses all
/// but full flushes.
struct Interrupted<'g> {
    generation: &'g FlushGeneration,
    tlb: FakeTlb<1>,
}

#[expect(unsafe_code, reason = "a fake makes the promises of the real thing")]
// SAFETY: there is no translation to keep.
unsafe impl LocalTlb for Interrupted<'_> {
    fn flush(&self, cpu: &PinnedCpu<'_>, _: &Operation) -> Result<(), Unsupported> {
        let left = self.generation.leave_lazy(cpu, &self.tlb);
        assert!(left.flushed, "the handler uses what was missed");
        Err(Unsupported)
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.tlb.flush_everything(cpu);
    }
}

#[test]
fn a_handler_on_the_way_back_flushes_for_itself_and_a_refusal_costs_a_full_flush() {
    let (generation, cpu) = (FlushGeneration::new(), pinned(0));
    let interrupted = Interrupted {
        generation: &generation,
        tlb: FakeTlb::new(),
    };
    generation.enter_lazy();
    skip(&generation, space(5));
    assert!(generation.leave_lazy(&cpu, &interrupted).flushed);
    let tlb = &interrupted.tlb;
    assert_eq!(
        (tlb.operations(cpu.id()), tlb.full_flushes(cpu.id())),
        (1, 1)
    );
    assert!(!generation.leave_lazy(&cpu, &interrupted).flushed);
}

#[test]
fn a_cpu_in_a_guest_is_skipped_but_for_freed_tables() {
    let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
    generation.enter_guest();
    assert_eq!(generation.service(Skippable::InGuest), Service::Skipped);
    assert_eq!(generation.service(Skippable::Never), Service::Generation);
    assert!(generation.leave_lazy(&cpu, &tlb).was_in_guest);
}

#[test]
fn a_request_of_a_lazy_cpu_is_served_at_once() {
    let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
    generation.enter_lazy();
    generation.request(Ticket(1));
    assert_eq!(generation.service(LAZILY), Service::Skipped);
    assert!(generation.complete(&cpu, &tlb));
    assert!(
        generation.is_completed(generation.newest()),
        "skipping adds nothing to wait for"
    );
}

#[test]
fn a_lazy_cpu_that_was_not_skipped_does_not_flush() {
    let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
    generation.enter_lazy();
    assert!(!generation.leave_lazy(&cpu, &tlb).flushed);
    assert!(
        !generation.leave_lazy(&cpu, &tlb).was_lazy,
        "leaving twice is harmless"
    );
    assert_eq!(tlb.full_flushes(cpu.id()), 0);
}

#[test]
fn a_demoted_cpu_is_served_by_generation_and_keeps_its_number() {
    let generation = FlushGeneration::new();
    generation.request(Ticket(5));
    assert!(generation.demote() && !generation.demote());
    assert_eq!(generation.service(LAZILY), Service::Generation);
    assert_eq!(generation.newest(), Ticket(5));
    assert!(generation.is_trusted_when_quiet());
    assert!(!generation.distrust() && !generation.is_trusted_when_quiet());
    assert!(generation.promote() && !generation.promote());
    assert_eq!(generation.service(LAZILY), Service::Entry);
    assert!(generation.distrust() && !generation.demote());
    assert!(generation.is_demoted() && !generation.is_trusted_when_quiet());
}
