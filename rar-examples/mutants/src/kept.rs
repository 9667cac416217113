//! The results that are kept, so that an interrupted run goes on, and shards add up.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::mutant::Mutant;
use crate::outcomes::Outcome;
use crate::plan::{Level, Library};

/// What is known of one mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What became of it.
    pub outcome: Outcome,
    /// The last level that it ran against.
    pub level: String,
    /// The code of the changed file.
    file: u64,
    /// The sources and tests that a survivor ran against.
    tests: u64,
}

/// Everything that is known.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    records: BTreeMap<String, Record>,
}

impl Kept {
    /// Reads the results in a folder; none if there are none.
    ///
    /// # Errors
    ///
    /// The file is there and not readable.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("results.json");
        let records = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is not readable; remove it", path.display()))?,
            Err(_) => BTreeMap::new(),
        };
        Ok(Self { path, records })
    }

    /// Forgets the mutants.
    pub fn forget(&mut self, mutants: &[&Mutant]) {
        for mutant in mutants {
            self.records.remove(&mutant.name);
        }
    }

    /// Notes what became of a mutant.
    pub fn add(&mut self, mutant: &Mutant, outcome: Outcome, level: &Level, sources: &Sources) {
        let record = Record {
            outcome,
            level: level.name.to_owned(),
            file: sources.file(&mutant.file),
            tests: sources.tests,
        };
        self.records.insert(mutant.name.clone(), record);
    }

    /// Returns what is known of a mutant of these sources.
    ///
    /// A survivor of other tests is not known: new tests may kill it. A mutant that was killed
    /// stays so until its file changes.
    #[must_use]
    pub fn of(&self, mutant: &Mutant, sources: &Sources) -> Option<&Record> {
        let record = self.records.get(&mutant.name)?;
        let is_current = record.file == sources.file(&mutant.file)
            && (record.outcome != Outcome::Survived || record.tests == sources.tests);
        is_current.then_some(record)
    }

    /// Returns the index of the level that a mutant has to run against next; `None` if it is
    /// judged.
    #[must_use]
    pub fn next_level(
        &self,
        mutant: &Mutant,
        library: &Library,
        sources: &Sources,
    ) -> Option<usize> {
        let Some(record) = self.of(mutant, sources) else {
            return Some(0);
        };
        if record.outcome != Outcome::Survived {
            return None;
        }
        let mut levels = library.levels.iter();
        let done = levels.position(|level| level.name == record.level);
        let from = done.map_or(0, |done| done + 1);
        let mut next = library.levels.iter().enumerate().skip(from);
        next.find(|(_, level)| level.judges(&mutant.file))
            .map(|(index, _)| index)
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// It cannot be written; the old one is whole then.
    pub fn write(&self) -> Result<()> {
        let cannot = || format!("cannot write {}", self.path.display());
        let folder = self.path.parent().with_context(cannot)?;
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
        let text = serde_json::to_string_pretty(&self.records).with_context(cannot)?;
        file.write_all(text.as_bytes()).with_context(cannot)?;
        file.persist(&self.path).with_context(cannot)?;
        Ok(())
    }
}

/// The texts that a result depends on, as hashes.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: BTreeMap<String, u64>,
    tests: u64,
}

impl Sources {
    /// Reads the sources of a library and the tests that judge it.
    ///
    /// # Errors
    ///
    /// A folder or file is not readable.
    pub fn read(root: &Path, library: &Library) -> Result<Self> {
        let mut files = BTreeMap::new();
        let examples = |package: &str| {
            let short = package.trim_start_matches("rar-");
            root.join("rar-examples").join(short).join("tests")
        };
        let own = root.join(library.package).join("src");
        collect(root, &own, code, &mut files)?;
        let mut all = BTreeMap::new();
        collect(root, &own, |text| text, &mut all)?;
        for level in library.levels {
            let top = root.join(level.package).join("tests");
            for folder in [top, examples(level.package)] {
                if folder.is_dir() {
                    collect(root, &folder, |text| text, &mut all)?;
                }
            }
        }
        let mut hasher = DefaultHasher::new();
        all.hash(&mut hasher);
        Ok(Self {
            files,
            tests: hasher.finish(),
        })
    }

    fn file(&self, path: &str) -> u64 {
        self.files.get(path).copied().unwrap_or(0)
    }
}

/// Adds the hash of each file below the folder, or of the part that is wanted.
fn collect(
    root: &Path,
    folder: &Path,
    part: fn(&[u8]) -> &[u8],
    files: &mut BTreeMap<String, u64>,
) -> Result<()> {
    let cannot = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_dir() {
            collect(root, &path, part, files)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut hasher = DefaultHasher::new();
            part(&text).hash(&mut hasher);
            let name = path.strip_prefix(root).unwrap_or(&path);
            files.insert(name.to_string_lossy().into_owned(), hasher.finish());
        }
    }
    Ok(())
}

/// Returns what is before the unit tests of a file, which stand at its end: their change changes no
/// mutant.
fn code(text: &[u8]) -> &[u8] {
    let tests = (0..text.len()).find(|at| text.get(*at..).is_some_and(begins_tests));
    tests.and_then(|at| text.get(..at)).unwrap_or(text)
}

fn begins_tests(rest: &[u8]) -> bool {
    let Some(mut rest) = rest.strip_prefix(b"\n#[cfg(test)]\n") else {
        return false;
    };
    while rest.starts_with(b"#[") {
        let end = rest.iter().position(|byte| *byte == b'\n');
        rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
    }
    rest.starts_with(b"mod tests")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::tests::mutant;
    use crate::plan::LIBRARIES;

    const PERCPU: &Library = &LIBRARIES[2];
    const FILE: &str = "rar-percpu/src/a.rs";

    fn workspace(text: &str, test: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [(FILE, text), ("rar-percpu/tests/t.rs", test)] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn sources(text: &str, test: &str) -> Sources {
        Sources::read(workspace(text, test).path(), PERCPU).unwrap()
    }

    #[test]
    fn a_survivor_climbs_the_levels_and_others_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::read(folder.path()).unwrap();
        let (one, sources) = (mutant(FILE, 1, "replace a"), sources("a", "t"));
        assert_eq!(kept.next_level(&one, PERCPU, &sources), Some(0));
        let native = mutant("rar-percpu/src/native_tlb.rs", 1, "replace a");
        let [all @ .., some] = PERCPU.levels else {
            panic!("{PERCPU:?}")
        };
        assert!(some.judges(&native.file) && !some.judges(&one.file));
        for (index, level) in all.iter().enumerate() {
            kept.add(&one, Outcome::Survived, level, &sources);
            let next = Some(index + 1).filter(|next| *next < all.len());
            assert_eq!(kept.next_level(&one, PERCPU, &sources), next);
            kept.add(&native, Outcome::Survived, level, &sources);
            let next = kept.next_level(&native, PERCPU, &sources);
            assert_eq!(next, Some(index + 1));
        }
        kept.add(&native, Outcome::Survived, some, &sources);
        assert_eq!(kept.next_level(&native, PERCPU, &sources), None);
        for outcome in [Outcome::Killed, Outcome::TimedOut, Outcome::Unviable] {
            kept.add(&one, outcome, &PERCPU.levels[0], &sources);
            assert_eq!(kept.next_level(&one, PERCPU, &sources), None);
        }
    }

    #[test]
    fn what_was_written_is_read_and_a_changed_file_or_test_asks_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::read(folder.path()).unwrap();
        let old = sources("a", "t");
        let (killed, survived) = (mutant(FILE, 1, "replace a"), mutant(FILE, 2, "replace b"));
        kept.add(&killed, Outcome::Killed, &PERCPU.levels[0], &old);
        kept.add(&survived, Outcome::Survived, &PERCPU.levels[3], &old);
        kept.write().unwrap();
        let mut kept = Kept::read(folder.path()).unwrap();
        assert_eq!(kept.of(&killed, &old).unwrap().outcome, Outcome::Killed);
        assert_eq!(kept.next_level(&survived, PERCPU, &old), None);

        let tests = sources("a", "t2");
        assert!(kept.of(&killed, &tests).is_some());
        assert!(kept.of(&survived, &tests).is_none());
        let file = sources("b", "t");
        assert!(kept.of(&killed, &file).is_none());
        let other = sources("a\n#[cfg(test)]\nmod fixture;", "t");
        assert!(kept.of(&killed, &other).is_none());
        let own_tests = sources("a\n#[cfg(test)]\n#[cfg(b)]\nmod tests;", "t");
        assert!(kept.of(&killed, &own_tests).is_some());
        assert!(kept.of(&survived, &own_tests).is_none());
        kept.forget(&[&killed]);
        assert!(kept.of(&killed, &old).is_none());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("results.json"), "{").unwrap();
        assert!(Kept::read(folder.path()).is_err());
    }
}
