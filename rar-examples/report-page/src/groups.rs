//! Which tests belong together. A report has only their names, so the beginning of a name decides.

/// A group of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    /// What its tests are about.
    pub(crate) title: &'static str,
    /// The names of its tests, in the order of the run.
    pub(crate) tests: Vec<&'a str>,
}

/// The groups, in the order of the page; each with how the names of its tests begin.
const GROUPS: [(&str, &[&str]); 9] = [
    (
        "Driver: what a flush reaches and what it leaves",
        &[
            "one-page",
            "pages-",
            "address-space",
            "everything",
            "global-page",
            "several-requests",
            "large-page",
            "freed-table",
            "neighbours-",
            "subset-",
            "two-spaces",
            "revoke-",
            "writer-",
        ],
    ),
    (
        "Driver: targets that are idle, away or busy",
        &["target", "deferred-", "flush-from-interrupt"],
    ),
    (
        "Driver: slots, silent units and load",
        &[
            "more-requests-",
            "one-slot-",
            "signal-unheard",
            "target-silent",
            "storm",
        ],
    ),
    (
        "RAR units: registers",
        &[
            "unit-registers",
            "unit-control-",
            "unit-base-",
            "unit-enumeration",
            "unit-reserved-",
            "unit-rebase",
            "unit-disabled",
            "unit-one-disabled",
            "unit-init-",
        ],
    ),
    (
        "RAR units: what an entry flushes",
        &[
            "unit-pages-",
            "unit-small-",
            "unit-large-",
            "unit-subtypes",
            "unit-invpg",
            "unit-structures",
            "unit-other-space",
            "unit-types",
            "unit-page-counts",
            "unit-failure-",
            "unit-cr3-",
            "unit-stores",
            "unit-combinations",
        ],
    ),
    (
        "RAR units: slots, scans and signals",
        &[
            "unit-one-entry",
            "unit-slots-",
            "unit-scan-",
            "unit-armed-",
            "unit-executed-",
            "unit-byte-",
            "unit-signals-",
            "unit-itself-",
            "unit-unsignalled",
            "unit-prompt",
            "unit-foreign-",
            "unit-physical",
            "unit-cluster",
            "unit-odd-",
            "unit-serves-",
            "unit-storm",
        ],
    ),
    (
        "RAR units: what the target is doing",
        &[
            "unit-halt",
            "unit-mwait",
            "unit-strings",
            "unit-interrupts-",
            "unit-nmi-",
            "unit-guest",
        ],
    ),
    ("Measurements", &["measurements"]),
    ("Other tests", &[""]),
];

/// Sorts tests into groups. A test is in the first group that fits, so no test is left out.
pub(crate) fn grouped<'a>(tests: &[&'a str]) -> Vec<Group<'a>> {
    let mut groups = GROUPS.map(|(title, _)| Group {
        title,
        tests: Vec::new(),
    });
    for test in tests {
        // A name that begins another one, `unit-registers`, must not hide it: the longest beginning
        // counts.
        let fits = |begins: &&[&str]| {
            let fitting = begins.iter().filter(|begin| test.starts_with(**begin));
            fitting.map(|begin| begin.len() + 1).max().unwrap_or(0)
        };
        let best = GROUPS.iter().map(|(_, begins)| fits(begins)).max();
        let place = GROUPS
            .iter()
            .position(|(_, begins)| Some(fits(begins)) == best);
        if let Some(group) = place.and_then(|place| groups.get_mut(place)) {
            group.tests.push(test);
        }
    }
    groups
        .into_iter()
        .filter(|group| !group.tests.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_is_in_one_group_in_the_order_of_the_run() {
        let groups = grouped(&[
            "unit-halted",
            "one-page",
            "unit-registers-lost",
            "pages-2",
            "a-test-of-tomorrow",
            "unit-registers",
        ]);
        let found: Vec<_> = groups.iter().map(|group| group.tests.as_slice()).collect();
        assert_eq!(
            found,
            [
                &["one-page", "pages-2"][..],
                &["unit-registers-lost", "unit-registers"],
                &["unit-halted"],
                &["a-test-of-tomorrow"],
            ]
        );
    }

    #[test]
    fn each_test_of_the_suite_has_a_group_of_its_topic() {
        let names: Vec<_> = rar_suite::TESTS.iter().map(|test| test.name).collect();
        let groups = grouped(&names);
        assert_eq!(groups.len(), GROUPS.len() - 1);
        assert!(groups.iter().all(|group| group.title != "Other tests"));
    }
}
