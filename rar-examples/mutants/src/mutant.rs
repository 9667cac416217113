//! A mutant, as cargo-mutants lists it.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// One change of one library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutant {
    /// Its name with file, line, column and change: unique in one state of the sources.
    pub name: String,
    /// The library.
    pub package: String,
    /// The changed file, from the root of the workspace.
    pub file: String,
}

impl Mutant {
    /// Returns the change without the place in the file, which moves with every edit above it.
    #[must_use]
    pub fn change(&self) -> &str {
        self.name
            .strip_prefix(self.file.as_str())
            .and_then(|rest| rest.split_once(": ").map(|(_, change)| change))
            .unwrap_or(&self.name)
    }

    /// Returns the line of the file, or 0 if the name has none.
    #[must_use]
    pub fn line(&self) -> u32 {
        let place = self.name.strip_prefix(self.file.as_str());
        let line = place.and_then(|rest| rest.split(':').nth(1));
        line.and_then(|line| line.parse().ok()).unwrap_or(0)
    }
}

/// Reads what `cargo mutants --list --json` prints.
///
/// # Errors
///
/// The text is not a list of mutants.
pub fn parse(text: &str) -> Result<Vec<Mutant>> {
    serde_json::from_str(text).context("cargo-mutants printed no list of mutants")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn mutant(file: &str, line: u32, change: &str) -> Mutant {
        let package = file.split('/').next().unwrap_or_default().to_owned();
        Mutant {
            name: format!("{file}:{line}:9: {change}"),
            package,
            file: file.to_owned(),
        }
    }

    #[test]
    fn a_list_is_read_and_a_change_has_no_place() {
        let text = r#"[{"name": "a/src/b.rs:12:9: replace <impl A for B>::c -> D with E::f()",
            "package": "a", "file": "a/src/b.rs", "genre": "FnValue", "replacement": "E::f()"}]"#;
        let [mutant] = parse(text).unwrap().try_into().unwrap();
        assert_eq!(
            mutant.change(),
            "replace <impl A for B>::c -> D with E::f()"
        );
        assert_eq!((mutant.line(), mutant.package.as_str()), (12, "a"));
        assert!(parse("Found 3 mutants").is_err());
    }
}
