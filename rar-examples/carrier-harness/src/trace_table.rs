//! The table at the end of a run: what the guest's driver did with the RAR units.

use std::collections::BTreeSet;

use rar_harness::text;
use rar_vocabulary::UnitCounter;

use crate::trace_line::Place;
use crate::trace_tally::{RegisterWrites, Sums, Tally, TraceEnd};

/// Counters of signals, in the order in which they are shown, each in words.
const SIGNALS: [(UnitCounter, &str); 4] = [
    (UnitCounter::Commands, "sent, by interrupt commands"),
    (UnitCounter::Latched, "latched by the unit of their target"),
    (UnitCounter::Merged, "merged with a latched one"),
    (UnitCounter::Dropped, "lost"),
];

/// Counters whose names begin so say why entries were refused.
const REFUSED: &str = "refused-";

/// Returns the table, and what follows it.
#[must_use]
pub fn render(tally: &Tally) -> String {
    let mut rows = Vec::new();
    for (name, writes) in &tally.registers {
        rows.push(row("registers", register(name, writes), writes.done));
        if writes.faulted > 0 {
            rows.push(row("registers", format!("{name}: #GP(0)"), writes.faulted));
        }
    }
    let counters = tally.counters();
    if tally.registers.is_empty() {
        let writes = (UnitCounter::RegisterWrites, "writes");
        rows.extend(counted(&counters, "registers", writes));
    }
    for counter in SIGNALS {
        rows.extend(counted(&counters, "signals", counter));
    }
    for (kind, verdicts) in tally.entries() {
        for (verdict, number) in verdicts {
            rows.push(row("entries", format!("{kind}: {verdict}"), number));
        }
    }
    for (name, number) in &counters {
        if let Some(reason) = name.strip_prefix(REFUSED) {
            let words = UnitCounter::by_name(name).map_or(reason, |counter| counter.describe());
            rows.push(row("refusals", words.to_owned(), *number));
        }
    }
    for (kind, number) in tally.offences() {
        let first = tally.first_offences.get(&kind);
        let first = first.map_or_else(String::new, |(place, why)| format!(" ({place}: {why})"));
        rows.push(row("OFFENCES", format!("{kind}{first}"), number));
    }
    let mut table = text::table(&["", "what the driver did", "times"]);
    let mut last = "";
    for [group, what, times] in &rows {
        let shown = if group == last { "" } else { group };
        table.add_row([shown, what, times]);
        last = group;
    }
    let mut lines = Vec::new();
    if rows.is_empty() {
        lines.push("the guest's driver did nothing with the RAR units".to_owned());
    } else {
        lines.push(table.to_string());
    }
    lines.extend(notes(tally));
    lines.join("\n")
}

/// What the table has no row for.
fn notes(tally: &Tally) -> Vec<String> {
    let mut notes = Vec::new();
    if !tally.knobs.is_empty() {
        notes.push(format!("knobs: {}", tally.knobs.join(", ")));
    }
    for (place, why) in &tally.gone {
        notes.push(format!("{place}: the guest is gone: {why}"));
    }
    if tally.malformed > 0 {
        notes.push(format!(
            "{} lines of the trace cannot be read",
            tally.malformed
        ));
    }
    notes.push(match &tally.end {
        TraceEnd::Whole(why) => format!("the trace is complete: {why}"),
        TraceEnd::Cut(_) => "the trace ends within its summary".to_owned(),
        TraceEnd::Open if tally.launched.is_empty() => {
            "no CPU became a guest: there was no RAR unit".to_owned()
        }
        TraceEnd::Open if tally.is_idle() => {
            "the guest did not end, or reset the machine before it used a unit; \
             counts may lack the last second"
                .to_owned()
        }
        TraceEnd::Open => "the guest did not end; the counts may lack the last second".to_owned(),
    });
    notes
}

fn row(group: &str, what: String, times: u64) -> [String; 3] {
    [group.to_owned(), what, times.to_string()]
}

fn counted(
    counters: &Sums,
    group: &str,
    (counter, words): (UnitCounter, &str),
) -> Option<[String; 3]> {
    let number = counters.get(counter.name())?;
    Some(row(group, words.to_owned(), *number))
}

fn register(name: &str, writes: &RegisterWrites) -> String {
    let RegisterWrites { cpus, last, .. } = writes;
    format!("{name} on {}, last {last}", listed(cpus))
}

/// Returns the CPUs in words.
fn listed(cpus: &BTreeSet<Place>) -> String {
    let (first, last) = (cpus.first(), cpus.last());
    match (cpus.len(), first, last) {
        (1, Some(one), _) => one.to_string(),
        (number, Some(first), Some(last)) => format!("{number} CPUs ({first} to {last})"),
        _ => "no CPU".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace_tally::tests::{example, tally};

    #[test]
    fn each_thing_that_happened_has_a_row() {
        let text = render(&example());
        let has = |words: &[&str]| {
            let mut lines = text.lines();
            lines.any(|line| words.iter().all(|word| line.contains(word)))
        };
        assert!(
            has(&["MSR_RAR_CONTROL on CPU 1, last 0xc0000000", " 1 "]),
            "{text}"
        );
        assert!(
            has(&["signals", "sent, by interrupt commands", "302"]),
            "{text}"
        );
        assert!(has(&["invpcid-all: performed", "301"]), "{text}");
        assert!(has(&["refusals", "A PCID other than 0"]), "{text}");
        assert!(
            has(&["OFFENCES", "refused-entry (CPU 1: PCID 5 named"]),
            "{text}"
        );
        assert!(has(&["knobs: unused_fields=ignore"]), "{text}");
        assert!(has(&["the trace is complete: ", "port 0x604"]), "{text}");
    }

    #[test]
    fn a_run_without_a_driver_says_so() {
        let launch = "vrar 0.000001 0 launch cpus=1\n";
        let text = render(&tally(launch));
        assert!(text.contains("did nothing"), "{text}");
        assert!(text.contains("or reset the machine before"), "{text}");
        let text = render(&tally(&format!(
            "{launch}vrar 1.000000 0 counts entries=1\n"
        )));
        assert!(text.contains("the guest did not end; "), "{text}");
        assert!(text.contains("may lack the last second"), "{text}");
        let text = render(&tally(""));
        assert!(text.contains("there was no RAR unit"), "{text}");
    }

    #[test]
    fn a_guest_that_is_gone_and_damage_are_shown() {
        let text = render(&tally(
            "vrar 0.000001 3 gone exit=0x7f why=shutdown\nvrar 1 1 1\n",
        ));
        assert!(
            text.contains("CPU 3: the guest is gone: shutdown"),
            "{text}"
        );
        assert!(
            text.contains("1 lines of the trace cannot be read"),
            "{text}"
        );
    }
}
