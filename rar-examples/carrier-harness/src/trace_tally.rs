//! What the guest's driver did, summed up from the trace.

use std::collections::{BTreeMap, BTreeSet};

use crate::trace_line::{NotTrace, Place, TraceLine};

/// Counters whose names begin so count what no driver may do.
const OFFENCE: &str = "offence-";

/// Sums by name.
pub type Sums = BTreeMap<String, u64>;

/// What the trace of one run says.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Knobs that are not at their default, each as `name=value`.
    pub knobs: Vec<String>,
    /// CPUs that became guests.
    pub launched: BTreeSet<Place>,
    /// CPUs that took a start-up message of the guest.
    pub started: BTreeSet<Place>,
    /// Guests that are no more, with the reason.
    pub gone: Vec<(Place, String)>,
    /// Writes of each RAR register.
    pub registers: BTreeMap<String, RegisterWrites>,
    /// The first offence of each kind: where, and why.
    pub first_offences: BTreeMap<String, (Place, String)>,
    /// How the trace ended.
    pub end: TraceEnd,
    /// Lines that begin as lines of the trace and cannot be read.
    pub malformed: u64,
    counters: BTreeMap<Place, Sums>,
    entries: BTreeMap<(Place, String), Sums>,
    offences: Sums,
}

/// Writes of one RAR register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterWrites {
    /// Writes that were done.
    pub done: u64,
    /// Writes that raised #GP(0).
    pub faulted: u64,
    /// The CPUs that wrote.
    pub cpus: BTreeSet<Place>,
    /// The last value.
    pub last: String,
}

/// How a trace ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TraceEnd {
    /// Without a summary: the machine was killed, or still ran.
    #[default]
    Open,
    /// In the middle of its summary, which was begun for this reason.
    Cut(String),
    /// With a whole summary, for this reason.
    Whole(String),
}

impl Tally {
    /// Takes a line; returns it as read.
    ///
    /// # Errors
    ///
    /// [`NotTrace`]: it is something else, or cannot be read, which is counted.
    pub fn take<'a>(&mut self, line: &'a str) -> Result<TraceLine<'a>, NotTrace> {
        let line = TraceLine::parse(line);
        match &line {
            Ok(line) => self.count(line),
            Err(NotTrace::Malformed(_)) => self.malformed += 1,
            Err(NotTrace::Foreign) => {}
        }
        line
    }

    fn count(&mut self, line: &TraceLine<'_>) {
        let text = |key| line.field(key).unwrap_or_default().to_owned();
        match line.kind {
            "knob" => self
                .knobs
                .push(format!("{}={}", text("name"), text("value"))),
            "launch" => drop(self.launched.insert(line.place)),
            "startup" => drop(self.started.insert(line.place)),
            "gone" => self.gone.push((line.place, text("why"))),
            "msr" => {
                let writes = self.registers.entry(text("name")).or_default();
                match line.field("result") {
                    Some("gp") => writes.faulted += 1,
                    _ => {
                        writes.done += 1;
                        writes.last = text("value");
                    }
                }
                writes.cpus.insert(line.place);
            }
            "offence" => {
                let kind = text("kind");
                *self.offences.entry(kind.clone()).or_default() += 1;
                let first = self.first_offences.entry(kind);
                first.or_insert_with(|| (line.place, text("why")));
            }
            "counts" => {
                let numbers = line.numbers();
                let sums = numbers.map(|(name, number)| (name.to_owned(), number));
                self.counters.insert(line.place, sums.collect());
            }
            "entries" => {
                let numbers = line.numbers();
                let sums = numbers.map(|(name, number)| (name.to_owned(), number));
                self.entries
                    .insert((line.place, text("kind")), sums.collect());
            }
            "summary" => self.end = TraceEnd::Cut(text("why")),
            "end" => {
                if let TraceEnd::Cut(why) = std::mem::take(&mut self.end) {
                    self.end = TraceEnd::Whole(why);
                }
            }
            _ => {}
        }
    }

    /// Returns each counter, summed over the CPUs.
    #[must_use]
    pub fn counters(&self) -> Sums {
        let mut all = Sums::new();
        for (_, sums) in self.counters.iter().filter(|(place, _)| is_cpu(**place)) {
            add(&mut all, sums);
        }
        all
    }

    /// Returns the entries of each kind by their verdict, summed over the CPUs.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<&str, Sums> {
        let mut all: BTreeMap<&str, Sums> = BTreeMap::new();
        let cpus = self.entries.iter().filter(|((place, _), _)| is_cpu(*place));
        for ((_, kind), sums) in cpus {
            add(all.entry(kind).or_default(), sums);
        }
        all
    }

    /// Returns the offences of each kind. A machine that was killed may have written an offence and
    /// not its count, so the greater number counts.
    #[must_use]
    pub fn offences(&self) -> Sums {
        let mut all = self.offences.clone();
        for (name, number) in self.counters() {
            if let Some(kind) = name.strip_prefix(OFFENCE) {
                let most = all.entry(kind.to_owned()).or_default();
                *most = number.max(*most);
            }
        }
        all
    }

    /// Returns whether the driver did anything with a RAR unit.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.registers.is_empty() && self.counters().is_empty() && self.offences().is_empty()
    }
}

const fn is_cpu(place: Place) -> bool {
    matches!(place, Place::Cpu(_))
}

fn add(all: &mut Sums, more: &Sums) {
    for (name, number) in more {
        let sum = all.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*number);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The example of the description.
    const EXAMPLE: &str = include_str!("../../../docs/rar-machine-trace.txt");

    pub(crate) fn tally(lines: &str) -> Tally {
        let mut tally = Tally::default();
        for line in lines.lines() {
            let _read = tally.take(line);
        }
        tally
    }

    pub(crate) fn example() -> Tally {
        tally(EXAMPLE)
    }

    #[test]
    fn the_documented_example_is_summed_up() {
        let tally = example();
        assert_eq!(tally.malformed, 0);
        assert_eq!(tally.knobs, ["unused_fields=ignore"]);
        assert_eq!(tally.launched.len(), 2);
        let counters = tally.counters();
        assert_eq!(counters.get("commands"), Some(&302));
        assert_eq!(counters.get("performed"), Some(&301));
        let entries = tally.entries();
        assert_eq!(entries["invpcid-all"]["performed"], 301);
        assert_eq!(entries["invpcid-pages"]["refused"], 1);
        let control = &tally.registers["MSR_RAR_CONTROL"];
        assert_eq!((control.done, control.faulted), (1, 0));
        assert_eq!(control.last, "0xc0000000");
        assert_eq!(
            tally.offences(),
            Sums::from([("refused-entry".to_owned(), 1)])
        );
        let (place, why) = &tally.first_offences["refused-entry"];
        assert_eq!(*place, Place::Cpu(1));
        assert!(why.contains("PCID 5"));
        assert!(matches!(tally.end, TraceEnd::Whole(why) if why.contains("port 0x604")));
    }

    #[test]
    fn the_last_counts_of_a_cpu_count() {
        let tally = tally(
            "vrar 1.000000 0 counts entries=5\nvrar 2.000000 0 counts entries=9\n\
             vrar 2.000000 1 counts entries=1\nvrar 3.000000 - counts entries=99\n",
        );
        assert_eq!(tally.counters()["entries"], 10);
        assert!(!tally.is_idle());
    }

    #[test]
    fn an_offence_counts_though_its_count_was_not_written() {
        let offence = "vrar 1.000000 0 offence kind=register why=x\n";
        let both = format!("{offence}vrar 2.000000 0 counts offence-register=1\n");
        assert_eq!(tally(offence).offences()["register"], 1);
        assert_eq!(tally(&both).offences()["register"], 1);
    }

    #[test]
    fn an_open_a_cut_and_a_whole_trace_differ() {
        let begun = "vrar 1.000000 - summary why=\"a reset\"\n";
        assert_eq!(tally("").end, TraceEnd::Open);
        assert_eq!(tally(begun).end, TraceEnd::Cut("a reset".to_owned()));
        let whole = format!("{begun}vrar 1.000000 - end\n");
        assert_eq!(tally(&whole).end, TraceEnd::Whole("a reset".to_owned()));
        assert!(tally(&whole).is_idle());
    }

    #[test]
    fn damage_is_counted_and_nothing_else_is() {
        let tally = tally("Linux\nvrar\nvrar 1 0 launch\nvrar 1.000000 0 novel a=1\n");
        assert_eq!(tally.malformed, 1);
        assert!(tally.is_idle());
    }
}
