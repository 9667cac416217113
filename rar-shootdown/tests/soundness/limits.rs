//! Whatever the limits of policy and table, all that was asked for is flushed on every target.

use rar_payload::{
    Globals, InvpcidScope, Operation, PageRange, PageSize, Pcid, Request, TableOwner,
};
use rar_percpu::fake::pinned;
use rar_shootdown::AllOnline;

use crate::world::{Flushed, Kind, Unit, assert_slots, pages, policy, space, world};

/// Whether what a CPU did drops every translation that a request names, judged without the code
/// under test.
fn covers(done: &[Flushed], request: &Request) -> bool {
    let drops_space = |pcid: Pcid, flushed: &Flushed| match flushed {
        Flushed::Everything => true,
        Flushed::Operation(Operation::Invpcid(scope)) => match scope {
            InvpcidScope::AllContexts(_) => true,
            InvpcidScope::Context { pcid: of } => *of == pcid,
            InvpcidScope::Pages { .. } => false,
        },
        Flushed::Operation(_) => false,
    };
    let drops_globals = |flushed: &Flushed| {
        let all = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
        matches!(flushed, Flushed::Everything) || *flushed == Flushed::Operation(all)
    };
    let drops_page = |pcid: Pcid, address: u64, flushed: &Flushed| match flushed {
        Flushed::Operation(Operation::Invpcid(InvpcidScope::Pages { pcid: of, pages })) => {
            let end = pages.start() + u64::from(pages.page_count()) * pages.size().bytes();
            *of == pcid && (pages.start()..end).contains(&address)
        }
        flushed => drops_space(pcid, flushed),
    };
    match *request {
        Request::Pages { pcid, range } => (0..range.page_count()).all(|page| {
            let address = range.start() + page * range.size().bytes();
            done.iter()
                .any(|flushed| drops_page(pcid, address, flushed))
        }),
        Request::AddressSpace { pcid } | Request::TablesFreed(TableOwner::AddressSpace(pcid)) => {
            done.iter().any(|flushed| drops_space(pcid, flushed))
        }
        Request::Everything {
            globals: Globals::Exclude,
        } => done.iter().any(|flushed| {
            drops_globals(flushed)
                || *flushed
                    == Flushed::Operation(Operation::Invpcid(InvpcidScope::AllContexts(
                        Globals::Exclude,
                    )))
        }),
        _ => done.iter().any(drops_globals),
    }
}

fn batches() -> Vec<Vec<Request>> {
    let range = PageRange::new(0x4000_0000, 3, PageSize::Size2M).unwrap();
    let large = Request::Pages {
        pcid: Pcid::ZERO,
        range,
    };
    let user = |count| pages(5, 0x40_0000, count);
    vec![
        vec![user(1)],
        vec![user(63)],
        vec![user(64)],
        vec![user(63 * 4)],
        vec![user(63 * 4 + 1)],
        vec![space(1), space(2), space(3), space(4)],
        vec![space(1), space(2), space(3), space(4), space(5)],
        (1..20).map(space).collect(),
        (1..20)
            .map(|page| pages(page, u64::from(page) << 20, 2))
            .collect(),
        (0..9).map(|page| pages(7, page << 12, 1)).collect(),
        vec![large, user(5), space(9)],
        vec![user(200), pages(6, 0x40_0000, 200)],
        vec![user(3), Request::GlobalPages { range }],
        vec![
            space(1),
            space(2),
            space(3),
            space(4),
            Request::TablesFreed(TableOwner::Kernel),
        ],
        vec![
            user(3),
            space(1),
            space(2),
            space(3),
            Request::Everything {
                globals: Globals::Exclude,
            },
        ],
    ]
}

#[test]
fn no_operation_is_lost_to_a_limit_of_the_policy_or_of_the_table() {
    for max_operations in [0, 1, 2, 3, 4, 5, usize::MAX] {
        for entries in [0, 1, 2, 3, 4, 64] {
            let mut policy = policy();
            policy.max_operations = max_operations;
            let kinds = [Kind::Software, Kind::Microcode, Kind::Software];
            let (shootdown, _cpus) = world(policy, &kinds);
            shootdown.domain().limit_entries(entries);
            let machine = shootdown.machine();
            for requests in batches() {
                machine.tlb.clear();
                let before = machine.sent();
                shootdown.flush(&pinned(0), &requests, &AllOnline).unwrap();
                for cpu in 0..3 {
                    let done = machine.tlb.of(cpu);
                    let missing = requests.iter().find(|request| !covers(&done, request));
                    assert_eq!(
                        missing, None,
                        "CPU {cpu}, {max_operations} operations, {entries} entries: {done:?}"
                    );
                    let most = max_operations.clamp(1, 4).min(usize::from(entries).max(1));
                    assert!(
                        cpu == 0 || done.len() <= most,
                        "CPU {cpu} did {done:?} for {requests:?}"
                    );
                }
                let after = machine.sent();
                let messages: usize = after.iter().sum::<usize>() - before.iter().sum::<usize>();
                assert_eq!(messages, 1, "one message for all");
            }
            assert_slots(shootdown, 0, "all is answered");
        }
    }
}

/// A control of `covers`.
#[test]
fn what_does_less_covers_nothing() {
    let asked = pages(5, 0x40_0000, 64);
    let done: Vec<_> = asked.operations().map(Flushed::Operation).collect();
    assert!(covers(&done, &asked));
    assert!(!covers(&done[..1], &asked));
    assert!(!covers(&done[1..], &asked));
    assert!(!covers(&done, &pages(6, 0x40_0000, 1)));
    assert!(!covers(&done, &space(5)));
    assert!(!covers(&[], &asked));
}

/// Each operation of a batch is awaited, not the first alone.
#[test]
fn a_batch_has_ended_when_its_last_operation_has() {
    for unanswered in 0..4 {
        let (shootdown, _cpus) = world(policy(), &[Kind::Software, Kind::Microcode]);
        let (machine, domain) = (shootdown.machine(), shootdown.domain());
        machine.set_unit(1, Unit::Later);
        let pending = shootdown.start(&pinned(0), &crate::world::four(), &AllOnline, ());
        let state = domain.cpu(crate::world::cpu_id(1)).unwrap();
        let slots: Vec<_> = rar_percpu::SlotIndex::all()
            .filter(|slot| !state.vector().load(*slot).is_final())
            .collect();
        assert_eq!(slots.len(), 4);
        for (index, slot) in slots.iter().enumerate() {
            if index != unanswered {
                crate::world::write_byte(state, *slot, 0);
            }
        }
        assert!(!pending.is_done());
        let pending = pending.try_wait(&pinned(0)).unwrap_err();
        crate::world::write_byte(state, slots[unanswered], 0);
        assert!(pending.is_done());
        pending.wait(&pinned(0)).unwrap();
        assert_slots(shootdown, 0, "all is answered");
    }
}
