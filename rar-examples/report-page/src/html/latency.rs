//! How long flushes took: plots over the number of targets, and a table of everything.

use crate::plot;
use crate::report::Report;
use crate::text;
use maud::{Markup, PreEscaped, html};
use rar_report::Measurement;
use std::collections::BTreeMap;

pub(super) fn section(report: &Report<'_>) -> Markup {
    if report.measurements.is_empty() {
        return html! {};
    }
    let mut groups: BTreeMap<_, Vec<&Measurement<'_>>> = BTreeMap::new();
    for measurement in &report.measurements {
        let Measurement {
            pages,
            state,
            initiators,
            ..
        } = *measurement;
        groups
            .entry((state, initiators, pages))
            .or_default()
            .push(measurement);
    }
    html! {
        h3 { "Latency" }
        @for ((state, initiators, pages), measurements) in &groups {
            @if let Some(svg) = plot::by_targets(report, measurements) {
                figure {
                    figcaption {
                        (text::pages(*pages)) ", targets in " code { (state) } ", " (initiators)
                        " flushing at once: median, and fainter what 99 of 100 do not exceed"
                    }
                    (PreEscaped(svg))
                }
            }
        }
        (table(report))
    }
}

fn table(report: &Report<'_>) -> Markup {
    let unit = if report.nanoseconds(0).is_some() {
        "ns (ticks)"
    } else {
        "ticks"
    };
    let value = |ticks: u64| match report.nanoseconds(ticks) {
        Some(time) => format!("{time:.0} ({ticks})"),
        None => ticks.to_string(),
    };
    html! {
        p { "In " (unit) "; the histogram has a bar for each power of two of ticks, as high as the logarithm of its count." }
        table {
            thead {
                tr {
                    @for name in ["backend", "method", "targets", "pages", "targets' state", "at once", "samples", "min", "p50", "p99", "max", "histogram"] {
                        th { (name) }
                    }
                }
            }
            tbody {
                @for measurement in &report.measurements {
                    tr {
                        td { (measurement.backend.name()) }
                        td { (measurement.method.name()) }
                        td.number { (measurement.targets) }
                        td { (text::pages(measurement.pages)) }
                        td { code { (measurement.state) } }
                        td.number { (measurement.initiators) }
                        td.number { (measurement.samples) }
                        @for ticks in [measurement.min, measurement.p50, measurement.p99, measurement.max] {
                            td.number { (value(ticks)) }
                        }
                        td { @if let Some(svg) = plot::histogram(&measurement.histogram) { (PreEscaped(svg)) } }
                    }
                }
            }
        }
    }
}
