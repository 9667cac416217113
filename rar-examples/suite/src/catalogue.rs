//! The table of tests: one row each, with its function beside it.

use core::ops::Deref;

use crate::measure;
use crate::options::MEASUREMENTS;
use crate::platform::Platform;
use crate::test_info::{Detects, TestInfo};
use crate::test_run::TestRun;
use crate::tests::unit::{
    again, combinations, commands, delivery, destinations, disabled, entries, enumeration, foreign,
    idle, itself, late, lost, meanings, nmi, order, pages, pcids_off, registers, rescan, reserved,
    reset, stores, strings, walks,
};
use crate::tests::{
    crash, deferred, guest, hotplug, hung, interrupts, large_page, membership, nested, precision,
    remap, revoke, silent, sleep, slots, spaces, storm, tables, unit, use_bits, user, writers,
};
use crate::units::Ability;

/// Makes [`TESTS`] and the functions of its rows.
///
/// A row is `NAME => FUNCTION, PROPERTY(VALUE), ...;`, whose properties are the methods of
/// [`TestInfo`]. Above the rows of a group stand the method that each of them begins with and the
/// name of the group.
macro_rules! catalogue {
    ($($method:ident $group:literal {
        $($name:expr => $run:path $(, $property:ident($($value:expr)?))*;)*
    })*) => {
        /// All tests, in the order in which they run.
        pub const TESTS: &[TestInfo] = &[$($(
            TestInfo::$method($group, $name)$(.$property($($value)?))*,
        )*)*];

        fn functions<L: Platform>() -> [fn(&TestRun<'_, L>); TESTS.len()] {
            [$($($run,)*)*]
        }
    };
}

catalogue! {
    of_driver "pages" {
        "one-page" => remap::one_page, race();
        "pages-2" => remap::pages::<L, 2>;
        "pages-33" => remap::pages::<L, 33>;
        "pages-62" => remap::pages::<L, 62>;
        "pages-63" => remap::pages::<L, 63>;
        "pages-64" => remap::pages::<L, 64>;
        "pages-500" => remap::pages::<L, 500>;
    }
    of_driver "spaces and globals" {
        "address-space" => remap::address_space;
        "everything" => remap::everything;
        "global-page" => remap::global_page;
        "several-requests" => remap::several_requests, spares();
        "large-page" => large_page::large_page;
        "freed-table" => tables::freed_table;
    }
    of_driver "precision" {
        "neighbours-1" => precision::neighbours::<L, 1>, spares();
        "neighbours-4" => precision::neighbours::<L, 4>, race(), spares();
        "neighbours-64" => precision::neighbours::<L, 64>, spares();
        "subset-of-targets" => precision::subset, on(2), detects(Detects::Nothing);
    }
    of_driver "spaces and rights" {
        "two-spaces" => spaces::two_spaces, on(2);
        "revoke-write" => revoke::revoke_write;
        "accessed-bit" => use_bits::accessed;
        "dirty-bit" => use_bits::dirty;
        "writer-plain" => writers::plain, up_to(512), on(2), detects(Detects::NoAnswer);
        "writer-non-temporal" => writers::non_temporal, up_to(512), on(2),
            detects(Detects::NoAnswer);
    }
    of_driver "states of a target" {
        "target-halted" => interrupts::halted, on(2), race();
        "target-interrupts-off" => interrupts::off, on(2), race();
        "target-takes-nmi" => interrupts::off_for_good, on(2), by_nmi(),
            falls_back("the test is about fallback and NMI");
        "target-in-user-mode" => user::target, on(2), once(), in_user_mode();
        "target-in-guest" => guest::target, on(2), in_guest(), answers("6-guest");
        "deferred-is-spared" => deferred::is_spared, on(2), detects(Detects::Nothing);
        "deferred-not-for-tables" => deferred::not_for_tables, on(2), detects(Detects::NoAnswer);
    }
    of_driver "concurrency" {
        "flush-from-interrupt" => nested::from_interrupt, interrupted(), race();
        "targets-change" => membership::targets_change, on(2), detects(Detects::NoAnswer);
        "sleep-and-wake" => sleep::all_cpus, on(2), detects(Detects::NoAnswer);
        "more-requests-than-slots" => slots::more_requests, on(2),
            other_means("flushes beyond the last slot go by generation"),
            detects(Detects::NoAnswer);
        "one-slot-for-all" => slots::one_slot_for_all, up_to(slots::ONE_SLOT_CPUS), on(2),
            other_means("a CPU that finds no slot in time flushes by generation"),
            detects(Detects::NoAnswer);
    }
    of_driver "silent targets" {
        "signal-unheard" => silent::signal_unheard, on(2),
            falls_back("the test is about the fallback"), detects(Detects::NoAnswer);
        "target-deaf-takes-nmi" => silent::deaf_and_off, on(2), once(), slow(),
            falls_back("the test is about fallback and NMI"), detects(Detects::NoAnswer);
        "target-silent" => silent::target_silent, on(2),
            falls_back("the test is about fallback, error and quarantine"),
            detects(Detects::NoAnswer);
    }
    of_driver "hung and dead CPUs" {
        "all-others-hung" => hung::all_others, on(3), once(), slow(),
            falls_back("the test is about the deadline and the error"),
            detects(Detects::NoAnswer);
        "target-dies" => crash::target_dies, on(3), once(), crashes(), slow(),
            falls_back("the test is about a dead CPU"), detects(Detects::NoAnswer);
    }
    of_driver "storms" {
        "storm-interrupts-off" => storm::interrupts_off, up_to(512), once(),
            detects(Detects::NoAnswer);
        "storm-hotplug" => hotplug::storm, up_to(512), on(2), once(),
            detects(Detects::NoAnswer);
        "storm" => storm::storm, up_to(512), once(), race(), detects(Detects::NoAnswer);
    }
    of_units "registers of units" {
        "unit-registers" => registers::legal, answers("1-enumeration");
        "unit-control-bits" => registers::control_bits, answers("2-reserved-bits");
        "unit-base-bits" => registers::base_bits, answers("2-reserved-bits");
        "unit-enumeration" => enumeration::everywhere, answers("1-enumeration");
        "unit-reserved-bits" => reserved::bits, answers("2-reserved-bits");
        "unit-rebase" => reserved::rebase, answers("2-rebase");
    }
    of_units "entries and slots" {
        "unit-one-entry" => entries::one, answers("9.8");
        "unit-slots-in-turn" => entries::in_turn;
        "unit-slots-at-once" => entries::at_once;
        "unit-scan-order" => order::scan, answers("6-scan-order");
        "unit-armed-within-scan" => rescan::armed_within, answers("6-rescan");
        "unit-executed-once" => entries::once, needs(Ability::Record);
    }
    of_units "pages by units" {
        "unit-pages-1" => pages::exactly::<L, 1>;
        "unit-pages-62" => pages::exactly::<L, 62>;
        "unit-pages-63" => pages::exactly::<L, 63>;
        "unit-small-stride" => pages::small_stride, answers("3.4-stride");
        "unit-large-stride" => pages::large_stride, answers("3.4-stride");
        "unit-subtypes" => pages::subtypes, answers("3.3-subtypes");
        "unit-invpg" => pages::invpg, answers("3.5-invpg");
        "unit-structures" => pages::structures, answers("3.4-structures");
        "unit-walks" => walks::in_flight, answers("6-walks");
        "unit-accessed-bit" => unit::use_bits::accessed, answers("6-use-bits");
        "unit-dirty-bit" => unit::use_bits::dirty, answers("6-use-bits");
        "unit-other-space" => unit::spaces::other_space, needs(Ability::Pcids);
    }
    of_units "meanings of entries" {
        "unit-types" => meanings::types, once(), answers("3.2-types"), detects(Detects::Nothing);
        "unit-types-risky" => meanings::risky_types, once(), answers("9.2"),
            risky("entries may write a register or flush what guests use");
        "unit-pcids-off" => pcids_off::type_2, once(), answers("3.7-pcids-off"),
            detects(Detects::Nothing);
        "unit-page-counts" => meanings::counts, once(), answers("9.3"), detects(Detects::Nothing);
        "unit-failure-causes" => meanings::causes, once(), answers("9.4");
        "unit-cr3-bits" => meanings::cr3_bits, once(), answers("3.5-cr3-bits"),
            detects(Detects::Nothing);
    }
    of_units "signals" {
        "unit-signals-itself" => itself::signals_itself, answers("9.5");
        "unit-itself-again" => itself::again, answers("9.5");
        "unit-byte-values" => again::values, answers("9.8");
        "unit-signals-again" => again::signals, answers("9.7");
    }
    of_units "idle and interrupts" {
        "unit-halt-woken" => idle::halted, answers("6-halt");
        "unit-mwait" => idle::mwait, needs(Ability::Mwait), answers("6-mwait");
        "unit-strings" => strings::within, once(), answers("6-strings");
        "unit-halted" => unit::interrupts::halted, answers("6-halt");
        "unit-interrupts-off" => unit::interrupts::off, answers("5-no-handler");
        "unit-nmi-handler" => nmi::within, needs(Ability::NonMaskable), answers("6-nmi");
        "unit-interrupts-heeded" => unit::interrupts::heeded;
    }
    of_units "delivery" {
        "unit-signals-merge" => unit::interrupts::merged, answers("5-merge");
        "unit-signals-meet" => delivery::meet, answers("6-latch-clear"), detects(Detects::NoAnswer);
        "unit-unsignalled" => delivery::unsignalled;
        "unit-prompt" => delivery::prompt;
    }
    of_units "disable and INIT" {
        "unit-disabled" => disabled::drops, answers("2-disabled");
        "unit-disabled-pending" => disabled::with_pending, answers("9.10");
        "unit-init-registers" => reset::registers, needs(Ability::Reset), answers("6-init");
        "unit-init-signal" => reset::signal, needs(Ability::Reset), answers("6-init-latch");
    }
    of_units "guests and stores" {
        "unit-guest" => unit::guest::runs, needs(Ability::Guest), answers("6-guest");
        "unit-guest-tag" => unit::guest::tags, needs(Ability::Guest), answers("6-vpid"),
            detects(Detects::Nothing);
        "unit-stores" => stores::drained, up_to(512), answers("6-status-last"),
            detects(Detects::NoAnswer);
        "unit-one-disabled" => disabled::one, up_to(256), answers("2-disabled");
    }
    of_units "destinations" {
        "unit-foreign-signal" => foreign::signal, on(3);
        "unit-physical" => destinations::physical;
        "unit-cluster" => destinations::cluster, needs(Ability::Clusters);
        "unit-level-bits" => commands::level, needs(Ability::OddCommands), answers("5-level"),
            risky("a command may raise an error, an interrupt, or worse");
        "unit-odd-commands" => commands::odd, needs(Ability::OddCommands), answers("9.11"),
            risky("a command may raise an error, an interrupt, or worse");
    }
    of_units "lost and late" {
        "unit-registers-lost" => lost::registers, detects(Detects::NoAnswer);
        "unit-registers-lost-awake" => lost::awake, once(),
            falls_back("the test is about lost registers"), detects(Detects::NoAnswer);
        "unit-serves-late" => late::serves, on(3), needs(Ability::Record),
            falls_back("the test is about a unit that answers after the timeout");
    }
    of_units "many entries" {
        "unit-combinations" => combinations::all, needs(Ability::Record), once(),
            detects(Detects::NoAnswer);
        "unit-storm" => unit::storm::all_slots, once(), detects(Detects::NoAnswer);
    }
    of_driver "measurements" {
        MEASUREMENTS => measure::run, once(),
            other_means("each point states how often other means were used"), answers("8-numbers");
    }
}

/// A row of the table with its function.
pub(crate) struct Test<L> {
    info: &'static TestInfo,
    pub(crate) run: fn(&TestRun<'_, L>),
}

/// A test reads as its row.
impl<L> Deref for Test<L> {
    type Target = TestInfo;

    fn deref(&self) -> &TestInfo {
        self.info
    }
}

/// Returns all tests in the order in which they run.
pub(crate) fn catalogue<L: Platform>() -> impl Iterator<Item = Test<L>> {
    let rows = TESTS.iter().zip(functions::<L>());
    rows.map(|(info, run)| Test { info, run })
}

/// Returns the test of that name.
#[must_use]
pub fn test_named(name: &str) -> Option<&'static TestInfo> {
    TESTS.iter().find(|test| test.name == name)
}
