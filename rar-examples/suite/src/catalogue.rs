//! The list of tests.

use crate::lab::Lab;
use crate::tests::{
    deferred, interrupts, large_page, membership, nested, precision, remap, revoke, silent, slots,
    spaces, storm, tables, writers,
};
use crate::trial::Trial;

/// One test.
pub(crate) struct Test<L> {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Trial<'_, L>),
    pub(crate) least_cpus: u32,
    /// For more CPUs it has not enough pages or words.
    pub(crate) most_cpus: u32,
    pub(crate) rounds: Rounds,
    /// Whether the test is in the short list for CPUs that truly run at once.
    pub(crate) race: bool,
    /// Why the test makes the rare happen and asserts about it itself; otherwise no counter of the rare may move.
    pub(crate) rare: Option<&'static str>,
}

/// How often a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounds {
    /// Once for each CPU as initiator.
    EachInitiator,
    /// Once, since all CPUs initiate.
    Once,
}

/// Returns all tests in the order in which they run.
pub(crate) fn catalogue<L: Lab>() -> impl IntoIterator<Item = Test<L>> {
    [
        test("one-page", remap::one_page).race(),
        test("pages-2", remap::pages::<L, 2>),
        test("pages-33", remap::pages::<L, 33>),
        test("pages-62", remap::pages::<L, 62>),
        test("pages-63", remap::pages::<L, 63>),
        test("pages-64", remap::pages::<L, 64>),
        test("pages-500", remap::pages::<L, 500>),
        test("address-space", remap::address_space),
        test("everything", remap::everything),
        test("global-page", remap::global_page),
        test("several-requests", remap::several_requests),
        test("large-page", large_page::large_page),
        test("freed-table", tables::freed_table),
        test("neighbours-1", precision::neighbours::<L, 1>),
        test("neighbours-4", precision::neighbours::<L, 4>).race(),
        test("neighbours-64", precision::neighbours::<L, 64>),
        test("subset-of-targets", precision::subset).on(2),
        test("two-spaces", spaces::two_spaces).on(2),
        test("revoke-write", revoke::revoke_write),
        test("writer-plain", writers::plain).up_to(512).on(2),
        test("writer-non-temporal", writers::non_temporal)
            .up_to(512)
            .on(2),
        test("target-halted", interrupts::halted).on(2).race(),
        test("target-interrupts-off", interrupts::off).on(2).race(),
        test("deferred-is-spared", deferred::is_spared).on(2),
        test("deferred-not-for-tables", deferred::not_for_tables).on(2),
        test("flush-from-interrupt", nested::from_interrupt).race(),
        test("targets-change", membership::targets_change).on(2),
        test("more-requests-than-slots", slots::more_requests)
            .on(2)
            .rare("flushes beyond the last slot go by generation"),
        test("one-slot-for-all", slots::one_slot_for_all)
            .up_to(slots::ONE_SLOT_CPUS)
            .on(2)
            .rare("who finds no slot in time goes by generation"),
        test("signal-unheard", silent::signal_unheard)
            .on(2)
            .rare("the fallback is what is tested"),
        test("target-silent", silent::target_silent)
            .on(2)
            .rare("fallback, error and quarantine are what is tested"),
        test("storm-interrupts-off", storm::interrupts_off)
            .up_to(512)
            .once(),
        test("storm", storm::storm).up_to(512).once().race(),
    ]
}

fn test<L>(name: &'static str, run: fn(&Trial<'_, L>)) -> Test<L> {
    Test {
        name,
        run,
        least_cpus: 1,
        most_cpus: u32::MAX,
        rounds: Rounds::EachInitiator,
        race: false,
        rare: None,
    }
}

impl<L> Test<L> {
    fn on(self, least_cpus: u32) -> Self {
        Self { least_cpus, ..self }
    }

    fn up_to(self, most_cpus: u32) -> Self {
        Self { most_cpus, ..self }
    }

    fn once(self) -> Self {
        Self {
            rounds: Rounds::Once,
            ..self
        }
    }

    fn race(self) -> Self {
        Self { race: true, ..self }
    }

    fn rare(self, why: &'static str) -> Self {
        Self {
            rare: Some(why),
            ..self
        }
    }
}
