//! Sabotage patches: a header that says what they break and who must notice, then a unified diff.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path};

use anyhow::{Context as _, Result, bail, ensure};
use rar_vocabulary::Backend;

/// How a patch is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By the test kernel in QEMU.
    Qemu {
        /// What executes remote flushes.
        backend: Backend,
        /// The tests that must fail.
        caught_by: Vec<String>,
        /// Each of them must say one of these.
        messages: Vec<String>,
    },
    /// By a loom model.
    Loom {
        /// The package.
        package: String,
        /// The test function.
        test: String,
        /// Part of its own assertion's text.
        message: String,
    },
    /// By a race on the simulator.
    Sim {
        /// The test function, with its module.
        test: String,
        /// Part of what it says.
        message: String,
    },
}

impl Kind {
    /// Returns by what the patch is judged.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Qemu { .. } => "qemu",
            Self::Loom { .. } => "loom",
            Self::Sim { .. } => "sim",
        }
    }

    /// Returns who must notice, for people.
    #[must_use]
    pub fn caught_by(&self) -> String {
        match self {
            Self::Qemu { caught_by, .. } => caught_by.join(", "),
            Self::Loom { package, test, .. } => format!("{package}: {test}"),
            Self::Sim { test, .. } => test.clone(),
        }
    }
}

/// A sabotage.
#[derive(Clone, Debug)]
pub struct Sabotage {
    /// The file name without `.patch`.
    pub name: String,
    /// Who must notice.
    pub kind: Kind,
    /// What it breaks.
    pub why: String,
    diff: String,
}

impl Sabotage {
    /// Reads a patch.
    ///
    /// # Errors
    ///
    /// The header lacks a line, or has one that is unknown.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let diff_begin = text
            .split_inclusive('\n')
            .scan(0, |at, line| {
                let begin = *at;
                *at += line.len();
                Some((begin, line))
            })
            .find(|(_, line)| line.starts_with("--- ") || line.starts_with("diff --git "))
            .map(|(begin, _)| begin)
            .context("there is no diff (no line starts with `--- `)")?;
        let (head, diff) = text.split_at(diff_begin);
        let mut fields = BTreeMap::new();
        for line in head.lines().filter(|line| !line.trim().is_empty()) {
            let (key, value) = line
                .split_once(':')
                .with_context(|| format!("no `Key: value` line: {line}"))?;
            let value = value.trim();
            ensure!(!value.is_empty(), "`{key}` is empty");
            ensure!(fields.insert(key, value).is_none(), "`{key}` stands twice");
        }
        let mut take = |key: &str| {
            fields
                .remove(key)
                .map(str::to_owned)
                .with_context(|| format!("the header lacks `{key}:`"))
        };
        let why = take("Why")?;
        let backend = match take("Backend").as_deref() {
            Ok("vrar") => Backend::Vrar,
            Ok("software") | Err(_) => Backend::Software,
            Ok(other) => bail!("`Backend: {other}` is neither vrar nor software"),
        };
        let kind = match take("Kind")?.as_str() {
            "qemu" => Kind::Qemu {
                backend,
                caught_by: list(&take("Caught-by")?, ",")?,
                messages: list(&take("Message")?, " | ")?,
            },
            "loom" => Kind::Loom {
                package: take("Crate")?,
                test: take("Test")?,
                message: take("Message")?,
            },
            "sim" => Kind::Sim {
                test: take("Test")?,
                message: take("Message")?,
            },
            other => bail!("`Kind: {other}` is unknown (expected qemu, loom or sim)"),
        };
        if !matches!(kind, Kind::Qemu { .. }) {
            // The test is what catches it; saying so again is no mistake.
            fields.remove("Caught-by");
        }
        let unknown: Vec<_> = fields.into_keys().collect();
        ensure!(
            unknown.is_empty(),
            "the header has unknown keys: {}",
            unknown.join(", ")
        );
        Ok(Self {
            name: name.to_owned(),
            kind,
            why,
            diff: diff.to_owned(),
        })
    }

    /// Applies the diff to the files below `root`.
    ///
    /// # Errors
    ///
    /// The patch does not fit, or a file cannot be written.
    pub fn apply(&self, root: &Path) -> Result<()> {
        let parts = split(&self.diff);
        ensure!(!parts.is_empty(), "the diff changes no file");
        for part in parts {
            let patch = diffy::Patch::from_str(part).context("the diff is malformed")?;
            let name = patch.modified().context("the diff names no file")?;
            let name = name.strip_prefix("b/").unwrap_or(name);
            let plain = Path::new(name)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            ensure!(plain, "the diff leads outside the workspace: {name}");
            let path = root.join(name);
            let before = fs::read_to_string(&path)
                .with_context(|| format!("the diff changes {name}, which cannot be read"))?;
            let after = diffy::apply(&before, &patch)
                .map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
            ensure!(after != before, "the diff does not change {name}");
            fs::write(&path, after).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

fn list(value: &str, separator: &str) -> Result<Vec<String>> {
    let parts: Vec<_> = value
        .split(separator)
        .map(|part| part.trim().to_owned())
        .collect();
    // Every text contains the empty one.
    ensure!(
        !parts.iter().any(String::is_empty),
        "an empty part: {value}"
    );
    Ok(parts)
}

/// Returns the diff of each file.
fn split(diff: &str) -> Vec<&str> {
    let mut begins = Vec::new();
    let mut at = 0;
    let lines: Vec<_> = diff.split_inclusive('\n').collect();
    for (line, next) in lines
        .iter()
        .zip(lines.iter().skip(1).map(Some).chain([None]))
    {
        // A removed line may start with `--- ` too, but the next one does not start with `+++ `.
        if line.starts_with("--- ") && next.is_some_and(|next| next.starts_with("+++ ")) {
            begins.push(at);
        }
        at += line.len();
    }
    let ends = begins.iter().skip(1).copied().chain([diff.len()]);
    begins
        .iter()
        .zip(ends)
        .filter_map(|(begin, end)| diff.get(*begin..end))
        .map(without_git_header)
        .collect()
}

/// Cuts the `diff --git` and `index` lines of the next file off the end.
fn without_git_header(part: &str) -> &str {
    part.find("\ndiff --git ")
        .and_then(|end| part.get(..=end))
        .unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Kind: qemu\nCaught-by: one-page, storm\nMessage: page 7 | wanted 18\n\
                        Why: the flush is left out\n\n";
    const DIFF: &str = "--- a/x.rs\n+++ b/x.rs\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n";
    const SECOND: &str = "diff --git a/d/y.rs b/d/y.rs\nindex 1..2 100644\n\
                          --- a/d/y.rs\n+++ b/d/y.rs\n@@ -1 +1 @@\n-old\n+new\n";

    fn parse(text: &str) -> Result<Sabotage> {
        Sabotage::parse("name", text)
    }

    #[test]
    fn headers_are_read() {
        let sabotage = parse(&format!("{HEAD}{DIFF}")).unwrap();
        assert_eq!(
            sabotage.kind,
            Kind::Qemu {
                backend: Backend::Software,
                caught_by: vec!["one-page".to_owned(), "storm".to_owned()],
                messages: vec!["page 7".to_owned(), "wanted 18".to_owned()],
            }
        );
        assert_eq!(sabotage.why, "the flush is left out");
        let vrar = parse(&format!("Backend: vrar\n{HEAD}{DIFF}")).unwrap();
        assert!(matches!(
            vrar.kind,
            Kind::Qemu {
                backend: Backend::Vrar,
                ..
            }
        ));
        assert!(parse(&format!("Backend: kvm\n{HEAD}{DIFF}")).is_err());
        let loom = format!(
            "Kind: loom\nCrate: rar-percpu\nTest: nested\nMessage: lost: a flush\nWhy: w\n{DIFF}"
        );
        let Kind::Loom {
            package,
            test,
            message,
        } = parse(&loom).unwrap().kind
        else {
            panic!()
        };
        assert_eq!(
            (package.as_str(), test.as_str(), message.as_str()),
            ("rar-percpu", "nested", "lost: a flush")
        );
        let sim = format!("Kind: sim\nTest: idle::nested\nMessage: no end\nWhy: w\n{DIFF}");
        assert_eq!(
            parse(&sim).unwrap().kind,
            Kind::Sim {
                test: "idle::nested".to_owned(),
                message: "no end".to_owned(),
            }
        );
    }

    #[test]
    fn wrong_headers_are_errors_that_name_the_key() {
        for (text, words) in [
            (HEAD.to_owned(), "no diff"),
            (format!("Kind: qemu\nWhy: w\n{DIFF}"), "Caught-by"),
            (
                format!("Kind: qemu\nCaught-by: x\nWhy: w\n{DIFF}"),
                "Message",
            ),
            (
                format!("Kind: qemu\nCaught-by: x\nMessage: a |  | b\nWhy: w\n{DIFF}"),
                "an empty part",
            ),
            (format!("Caught-by: x\nWhy: w\n{DIFF}"), "Kind"),
            (
                format!("Kind: unit\nWhy: w\n{DIFF}"),
                "`Kind: unit` is unknown (expected qemu, loom or sim)",
            ),
            (
                format!("Kind: loom\nCrate: c\nTest: t\nWhy: w\n{DIFF}"),
                "Message",
            ),
            (format!("{HEAD}Why: again\n{DIFF}"), "stands twice"),
            (
                format!("{HEAD}Caught-By: x\n{DIFF}"),
                "unknown keys: Caught-By",
            ),
            (format!("{HEAD}just text\n{DIFF}"), "just text"),
            (
                format!("Kind: qemu\nCaught-by:\nWhy: w\n{DIFF}"),
                "`Caught-by` is empty",
            ),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn several_files_are_changed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("x.rs"), "one\ntwo\nthree\n").unwrap();
        fs::write(dir.path().join("d/y.rs"), "old\n").unwrap();
        parse(&format!("{HEAD}{DIFF}{SECOND}"))
            .unwrap()
            .apply(dir.path())
            .unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join("x.rs")).unwrap(),
            "one\nTWO\nthree\n"
        );
        assert_eq!(
            fs::read_to_string(dir.path().join("d/y.rs")).unwrap(),
            "new\n"
        );
    }

    #[test]
    fn a_diff_that_no_longer_applies_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let sabotage = parse(&format!("{HEAD}{DIFF}")).unwrap();
        assert!(
            sabotage
                .apply(dir.path())
                .unwrap_err()
                .to_string()
                .contains("x.rs")
        );
        fs::write(dir.path().join("x.rs"), "one\n2\nthree\n").unwrap();
        assert!(sabotage.apply(dir.path()).is_err());
    }

    #[test]
    fn a_diff_stays_inside() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("{HEAD}{}", DIFF.replace("b/x.rs", "b/../x.rs"));
        assert!(
            parse(&text)
                .unwrap()
                .apply(dir.path())
                .unwrap_err()
                .to_string()
                .contains("outside")
        );
    }
}
