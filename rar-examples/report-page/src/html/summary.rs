//! What is to be read first: the verdict, what went wrong, the counts of each backend.

use std::collections::BTreeMap;

use maud::{Markup, html};
use rar_report::{Backend, CPUS_AT_LEAST, Event, EventKind, Outcome};

use crate::assemble::Broken;
use crate::report::{Counts, Report, Verdict};
use crate::text;

/// How many violated tests of one assertion are shown at once; more are folded.
const MOST_OPEN: usize = 5;

/// Reports that cannot be read.
pub(super) fn broken(broken: &[Broken]) -> Markup {
    html! {
        @for Broken { id, sources, problem } in broken {
            p.problem {
                "Report " code { (format!("{id:08X}")) } " (" (sources.join(", ")) "): " (problem)
            }
        }
    }
}

/// The table of many reports, by machine and microcode; nothing for one.
pub(super) fn fleet(kinds: &BTreeMap<(String, String), Vec<&Report<'_>>>) -> Markup {
    if kinds.values().map(Vec::len).sum::<usize>() < 2 {
        return html! {};
    }
    let columns = [
        "machine",
        "microcode",
        "report",
        "verdict",
        "tests",
        "violated",
        "found in",
    ];
    html! {
        h2 { "Machines" }
        div.scroll {
            table {
                thead { tr { @for column in columns { th { (column) } } } }
                tbody {
                    @for ((name, microcode), reports) in kinds {
                        @for (row, report) in reports.iter().enumerate() {
                            tr {
                                @if row == 0 {
                                    td rowspan=(reports.len()) { (name) }
                                    td.value rowspan=(reports.len()) { (microcode) }
                                }
                                td { a href={ "#report-" (report.id()) } { (report.id()) } }
                                td { span.badge.(class(report.verdict())) { (report.verdict()) } }
                                td.tests {
                                    @for (backend, counts) in report.counts() {
                                        (bar(&counts))
                                        div.muted { (backend.name()) ": " (counts) }
                                    }
                                }
                                td.violated.wide { (first_violated(report)) }
                                td { (report.sources.join(", ")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The beginning of one report.
pub(super) fn one(report: &Report<'_>) -> Markup {
    let verdict = report.verdict();
    html! {
        p.machine-line { (machine_line(report)) }
        div.verdict.(class(verdict)) {
            p.word { (word(verdict)) }
            p { (meaning(report)) }
            p { strong { (whose_units(report)) } }
            @if let Some(end) = report.end {
                p { "End of the run: " (text::end(end.reason)) "." }
            }
        }
        @for problem in &report.problems {
            p.problem { (problem) }
        }
        div.backends {
            @for (backend, counts) in report.counts() {
                div.backend {
                    strong { (backend.name()) }
                    (bar(&counts))
                    div.counts { (counts) }
                }
            }
        }
        (violated(report))
        (events(report))
    }
}

/// The machine in one line.
fn machine_line(report: &Report<'_>) -> String {
    let (name, microcode) = report.kind();
    let mut line = format!("{name}, microcode {microcode}");
    if let Some(machine) = &report.machine {
        let at_least = report.fact(CPUS_AT_LEAST);
        line += &match (machine.cpus_online, machine.cpus_found, at_least) {
            (online, _, Some(least)) => format!(", {online} of at least {least} CPUs online"),
            (1, 1, None) => ", 1 CPU".to_owned(),
            (online, found, None) if online == found => format!(", {found} CPUs"),
            (online, found, None) => format!(", {online} of {found} CPUs online"),
        };
        line += &format!(", {}", text::firmware(machine.firmware));
    }
    line
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Violated => "VIOLATED",
        Verdict::Incomplete => "INCOMPLETE",
        Verdict::Holds => "Everything that ran holds",
        Verdict::NothingRan => "Nothing ran",
    }
}

/// What the verdict says, in a sentence.
fn meaning(report: &Report<'_>) -> String {
    match report.verdict() {
        Verdict::Violated => match violated_names(report).len() {
            1 => "1 test found an assertion that does not hold; it is listed below.".to_owned(),
            more => format!(
                "{more} tests found an assertion that does not hold; they are listed below."
            ),
        },
        Verdict::Incomplete => "No assertion failed, but the run or the report is not complete: \
            do not take it for a pass."
            .to_owned(),
        Verdict::Holds => {
            let total = |count: fn(&Counts) -> usize| report.counts().values().map(count).sum();
            format!(
                "No assertion failed: {} held, {} observed what no source settles, \
                 {} could not run.",
                text::tests(total(|counts| counts.holds)),
                total(|counts| counts.observed),
                total(|counts| counts.not_run)
            )
        }
        Verdict::NothingRan => "No test gave a result.".to_owned(),
    }
}

/// Whether the processor's own units were tested: all else says nothing about silicon.
fn whose_units(report: &Report<'_>) -> &'static str {
    let counts = report.counts();
    if counts.contains_key(&Backend::Hardware) {
        "The RAR units of this processor were tested (backend hardware)."
    } else if counts.contains_key(&Backend::Vrar) {
        "No RAR unit of the processor was tested. The backend vrar is this project's own unit, \
         in software."
    } else {
        "No RAR unit was tested."
    }
}

/// Counts as a bar.
pub(super) fn bar(counts: &Counts) -> Markup {
    let parts = [
        ("holds", counts.holds),
        ("violated", counts.violated),
        ("observed", counts.observed),
        ("not-run", counts.not_run),
    ];
    html! {
        div.bar title=(counts) {
            @for (class, count) in parts {
                @if count > 0 { span.(class) style={ "flex: " (count) } {} }
            }
        }
    }
}

/// The tests that were violated. Those in which the same assertion did not hold stand together.
fn violated(report: &Report<'_>) -> Markup {
    let mut groups = Vec::<((Backend, &str), Vec<(&str, String)>)>::new();
    for result in &report.results {
        if let Outcome::Violated { initiator, why } = result.outcome {
            let (assertion, place) = why.split_once(": ").unwrap_or((why, ""));
            let test = (result.name, format!("{place} (initiator CPU {initiator})"));
            let key = (result.backend, assertion);
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, tests)) => tests.push(test),
                None => groups.push((key, vec![test])),
            }
        }
    }
    html! {
        @if !groups.is_empty() { h3 { "What was violated" } }
        @for ((backend, assertion), tests) in &groups {
            details.violation open[tests.len() <= MOST_OPEN] {
                summary {
                    (assertion)
                    span.tally { (backend.name()) ", " (text::tests(tests.len())) }
                }
                ul.inside.happened {
                    @for (test, place) in tests { li { code { (test) } " " (place) } }
                }
            }
        }
    }
}

/// The first violated tests, and the number of all others: the report itself lists them.
fn first_violated(report: &Report<'_>) -> String {
    let mut names = violated_names(report);
    let more = names.len().saturating_sub(MOST_OPEN);
    names.truncate(MOST_OPEN);
    match more {
        0 => names.join(", "),
        _ => format!("{}, and {more} more", names.join(", ")),
    }
}

fn violated_names(report: &Report<'_>) -> Vec<String> {
    report
        .results
        .iter()
        .filter(|result| matches!(result.outcome, Outcome::Violated { .. }))
        .map(|result| format!("{} ({})", result.name, result.backend.name()))
        .collect()
}

/// What happened beside the tests.
fn events(report: &Report<'_>) -> Markup {
    html! {
        @if !report.events.is_empty() {
            h3 { "What happened beside the tests" }
            ul.happened {
                @for event in &report.events {
                    li.grave[is_grave(event)] { (one_event(event)) }
                }
            }
        }
    }
}

const fn is_grave(event: &Event<'_>) -> bool {
    matches!(
        event.kind,
        EventKind::CpuMissing | EventKind::CpuSilent | EventKind::Hung | EventKind::Exception
    )
}

fn one_event(event: &Event<'_>) -> Markup {
    html! {
        strong { (text::event(event.kind)) }
        @if let Some(cpu) = event.cpu {
            @if event.kind == EventKind::CpuMissing { ", APIC id " } @else { ", CPU " }
            (cpu)
        }
        @if let Some(backend) = event.backend { ", backend " (backend.name()) }
        @if !event.test.is_empty() { ", test " code { (event.test) } }
        @if !event.text.is_empty() { ": " (event.text) }
    }
}

pub(super) const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Violated => "violated",
        Verdict::Holds => "holds",
        Verdict::Incomplete | Verdict::NothingRan => "observed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rar_report::{Fact, Machine};

    #[test]
    fn cpus_that_may_exist_are_in_the_line_of_the_machine() {
        let line = |online, found, facts: Vec<Fact<'static>>| {
            machine_line(&Report {
                machine: Some(Machine {
                    cpus_online: online,
                    cpus_found: found,
                    ..Machine::default()
                }),
                facts,
                ..Report::default()
            })
        };
        let at_least = Fact {
            key: CPUS_AT_LEAST,
            value: "4",
        };
        assert!(line(3, 3, vec![at_least]).contains(", 3 of at least 4 CPUs online,"));
        assert!(line(3, 3, vec![]).contains(", 3 CPUs,"));
        assert!(line(3, 4, vec![]).contains(", 3 of 4 CPUs online,"));
    }
}
