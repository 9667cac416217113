//! The figures as a text table.

use comfy_table::{CellAlignment, Table, presets};

use super::{CPUS, Policy, Workload, measure};

/// Returns the table of all workloads and policies.
///
/// # Errors
///
/// As [`measure`].
pub fn table() -> Result<String, String> {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let header = ["workload", "named"];
    table.set_header(header.into_iter().chain(Policy::ALL.map(Policy::name)));
    for workload in Workload::all() {
        let mut row = vec![workload.name.to_owned()];
        for policy in Policy::ALL {
            let loss = measure(policy, &workload)?;
            if row.len() == 1 {
                row.push(loss.named.to_string());
            }
            row.push(match loss.disturbed {
                0 => loss.needless.to_string(),
                _ => format!("{} *", loss.needless),
            });
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(format!(
        "TLB entries lost needlessly, on {CPUS} CPUs together\n\n{table}\n\n* the idle CPU was \
         disturbed\n"
    ))
}
