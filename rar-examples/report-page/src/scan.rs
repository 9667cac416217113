//! Finds parts of reports in text that has other things around them.

use rar_report::{MARK, PartHead, read_part};

/// More characters than any part has, a few that wrapped lines add included.
const LONGEST: usize = 2048;

/// A part that was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number of the part, and the id of its report.
    pub head: PartHead,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// What a text has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Parts that are whole.
    pub found: Vec<Found>,
    /// Parts whose beginning can be read and whose checksum does not fit.
    pub damaged: Vec<PartHead>,
    /// Places that look like the beginning of a part and have no readable number.
    pub unreadable: usize,
}

/// Finds all parts in a text.
///
/// Capitals do not matter, nor do line ends within a part, backslashes, or spaces that are not to
/// be broken: terminals and messengers leave such things behind.
#[must_use]
pub fn scan(text: &str) -> Scan {
    let mut scan = Scan::default();
    let upper: String = text
        .chars()
        .filter(|character| !matches!(character, '\r' | '\n' | '\\' | '\0'))
        .map(|character| {
            if character == '\u{A0}' {
                ' '
            } else {
                character.to_ascii_uppercase()
            }
        })
        .collect();
    for (at, _) in upper.match_indices(MARK) {
        let rest = upper.get(at..).unwrap_or_default();
        let Some((head, data)) = PartHead::read(rest) else {
            scan.unreadable += 1;
            continue;
        };
        match whole(rest, rest.len() - data.len()) {
            Some(found) => scan.found.push(found),
            None => scan.damaged.push(head),
        }
    }
    scan
}

/// Returns the part that starts with `text`, wherever it ends: at the first checksum that fits. Its
/// data start at `data`.
fn whole(text: &str, data: usize) -> Option<Found> {
    let mut room = [0; LONGEST];
    let ends = text
        .match_indices(':')
        .map(|(colon, _)| colon)
        .skip_while(|colon| *colon < data)
        .take_while(|colon| *colon < LONGEST);
    ends.filter_map(|colon| text.get(..colon + 9))
        .find_map(|part| {
            let (head, data) = read_part(part, &mut room).ok()?;
            Some(Found {
                head,
                data: data.to_vec(),
            })
        })
}
