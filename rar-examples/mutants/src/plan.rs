//! The libraries, and the tests that judge their mutants.

use anyhow::Result;
use rar_harness::workspace::Workspace;

use crate::mutant::Mutant;

/// A set of tests that mutants run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its name in tables and in the results that are kept.
    pub name: &'static str,
    /// The package of the tests.
    pub package: &'static str,
    /// Its integration tests, and `lib` for those of the library; empty for all.
    pub tests: &'static [&'static str],
    /// The files whose mutants it judges; empty for all.
    pub files: &'static [&'static str],
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
    files: &[],
};

const SIMULATOR: Level = Level {
    name: "simulator",
    package: "rar-sim",
    tests: &["driver", "races"],
    files: &[],
};

/// What no process may execute: privileged instructions and registers.
const QEMU: Level = Level {
    name: "qemu",
    package: "rar-mutants",
    tests: &["in_qemu"],
    files: &[
        "rar-regs/src/interrupts_off.rs",
        "rar-regs/src/local_apic.rs",
        "rar-percpu/src/native_tlb.rs",
        "rar-shootdown/src/x86_machine.rs",
    ],
};

const fn quick(package: &'static str, tests: &'static [&'static str]) -> Level {
    Level {
        name: "quick",
        package,
        tests,
        files: &[],
    }
}

const fn own(package: &'static str) -> Level {
    Level {
        name: "own",
        package,
        tests: &[],
        files: &[],
    }
}

/// The four libraries.
pub const LIBRARIES: [Library; 4] = [
    Library {
        package: "rar-regs",
        features: &[],
        levels: &[own("rar-regs"), QEMU],
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
            QEMU,
        ],
    },
    Library {
        package: "rar-shootdown",
        features: &[],
        levels: &[
            quick("rar-shootdown", &["lib", "flush", "statistics", "stuck"]),
            own("rar-shootdown"),
            SIMULATOR,
            QEMU,
        ],
    },
];

/// Code that no build here compiles: a change of it changes nothing that is tested.
#[derive(Clone, Copy, Debug)]
pub struct NotBuilt {
    /// The file; empty for all.
    pub file: &'static str,
    /// What a change of it is named after; empty for the whole file.
    pub item: &'static str,
    /// When it is compiled.
    pub reason: &'static str,
}

/// All of it: it has no mutants here.
pub const NOT_BUILT: [NotBuilt; 6] = [
    NotBuilt {
        file: "rar-percpu/src/observed.rs",
        item: "",
        reason: "for the simulator's watchers (`cfg(rar_observed)`)",
    },
    NotBuilt {
        file: "",
        item: "<impl defmt::Format for",
        reason: "with the feature `defmt`",
    },
    NotBuilt {
        file: "rar-shootdown/src/event.rs",
        item: "Event::log",
        reason: "with the feature `defmt`",
    },
    NotBuilt {
        file: "rar-shootdown/src/counting.rs",
        item: "Operation::Invvpid(",
        reason: "with the feature `unverified`",
    },
    NotBuilt {
        file: "rar-shootdown/src/counting.rs",
        item: "Request::VpidPages",
        reason: "with the feature `unverified`",
    },
    NotBuilt {
        file: "rar-percpu/src/registry.rs",
        item: "replace exclusively",
        reason: "for loom, and without the feature `critical-section`",
    },
];

impl NotBuilt {
    /// Returns whether a mutant changes this code.
    #[must_use]
    pub fn holds(&self, mutant: &Mutant) -> bool {
        (self.file.is_empty() || self.file == mutant.file) && mutant.change().contains(self.item)
    }
}

/// Tests that compile programs: they judge what callers may write, which no mutant changes.
const COMPILE_TESTS: [&str; 2] = ["misuse", "forged::"];

impl Level {
    /// Returns whether its tests judge the mutants of a file.
    #[must_use]
    pub fn judges(&self, file: &str) -> bool {
        self.files.is_empty() || self.files.contains(&file)
    }

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
    ///
    /// What `cargo test` leaves out, as it needs QEMU, is run.
    #[must_use]
    pub fn harness_arguments() -> Vec<String> {
        let skipped = COMPILE_TESTS.iter().flat_map(|name| ["--skip", *name]);
        let all = skipped.chain(["--include-ignored"]);
        all.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::tests::mutant;

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
    fn a_level_for_some_files_names_files_of_the_library() {
        let root = Workspace::this().unwrap().root;
        for library in LIBRARIES {
            for level in library
                .levels
                .iter()
                .filter(|level| !level.files.is_empty())
            {
                let own = |file: &&&str| file.starts_with(library.package);
                assert_ne!(level.files.iter().filter(own).count(), 0, "{library:?}");
                let is_there = |file: &&str| root.join(file).is_file();
                assert!(level.files.iter().all(is_there), "{level:?}");
            }
        }
        assert!(QEMU.judges("rar-percpu/src/native_tlb.rs"));
        assert!(!QEMU.judges("rar-percpu/src/slots.rs"));
        assert!(DRIVER.judges("rar-percpu/src/slots.rs"));
    }

    #[test]
    fn what_no_host_build_compiles_exists() {
        let root = Workspace::this().unwrap().root;
        for NotBuilt { file, .. } in NOT_BUILT {
            assert!(file.is_empty() || root.join(file).is_file(), "{file}");
        }
        let text = "replace <impl defmt::Format for A>::format with ()";
        let is_held = |mutant: &Mutant| NOT_BUILT.iter().any(|one| one.holds(mutant));
        assert!(is_held(&mutant("rar-regs/src/a.rs", 1, text)));
        assert!(is_held(&mutant("rar-percpu/src/observed.rs", 1, "b")));
        assert!(!is_held(&mutant(
            "rar-percpu/src/event.rs",
            1,
            "replace Event::log with ()"
        )));
    }
}
