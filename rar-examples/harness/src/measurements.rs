//! How long flushes took, as a guest says it: whether its numbers can be, and the table of them.

use comfy_table::{CellAlignment, Table};
use rar_vocabulary::{Backend, Measurement};

use crate::text::table;

/// More initiators than that have no slots for all: some flush by generation, and the guest says
/// so.
const SLOTS: u32 = 64;

/// Returns what is wrong with a measurement: its numbers must fit together, however large they are.
pub fn fault(measurement: &Measurement, backend: Backend, cpus: u32) -> Option<String> {
    let Measurement {
        min, p50, p99, max, ..
    } = *measurement;
    let counted = measurement.histogram.samples();
    let inside = |bucket: u32, ticks: u64| bucket == ticks.max(1).ilog2();
    let mut buckets = measurement.histogram.buckets().map(|(bucket, _)| bucket);
    let ends = match (buckets.next(), buckets.last()) {
        (Some(first), last) => inside(first, min) && inside(last.unwrap_or(first), max),
        _ => false,
    };
    let what = if measurement.samples == 0 {
        "has no samples".to_owned()
    } else if ![min, p50, p99, max].is_sorted() {
        format!("is not in order: {min}, {p50}, {p99}, {max}")
    } else if counted != u64::from(measurement.samples) {
        format!(
            "counts {counted} of {} samples by size",
            measurement.samples
        )
    } else if !ends {
        format!("has {min} or {max} ticks in a bucket of another size")
    } else if measurement.backend != backend || measurement.cpus != cpus {
        format!(
            "is of backend {} on {} CPUs",
            measurement.backend, measurement.cpus
        )
    } else if measurement.targets >= cpus || !(1..=cpus).contains(&measurement.contenders) {
        let Measurement {
            targets,
            contenders,
            ..
        } = measurement;
        format!("names {targets} targets and {contenders} initiators of {cpus} CPUs")
    } else if measurement.spoiled > 0 && measurement.contenders <= SLOTS {
        format!("was spoiled {} times", measurement.spoiled)
    } else {
        return None;
    };
    Some(format!(
        "a measurement by {} {what}",
        measurement.method.name()
    ))
}

/// Returns a table for each machine, in nanoseconds; nothing if there are no measurements.
pub fn render<'a>(measurements: impl Iterator<Item = &'a Measurement>) -> String {
    let measurements: Vec<_> = measurements.collect();
    let machine = |each: &&Measurement| (each.backend, each.cpus);
    let mut text = String::new();
    for of_one in measurements.chunk_by(|one, next| machine(one) == machine(next)) {
        let Some(first) = of_one.first() else {
            continue;
        };
        let (backend, cpus) = machine(first);
        text.push_str(&format!(
            "how long flushes took, backend {backend} on {cpus} CPUs; \
             in QEMU the times are those of the emulator\n{}\n",
            of_machine(of_one)
        ));
    }
    text
}

fn of_machine(measurements: &[&Measurement]) -> Table {
    let mut table = table(&[
        "flush", "pages", "samples", "min ns", "p50 ns", "p99 ns", "max ns", "spoiled",
    ]);
    for column in 2..8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for each in measurements {
        let times = [each.min, each.p50, each.p99, each.max];
        let [min, p50, p99, max] = times.map(|ticks| each.nanoseconds(ticks).to_string());
        let (samples, spoiled) = (each.samples.to_string(), each.spoiled.to_string());
        let row = [what(each), pages(each)];
        table.add_row(
            row.into_iter()
                .chain([samples, min, p50, p99, max, spoiled]),
        );
    }
    table
}

/// Returns by what means how many targets were flushed, and what they did.
fn what(each: &Measurement) -> String {
    let mut what = each.method.name().to_owned();
    if each.targets > 0 {
        what.push_str(&format!(" of {} {}", each.targets, each.state.name()));
    }
    if each.contenders > 1 {
        what.push_str(&format!(", {} at once", each.contenders));
    }
    what
}

fn pages(each: &Measurement) -> String {
    match each.pages {
        0 if !each.method.flushes() => "none".to_owned(),
        0 => "all".to_owned(),
        pages => pages.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rar_vocabulary::Method;

    use super::*;
    use crate::samples::{MEASUREMENT, measurement};

    #[test]
    fn only_numbers_that_can_be_are_believed() {
        let fault = |change: fn(&mut Measurement)| {
            let mut measurement = measurement();
            change(&mut measurement);
            super::fault(&measurement, Backend::Software, 2)
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
            (|each| each.backend = Backend::Vrar, "backend vrar"),
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
        assert!(text.contains("backend software on 2 CPUs"), "{text}");
        let row = text.lines().find(|line| line.contains("spinning")).unwrap();
        let words: Vec<_> = row.split_whitespace().filter(|word| *word != "│").collect();
        let words: Vec<_> = words.iter().filter(|word| word.is_ascii()).collect();
        assert_eq!(words[..5], [&"ipi", &"of", &"1", &"spinning", &"all"]);
        assert_eq!(
            words[words.len() - 5..],
            [&"150", &"350", &"550", &"550", &"0"]
        );
        assert_eq!(render([].iter()), "");
        let clock = Measurement {
            method: Method::Clock,
            ..measurement()
        };
        let text = render([clock].iter());
        assert!(text.contains(" none ") && !text.contains(" all "), "{text}");
    }

    #[test]
    fn a_record_of_a_measurement_is_read() {
        let json = MEASUREMENT.trim_start_matches("@ ");
        assert_eq!(
            serde_json::from_str::<Measurement>(json).unwrap(),
            measurement()
        );
    }
}
