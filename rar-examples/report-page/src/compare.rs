//! What differs between two reports.

use rar_report::{Backend, Measurement, Method};
use serde::Serialize;

use crate::report::Report;
use crate::text;

/// What differs between two reports.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// Of the machines and their registers.
    pub machine: Vec<Change>,
    /// Of the tests.
    pub outcomes: Vec<Change>,
    /// How many tests have the same outcome in both.
    pub same_outcomes: usize,
    /// Every measurement that both have.
    pub latencies: Vec<Latency>,
    /// How many measurements only one of them has.
    pub unmatched: usize,
}

/// One thing that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What.
    pub what: String,
    /// In the first; `None` if it has no such thing.
    pub before: Option<String>,
    /// In the second.
    pub after: Option<String>,
}

/// One measurement of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Which.
    pub what: String,
    /// The unit of the numbers.
    pub unit: &'static str,
    /// The medians.
    pub p50: (f64, f64),
    /// What 99 of 100 did not exceed.
    pub p99: (f64, f64),
    /// The second median divided by the first, if that is not zero.
    pub ratio: Option<f64>,
}

impl Comparison {
    /// Compares two reports.
    #[must_use]
    pub fn of(before: &Report<'_>, after: &Report<'_>) -> Self {
        let mut comparison = Self {
            machine: changes(&facts(before), &facts(after)).0,
            ..Self::default()
        };
        (comparison.outcomes, comparison.same_outcomes) =
            changes(&outcomes(before), &outcomes(after));
        for first in &before.measurements {
            match after
                .measurements
                .iter()
                .find(|second| key(first) == key(second))
            {
                Some(second) => comparison
                    .latencies
                    .push(Latency::of(before, first, after, second)),
                None => comparison.unmatched += 1,
            }
        }
        let new = |second: &&Measurement<'_>| {
            !before
                .measurements
                .iter()
                .any(|first| key(first) == key(second))
        };
        comparison.unmatched += after.measurements.iter().filter(new).count();
        comparison
    }
}

type Key<'a> = (Backend, Method, u32, u32, &'a str, u32);

const fn key<'a>(measurement: &Measurement<'a>) -> Key<'a> {
    (
        measurement.backend,
        measurement.method,
        measurement.targets,
        measurement.pages,
        measurement.state,
        measurement.initiators,
    )
}

impl Latency {
    fn of(
        before: &Report<'_>,
        first: &Measurement<'_>,
        after: &Report<'_>,
        second: &Measurement<'_>,
    ) -> Self {
        let time = |ticks: (u64, u64)| before.nanoseconds(ticks.0).zip(after.nanoseconds(ticks.1));
        let pair = |ticks: (u64, u64)| time(ticks).unwrap_or((ticks.0 as f64, ticks.1 as f64));
        let p50 = pair((first.p50, second.p50));
        Self {
            what: describe(first),
            unit: if time((0, 0)).is_some() {
                "ns"
            } else {
                "ticks"
            },
            p50,
            p99: pair((first.p99, second.p99)),
            ratio: (p50.0 > 0.0).then(|| p50.1 / p50.0),
        }
    }
}

/// Returns which measurement it is.
fn describe(measurement: &Measurement<'_>) -> String {
    let Measurement {
        targets,
        state,
        initiators,
        ..
    } = measurement;
    let (backend, method) = (measurement.backend.name(), measurement.method.name());
    let pages = match measurement.method.flushes() {
        true => text::pages(measurement.pages),
        false => "nothing".to_owned(),
    };
    format!("{backend} {method}, {targets} targets, {pages}, {state}, {initiators} at once")
}

type Named = Vec<(String, String)>;

/// Returns what differs, and how much does not.
fn changes(before: &Named, after: &Named) -> (Vec<Change>, usize) {
    let value = |all: &Named, what: &str| {
        all.iter()
            .find(|(name, _)| name == what)
            .map(|(_, value)| value.clone())
    };
    let mut changes = Vec::new();
    let mut same = 0;
    for (what, first) in before {
        let second = value(after, what);
        if second.as_ref() == Some(first) {
            same += 1;
        } else {
            changes.push(Change {
                what: what.clone(),
                before: Some(first.clone()),
                after: second,
            });
        }
    }
    let new = after
        .iter()
        .filter(|(what, _)| value(before, what).is_none());
    changes.extend(new.map(|(what, second)| Change {
        what: what.clone(),
        before: None,
        after: Some(second.clone()),
    }));
    (changes, same)
}

fn outcomes(report: &Report<'_>) -> Named {
    let line = |result: &rar_report::TestResult<'_>| {
        (
            format!("{} {}", result.backend.name(), result.name),
            text::outcome(&result.outcome),
        )
    };
    report.results.iter().map(line).collect()
}

fn facts(report: &Report<'_>) -> Named {
    let mut facts = crate::html::machine_facts(report);
    for registers in &report.registers {
        let cpu = registers.first_cpu;
        let leaf = text::cpuid_7_edx(registers);
        facts.push((format!("CPU {cpu} CPUID.7.0:EDX"), leaf));
        for (number, name, read) in registers.all() {
            facts.push((
                format!("CPU {cpu} {name} ({number:#x})"),
                text::register(read),
            ));
        }
    }
    facts
}
