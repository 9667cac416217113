//! The list of tests.

use core::fmt;

use crate::lab::Lab;
use crate::measure::{self, MEASUREMENTS};
use crate::suite::Options;
use crate::tests::{
    deferred, guest, interrupts, large_page, membership, nested, precision, remap, revoke, silent,
    slots, spaces, storm, tables, unit, user, writers,
};
use crate::trial::Trial;
use crate::units::Ability;

/// One test.
pub(crate) struct Test<L> {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Trial<'_, L>),
    pub(crate) least_cpus: u32,
    /// For more CPUs it has not enough pages or words.
    pub(crate) most_cpus: u32,
    pub(crate) rounds: Rounds,
    /// What the test uses of RAR units in place of the driver, if it does.
    pub(crate) units: Option<UnitNeeds>,
    /// Whether CPUs interrupt themselves in the test.
    interrupts: bool,
    /// Whether the test needs [`Lab::has_nmi`].
    nmi: bool,
    /// Whether the test needs [`UserMode`](crate::UserMode).
    pub(crate) user: bool,
    /// Whether the test needs [`Guest`](crate::Guest).
    pub(crate) guest: bool,
    /// Whether the test is in the short list for CPUs that truly run at once.
    pub(crate) race: bool,
    /// Why the test makes the rare happen and asserts about it itself; otherwise no counter of the rare may move.
    pub(crate) rare: Option<&'static str>,
    /// The open question that the test answers, by the id of its row in `docs/questions.md`.
    pub(crate) question: Option<&'static str>,
    /// What may come of the test on a real machine, if it is run only when asked for.
    pub(crate) risk: Option<&'static str>,
}

/// What a test needs of RAR units beside their being there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnitNeeds {
    /// Nothing.
    Plain,
    /// What not every machine can do.
    Able(Ability),
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
        test("target-takes-nmi", interrupts::off_for_good)
            .on(2)
            .by_nmi()
            .rare("fallback and NMI are what is tested"),
        test("target-in-user-mode", user::target)
            .on(2)
            .once()
            .in_user_mode(),
        test("target-in-guest", guest::target)
            .on(2)
            .in_guest()
            .answers("6-guest"),
        test("deferred-is-spared", deferred::is_spared).on(2),
        test("deferred-not-for-tables", deferred::not_for_tables).on(2),
        test("flush-from-interrupt", nested::from_interrupt)
            .interrupted()
            .race(),
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
    .into_iter()
    .chain(below_the_driver())
    .chain([test(MEASUREMENTS, measure::run)
        .once()
        .rare("each point says how often something else took part")
        .answers("8-numbers")])
}

/// The tests of units, which a machine without them skips.
fn below_the_driver<L: Lab>() -> impl IntoIterator<Item = Test<L>> {
    use unit::{
        again, combinations, commands, delivery, destinations, disabled, entries, enumeration,
        foreign, guest, idle, interrupts, itself, late, lost, meanings, nmi, order, pages,
        registers, rescan, reserved, reset, spaces, stores, strings,
    };
    [
        unit_test("unit-registers", registers::legal).answers("1-enumeration"),
        unit_test("unit-control-bits", registers::control_bits).answers("2-reserved-bits"),
        unit_test("unit-base-bits", registers::base_bits).answers("2-reserved-bits"),
        unit_test("unit-enumeration", enumeration::everywhere).answers("1-enumeration"),
        unit_test("unit-reserved-bits", reserved::bits).answers("2-reserved-bits"),
        unit_test("unit-rebase", reserved::rebase).answers("2-rebase"),
        unit_test("unit-one-entry", entries::one).answers("9.8"),
        unit_test("unit-slots-in-turn", entries::in_turn),
        unit_test("unit-slots-at-once", entries::at_once),
        unit_test("unit-scan-order", order::scan).answers("6-scan-order"),
        unit_test("unit-armed-within-scan", rescan::armed_within).answers("6-rescan"),
        unit_test("unit-executed-once", entries::once).needs(Ability::Record),
        unit_test("unit-pages-1", pages::exactly::<L, 1>),
        unit_test("unit-pages-62", pages::exactly::<L, 62>),
        unit_test("unit-pages-63", pages::exactly::<L, 63>),
        unit_test("unit-small-stride", pages::small_stride).answers("3.4-stride"),
        unit_test("unit-large-stride", pages::large_stride).answers("3.4-stride"),
        unit_test("unit-subtypes", pages::subtypes).answers("3.3-subtypes"),
        unit_test("unit-invpg", pages::invpg).answers("3.5-invpg"),
        unit_test("unit-structures", pages::structures).answers("3.4-structures"),
        unit_test("unit-other-space", spaces::other_space).needs(Ability::Pcids),
        unit_test("unit-types", meanings::types)
            .once()
            .answers("3.2-types"),
        unit_test("unit-types-risky", meanings::risky_types)
            .once()
            .answers("9.2")
            .risky("entries may write a register or flush what guests use"),
        unit_test("unit-page-counts", meanings::counts)
            .once()
            .answers("9.3"),
        unit_test("unit-failure-causes", meanings::causes)
            .once()
            .answers("9.4"),
        unit_test("unit-cr3-bits", meanings::cr3_bits)
            .once()
            .answers("3.5-cr3-bits"),
        unit_test("unit-signals-itself", itself::signals_itself).answers("9.5"),
        unit_test("unit-itself-again", itself::again).answers("9.5"),
        unit_test("unit-byte-values", again::values).answers("9.8"),
        unit_test("unit-signals-again", again::signals).answers("9.7"),
        unit_test("unit-halt-woken", idle::halted).answers("6-halt"),
        unit_test("unit-mwait", idle::mwait)
            .needs(Ability::Mwait)
            .answers("6-mwait"),
        unit_test("unit-strings", strings::within)
            .once()
            .answers("6-strings"),
        unit_test("unit-halted", interrupts::halted).answers("6-halt"),
        unit_test("unit-interrupts-off", interrupts::off).answers("5-no-handler"),
        unit_test("unit-nmi-handler", nmi::within)
            .needs(Ability::NonMaskable)
            .answers("6-nmi"),
        unit_test("unit-interrupts-heeded", interrupts::heeded),
        unit_test("unit-signals-merge", interrupts::merged).answers("5-merge"),
        unit_test("unit-signals-meet", delivery::meet).answers("6-latch-clear"),
        unit_test("unit-unsignalled", delivery::unsignalled),
        unit_test("unit-prompt", delivery::prompt),
        unit_test("unit-disabled", disabled::drops).answers("2-disabled"),
        unit_test("unit-disabled-pending", disabled::with_pending).answers("9.10"),
        unit_test("unit-init-registers", reset::registers)
            .needs(Ability::Reset)
            .answers("6-init"),
        unit_test("unit-init-signal", reset::signal)
            .needs(Ability::Reset)
            .answers("6-init-latch"),
        unit_test("unit-guest", guest::runs)
            .needs(Ability::Guest)
            .answers("6-guest"),
        unit_test("unit-stores", stores::drained)
            .up_to(512)
            .answers("6-status-last"),
        unit_test("unit-one-disabled", disabled::one)
            .up_to(256)
            .answers("2-disabled"),
        unit_test("unit-foreign-signal", foreign::signal).on(3),
        unit_test("unit-physical", destinations::physical),
        unit_test("unit-cluster", destinations::cluster).needs(Ability::Clusters),
        unit_test("unit-odd-commands", commands::odd)
            .needs(Ability::OddCommands)
            .answers("9.11")
            .risky("a command may raise an error, an interrupt, or worse"),
        unit_test("unit-registers-lost", lost::registers),
        unit_test("unit-serves-late", late::serves)
            .on(3)
            .needs(Ability::Record)
            .rare("a unit that answers after the deadline is what is tested"),
        unit_test("unit-combinations", combinations::all)
            .needs(Ability::Record)
            .once(),
        unit_test("unit-storm", unit::storm::all_slots).once(),
    ]
}

/// A test of units has a target: it needs two CPUs.
fn unit_test<L>(name: &'static str, run: fn(&Trial<'_, L>)) -> Test<L> {
    Test {
        units: Some(UnitNeeds::Plain),
        least_cpus: 2,
        ..test(name, run)
    }
}

fn test<L>(name: &'static str, run: fn(&Trial<'_, L>)) -> Test<L> {
    Test {
        name,
        run,
        least_cpus: 1,
        most_cpus: u32::MAX,
        rounds: Rounds::EachInitiator,
        units: None,
        interrupts: false,
        nmi: false,
        user: false,
        guest: false,
        race: false,
        rare: None,
        question: None,
        risk: None,
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

    fn needs(self, ability: Ability) -> Self {
        Self {
            units: Some(UnitNeeds::Able(ability)),
            ..self
        }
    }

    fn interrupted(self) -> Self {
        Self {
            interrupts: true,
            ..self
        }
    }

    fn by_nmi(self) -> Self {
        Self { nmi: true, ..self }
    }

    fn in_user_mode(self) -> Self {
        Self { user: true, ..self }
    }

    fn in_guest(self) -> Self {
        Self {
            guest: true,
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

    fn risky(self, risk: &'static str) -> Self {
        Self {
            risk: Some(risk),
            ..self
        }
    }

    fn answers(self, question: &'static str) -> Self {
        Self {
            question: Some(question),
            ..self
        }
    }

    /// Writes why a machine cannot make the test, or why nobody wants it; nothing if it can be made.
    pub(crate) fn write_obstacle(
        &self,
        lab: &L,
        options: &Options<'_>,
        why: &mut impl fmt::Write,
    ) -> fmt::Result
    where
        L: Lab,
    {
        if let Some(risk) = self.risk.filter(|_| !options.risky) {
            return write!(why, "risky, and not asked for: {risk}");
        }
        if !(self.least_cpus..=self.most_cpus).contains(&lab.cpus()) {
            return match self.most_cpus {
                u32::MAX => write!(why, "needs {} CPUs", self.least_cpus),
                most => write!(why, "needs {} to {most} CPUs", self.least_cpus),
            };
        }
        if self.interrupts && !lab.has_interrupts() {
            return why.write_str("the machine lacks: a local APIC, to interrupt itself");
        }
        if self.nmi && !lab.has_nmi() {
            return why.write_str("the machine offers the driver no NMIs");
        }
        if self.user && lab.user_mode().is_none() {
            return why.write_str("the machine has no user mode");
        }
        if let Err(reason) = lab.guest().map(|_| ())
            && self.guest
        {
            return why.write_str(reason);
        }
        match (self.units, lab.units()) {
            (Some(_), None) => why.write_str("the machine lends no RAR units to tests"),
            (Some(UnitNeeds::Able(ability)), Some(units)) if !units.can(ability) => {
                write!(why, "the machine lacks: {}", ability.name())
            }
            _ => Ok(()),
        }
    }
}
