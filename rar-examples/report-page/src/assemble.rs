//! Puts parts together, and names those that are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rar_report::{
    CONTAINER_HEADER, FORMAT, Header, PartHead, Record, Records, UnsealError, open, open_prefix,
};

use crate::scan::Scan;

/// No report is longer: a header that says so is not to be believed.
const MOST: usize = 64 << 20;

/// A report; at least one of its parts was found.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The report's id.
    pub id: u32,
    /// Where its parts were found.
    pub sources: Vec<String>,
    /// Its records' bytes, or what is wrong with it.
    pub bytes: Result<Vec<u8>, Problem>,
    /// If something is wrong: the bytes that can be read nevertheless, from the beginning.
    pub prefix: Vec<u8>,
}

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

/// What is wrong with a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Parts are missing.
    Missing {
        /// How many the report has.
        count: u32,
        /// Those that are missing.
        missing: Vec<u32>,
        /// Those of them that were found, but damaged.
        damaged: Vec<u32>,
    },
    /// One part was found with different contents.
    Conflict(u32),
    /// The parts are all there and do not make a report.
    Unseal(UnsealError),
    /// The header names a length that no report has.
    Length(u32),
    /// The records have a newer format.
    Format(u16),
    /// The first record is not the head of this report.
    Head,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing {
                count,
                missing,
                damaged,
            } => {
                let (noun, verb) = if missing.len() == 1 {
                    ("part", "is")
                } else {
                    ("parts", "are")
                };
                write!(f, "{noun} {} of {count} {verb} missing", list(missing))?;
                if !damaged.is_empty() {
                    write!(f, " ({} found damaged)", list(damaged))?;
                }
                f.write_str(": scan them again")
            }
            Self::Conflict(number) => write!(
                f,
                "part {number} was found with different contents: two runs have the same id; \
                 give their logs one at a time"
            ),
            Self::Unseal(error) => write!(f, "{error}"),
            Self::Length(length) => write!(
                f,
                "its header says that it has {length} bytes, which no report has"
            ),
            Self::Format(format) => write!(
                f,
                "it has format {format}, this program reads {FORMAT}: take a newer one"
            ),
            Self::Head => f.write_str("its first record is not a head with its id"),
        }
    }
}

impl std::error::Error for Problem {}

/// Returns numbers as people write them: `3, 7 and 9 to 11`.
fn list(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|left, right| left + 1 == *right);
    let texts: Vec<_> = runs
        .map(|run| match run {
            [first, _, .., last] => format!("{first} to {last}"),
            few => few
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        })
        .collect();
    match texts.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => texts.concat(),
    }
}

/// The parts of one report in one way to cut it.
#[derive(Clone, Debug, Default)]
struct Cut {
    sources: BTreeSet<String>,
    parts: BTreeMap<u32, Vec<u8>>,
    damaged: BTreeSet<u32>,
    conflict: Option<u32>,
}

/// The parts that were found, by report.
#[derive(Clone, Debug, Default)]
pub struct PartCollector {
    cuts: BTreeMap<(u32, u32), Cut>,
}

impl PartCollector {
    /// Adds the parts that were found in `source`.
    pub fn add(&mut self, source: &str, scan: Scan) {
        for head in scan.damaged {
            self.cut(source, head).damaged.insert(head.number);
        }
        for found in scan.found {
            let number = found.head.number;
            let cut = self.cut(source, found.head);
            if cut
                .parts
                .get(&number)
                .is_some_and(|known| *known != found.data)
            {
                cut.conflict = Some(number);
            }
            cut.parts.insert(number, found.data);
        }
    }

    fn cut(&mut self, source: &str, head: PartHead) -> &mut Cut {
        let cut = self.cuts.entry((head.id, head.count)).or_default();
        cut.sources.insert(source.to_owned());
        cut
    }
}

/// Returns all reports, each once: if it came cut in several ways, in one that is whole if there is
/// such.
#[must_use]
pub fn assemble(sealed: &PartCollector) -> Vec<Assembled> {
    let mut reports: BTreeMap<u32, Assembled> = BTreeMap::new();
    for ((id, count), cut) in &sealed.cuts {
        // A damaged number may name a report that does not exist; nothing can be said of it unless
        // a part is whole.
        let only_damaged = cut.parts.is_empty();
        let report = cut.report(*id, *count);
        match reports.get(id) {
            Some(known) if known.bytes.is_ok() || only_damaged => {}
            _ => {
                reports.insert(*id, report);
            }
        }
    }
    reports.into_values().collect()
}

impl Cut {
    fn report(&self, id: u32, count: u32) -> Assembled {
        let missing: Vec<_> = (1..=count)
            .filter(|number| !self.parts.contains_key(number))
            .collect();
        let first_missing = missing.first().copied().unwrap_or(count + 1);
        let beginning: Vec<u8> = self
            .parts
            .range(..first_missing)
            .flat_map(|(_, data)| data)
            .copied()
            .collect();
        let bytes = match self.conflict {
            Some(number) => Err(Problem::Conflict(number)),
            None if !missing.is_empty() => Err(Problem::Missing {
                damaged: missing
                    .iter()
                    .filter(|number| self.damaged.contains(number))
                    .copied()
                    .collect(),
                count,
                missing,
            }),
            None => unseal(&beginning, id),
        };
        let prefix = match &bytes {
            Err(Problem::Missing { .. }) => unseal_prefix(&beginning).unwrap_or_default(),
            _ => Vec::new(),
        };
        Assembled {
            id,
            sources: self.sources.iter().cloned().collect(),
            bytes,
            prefix,
        }
    }
}

fn unseal(sealed: &[u8], id: u32) -> Result<Vec<u8>, Problem> {
    let mut memory = memory(sealed)?;
    let report = open(sealed, &mut memory).map_err(Problem::Unseal)?;
    match Records::new(report).next() {
        Some(Ok(Record::Head(head))) if head.format > FORMAT => Err(Problem::Format(head.format)),
        Some(Ok(Record::Head(head))) if head.id == id => Ok(report.to_vec()),
        _ => Err(Problem::Head),
    }
}

fn unseal_prefix(sealed: &[u8]) -> Result<Vec<u8>, Problem> {
    if sealed.len() < CONTAINER_HEADER {
        return Ok(Vec::new());
    }
    let mut memory = memory(sealed)?;
    open_prefix(sealed, &mut memory)
        .map(<[u8]>::to_vec)
        .map_err(Problem::Unseal)
}

fn memory(sealed: &[u8]) -> Result<Vec<u8>, Problem> {
    let (header, _) = Header::read(sealed).map_err(Problem::Unseal)?;
    if header.room() > MOST {
        return Err(Problem::Length(header.length));
    }
    Ok(vec![0; header.room()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_listed_as_people_do() {
        assert_eq!(list(&[3]), "3");
        assert_eq!(list(&[3, 7]), "3 and 7");
        assert_eq!(list(&[3, 4]), "3, 4");
        assert_eq!(list(&[1, 3, 9, 10, 11]), "1, 3 and 9 to 11");
        assert_eq!(list(&[]), "");
    }
}
