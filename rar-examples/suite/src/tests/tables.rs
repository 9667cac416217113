//! A page table is replaced and may then be freed: all translations through it are flushed.

use rar_payload::{Request, TableOwner};

use crate::platform::{Access, Mapping, Platform, Scope};
use crate::space::Space;
use crate::test_run::{Participants, TestRun, new_frame, new_value, old_value};
use crate::tests::remap::{expect_flushed, map_and_touch};

const COUNT: u16 = 40;

pub(crate) fn freed_table<L: Platform>(t: &TestRun<'_, L>) {
    map_and_touch(t, 0, COUNT, Scope::Space);
    swap_and_control(t, Participants::All);
    t.step(Participants::Initiator, || t.flush(table_of_first_space(t)));
    expect_flushed(t, 0, COUNT);
}

/// Points the directory to a table with the new frames; `who` must still use the old ones.
pub(crate) fn swap_and_control<L: Platform>(t: &TestRun<'_, L>, participants: Participants) {
    t.step(Participants::Initiator, || {
        for page in 0..COUNT {
            let mapping = Mapping {
                frame: new_frame(page),
                access: Access::Write,
                scope: Scope::Space,
            };
            t.platform.map_in_spare(Space::First, page, Some(mapping));
        }
        t.platform.swap_tables(Space::First);
    });
    t.step(participants, || {
        for page in 0..COUNT {
            t.expect_stale(
                crate::platform::Page::Small(page),
                old_value(page),
                new_value(page),
            );
        }
    });
}

pub(crate) fn table_of_first_space<L: Platform>(t: &TestRun<'_, L>) -> Request {
    Request::TablesFreed(TableOwner::AddressSpace(t.platform.pcid(Space::First)))
}
