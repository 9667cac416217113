//! A reading in lines of text.

use core::fmt::{Display, Formatter, Result};

use super::{ORDINARY, Statistics};

/// Four lines: what every flush does, the waits, what is rare, and the slots. Counts that are zero
/// are left out.
impl Display for Statistics {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let named = self.named();
        let (ordinary, rare) = named.split_at_checked(ORDINARY).unwrap_or_default();
        f.write_str("flushes: ")?;
        list(f, ordinary)?;
        write!(f, "\nwaits: {}\nrare: ", self.waits)?;
        list(f, rare)?;
        write!(f, "\nslots in quarantine: {}", self.quarantined)
    }
}

fn list(f: &mut Formatter<'_>, counts: &[(&str, u64)]) -> Result {
    let mut separator = "";
    for (label, count) in counts.iter().filter(|(_, count)| *count > 0) {
        write!(f, "{separator}{count} {label}")?;
        separator = ", ";
    }
    if separator.is_empty() {
        f.write_str("none")?;
    }
    Ok(())
}
