//! An entry acts on the address space that it names, not on the one that the CPU runs in.

use rar_payload::{InvpcidScope, Operation, PageSize};

use crate::failure::Assertion::{Control, Flushed, Mapped, Precise};
use crate::platform::Platform;
use crate::space::Space;
use crate::test_run::{Participants, TestRun};
use crate::tests::spaces::{PAGE, frame, map, value};
use crate::tests::unit::bench::{Bench, FIRST, SERVING, without_driver};

/// The targets run in the second space; entries name the first. Translations of the second stay,
/// and those of the first are gone when the targets return to it.
pub(crate) fn other_space<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let pcid = bench.pcid();
        let context = Operation::Invpcid(InvpcidScope::Context { pcid });
        for operation in [bench.range(PAGE, 0, 1, PageSize::Size4K), context] {
            flush_from_elsewhere(bench, operation);
        }
    });
}

fn flush_from_elsewhere<L: Platform>(bench: &Bench<'_, '_, L>, operation: Operation) {
    let t = bench.t;
    t.step(Participants::All, || t.platform.flush_own_tlb());
    t.step(Participants::Initiator, || {
        for space in [Space::First, Space::Second] {
            t.platform.store_frame(frame(space, 0), 0, value(space, 0));
            t.platform.store_frame(frame(space, 1), 0, value(space, 1));
            map(t, space, 0);
        }
    });
    t.step(Participants::All, || {
        t.expect(Mapped, PAGE, value(Space::First, 0));
        t.platform.enter_keeping(Space::Second);
        t.expect(Mapped, PAGE, value(Space::Second, 0));
    });
    t.step(Participants::Initiator, || {
        map(t, Space::First, 1);
        map(t, Space::Second, 1);
    });
    t.step(Participants::All, || {
        t.platform.enter_keeping(Space::First);
        t.expect_stale(PAGE, value(Space::First, 0), value(Space::First, 1));
        t.platform.enter_keeping(Space::Second);
        t.expect(Control, PAGE, value(Space::Second, 0));
        bench.program(SERVING);
    });
    t.step(Participants::Initiator, || {
        bench.flush_others(FIRST, operation)
    });
    t.step(Participants::Others, || {
        t.expect(Precise, PAGE, value(Space::Second, 0));
        t.platform.enter_keeping(Space::First);
        t.expect(Flushed, PAGE, value(Space::First, 1));
    });
    // Also after a failed assertion: later tests run in the first space.
    t.platform.enter_keeping(Space::First);
}
