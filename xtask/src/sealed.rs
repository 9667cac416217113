//! The report that an image's kernel prints, as far as the stage of the boot image judges it.

use rar_report::{Record, Records, open, read_part};
use serde_json::Value;

/// What a report says.
#[derive(Debug)]
pub(crate) struct Report {
    /// Backends of all results.
    backends: Vec<&'static str>,
    /// Why the run ended.
    pub(crate) end: String,
    /// Nothing was left out.
    pub(crate) complete: bool,
}

/// How a line with a part begins: see [`rar_report::SerialLine`].
const MARK: &str = "@r ";
/// No report of a boot in QEMU is longer.
const ROOM: usize = 1 << 20;

impl Report {
    /// Reads the report among the lines of a console; each part must be there, undamaged, once.
    pub(crate) fn read(lines: &[String]) -> Result<Self, String> {
        let mut parts = Vec::new();
        for line in lines.iter().filter_map(|line| line.strip_prefix(MARK)) {
            let line: Value = serde_json::from_str(line)
                .map_err(|error| format!("a line of the report: {error}"))?;
            let text = line.get("qr").and_then(Value::as_str).unwrap_or_default();
            let mut bytes = vec![0; text.len()];
            let (head, data) = read_part(text, &mut bytes).map_err(|error| error.to_string())?;
            parts.push((head, data.to_vec()));
        }
        let count = parts.first().map_or(0, |(head, _)| head.count);
        let numbers = parts.iter().map(|(head, _)| head.number);
        if count == 0 || !numbers.eq(1..=count) {
            return Err(format!("the report has {} of {count} parts", parts.len()));
        }
        let sealed: Vec<u8> = parts.into_iter().flat_map(|(_, data)| data).collect();
        let mut room = vec![0; ROOM];
        let bytes = open(&sealed, &mut room).map_err(|error| error.to_string())?;
        let mut report = Self {
            backends: Vec::new(),
            end: String::new(),
            complete: false,
        };
        for record in Records::new(bytes) {
            match record.map_err(|error| format!("a record of the report: {error}"))? {
                Record::Result(result) => report.backends.push(result.backend.name()),
                Record::End(reason, left_out) => {
                    report.end = format!("{reason:?}");
                    report.complete = left_out.is_nothing();
                }
                _ => {}
            }
        }
        Ok(report)
    }

    /// Returns how many results a backend has.
    pub(crate) fn results(&self, backend: &str) -> usize {
        self.backends
            .iter()
            .filter(|name| **name == backend)
            .count()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rar_report::{
        Backend, EndReason, Outcome, Parts, SerialLine, Symbol, TestResult, Writer, seal,
    };

    /// Returns the lines of a report with two results.
    pub(crate) fn lines(reason: EndReason) -> Vec<String> {
        let (mut memory, mut sealed) = ([0; 4096], [0; 4096]);
        let mut writer = Writer::new(&mut memory, 7, "test");
        for name in ["one-page", "storm"] {
            writer.push(&Record::Result(TestResult {
                backend: Backend::Vrar,
                name,
                outcome: Outcome::Holds,
                initiators: 1,
                fallbacks: 0,
                resignals: 0,
            }));
        }
        let sealed = seal(writer.finish(reason), &mut sealed).unwrap();
        let parts = Parts::new(sealed, 7, Symbol::new(5).unwrap()).unwrap();
        parts
            .iter()
            .map(|part| SerialLine(part).to_string())
            .collect()
    }

    #[test]
    fn a_report_is_read_from_its_lines() {
        let report = Report::read(&lines(EndReason::Hung)).unwrap();
        assert_eq!((report.results("vrar"), report.results("software")), (2, 0));
        assert!(report.complete);
        assert_eq!(report.end, "Hung");
    }

    #[test]
    fn a_lost_a_doubled_and_a_damaged_part_are_errors() {
        let whole = lines(EndReason::Complete);
        for number in 0..whole.len() {
            let mut lost = whole.clone();
            lost.remove(number);
            assert!(Report::read(&lost).is_err(), "{number}");
            let mut doubled = whole.clone();
            doubled.insert(number, whole[number].clone());
            assert!(Report::read(&doubled).is_err(), "{number}");
            let mut damaged = whole.clone();
            damaged[number] = whole[number].replace("RAR1:00000007", "RAR1:00000008");
            assert!(Report::read(&damaged).is_err(), "{number}");
        }
    }
}
