//! What a CPU that is online does for flushes, and which of them it is skipped for.

use super::*;

#[test]
fn an_entry_that_cannot_be_decoded_is_refused() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let cpu = pinned(0);
    let _online = software(&domain, &cpu, &tlb);
    store(&domain, 2, &NO_KNOWN_TYPE);
    arm(state, 2);
    let served = domain.answer(&cpu, &tlb);
    assert_eq!((served.succeeded, served.failed), (0, 1));
    assert_eq!(
        state.vector().load(slot(2)).state(),
        Ok(ActionState::Failure)
    );
}

#[test]
fn a_cpu_is_asked_for_what_its_responder_is_to_do_and_nothing_else() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let states: [_; 2] = registered(&domain);
    let (registers, [unit, handler]) = (FakeCpu::with_rar(63), [pinned(0), pinned(1)]);
    let _unit = microcode(&domain, &unit, &registers, &tlb);
    let _handler = software(&domain, &handler, &tlb);
    let are_asked = || [&unit, &handler].map(|cpu| domain.asked(cpu).is_some());
    assert_eq!(are_asked(), [false; 2]);
    for cpu in [&unit, &handler] {
        // SAFETY: a host; the CPU uses no translation.
        unsafe { domain.enter_lazy(cpu) };
    }
    assert_eq!(are_asked(), [false; 2], "a mode is no request");
    store(&domain, 2, &EVERYTHING.encode());
    for state in states {
        arm(state, 2);
    }
    assert_eq!(are_asked(), [false, true], "the unit answers for CPU 0");
    assert_eq!(domain.answer(&handler, &tlb).succeeded, 1);
    assert_eq!(are_asked(), [false; 2]);
    let _ticket = domain.request_full_flush(&set(&[0, 1]));
    assert_eq!(are_asked(), [true; 2]);
    for cpu in [&unit, &handler] {
        assert!(domain.answer(cpu, &tlb).generation);
    }
    assert_eq!(are_asked(), [false; 2]);
}

#[test]
fn a_generation_is_served_alone_and_once() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let cpu = pinned(0);
    let _online = software(&domain, &cpu, &tlb);
    arm(state, 2);
    assert!(!domain.complete_generation(&cpu, &tlb), "none is requested");
    let ticket = domain.request_full_flush(&set(&[0]));
    assert!(domain.complete_generation(&cpu, &tlb));
    assert!(domain.is_flushed(cpu.id(), ticket));
    assert!(!domain.complete_generation(&cpu, &tlb), "it is served");
    assert_eq!(state.vector().load(slot(2)), ActionByte(1));
}

#[test]
fn many_entries_for_one_space_cost_one_flush_of_it_and_few_are_exact() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let cpu = pinned(0);
    let _online = software(&domain, &cpu, &tlb);
    let pcid = Pcid::new(5).unwrap();
    let range = PageRange::new(0x40_0000, 11, PageSize::Size4K).unwrap();
    let pages = PageChunk::new(range).unwrap();
    let pages = Operation::Invpcid(InvpcidScope::Pages { pcid, pages });
    let space = Operation::Invpcid(InvpcidScope::Context { pcid });
    let full = tlb.full_flushes(cpu.id());
    // Four may be those of one flush. Of more, 34 pages are dearer than the space.
    for (entries, flushes, last) in [(4, 4, pages), (5, 1, space), (63, 1, space)] {
        for index in 0..entries {
            store(&domain, index, &pages.encode());
            arm(state, index);
        }
        // What no flush answers is refused, whatever the others are.
        store(&domain, 63, &NO_KNOWN_TYPE);
        arm(state, 63);
        let before = tlb.operations(cpu.id());
        let served = domain.answer(&cpu, &tlb);
        assert_eq!((served.succeeded, served.failed), (entries, 1));
        assert_eq!(tlb.operations(cpu.id()) - before, flushes);
        assert_eq!(tlb.last_operation(cpu.id()), Some(last));
        for index in 0..64 {
            let expected = match index {
                63 => ActionState::Failure,
                _ => ActionState::Success,
            };
            let state = state.vector().load(slot(index)).state();
            assert_eq!(state, Ok(expected), "slot {index} of {entries}");
        }
    }
    assert_eq!(tlb.full_flushes(cpu.id()), full);
}

#[test]
fn lazy_mode_ends_when_the_cpu_comes_back() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [_] = registered(&domain);
    let cpu = pinned(0);
    let online = software(&domain, &cpu, &tlb);
    // SAFETY: a host; the CPU uses no translation.
    unsafe { domain.enter_lazy(&cpu) };
    let is_skipped = || {
        let mut targets = set(&[0]);
        let by_generation = domain.sort_targets(&mut targets, LAZILY);
        assert!(by_generation.is_empty());
        targets.is_empty()
    };
    assert!(is_skipped());
    // SAFETY: a host; the CPU uses no translation.
    unsafe { online.take_offline(&cpu, &tlb) }.unwrap();
    let _back = software(&domain, &cpu, &tlb);
    assert!(!is_skipped());
    assert!(!domain.leave_lazy(&cpu, &tlb).flushed, "no mark was left");
}

#[test]
fn a_demoted_cpu_is_armed_again_when_its_unit_has_answered_all_and_not_before() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [state] = registered(&domain);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    let _unit = microcode(&domain, &cpu, &registers, &tlb);
    arm(state, 5);
    assert!(domain.demote(cpu.id()));
    let _ticket = domain.request_full_flush(&set(&[0]));
    let served = domain.answer(&cpu, &tlb);
    assert!(served.generation && !served.promoted);
    assert!(state.generation().is_demoted());
    // The unit answers, late as it is.
    write_byte(state, 5, 0);
    assert!(domain.answer(&cpu, &tlb).promoted);
    assert!(!state.generation().is_demoted() && domain.takes_entries_only());
}

#[test]
fn a_domain_tells_who_is_online_and_whether_one_of_some_cpus_is_lazy() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [_, _, _] = registered(&domain);
    let _zero = software(&domain, &pinned(0), &tlb);
    let _one = software(&domain, &pinned(1), &tlb);
    let mut online = set(&[1, 2, 5]);
    domain.keep_online(&mut online);
    assert_eq!(online, set(&[1]));
    let has_lazy = |cpus: &[u32]| domain.has_lazy(&set(cpus));
    assert_eq!([has_lazy(&[0, 1]), has_lazy(&[])], [false; 2]);
    // SAFETY: a host; the CPU uses no translation.
    unsafe { domain.enter_lazy(&pinned(1)) };
    assert_eq!([has_lazy(&[0, 1]), has_lazy(&[1])], [true; 2]);
    assert!(!has_lazy(&[0]));
}

#[test]
fn targets_are_sorted_by_how_they_are_to_be_flushed() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let states: [_; 4] = registered(&domain);
    let registers = FakeCpu::with_rar(63);
    let _zero = software(&domain, &pinned(0), &tlb);
    let _one = software(&domain, &pinned(1), &tlb);
    let _two = software(&domain, &pinned(2), &tlb);
    let _three = microcode(&domain, &pinned(3), &registers, &tlb);
    // SAFETY: a host; the CPU uses no translation.
    unsafe { domain.enter_lazy(&pinned(1)) };
    // SAFETY: a host; the CPU uses no translation.
    unsafe { domain.enter_guest(&pinned(2)) }.unwrap();
    assert!(domain.demote(CpuId::new(3)) && !domain.demote(CpuId::new(3)));
    assert!(!domain.demote(CpuId::new(0)), "software is never demoted");
    assert!(!domain.demote(CpuId::new(9)), "no such CPU is there");
    assert!(states[3].generation().is_demoted());
    let sorted = |skippable| {
        let mut entry = set(&[0, 1, 2, 3]);
        let by_generation = domain.sort_targets(&mut entry, skippable);
        (entry, by_generation)
    };
    assert_eq!(sorted(Skippable::Never), (set(&[0, 1]), set(&[2, 3])));
    assert_eq!(sorted(Skippable::InGuest), (set(&[0, 1]), set(&[3])));
    assert_eq!(sorted(LAZILY), (set(&[0]), set(&[3])));
    assert!(domain.answer(&pinned(3), &tlb).promoted);
    let left = domain.leave_lazy(&pinned(1), &tlb);
    assert!(left.was_lazy && !left.was_in_guest && left.flushed);
    let left = domain.leave_lazy(&pinned(2), &tlb);
    assert!(!left.was_lazy && left.was_in_guest && left.flushed);
    assert_eq!(sorted(LAZILY), (set(&[0, 1, 2, 3]), set(&[])));
    assert_eq!(
        states.map(|state| state.generation().is_demoted()),
        [false; 4]
    );
}

#[test]
fn a_cpu_whose_microcode_answers_enters_no_guest() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let [_] = registered(&domain);
    let (registers, cpu) = (FakeCpu::with_rar(63), pinned(0));
    let _enabled = microcode(&domain, &cpu, &registers, &tlb);
    // SAFETY: a host; the CPU uses no translation.
    let refused = unsafe { domain.enter_guest(&cpu) };
    assert_eq!(refused, Err(LifeCycleError::GuestUnderRar(cpu.id())));
    let mut targets = set(&[0]);
    assert!(
        domain
            .sort_targets(&mut targets, Skippable::InGuest)
            .is_empty()
    );
    assert_eq!(targets, set(&[0]), "it was not marked");
}

#[test]
fn entries_have_one_owner_from_the_claim_to_the_last_answer() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    let states: [_; 2] = registered(&domain);
    let _zero = software(&domain, &pinned(0), &tlb);
    let _one = software(&domain, &pinned(1), &tlb);
    let cpu = pinned(0);
    let context = |pcid| {
        Operation::Invpcid(InvpcidScope::Context {
            pcid: Pcid::new(pcid).unwrap(),
        })
    };
    assert_eq!(
        domain.claim(&cpu, 100).map(|claimed| claimed.len()),
        Some(4)
    );
    assert_eq!(domain.claim(&cpu, 0).map(|claimed| claimed.len()), Some(1));
    assert_eq!(
        domain.free_and_quarantined_slots(),
        (64, 0),
        "dropped, they are back"
    );

    let claimed = domain.claim(&cpu, 2).unwrap();
    assert!(domain.holds_slots(cpu.id()) && !domain.holds_slots(CpuId::new(1)));
    let too_many = [context(1), context(2), context(3)];
    let claimed = claimed.post(&too_many, &set(&[1])).unwrap_err();
    assert!(states[1].vector().is_quiet(), "nothing was armed");
    assert_eq!(claimed.len(), 2);
    // One operation: the second slot is given back.
    let mut posted = claimed.post(&[context(7)], &set(&[1])).unwrap();
    assert_eq!(posted.look_on_single(), Some(Progress::Open));
    assert_eq!(domain.free_and_quarantined_slots(), (63, 0));
    assert!(!posted.look());
    assert_eq!(posted.open(), &set(&[1]));
    assert!(matches!(
        posted.answer(CpuId::new(1)),
        Answer::Open(_, ActionByte(1))
    ));
    assert_eq!(posted.answer(CpuId::new(0)), Answer::Success, "not asked");
    assert_eq!(domain.answer(&pinned(1), &tlb).succeeded, 1);
    assert!(posted.look());
    assert!(posted.settle().is_empty());
    assert_eq!(posted.look_on_single(), None, "it has no entry any more");
    assert_eq!(domain.free_and_quarantined_slots(), (64, 0));
    assert_eq!(tlb.last_operation(CpuId::new(1)), Some(context(7)));

    // Dropped before the answer, the slot is set apart; the late answer frees it, and no other
    // flush gets it before.
    domain.limit_entries(1);
    drop(
        domain
            .claim(&cpu, 1)
            .unwrap()
            .post(&[context(8)], &set(&[1]))
            .unwrap(),
    );
    assert_eq!(domain.free_and_quarantined_slots(), (0, 1));
    assert!(domain.claim(&cpu, 1).is_none());
    assert_eq!(domain.reclaim_slots(), 0);
    assert_eq!(domain.answer(&pinned(1), &tlb).succeeded, 1);
    assert_eq!(domain.reclaim_slots(), 1);
    assert_eq!(domain.free_and_quarantined_slots(), (1, 0));
}
