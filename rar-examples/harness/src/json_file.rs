//! The `--json` file of a run: a line for each record, with the verdict on it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_vocabulary::{Backend, Disturbances, Measurement, Outcome};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::exit_code::{Fault, Reason};
use crate::judged_run::JudgedRun;
use crate::process::utf8;
use crate::records::TestRecord;

/// One line of the file.
#[derive(Debug, Serialize)]
struct JsonLine<'a> {
    name: &'a str,
    question: Option<&'a str>,
    backend: Backend,
    cpus: u32,
    thread: &'a str,
    initiator: u32,
    flushes: u64,
    control: BTreeMap<u32, JsonControl>,
    fallbacks: u64,
    resignals: u64,
    #[serde(skip_serializing_if = "Disturbances::is_none")]
    disturbances: Disturbances,
    outcome: Outcome,
    why: &'a str,
}

#[derive(Debug, Serialize)]
struct JsonControl {
    stale: u64,
    new: u64,
}

impl<'a> JsonLine<'a> {
    /// Returns the line for a record as judged: `outcome` and `why` are the verdict's, not the
    /// guest's.
    fn new(record: &'a TestRecord, thread: &'a str, outcome: Outcome, why: &'a str) -> Self {
        let control = record
            .controls
            .iter()
            .map(|control| {
                (
                    control.cpu,
                    JsonControl {
                        stale: control.stale,
                        new: control.new,
                    },
                )
            })
            .collect();
        Self {
            name: &record.name,
            question: record.question.as_deref(),
            backend: record.backend,
            cpus: record.cpus,
            thread,
            initiator: record.initiator,
            flushes: record.flushes,
            control,
            fallbacks: record.fallbacks,
            resignals: record.resignals,
            disturbances: record.disturbances,
            outcome,
            why,
        }
    }

    /// Returns the text of a line that says what is wrong with a run as a whole, so that no reader
    /// takes the other lines for a complete run.
    fn fault(backend: Backend, cpus: u32, thread: &str, why: &str) -> serde_json::Result<String> {
        serde_json::to_string(&JsonLine {
            name: "(run)",
            question: None,
            backend,
            cpus,
            thread,
            initiator: 0,
            flushes: 0,
            control: BTreeMap::new(),
            fallbacks: 0,
            resignals: 0,
            disturbances: Disturbances::NONE,
            outcome: Outcome::Fail,
            why,
        })
    }
}

/// A measurement as a line of the `--json` file.
#[derive(Debug, Serialize)]
struct JsonMeasurement<'a> {
    thread: &'a str,
    #[serde(flatten)]
    measurement: &'a Measurement,
}

/// The `--json` file, which appears whole or not at all.
#[derive(Debug)]
pub struct JsonFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl JsonFile {
    /// Makes room for the file, so that a place that cannot be written is known before the runs.
    ///
    /// # Errors
    ///
    /// `path` is a folder, or its folder cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        utf8(path)?;
        if path.is_dir() {
            let message = format!("--json {} is a folder; name a file", path.display());
            return Err(Fault::new(Reason::Usage, message).into());
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".rar-json-")
            .tempfile_in(folder)
            .with_context(|| {
                format!(
                    "cannot write --json {}: its folder must exist and be writable",
                    path.display()
                )
            })?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// The file cannot be written: nothing is left of it then.
    pub fn write(mut self, runs: &[JudgedRun]) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let cannot = || format!("cannot write --json {}", self.path.display());
        let mut text = String::new();
        for JudgedRun { run, verdict } in runs {
            let thread = run.thread.to_string();
            for test in &verdict.tests {
                let line = JsonLine::new(&test.record, &thread, test.outcome, &test.why);
                text.push_str(&serde_json::to_string(&line).with_context(cannot)?);
                text.push('\n');
            }
            for measurement in &verdict.measurements {
                let line = JsonMeasurement {
                    thread: &thread,
                    measurement,
                };
                text.push_str(&serde_json::to_string(&line).with_context(cannot)?);
                text.push('\n');
            }
            for fault in &verdict.faults {
                let line =
                    JsonLine::fault(run.backend, run.cpus, &thread, fault).with_context(cannot)?;
                text.push_str(&line);
                text.push('\n');
            }
        }
        self.file.write_all(text.as_bytes()).with_context(cannot)?;
        // A temporary file is private; a result is read by others too.
        self.file
            .as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))
            .with_context(cannot)?;
        self.file.as_file().sync_all().with_context(cannot)?;
        self.file
            .persist(&self.path)
            .map_err(|error| error.error)
            .with_context(cannot)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Record;
    use crate::samples::{TEST, transcript};

    #[test]
    fn control_is_an_object_in_the_json_file() {
        let Some(Record::Test(test)) = transcript(&[TEST]).records.pop() else {
            panic!()
        };
        let line = serde_json::to_value(JsonLine::new(&test, "single", Outcome::Pass, "")).unwrap();
        assert_eq!(line["control"]["1"]["stale"], 17);
        assert_eq!(line["control"]["1"]["new"], 18);
        assert_eq!(line["thread"], "single");
        assert_eq!(line["outcome"], "pass");
        assert_eq!(line.get("disturbances"), None);
    }

    #[test]
    fn a_json_file_in_no_folder_is_an_error_at_once() {
        let error = JsonFile::create(Path::new("/no/such/folder/out.json")).unwrap_err();
        assert!(
            error.to_string().contains("/no/such/folder/out.json"),
            "{error}"
        );
    }

    #[test]
    fn an_abandoned_json_file_leaves_nothing_and_spares_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        fs::write(&path, "old").unwrap();
        drop(JsonFile::create(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
        JsonFile::create(&path).unwrap().write(&[]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
