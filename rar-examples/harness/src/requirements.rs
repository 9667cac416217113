//! Which tests a machine must run, by the table of the suite.

use rar_suite::{Ability, MEASUREMENTS, TESTS, TestInfo, UnitNeeds};
use rar_vocabulary::Backend;

use crate::modes::Apic;

/// Returns the tests of the list `functional`: all but the measurements.
pub fn functional() -> impl Iterator<Item = &'static TestInfo> {
    TESTS.iter().filter(|test| test.name != MEASUREMENTS)
}

/// Returns the tests of the list `brief`: all that are not slow.
pub fn brief() -> impl Iterator<Item = &'static TestInfo> {
    functional().filter(|test| !test.slow)
}

/// Returns the tests of the list `race`.
pub fn race() -> impl Iterator<Item = &'static TestInfo> {
    TESTS.iter().filter(|test| test.race)
}

/// A machine that QEMU plays.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// What executes remote flushes.
    pub backend: Backend,
    /// How the kernel drives its local APIC.
    pub apic: Apic,
    /// How many CPUs it has.
    pub cpus: u32,
}

impl Machine {
    /// Returns whether the machine lacks something that a test needs, so that it may skip the test.
    pub fn lacks(self, test: &TestInfo) -> bool {
        let of_backend = match self.backend {
            Backend::Software => test.units.is_some(),
            Backend::Vrar => beyond_the_shim(test),
            Backend::Hardware | Backend::Model => false,
        };
        let of_apic = self.apic == Apic::Xapic && beyond_xapic(test);
        of_backend || of_apic || beyond_tcg(test) || self.cpus < test.least_cpus
    }
}

/// TCG has no VMX.
pub fn beyond_tcg(test: &TestInfo) -> bool {
    test.guest
}

/// Under the shim there are no PCIDs and no guest of a guest, and it holds back no NMI while
/// another one is being handled.
fn beyond_the_shim(test: &TestInfo) -> bool {
    let able = |ability| test.units == Some(UnitNeeds::Able(ability));
    test.nmi || able(Ability::Pcids) || able(Ability::Guest)
}

/// An xAPIC has no name for a cluster.
fn beyond_xapic(test: &TestInfo) -> bool {
    let able = |ability| test.units == Some(UnitNeeds::Able(ability));
    able(Ability::Clusters) || able(Ability::OddCommands)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn skipped(backend: Backend, apic: Apic, cpus: u32) -> BTreeSet<&'static str> {
        let machine = Machine {
            backend,
            apic,
            cpus,
        };
        let skipped = functional().filter(|test| machine.lacks(test));
        skipped.map(|test| test.name).collect()
    }

    #[test]
    fn only_what_a_machine_lacks_may_be_skipped() {
        let vrar = skipped(Backend::Vrar, Apic::X2apic, 4);
        let beyond = [
            "target-in-guest",
            "target-takes-nmi",
            "unit-guest",
            "unit-guest-tag",
            "unit-other-space",
        ];
        assert_eq!(vrar, BTreeSet::from(beyond));
        let xapic = skipped(Backend::Vrar, Apic::Xapic, 4);
        let unnamed = &xapic - &vrar;
        assert_eq!(
            unnamed,
            BTreeSet::from(["unit-cluster", "unit-level-bits", "unit-odd-commands"])
        );
        let two = &skipped(Backend::Vrar, Apic::X2apic, 2) - &vrar;
        assert_eq!(
            two,
            BTreeSet::from([
                "all-others-hung",
                "target-dies",
                "unit-foreign-signal",
                "unit-serves-late"
            ])
        );
        let one = skipped(Backend::Vrar, Apic::X2apic, 1);
        assert!(!one.contains("one-page") && one.contains("unit-storm"));
        assert!(one.contains("two-spaces"));
        let software = skipped(Backend::Software, Apic::X2apic, 4);
        assert!(!software.contains("two-spaces"));
        let units = functional().filter(|test| test.name.starts_with("unit-"));
        assert!(units.into_iter().all(|test| software.contains(test.name)));
        assert!(!software.contains("target-takes-nmi") && software.contains("target-in-guest"));
    }

    #[test]
    fn the_race_list_is_short() {
        let race: Vec<_> = race().map(|test| test.name).collect();
        assert!(race.contains(&"storm") && race.len() < 10, "{race:?}");
    }
}
