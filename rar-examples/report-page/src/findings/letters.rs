//! The letters by which tests say what became of an entry.

use super::Finding;
use super::bits::list;

/// Returns what a letter stands for.
fn answer(letter: char) -> Option<&'static str> {
    Some(match letter {
        'S' => "SUCCESS, flushed",
        's' => "SUCCESS, but nothing flushed",
        'F' => "FAILURE, nothing flushed",
        'f' => "FAILURE, but flushed",
        'P' => "stays PENDING",
        '?' => "CPUs differ, or the byte has another value",
        _ => return None,
    })
}

fn one(letter: &str) -> Option<&'static str> {
    let mut letters = letter.chars();
    let only = letters.next()?;
    letters.next().is_none().then(|| answer(only)).flatten()
}

/// `type 0 SFSSFFFF`, `types 6 to 15 FFFFFFFFFF`, `type 5 F`: one finding for each different
/// answer.
pub(super) fn types(piece: &str) -> Option<Vec<Finding>> {
    let (subject, letters) = piece.rsplit_once(' ')?;
    let first = match subject.strip_prefix("types ") {
        Some(range) => Some(range.split_once(" to ")?.0.parse().ok()?),
        None => None,
    };
    let mut answers: Vec<(char, u64)> = Vec::new();
    for (letter, number) in letters.chars().zip(first.unwrap_or(0)..) {
        answer(letter)?;
        let bit = 1_u64.checked_shl(number)?;
        match answers.iter_mut().find(|(known, _)| *known == letter) {
            Some((_, numbers)) => *numbers |= bit,
            None => answers.push((letter, bit)),
        }
    }
    let whole = answers.len() == 1;
    let about = |numbers: u64| match (first, whole, letters.len(), numbers.count_ones()) {
        (Some(_), true, ..) | (None, _, 1, _) => subject.to_owned(),
        (Some(_), _, _, 1) => format!("type {}", list(numbers)),
        (Some(_), ..) => format!("types {}", list(numbers)),
        (None, true, ..) => format!("{subject}, every subtype"),
        (None, _, _, 1) => format!("{subject}, subtype {}", list(numbers)),
        (None, ..) => format!("{subject}, subtypes {}", list(numbers)),
    };
    let finding = |(letter, numbers)| Some(Finding::new(about(numbers), answer(letter)?));
    answers.into_iter().map(finding).collect()
}

/// `0 pages F, 0 of 68 flushed`
pub(super) fn page_count(piece: &str) -> Option<Finding> {
    let (before, flushed) = piece.split_once(", ")?;
    let (name, letter) = before.rsplit_once(' ')?;
    let flushed = flushed.strip_suffix(" flushed")?;
    // The number of pages says whether there was a flush.
    let (answer, _) = one(letter)?.split_once(',').unwrap_or((one(letter)?, ""));
    Some(Finding::new(
        format!("count of {name}"),
        format!("{answer}, {flushed} pages flushed"),
    ))
}

/// `S`, of an entry of type 0 that names the CR3 of the CPU itself.
pub(super) fn own_cr3(letter: &str) -> Option<Finding> {
    Some(Finding::new("type 0 with this CPU's own CR3", one(letter)?))
}

/// `bit 16 F`: an entry with one thing wrong.
pub(super) fn cause(piece: &str) -> Option<Finding> {
    let (name, letter) = piece.rsplit_once(' ')?;
    let answer = one(letter)?;
    let known = CAUSES.iter().find(|(short, _)| *short == name);
    Some(Finding::new(known.map_or(name, |(_, words)| words), answer))
}

/// What is wrong with an entry, by the short name that the test writes.
const CAUSES: [(&str, &str); 17] = [
    ("software byte", "software's byte of quadword 0 in use"),
    ("software qwords", "software's quadwords 4 to 7 in use"),
    ("bit 16", "reserved bit 16 of quadword 0"),
    ("bit 31", "reserved bit 31 of quadword 0"),
    ("bit 44", "reserved bit 44 of quadword 0"),
    ("bit 63", "reserved bit 63 of quadword 0"),
    ("qword 1", "reserved bit 0 of quadword 1"),
    ("size 3", "reserved page size 3"),
    ("PCID 4096 more", "bit 12 of the operand: a PCID past 4095"),
    ("operand bit 63", "reserved bit 63 of the operand"),
    ("address off by 1", "address with its bit 0 set"),
    ("2M at 4K", "2M stride at an address aligned to 4K"),
    ("1G at 4K", "1G stride at an address aligned to 4K"),
    ("noncanonical", "noncanonical address"),
    ("into the hole", "range that ends in noncanonical addresses"),
    ("one PCID with count", "flush of one PCID with a page count"),
    ("one PCID with address", "flush of one PCID with an address"),
];
