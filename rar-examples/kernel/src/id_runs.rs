//! Numbers in runs, for lists that may be long.

use core::fmt;

/// Most runs that are written out.
const MOST: usize = 12;

/// Returns the runs of consecutive numbers, each by its first and last.
pub fn id_runs(ids: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    ids.chunk_by(|first, second| first.checked_add(1) == Some(*second))
        .filter_map(|run| Some((*run.first()?, *run.last()?)))
}

/// Ids as text: `0, 64 to 127, and 3 more`.
#[derive(Clone, Copy, Debug)]
pub struct IdRuns<'a>(pub &'a [u32]);

impl fmt::Display for IdRuns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ids) = *self;
        let mut written = 0;
        for ((first, last), number) in id_runs(ids).zip(0..) {
            let comma = if number == 0 { "" } else { ", " };
            if number == MOST {
                let left = ids.len().saturating_sub(written);
                return write!(f, "{comma}and {left} more");
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, " to {last}")?;
            }
            written += usize::try_from(last - first).unwrap_or(0) + 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_short_whatever_the_list() {
        assert_eq!(IdRuns(&[]).to_string(), "");
        assert_eq!(IdRuns(&[7]).to_string(), "7");
        let ids: Vec<_> = (64..128).chain([200, 4, 5]).collect();
        assert_eq!(IdRuns(&ids).to_string(), "64 to 127, 200, 4 to 5");
        let odd: Vec<_> = (0..100).map(|number| number * 2).collect();
        let text = IdRuns(&odd).to_string();
        assert!(text.ends_with("20, 22, and 88 more"), "{text}");
        assert_eq!(IdRuns(&[u32::MAX, 0]).to_string(), "4294967295, 0");
    }
}
