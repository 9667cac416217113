//! What became of mutants, as cargo-mutants writes it while it runs.

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::mutant::Mutant;

/// What became of one mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A test failed.
    Killed,
    /// Every test passed.
    Survived,
    /// The tests, or the compiler, did not end.
    TimedOut,
    /// The changed library does not compile: nothing was shown.
    Unviable,
}

#[derive(Deserialize)]
struct File {
    outcomes: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    scenario: Scenario,
    summary: String,
}

#[derive(Deserialize)]
enum Scenario {
    Baseline,
    Mutant(Mutant),
}

/// Reads `outcomes.json`, which is complete after each mutant.
///
/// # Errors
///
/// The text is no such file; the unchanged sources fail their tests; or cargo-mutants itself failed
/// on a mutant.
pub fn parse(text: &str) -> Result<Vec<(Mutant, Outcome)>> {
    let file: File = serde_json::from_str(text).context("cargo-mutants wrote no outcomes")?;
    let mut all = Vec::new();
    for Entry { scenario, summary } in file.outcomes {
        let outcome = match summary.as_str() {
            "CaughtMutant" => Outcome::Killed,
            "MissedMutant" => Outcome::Survived,
            "Timeout" => Outcome::TimedOut,
            "Unviable" => Outcome::Unviable,
            "Success" => continue,
            other => match scenario {
                Scenario::Baseline => bail!("the unchanged tests fail ({other}); mend them first"),
                Scenario::Mutant(mutant) => bail!("{}: cargo-mutants says {other}", mutant.name),
            },
        };
        match scenario {
            Scenario::Baseline => bail!("the unchanged tests end with {summary}; mend them first"),
            Scenario::Mutant(mutant) => all.push((mutant, outcome)),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entries: &[(&str, &str)]) -> String {
        let entries: Vec<_> = entries
            .iter()
            .map(|(scenario, summary)| {
                format!(r#"{{"scenario": {scenario}, "summary": "{summary}"}}"#)
            })
            .collect();
        format!(r#"{{"outcomes": [{}]}}"#, entries.join(","))
    }

    const MUTANT: &str = r#"{"Mutant": {"name": "a", "package": "p", "file": "f"}}"#;

    #[test]
    fn each_summary_is_an_outcome() {
        let all = [
            ("CaughtMutant", Outcome::Killed),
            ("MissedMutant", Outcome::Survived),
            ("Timeout", Outcome::TimedOut),
            ("Unviable", Outcome::Unviable),
        ];
        for (summary, outcome) in all {
            let text = file(&[(r#""Baseline""#, "Success"), (MUTANT, summary)]);
            let [(mutant, read)] = parse(&text).unwrap().try_into().unwrap();
            assert_eq!((mutant.name.as_str(), read), ("a", outcome));
        }
    }

    /// Where the unchanged tests fail every mutant would count as killed.
    #[test]
    fn a_failing_baseline_is_no_result() {
        for summary in ["Failure", "Timeout"] {
            let text = file(&[(r#""Baseline""#, summary), (MUTANT, "CaughtMutant")]);
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains("unchanged tests"), "{error}");
        }
        let error = parse(&file(&[(MUTANT, "Failure")])).unwrap_err();
        assert!(error.to_string().contains("cargo-mutants says Failure"));
    }
}
