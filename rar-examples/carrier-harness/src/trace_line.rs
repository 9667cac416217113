//! One line of the trace, as `docs/rar-machine.md` describes it.

use std::fmt;

/// What every line of the trace begins with.
const MARK: &str = "vrar";

/// Fields that are shown of entries that were not performed.
const OF_ODD_ENTRIES: [&str; 4] = ["byte", "cr3", "payload", "words"];

/// One line of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine<'a> {
    /// When it happened.
    pub time: TraceTime,
    /// Where it happened.
    pub place: Place,
    /// What happened, by its name.
    pub kind: &'a str,
    fields: Vec<Field<'a>>,
}

/// A key with its value; a text has lost its quotation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field<'a> {
    key: &'a str,
    value: &'a str,
}

/// Microseconds since the launch of the first CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceTime(pub u64);

/// Where something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On the whole machine.
    Machine,
    /// On the CPU with this APIC id.
    Cpu(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("all"),
            Self::Cpu(id) => write!(f, "CPU {id}"),
        }
    }
}

/// Why a line is no line of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTrace {
    /// It is something else.
    Foreign,
    /// It begins as one, and this part cannot be read.
    Malformed(Part),
}

/// A part of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The time.
    Time,
    /// The CPU.
    Cpu,
    /// The kind.
    Kind,
    /// A field.
    Field,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "time",
            Self::Cpu => "CPU",
            Self::Kind => "kind",
            Self::Field => "field",
        })
    }
}

impl<'a> TraceLine<'a> {
    /// Reads a line without its end.
    ///
    /// # Errors
    ///
    /// [`NotTrace`]: the line is something else, or a part of it cannot be read.
    pub fn parse(line: &'a str) -> Result<Self, NotTrace> {
        let rest = line.strip_prefix(MARK).ok_or(NotTrace::Foreign)?;
        let rest = rest.strip_prefix(' ').ok_or(NotTrace::Foreign)?;
        let (time, rest) = word(rest);
        let time = read_time(time).ok_or(NotTrace::Malformed(Part::Time))?;
        let (place, rest) = word(rest);
        let place = match place {
            "-" => Place::Machine,
            id => Place::Cpu(id.parse().map_err(|_| NotTrace::Malformed(Part::Cpu))?),
        };
        let (kind, rest) = word(rest);
        if kind.is_empty() || kind.contains('=') {
            return Err(NotTrace::Malformed(Part::Kind));
        }
        let fields = read_fields(rest).ok_or(NotTrace::Malformed(Part::Field))?;
        Ok(Self {
            time,
            place,
            kind,
            fields,
        })
    }

    /// Returns the value of a field, if the line has it.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'a str> {
        let field = self.fields.iter().find(|field| field.key == key)?;
        Some(field.value)
    }

    /// Returns the fields whose values are numbers, in their order.
    pub fn numbers(&self) -> impl Iterator<Item = (&'a str, u64)> {
        let fields = self.fields.iter();
        fields.filter_map(|field| Some((field.key, read_number(field.value)?)))
    }
}

/// As people read it: without the mark, the time, and what is usual of an entry.
impl fmt::Display for TraceLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Machine => f.write_str(self.kind)?,
            place => write!(f, "{place} {}", self.kind)?,
        }
        let is_usual = self.field("verdict") == Some("performed");
        for Field { key, value } in &self.fields {
            if is_usual && OF_ODD_ENTRIES.contains(key) {
                continue;
            }
            match value.contains(' ') {
                true => write!(f, " {key}=\"{value}\"")?,
                false => write!(f, " {key}={value}")?,
            }
        }
        Ok(())
    }
}

/// Returns the text up to a blank, and what follows it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn read_time(word: &str) -> Option<TraceTime> {
    let (seconds, micros) = word.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if micros.len() != 6 || !digits(micros) || !digits(seconds) {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    let micros: u64 = micros.parse().ok()?;
    Some(TraceTime(
        seconds.checked_mul(1_000_000)?.checked_add(micros)?,
    ))
}

/// Returns a decimal or, with `0x`, hexadecimal number.
fn read_number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn read_fields(mut rest: &str) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (key, behind) = rest.split_once('=')?;
        if key.is_empty() || key.contains(' ') || key.contains('"') {
            return None;
        }
        let value;
        (value, rest) = match behind.strip_prefix('"') {
            Some(text) => {
                let (text, behind) = text.split_once('"')?;
                let next = behind.strip_prefix(' ');
                (text, next.or_else(|| behind.is_empty().then_some(""))?)
            }
            None => word(behind),
        };
        fields.push(Field { key, value });
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of the description.
    const EXAMPLE: &str = include_str!("../../../docs/rar-machine-trace.txt");

    #[test]
    fn every_line_of_the_documented_example_is_read() {
        for line in EXAMPLE.lines() {
            assert!(TraceLine::parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn the_parts_of_an_entry_are_read() {
        let line = EXAMPLE.lines().find(|line| line.contains("slot=0 type=2"));
        let line = TraceLine::parse(line.unwrap()).unwrap();
        assert_eq!(line.time, TraceTime(2_417_730));
        assert_eq!(line.place, Place::Cpu(1));
        assert_eq!(line.kind, "entry");
        assert_eq!(line.field("verdict"), Some("refused"));
        assert_eq!(line.field("why"), Some("PCID 5 named while PCIDs are off"));
        assert_eq!(line.field("missing"), None);
        let numbers: Vec<_> = line.numbers().collect();
        assert!(numbers.contains(&("cr3", 0x026d_2000)), "{numbers:?}");
        assert!(
            line.to_string()
                .starts_with("CPU 1 entry slot=0 type=2 subtype=0 what=\"INVPCID: 1 page")
        );
    }

    #[test]
    fn damage_is_named() {
        let malformed = |line| match TraceLine::parse(line) {
            Err(NotTrace::Malformed(part)) => Some(part),
            _ => None,
        };
        for (line, part) in [
            ("vrar 0.1 0 launch", Part::Time),
            ("vrar 0,000001 0 launch", Part::Time),
            ("vrar +0.000001 0 launch", Part::Time),
            ("vrar 99999999999999999999.000000 0 launch", Part::Time),
            ("vrar 0.000000 x launch", Part::Cpu),
            ("vrar 0.000000 0", Part::Kind),
            ("vrar 0.000000 0 cpus=1", Part::Kind),
            ("vrar 0.000000 0 launch cpus", Part::Field),
            ("vrar 0.000000 0 launch =1", Part::Field),
            ("vrar 0.000000 0 gone why=\"no end", Part::Field),
            ("vrar 0.000000 0 gone why=\"end\"x=1", Part::Field),
            ("vrar 0.000000 0 sivrar 0.000000 1 signal to=0", Part::Field),
        ] {
            assert_eq!(malformed(line), Some(part), "{line}");
        }
        for line in ["", "vrar", "vrarx 1", "Linux", " vrar 0.000000 - end"] {
            assert_eq!(TraceLine::parse(line), Err(NotTrace::Foreign), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in ".*") {
            let _any = TraceLine::parse(&line);
        }

        #[test]
        fn no_bytes_behind_the_mark_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let line = format!("vrar {}", String::from_utf8_lossy(&bytes));
            let _any = TraceLine::parse(&line);
        }

        #[test]
        fn what_was_written_is_read(
            micros in 0_u64..1 << 40, cpu in any::<u32>(), kind in "[a-z-]{1,12}",
            word in "[!-<>-~&&[^\"]]{1,9}", text in "[ -~&&[^\"]]{0,20}",
        ) {
            let (seconds, part) = (micros / 1_000_000, micros % 1_000_000);
            let line = format!(
                "vrar {seconds}.{part:06} {cpu} {kind} word={word} text=\"{text}\" last=7"
            );
            let read = TraceLine::parse(&line).unwrap();
            prop_assert_eq!(read.time, TraceTime(micros));
            prop_assert_eq!(read.place, Place::Cpu(cpu));
            prop_assert_eq!(read.field("word"), Some(word.as_str()));
            prop_assert_eq!(read.field("text"), Some(text.as_str()));
            prop_assert_eq!(read.field("last"), Some("7"));
        }
    }
}
