//! Why survivors survive: one reviewed file.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::mutant::Mutant;

/// The file, from the root of the workspace.
pub const FILE: &str = "rar-examples/mutants/excused.toml";

/// Survivors of one file with one reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excuse {
    /// The changed file, from the root of the workspace.
    pub file: String,
    /// The changes, as cargo-mutants names them, without the place in the file.
    pub changes: Vec<String>,
    /// Why no host test fails.
    pub reason: String,
    /// What fails instead: a test of the suite in QEMU, a loom model, a sabotage patch. Empty for
    /// mutants that do the same as the original.
    #[serde(default)]
    pub killed_by: String,
}

impl Excuse {
    /// Returns whether the excuse is for this mutant.
    #[must_use]
    pub fn is_for(&self, mutant: &Mutant) -> bool {
        self.file == mutant.file && self.changes.iter().any(|change| change == mutant.change())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    excused: Vec<Excuse>,
}

/// All excuses.
#[derive(Clone, Debug, Default)]
pub struct Excuses(Vec<Excuse>);

impl Excuses {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// The text is no such file; an excuse has no reason or no change; or two are for one change.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).with_context(|| format!("{FILE} is not readable"))?;
        let mut seen = BTreeSet::new();
        for excuse in &file.excused {
            let Excuse { file, changes, .. } = excuse;
            ensure!(
                !excuse.reason.trim().is_empty() && !changes.is_empty(),
                "{FILE}: an excuse in {file} lacks a reason or a change"
            );
            for change in changes {
                ensure!(
                    seen.insert((file, change)),
                    "{FILE}: `{change}` in {file} is excused twice; keep one"
                );
            }
        }
        Ok(Self(file.excused))
    }

    /// Returns the excuse of a survivor, if it has one.
    #[must_use]
    pub fn of(&self, mutant: &Mutant) -> Option<&Excuse> {
        self.0.iter().find(|excuse| excuse.is_for(mutant))
    }

    /// Returns the excused changes that no survivor makes, each with its file.
    ///
    /// Only in files whose mutants were all judged: `is_judged` says so. Survivors are mutants that
    /// no test killed.
    pub fn stale<'e>(
        &'e self,
        survivors: &[&Mutant],
        is_judged: impl Fn(&str) -> bool,
    ) -> Vec<(&'e str, &'e str)> {
        let mut stale = Vec::new();
        for excuse in self.0.iter().filter(|excuse| is_judged(&excuse.file)) {
            for change in &excuse.changes {
                let is_made = survivors
                    .iter()
                    .any(|mutant| mutant.file == excuse.file && mutant.change() == change);
                if !is_made {
                    stale.push((excuse.file.as_str(), change.as_str()));
                }
            }
        }
        stale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::tests::mutant;

    const TEXT: &str = r#"
[[excused]]
file = "rar-regs/src/a.rs"
changes = ["replace | with ^ in f", "replace g with ()"]
reason = "the operands share no bit"
"#;

    #[test]
    fn an_excuse_is_for_a_change_wherever_it_stands_in_its_file() {
        let excuses = Excuses::parse(TEXT).unwrap();
        for line in [1, 70] {
            let survivor = mutant("rar-regs/src/a.rs", line, "replace | with ^ in f");
            assert!(excuses.of(&survivor).is_some());
        }
        assert!(
            excuses
                .of(&mutant("rar-regs/src/b.rs", 1, "replace | with ^ in f"))
                .is_none()
        );
        assert!(
            excuses
                .of(&mutant("rar-regs/src/a.rs", 1, "replace | with & in f"))
                .is_none()
        );
    }

    #[test]
    fn an_excuse_without_a_survivor_is_found_once_its_file_was_judged() {
        let excuses = Excuses::parse(TEXT).unwrap();
        let survivor = mutant("rar-regs/src/a.rs", 3, "replace | with ^ in f");
        let stale = excuses.stale(&[&survivor], |_| true);
        assert_eq!(stale, [("rar-regs/src/a.rs", "replace g with ()")]);
        assert!(excuses.stale(&[], |_| false).is_empty());
    }

    #[test]
    fn an_excuse_without_a_reason_or_for_what_is_excused_already_is_refused() {
        let error = Excuses::parse(&format!("{TEXT}{TEXT}")).unwrap_err();
        assert!(error.to_string().contains("excused twice"), "{error}");
        for (old, new) in [
            ("the operands share no bit", ""),
            (r#"["replace | with ^ in f", "replace g with ()"]"#, "[]"),
            ("reason", "cause"),
        ] {
            assert!(Excuses::parse(&TEXT.replace(old, new)).is_err(), "{new}");
        }
        assert!(
            Excuses::parse("")
                .unwrap()
                .of(&mutant("a", 1, "b"))
                .is_none()
        );
    }
}
