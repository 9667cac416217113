//! Which tests belong together: the groups of the suite's catalogue.

use rar_suite::test_named;

/// A group of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    /// Its name in the catalogue.
    pub(crate) title: &'static str,
    /// The names of its tests, in the order of the run.
    pub(crate) tests: Vec<&'a str>,
}

/// The group of tests that the catalogue does not have: the report is of another version.
const OTHER: &str = "tests of another version";

/// The group of the tests of `rar-examples/linux`, by how their names begin.
const LINUX: (&str, &str) = ("linux-", "the Linux module");

/// Sorts tests into groups, in the order in which the groups begin. No test is left out.
pub(crate) fn grouped<'a>(tests: &[&'a str]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for test in tests {
        let title = title_of(test);
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.tests.push(test),
            None => groups.push(Group {
                title,
                tests: vec![test],
            }),
        }
    }
    groups
}

fn title_of(test: &str) -> &'static str {
    match test_named(test) {
        Some(info) => info.group,
        None if test.starts_with(LINUX.0) => LINUX.1,
        None => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_is_in_the_group_of_its_row() {
        let groups = grouped(&[
            "one-page",
            "unit-halted",
            "a-test-of-tomorrow",
            "pages-2",
            "linux-storm",
        ]);
        let found: Vec<_> = groups
            .iter()
            .map(|group| (group.title, group.tests.as_slice()))
            .collect();
        assert_eq!(
            found,
            [
                ("pages", &["one-page", "pages-2"][..]),
                ("idle and interrupts", &["unit-halted"]),
                (OTHER, &["a-test-of-tomorrow"]),
                ("the Linux module", &["linux-storm"]),
            ]
        );
    }

    #[test]
    fn no_test_of_the_suite_is_without_a_group() {
        let names: Vec<_> = rar_suite::TESTS.iter().map(|test| test.name).collect();
        let groups = grouped(&names);
        assert!(
            groups
                .iter()
                .all(|group| group.title != OTHER && !group.title.is_empty())
        );
        assert!(groups.len() > 10);
    }
}
