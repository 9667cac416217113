//! The tables at the end of a soak.

use comfy_table::CellAlignment;
use rar_harness::text;
use rar_vocabulary::{SoakFault, SoakOperation};

use crate::report::total;
use crate::run::Ended;

/// Returns a table of slices, one of the kinds of flushes, one of faults, and the sums.
#[must_use]
pub fn render(slices: &[Ended]) -> String {
    let sum = total(slices);
    let mut of_slices = table(&[
        "slice",
        "flushes",
        "verified",
        "faults",
        "accounted",
        "stale",
        "outcome",
    ]);
    let mut details = Vec::new();
    for each in slices {
        let counts = each.counts();
        of_slices.add_row([
            each.slice.to_string(),
            counts.flushes().to_string(),
            counts.verified().to_string(),
            counts.injected().to_string(),
            counts.accounted().to_string(),
            counts.stale.to_string(),
            if each.passed() { "passed" } else { "FAILED" }.to_owned(),
        ]);
        details.push(each.problems.join("; "));
    }
    let mut of_kinds = table(&["flush", "flushes", "verified"]);
    for (kind, each) in SoakOperation::ALL.iter().zip(sum.operations) {
        of_kinds.add_row([
            kind.to_string(),
            each.flushes.to_string(),
            each.verified.to_string(),
        ]);
    }
    let mut of_faults = table(&["fault", "injected", "accounted"]);
    for (kind, each) in SoakFault::ALL.iter().zip(sum.faults) {
        of_faults.add_row([
            kind.to_string(),
            each.injected.to_string(),
            each.accounted.to_string(),
        ]);
    }
    format!(
        "{}\n{of_kinds}\n{of_faults}\n{} accesses judged; the stale translation was seen in {} of \
         {} controls; {} frames used again, {} switches of spaces, {} of them kept \
         translations, {} threads migrated, {} PCIDs changed hands, {} times lazy\n",
        text::with_details(&of_slices, &details),
        sum.accesses,
        sum.controls_seen,
        sum.controls,
        sum.reused,
        sum.switches,
        sum.kept,
        sum.migrations,
        sum.pcids,
        sum.lazy
    )
}

/// Returns the last line.
#[must_use]
pub fn sums(slices: &[Ended]) -> String {
    let sum = total(slices);
    let hangs = slices.iter().filter(|each| each.died).count();
    let mut line = format!(
        "{} flushes, {} verified, {} stale, {} of {} faults accounted for, {hangs} hangs",
        sum.flushes(),
        sum.verified(),
        sum.stale,
        sum.accounted(),
        sum.injected()
    );
    if sum.pauses > 0 {
        line.push_str(&format!(
            ", {} flushes by other means while the host paused a CPU",
            sum.pauses
        ));
    }
    line
}

fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = text::table(header);
    for column in 1..header.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
