//! How long flushes took: plots, and a table of everything.

use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use rar_report::{CLOCK, Measurement};

use crate::figures::{Figure, figures};
use crate::plot::{self, Unit};
use crate::report::Report;
use crate::text;

pub(super) fn section(report: &Report<'_>) -> Markup {
    if report.measurements.is_empty() {
        return html! {};
    }
    let unit = if report.nanoseconds(0).is_some() {
        Unit::Nanoseconds
    } else {
        Unit::Ticks
    };
    let figures: Vec<_> = figures(report)
        .iter()
        .filter_map(|figure| Some((figure.clone(), plot::curves(figure, unit)?)))
        .collect();
    html! {
        @if figures.is_empty() {
            p { "Too few points for a plot." }
        } @else {
            p {
                "Each plot shows how long one flush took. Thick lines are medians; 99 of 100 "
                "flushes did not take longer than the faint line above. Both axes are logarithmic."
            }
            div.figures {
                @for (figure, svg) in &figures {
                    figure {
                        figcaption { (figure.common) div.legend { (legend(figure)) } }
                        (PreEscaped(svg))
                    }
                }
            }
        }
        details {
            summary { "All measurements" span.tally { (report.measurements.len()) } }
            div.inside { (table(report, unit)) }
        }
    }
}

fn legend(figure: &Figure) -> Markup {
    html! {
        @for curve in &figure.curves {
            span.key style={ "--key: var(--c" (curve.colour) ")" } { (curve.name) }
        }
    }
}

/// Returns the buckets that any histogram uses.
fn buckets(report: &Report<'_>) -> Range<u32> {
    let used = || {
        let histograms = report.measurements.iter().map(|each| &each.histogram);
        histograms.flat_map(|histogram| histogram.buckets().map(|(bucket, _)| bucket))
    };
    used().min().unwrap_or(0)..used().max().map_or(1, |last| last + 1)
}

fn table(report: &Report<'_>, unit: Unit) -> Markup {
    let spoiled = report.measurements.iter().any(|each| each.spoiled > 0);
    let disturbed = |each: &Measurement<'_>| !each.disturbances.is_none();
    let any_disturbed = report.measurements.iter().any(disturbed);
    let buckets = buckets(report);
    let edge = |bucket: u32| {
        let ticks = 1_u64.checked_shl(bucket).unwrap_or(u64::MAX);
        unit.label(report.nanoseconds(ticks).unwrap_or(ticks as f64))
    };
    let value = |ticks: u64| match report.nanoseconds(ticks) {
        Some(time) => format!("{time:.0}"),
        None => ticks.to_string(),
    };
    html! {
        @match unit {
            Unit::Nanoseconds => p {
                "In nanoseconds. The title of each number and the JSON file have ticks of the time "
                "stamp counter."
                @if let Some(clock) = report.fact(CLOCK) {
                    " The rate of that counter is by " (clock) "."
                }
            }
            Unit::Ticks => p { "In ticks of the time stamp counter, whose rate is not known." }
        }
        p {
            "A histogram has a bar for each power of two of ticks, from "
            (edge(buckets.start)) " to " (edge(buckets.end)) " in every row. "
            "The height of a bar is the logarithm of its count."
        }
        @if spoiled {
            p {
                i { "spoiled" } " counts fallbacks, second signals and flushes without a slot: "
                "such a row does not measure its method alone."
            }
        }
        @if any_disturbed {
            p {
                i { "disturbed by" } " counts interrupts that no code asked for, and gaps in which "
                "a CPU did not run: the longest flushes of such a row may be longer by that."
            }
        }
        div.scroll { table.latency {
            thead {
                tr {
                    @for name in ["backend", "method"] { th { (name) } }
                    th.number { "targets" }
                    @for name in ["pages", "targets are"] { th { (name) } }
                    @for name in ["at once", "samples", "min", "p50", "p99", "max"] {
                        th.number { (name) }
                    }
                    th { "histogram, from " (edge(buckets.start)) " to " (edge(buckets.end)) }
                    @if spoiled { th.number { "spoiled" } }
                    @if any_disturbed { th { "disturbed by" } }
                }
            }
            tbody {
                @for measurement in &report.measurements {
                    tr {
                        td { (measurement.backend.name()) }
                        td { (measurement.method.name()) }
                        td.number { (measurement.targets) }
                        td {
                            @if measurement.method.flushes() { (text::pages(measurement.pages)) }
                            @else { "nothing" }
                        }
                        td { (measurement.state) }
                        td.number { (measurement.initiators) }
                        td.number { (measurement.samples) }
                        @let Measurement { min, p50, p99, max, .. } = *measurement;
                        @for ticks in [min, p50, p99, max] {
                            td.number title={ (ticks) " ticks" } { (value(ticks)) }
                        }
                        td {
                            @if let Some(svg) = plot::histogram(&measurement.histogram, &buckets) {
                                (PreEscaped(svg))
                            }
                        }
                        @if spoiled {
                            td.number.violated[measurement.spoiled > 0] { (measurement.spoiled) }
                        }
                        @if any_disturbed {
                            td class=[disturbed(measurement).then_some("observed")] {
                                (measurement.disturbances)
                            }
                        }
                    }
                }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use rar_report::{Backend, Disturbances, Fact, Histogram, Machine, Method};

    use super::*;

    fn measurement(targets: u32, spoiled: u64) -> Measurement<'static> {
        let mut histogram = Histogram::new();
        histogram.record(1024);
        Measurement {
            backend: Backend::Vrar,
            method: Method::Rar,
            targets,
            pages: 1,
            state: "<b>",
            initiators: 1,
            samples: 1,
            min: 1024,
            p50: 1024,
            p99: 1024,
            max: 1024,
            histogram,
            spoiled,
            disturbances: Disturbances::NONE,
        }
    }

    fn page(spoiled: [u64; 2]) -> String {
        section(&measured(spoiled)).into_string()
    }

    fn measured(spoiled: [u64; 2]) -> Report<'static> {
        let [first, second] = spoiled;
        Report {
            measurements: vec![measurement(1, first), measurement(2, second)],
            ..Report::default()
        }
    }

    #[test]
    fn what_disturbed_a_row_is_told_of_it_alone() {
        let mut report = measured([0, 0]);
        assert!(!section(&report).into_string().contains("disturbed by"));
        report.measurements[1].disturbances.gaps = 2;
        report.measurements[1].disturbances.longest_gap = 130;
        let page = section(&report).into_string();
        assert!(page.contains("<td></td></tr>"), "{page}");
        let told = r#"<td class="observed">2 gaps of up to 130 us</td></tr>"#;
        assert!(page.contains(told), "{page}");
    }

    #[test]
    fn what_was_spoiled_is_told_of_its_row_alone() {
        assert!(!page([0, 0]).contains("spoiled"));
        let page = page([0, 7]);
        assert!(
            page.contains(r#"<th class="number">spoiled</th>"#),
            "{page}"
        );
        assert!(page.contains(r#"<td class="number">0</td></tr>"#), "{page}");
        assert!(
            page.contains(r#"<td class="number violated">7</td></tr>"#),
            "{page}"
        );
    }

    #[test]
    fn times_name_the_source_of_their_rate_and_its_bound() {
        let mut report = Report {
            machine: Some(Machine {
                tsc_hz: 1_000_000_000,
                ..Machine::default()
            }),
            measurements: vec![measurement(1, 0)],
            ..Report::default()
        };
        assert!(!section(&report).into_string().contains("is by"));
        report.facts = vec![Fact {
            key: CLOCK,
            value: "the ACPI timer within 560 ppm",
        }];
        let page = section(&report).into_string();
        let words = "The rate of that counter is by the ACPI timer within 560 ppm.";
        assert!(page.contains(words), "{page}");
    }

    #[test]
    fn two_points_make_a_plot_and_no_text_of_a_report_is_markup() {
        let page = page([0, 0]);
        assert_eq!(page.matches("<figure>").count(), 1);
        assert!(
            page.contains("targets &lt;b&gt;") && !page.contains("<b>"),
            "{page}"
        );
        assert!(page.contains("from 1k to 2k in every row"), "{page}");
    }
}
