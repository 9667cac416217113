//! What must hold of every machine that the readers read, by the bytes themselves: nothing that is
//! wrong and nothing that is lost is silent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rar_firmware::HandedOver;

use super::guest_memory::{CPUS, GuestMemory};
use super::prediction::{Fate, Prediction};

/// Most bytes that a reader may ask for: reading takes no longer than some seconds.
const LIMIT: u64 = 1 << 28;
const HEADER: usize = 36;
const LONGEST: usize = 1 << 20;

/// Something that reads a machine that is to run with a command line, as the kernel does.
pub(super) type Reader = fn(&GuestMemory, &str) -> Fate;

/// Reads a machine.
///
/// # Errors
///
/// What is wrong: the reader panics, takes too long, or passes over something in silence.
pub(super) fn read(
    reader: Reader,
    memory: &GuestMemory,
    handed: &HandedOver,
    line: &str,
) -> Result<Fate, String> {
    let fate = catch_unwind(AssertUnwindSafe(|| reader(memory, line)));
    let fate = fate.map_err(|_| "a reader panics on the host".to_owned())?;
    let asked = memory.asked();
    if asked > LIMIT {
        return Err(format!(
            "a reader asks for {asked} bytes, more than {LIMIT}"
        ));
    }
    match &fate {
        Fate::Refused(_) => {}
        Fate::Runs(read) | Fate::NotBootable(_, read) => silent(handed, read)?,
    }
    Ok(fate)
}

fn silent(handed: &HandedOver, read: &Prediction) -> Result<(), String> {
    let wrong = wrong_tables(handed);
    if !wrong.is_empty() && read.notes.is_empty() {
        return Err(format!("{} wrong, without a note", wrong.join(", ")));
    }
    let lost = (0..CPUS).filter(|id| !read.ids.contains(id)).count();
    // One that is listed by an id that no CPU has is missed when it does not start.
    let is_named = read.ids.iter().any(|id| *id >= CPUS);
    if lost > 0 && read.notes.is_empty() && read.hidden == 0 && !is_named {
        return Err(format!("{lost} CPUs lost, without a note"));
    }
    Ok(())
}

/// Returns the tables that the kernel reads and whose length or sum is wrong.
fn wrong_tables(handed: &HandedOver) -> Vec<&'static str> {
    let bytes = handed.tables.whole();
    // An old root pointer does not lead to the XSDT.
    let old = bytes.get(15) == Some(&0);
    let names = ["FACP", "APIC", "HPET", "RSDT", "XSDT"];
    let names = names.into_iter().filter(|name| *name != "XSDT" || !old);
    let is_wrong = |name: &&str| {
        let mut places = (0..bytes.len()).step_by(16);
        places.any(|at| {
            let table = bytes.get(at..).unwrap_or(&[]);
            table.starts_with(name.as_bytes()) && !is_right(table)
        })
    };
    names.filter(is_wrong).collect()
}

/// A table that a reader takes which trusts length and sum only.
fn is_right(table: &[u8]) -> bool {
    let length = table.get(4..8).and_then(<[u8]>::first_chunk);
    let length = length.and_then(|length| usize::try_from(u32::from_le_bytes(*length)).ok());
    let length = length.filter(|length| (HEADER..=LONGEST).contains(length));
    // Behind the last table lie zeroes.
    let sum = |length: usize| {
        table
            .iter()
            .take(length)
            .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
    };
    length.is_some_and(|length| sum(length) == 0)
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use rar_firmware::HandOver;

    use super::super::guest_memory::hand_over;
    use super::super::prediction::predict;
    use super::*;

    const LINE: &str = "run=quick";

    /// Reads the machines of the first seeds; returns what is wrong, by seed, and how many have
    /// notes.
    fn read_all(count: u64, reader: Reader) -> (Vec<(u64, String)>, usize) {
        let (mut wrong, mut noted) = (Vec::new(), 0);
        for seed in 1..=count {
            let changes = HandOver::changes(&mut Rng::with_seed(seed));
            let handed = hand_over(LINE).with(&changes);
            match read(reader, &GuestMemory::new(&[], &handed), &handed, LINE) {
                Ok(Fate::Runs(read) | Fate::NotBootable(_, read)) => {
                    noted += usize::from(!read.notes.is_empty());
                }
                Ok(Fate::Refused(_)) => {}
                Err(why) => wrong.push((seed, format!("{changes:?}: {why}"))),
            }
        }
        (wrong, noted)
    }

    #[test]
    fn a_thousand_machines_are_read_without_panic_and_silence() {
        let (wrong, noted) = read_all(1_000, predict);
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!((300..1_000).contains(&noted), "{noted}");
    }

    fn with(fate: Fate, change: fn(&mut Prediction)) -> Fate {
        match fate {
            Fate::Runs(mut read) => {
                change(&mut read);
                Fate::Runs(read)
            }
            other => other,
        }
    }

    /// The check can fail: each of these readers has a bug that a reader could have.
    #[test]
    fn readers_with_a_bug_are_caught() {
        let past_the_end: Reader = |memory, line| {
            let fate = predict(memory, line);
            // The byte behind the last table, which only some machines have.
            let tables = memory.loaded().len();
            let _byte = memory.loaded()[tables - usize::from(tables.is_multiple_of(3))];
            fate
        };
        let no_notes: Reader =
            |memory, line| with(predict(memory, line), |read| read.notes.clear());
        let loses_a_cpu: Reader =
            |memory, line| with(predict(memory, line), |read| read.ids.retain(|id| *id != 2));
        for (words, reader, count) in [
            ("a reader panics", past_the_end, 20),
            ("wrong, without a note", no_notes, 200),
            ("1 CPUs lost, without a note", loses_a_cpu, 200),
        ] {
            let (wrong, _) = read_all(count, reader);
            let caught = wrong.iter().filter(|(_, why)| why.contains(words)).count();
            assert!(caught >= 5, "{words}: {caught}");
        }
    }
}
