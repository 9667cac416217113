//! The libraries, and the tests that judge their mutants.

use anyhow::Result;
use rar_harness::workspace::Workspace;

/// A set of tests that mutants run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its name in tables and in the results that are kept.
    pub name: &'static str,
    /// The package of the tests.
    pub package: &'static str,
    /// Its integration tests, and `lib` for those of the library; empty for all.
    pub tests: &'static [&'static str],
}

/// One library, and the levels that judge its mutants: the second judges what survives the first.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// The package.
    pub package: &'static str,
    /// Features that are on: code behind others is not compiled, so its mutants are not judged.
    pub features: &'static [&'static str],
    /// From the fastest on. Most mutants die at the first, which builds and runs in a part of the
    /// time that all tests take.
    pub levels: &'static [Level],
}

/// The tests of a library itself, among the names of a level.
const LIB: &str = "lib";

const DRIVER: Level = Level {
    name: "driver",
    package: "rar-shootdown",
    tests: &[],
};

const SIMULATOR: Level = Level {
    name: "simulator",
    package: "rar-sim",
    tests: &["driver", "races"],
};

const fn quick(package: &'static str, tests: &'static [&'static str]) -> Level {
    Level {
        name: "quick",
        package,
        tests,
    }
}

const fn own(package: &'static str) -> Level {
    Level {
        name: "own",
        package,
        tests: &[],
    }
}

/// The four libraries.
pub const LIBRARIES: [Library; 4] = [
    Library {
        package: "rar-regs",
        features: &[],
        levels: &[own("rar-regs")],
    },
    Library {
        package: "rar-payload",
        features: &["unverified"],
        levels: &[
            quick(
                "rar-payload",
                &["lib", "decoding", "gather", "golden", "ranges"],
            ),
            own("rar-payload"),
            DRIVER,
        ],
    },
    Library {
        package: "rar-percpu",
        features: &[],
        levels: &[
            quick("rar-percpu", &["lib", "life_of_a_cpu"]),
            own("rar-percpu"),
            DRIVER,
            SIMULATOR,
        ],
    },
    Library {
        package: "rar-shootdown",
        features: &[],
        levels: &[
            quick("rar-shootdown", &["lib", "flush", "statistics", "stuck"]),
            own("rar-shootdown"),
            SIMULATOR,
        ],
    },
];

/// Files that no host build compiles, with the reason: they have no mutants here.
pub const NOT_BUILT: [(&str, &str); 1] = [(
    "rar-percpu/src/observed.rs",
    "compiled only for the simulator's watchers (`cfg(rar_observed)`)",
)];

/// Tests that compile programs: they judge what callers may write, which no mutant changes.
const COMPILE_TESTS: [&str; 2] = ["misuse", "forged::"];

impl Level {
    /// Returns the arguments of `cargo test` that choose the tests of this level.
    ///
    /// loom models are left out: without `cfg(rar_loom)` they are empty, and cost a link each.
    ///
    /// # Errors
    ///
    /// The workspace has no such package.
    pub fn test_arguments(&self, workspace: &Workspace) -> Result<Vec<String>> {
        let package = workspace.package(self.package)?;
        let is_library = |target: &&cargo_metadata::Target| target.is_lib();
        let mut arguments = Vec::new();
        let wants_library = self.tests.is_empty() || self.tests.contains(&LIB);
        if wants_library && package.targets.iter().any(|target| is_library(&target)) {
            arguments.push("--lib".to_owned());
        }
        for target in package.targets.iter().filter(|target| target.is_test()) {
            let is_chosen = match self.tests {
                [] => !target.name.starts_with("loom_") && !COMPILE_TESTS.contains(&&*target.name),
                tests => tests.contains(&&*target.name),
            };
            if is_chosen {
                arguments.push(format!("--test={}", target.name));
            }
        }
        Ok(arguments)
    }

    /// Returns the arguments of the test programs.
    #[must_use]
    pub fn harness_arguments() -> Vec<String> {
        COMPILE_TESTS
            .iter()
            .flat_map(|name| ["--skip".to_owned(), (*name).to_owned()])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_tests_and_compiles_no_programs() {
        let workspace = Workspace::this().unwrap();
        for level in LIBRARIES.iter().flat_map(|library| library.levels) {
            let arguments = level.test_arguments(&workspace).unwrap();
            assert!(!arguments.is_empty(), "{level:?}");
            assert!(
                arguments
                    .iter()
                    .all(|argument| !argument.contains("loom_") && !argument.contains("misuse")),
                "{arguments:?}"
            );
            let named = level.tests.len();
            assert!(named == 0 || named == arguments.len(), "{arguments:?}");
        }
    }

    #[test]
    fn a_library_is_judged_by_its_own_tests_first() {
        for library in LIBRARIES {
            assert_eq!(library.levels[0].package, library.package);
        }
        let packages = LIBRARIES.map(|library| library.package);
        assert_eq!(packages, rar_harness::workspace::LIBRARIES);
    }

    #[test]
    fn what_no_host_build_compiles_exists() {
        let root = Workspace::this().unwrap().root;
        for (file, _) in NOT_BUILT {
            assert!(root.join(file).is_file(), "{file}");
        }
    }
}
