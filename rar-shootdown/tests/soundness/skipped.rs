//! Which flushes a lazy CPU, or one in a guest, may go without.

use rar_payload::{
    Globals, InvpcidScope, Operation, PageRange, PageSize, Pcid, Request, TableOwner,
};
use rar_percpu::LifeCycleError;
use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, LazySkip, Policy};

use crate::world::{Flushed, Kind, Takes, assert_slots, pages, policy, space, world};

const USER: u64 = 0x40_0000;
const LAST_USER: u64 = 0x7fff_ffff_f000;
const SPACE_5: Flushed = Flushed::Operation(Operation::Invpcid(InvpcidScope::Context {
    pcid: match Pcid::new(5) {
        Ok(pcid) => pcid,
        Err(_) => Pcid::ZERO,
    },
}));
const KERNEL: u64 = 0xffff_8000_0000_0000;

fn with(lazy: LazySkip) -> Policy {
    let mut policy = policy();
    policy.lazy = lazy;
    policy
}

fn all_kinds() -> [(&'static str, Request); 8] {
    let range = PageRange::page(USER, PageSize::Size4K).unwrap();
    let freed = TableOwner::AddressSpace(rar_payload::Pcid::ZERO);
    [
        ("user pages", pages(5, USER, 3)),
        ("the last user page", pages(5, LAST_USER, 1)),
        ("kernel pages", pages(5, KERNEL, 1)),
        ("a space", space(5)),
        ("global pages", Request::GlobalPages { range }),
        ("freed tables", Request::TablesFreed(freed)),
        (
            "everything",
            Request::Everything {
                globals: Globals::Exclude,
            },
        ),
        (
            "freed kernel tables",
            Request::TablesFreed(TableOwner::Kernel),
        ),
    ]
}

/// Which of the kinds above skip a CPU in lazy TLB mode, under a policy.
fn skipped(lazy: LazySkip) -> Vec<&'static str> {
    let mut skipped = Vec::new();
    for (name, request) in all_kinds() {
        let (shootdown, _cpus) = world(with(lazy), &[Kind::Microcode, Kind::Microcode]);
        let (machine, domain) = (shootdown.machine(), shootdown.domain());
        // SAFETY: a host; the CPU uses no translation.
        unsafe { domain.enter_lazy(&pinned(1)) };
        shootdown.flush(&pinned(0), &[request], &AllOnline).unwrap();
        let was_skipped = machine.tlb.of(1).is_empty();
        // A CPU that is skipped makes up for it, and the others do not.
        let left = domain.leave_lazy(&pinned(1), &machine.tlb);
        assert!(left.was_lazy);
        assert_eq!(left.flushed, was_skipped, "{name}");
        if was_skipped {
            assert_eq!(machine.tlb.of(1), [SPACE_5], "{name}");
        }
        assert_eq!(machine.tlb.full_flushes(1), 0, "{name}");
        // A control: the same flush reaches it when it is not lazy.
        machine.tlb.clear();
        shootdown.flush(&pinned(0), &[request], &AllOnline).unwrap();
        assert_eq!(machine.tlb.operations(1), 1, "{name}");
        // One request that may not be skipped is enough for all of a flush.
        // SAFETY: a host; the CPU uses no translation.
        unsafe { domain.enter_lazy(&pinned(1)) };
        machine.tlb.clear();
        let mixed = [request, pages(5, KERNEL, 1)];
        shootdown.flush(&pinned(0), &mixed, &AllOnline).unwrap();
        assert!(!machine.tlb.of(1).is_empty(), "{name} with kernel pages");
        if was_skipped {
            skipped.push(name);
        }
        assert_slots(shootdown, 0, "all is answered");
    }
    skipped
}

#[test]
fn finding_08_by_default_a_lazy_cpu_is_flushed_as_any_other() {
    assert_eq!(Policy::new().lazy, LazySkip::Nothing);
    assert_eq!(skipped(LazySkip::Nothing), [] as [&str; 0]);
}

#[test]
fn finding_08_a_space_is_skipped_only_where_the_kernel_says_that_it_has_no_page_of_its_own() {
    let pages_alone = ["user pages", "the last user page"];
    assert_eq!(skipped(LazySkip::LOWER_HALF_PAGES), pages_alone);
    let with_spaces = ["user pages", "the last user page", "a space"];
    assert_eq!(skipped(LazySkip::LOWER_HALF), with_spaces);
}

#[test]
fn what_is_user_memory_is_the_kernels_to_say_to_the_last_byte() {
    for (first, last, expected) in [
        (USER, USER + 0x2fff, true),
        (USER + 1, USER + 0x2fff, false),
        (USER, USER + 0x2ffe, false),
    ] {
        let skip = LazySkip::Pages { first, last };
        assert_eq!(skipped(skip).contains(&"user pages"), expected);
    }
}

#[test]
fn finding_07_a_handler_learns_whether_to_enter_lazy_mode_again() {
    let (shootdown, _cpus) = world(with(LazySkip::LOWER_HALF), &[Kind::Software; 2]);
    let (domain, tlb) = (shootdown.domain(), &shootdown.machine().tlb);
    let outer = domain.leave_lazy(&pinned(1), tlb);
    assert!(
        !outer.was_lazy,
        "a handler that interrupts no lazy CPU enters nothing"
    );
    // SAFETY: a host; the CPU uses no translation.
    unsafe { domain.enter_lazy(&pinned(1)) };
    assert!(domain.leave_lazy(&pinned(1), tlb).was_lazy);
}

#[test]
fn finding_09_a_unit_is_not_trusted_to_flush_under_a_guest() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Software, Kind::Microcode]);
    let domain = shootdown.domain();
    // SAFETY: a host; the CPU uses no translation.
    let refused = unsafe { domain.enter_guest(&pinned(1)) };
    assert_eq!(refused, Err(LifeCycleError::GuestUnderRar(pinned(1).id())));
    // It is flushed as ever.
    shootdown
        .flush(&pinned(0), &[space(5)], &AllOnline)
        .unwrap();
    assert_eq!(shootdown.machine().tlb.operations(1), 1);
}

#[test]
fn finding_09_a_cpu_in_a_guest_flushes_at_its_exit_and_at_once_for_freed_tables() {
    for (name, request) in all_kinds() {
        let (shootdown, _cpus) = world(policy(), &[Kind::Software, Kind::Software]);
        let (machine, domain) = (shootdown.machine(), shootdown.domain());
        // SAFETY: a host; the CPU uses no translation.
        unsafe { domain.enter_guest(&pinned(1)) }.unwrap();
        let tables = name.contains("tables");
        // Only a request that needs it ends the guest.
        machine.set_takes(
            1,
            if tables {
                Takes::Interrupts
            } else {
                Takes::Nothing
            },
        );
        shootdown.flush(&pinned(0), &[request], &AllOnline).unwrap();
        let generation = usize::from(tables);
        assert_eq!(machine.sent(), [0, 0, generation, 0], "{name}");
        assert_eq!(machine.tlb.full_flushes(1), generation, "{name}");
        assert_eq!(shootdown.statistics().by_generation, u64::from(tables));
        let left = domain.leave_lazy(&pinned(1), &machine.tlb);
        assert!(left.was_in_guest && left.flushed != tables, "{name}");
        machine.set_takes(1, Takes::Interrupts);
        machine.tlb.clear();
        shootdown.flush(&pinned(0), &[request], &AllOnline).unwrap();
        assert_eq!(machine.tlb.operations(1), 1, "{name}: a control");
        assert_slots(shootdown, 0, "all is answered");
    }
}
