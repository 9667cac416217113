//! How long flushes took, as a guest says it: whether its numbers can be, and the table of them.

use comfy_table::CellAlignment;
use rar_harness::text::table;
use serde::{Deserialize, Serialize};

/// The test that measures.
pub(crate) const MEASUREMENTS: &str = "measurements";

/// What is measured beside flushes, and flushes nothing.
const NO_FLUSH: [&str; 3] = ["clock", "bare-ipi", "bare-exit"];

/// More initiators than that have no slots for all: some flush by generation, and the guest says so.
const SLOTS: u32 = 64;

/// One point; times in ticks of the guest's counter.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub(crate) struct Measurement {
    /// By what means.
    pub(crate) method: String,
    /// What executed remote flushes.
    pub(crate) backend: String,
    /// CPUs of the machine.
    pub(crate) cpus: u32,
    /// How many other CPUs were flushed.
    pub(crate) targets: u32,
    /// How many pages; 0 for everything.
    pub(crate) pages: u32,
    /// What the targets did.
    pub(crate) state: String,
    /// How many CPUs initiated at the same time.
    pub(crate) contenders: u32,
    /// How many flushes were timed.
    pub(crate) samples: u64,
    /// Ticks of a millisecond.
    pub(crate) ticks_per_millisecond: u64,
    /// The shortest.
    pub(crate) min: u64,
    /// The median.
    pub(crate) p50: u64,
    /// What 99 of 100 do not exceed.
    pub(crate) p99: u64,
    /// The longest.
    pub(crate) max: u64,
    /// Buckets by powers of two, each with its count.
    pub(crate) histogram: Vec<(u32, u64)>,
    /// How often something else than the method took part.
    pub(crate) spoiled: u64,
}

impl Measurement {
    /// Returns what is wrong with it, if anything is: times are no matter of right and wrong.
    pub(crate) fn fault(&self, backend: &str, cpus: u32) -> Option<String> {
        let Self {
            min, p50, p99, max, ..
        } = *self;
        let counted: u64 = self.histogram.iter().map(|(_, count)| count).sum();
        let inside = |bucket: u32, ticks: u64| bucket == ticks.max(1).ilog2();
        let ends = match (self.histogram.first(), self.histogram.last()) {
            (Some((first, _)), Some((last, _))) => inside(*first, min) && inside(*last, max),
            _ => false,
        };
        let what = if self.samples == 0 {
            "has no samples".to_owned()
        } else if ![min, p50, p99, max].is_sorted() {
            format!("is not in order: {min}, {p50}, {p99}, {max}")
        } else if counted != self.samples {
            format!("counts {counted} of {} samples by size", self.samples)
        } else if !ends {
            format!("has {min} or {max} ticks in a bucket of another size")
        } else if self.backend != backend || self.cpus != cpus {
            format!("is of backend {} on {} CPUs", self.backend, self.cpus)
        } else if self.targets >= cpus || !(1..=cpus).contains(&self.contenders) {
            let Self {
                targets,
                contenders,
                ..
            } = self;
            format!("names {targets} targets and {contenders} initiators of {cpus} CPUs")
        } else if self.spoiled > 0 && self.contenders <= SLOTS {
            format!("was spoiled {} times", self.spoiled)
        } else {
            return None;
        };
        Some(format!("a measurement by {} {what}", self.method))
    }

    pub(crate) fn nanoseconds(&self, ticks: u64) -> String {
        let ticks = u128::from(ticks) * 1_000_000;
        (ticks / u128::from(self.ticks_per_millisecond.max(1))).to_string()
    }
}

/// Returns a table of all of them, in nanoseconds; nothing if there are none.
pub(crate) fn render<'a>(measurements: impl Iterator<Item = &'a Measurement>) -> String {
    let mut table = table(&[
        "flush",
        "backend",
        "CPUs",
        "targets",
        "pages",
        "targets are",
        "at once",
        "samples",
        "min ns",
        "p50 ns",
        "p99 ns",
        "max ns",
        "spoiled",
    ]);
    for column in [2, 3, 4, 6, 7, 8, 9, 10, 11, 12] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for each in measurements {
        let pages = match each.pages {
            0 if NO_FLUSH.contains(&each.method.as_str()) => "none".to_owned(),
            0 => "all".to_owned(),
            pages => pages.to_string(),
        };
        table.add_row([
            each.method.clone(),
            each.backend.clone(),
            each.cpus.to_string(),
            each.targets.to_string(),
            pages,
            each.state.clone(),
            each.contenders.to_string(),
            each.samples.to_string(),
            each.nanoseconds(each.min),
            each.nanoseconds(each.p50),
            each.nanoseconds(each.p99),
            each.nanoseconds(each.max),
            each.spoiled.to_string(),
        ]);
    }
    if table.is_empty() {
        return String::new();
    }
    format!(
        "how long flushes took; in QEMU the numbers are those of the emulator, not of any processor\n{table}\n"
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const MEASUREMENT: &str = r#"@ {"type":"measurement","method":"ipi","backend":"software","cpus":2,"targets":1,"pages":0,"state":"spinning","contenders":1,"samples":3,"ticks_per_millisecond":2000000,"min":300,"p50":700,"p99":1100,"max":1100,"histogram":[[8,1],[9,1],[10,1]],"spoiled":0}"#;

    pub(crate) fn measurement() -> Measurement {
        serde_json::from_str(MEASUREMENT.trim_start_matches("@ ")).unwrap()
    }

    #[test]
    fn only_numbers_that_can_be_are_believed() {
        let fault = |change: fn(&mut Measurement)| {
            let mut measurement = measurement();
            change(&mut measurement);
            measurement.fault("software", 2)
        };
        assert_eq!(fault(|_| {}), None);
        type Change = fn(&mut Measurement);
        let wrong: [(Change, &str); 11] = [
            (|each| each.samples = 0, "no samples"),
            (|each| each.samples = 4, "counts 3 of 4"),
            (|each| each.min = 701, "not in order"),
            (|each| each.p50 = 1101, "not in order"),
            (|each| each.p99 = 1101, "not in order"),
            (|each| each.max = 2048, "another size"),
            (|each| each.min = 255, "another size"),
            (|each| each.backend = "vrar".to_owned(), "backend vrar"),
            (|each| each.targets = 2, "2 targets"),
            (|each| each.contenders = 0, "0 initiators"),
            (|each| each.spoiled = 1, "spoiled 1"),
        ];
        for (change, words) in wrong {
            let fault = fault(change).unwrap();
            assert!(fault.contains(words), "{fault}");
        }
    }

    #[test]
    fn the_table_is_in_nanoseconds() {
        let text = render([measurement()].iter());
        let row = text.lines().find(|line| line.contains("spinning")).unwrap();
        let words: Vec<_> = row.split_whitespace().filter(|word| *word != "│").collect();
        let words: Vec<_> = words.iter().filter(|word| word.is_ascii()).collect();
        assert_eq!(words[..5], [&"ipi", &"software", &"2", &"1", &"all"]);
        assert_eq!(
            words[words.len() - 5..],
            [&"150", &"350", &"550", &"550", &"0"]
        );
        assert_eq!(render([].iter()), "");
        let clock = Measurement {
            method: "clock".to_owned(),
            ..measurement()
        };
        let text = render([clock].iter());
        assert!(text.contains(" none ") && !text.contains(" all "), "{text}");
    }
}
