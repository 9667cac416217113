//! The pages: one file each, no script, nothing loaded from elsewhere.

mod comparison;
mod latency;
mod machine;
mod questions;
mod results;
mod summary;

pub use comparison::comparison;
pub(crate) use machine::facts as machine_facts;

use crate::assemble::Problem;
use crate::report::Report;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeMap;

/// A report that cannot be read: its id, where it was found, what is wrong.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The id.
    pub id: u32,
    /// Where its parts were found.
    pub sources: Vec<String>,
    /// What is wrong.
    pub problem: Problem,
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8886; --bad: #c62828; --good: #2e7d32; --odd: #b26a00; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 75rem; margin: 1.5rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; }
th, td { border: 1px solid var(--line); padding: .15rem .5rem; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.violated { color: var(--bad); font-weight: 600; } .holds { color: var(--good); } .observed { color: var(--odd); }
.not-run { opacity: .65; } tr.differs td:first-child { border-left: 5px solid var(--odd); }
.verdict { font-size: 1.3rem; font-weight: 700; } .problem { border-left: 5px solid var(--bad); padding-left: .6rem; }
code, td.value { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-weight: 600; } .key { font-weight: 400; white-space: nowrap; margin-left: .6rem; }
.key::before { content: ''; display: inline-block; width: .8em; height: .8em; margin-right: .3em; background: var(--key); }
table.latency td { white-space: nowrap; }
svg { background: #fff; max-width: 100%; height: auto; } details > summary { cursor: pointer; font-weight: 600; }
";

/// Returns the page of one or more reports: those of the same machine and microcode together.
#[must_use]
pub fn page(reports: &[Report<'_>], broken: &[Broken]) -> String {
    let mut kinds: BTreeMap<_, Vec<&Report<'_>>> = BTreeMap::new();
    for report in reports {
        kinds.entry(report.kind()).or_default().push(report);
    }
    let title = match reports {
        [one] => format!("RAR report {}", one.id()),
        _ => format!("RAR reports of {} runs", reports.len()),
    };
    document(
        &title,
        &html! {
            h1 { (title) }
            (summary::broken(broken))
            (summary::fleet(&kinds))
            @for ((name, microcode), reports) in &kinds {
                @for report in reports {
                    (whole(report, name, microcode, kinds.len() > 1 || reports.len() > 1))
                }
            }
        },
    )
}

/// Everything of one report; folded away if there are others.
fn whole(report: &Report<'_>, name: &str, microcode: &str, folded: bool) -> Markup {
    let content = html! {
        (summary::one(report))
        h3 { "Machine" }
        (machine::table(report))
        (machine::registers(report))
        h3 { "Tests" }
        (results::table(report))
        (questions::section(report))
        (latency::section(report))
    };
    html! {
        @if folded {
            details id={ "report-" (report.id()) } {
                summary { (report.id()) ": " (name) ", microcode " (microcode) ", " (report.verdict()) }
                (content)
            }
        } @else {
            (content)
        }
    }
}

fn document(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
    .into_string()
}
