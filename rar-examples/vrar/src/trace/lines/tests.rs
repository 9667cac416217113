use core::ptr::NonNull;

use rar_model::{
    Action, Defect, Illegal, MsrFault, MsrOperation, Offence, Outcome, Refused, TableSize,
};
use rar_vocabulary::TraceLevel;

use super::*;
use crate::config::OddUnit;
use crate::trace::Trace;

const PAGE: &str = include_str!("../../../../../docs/rar-machine-trace.txt");

fn entry(words: [u64; 4], outcome: Outcome) -> Entry {
    Entry {
        execution: Execution {
            index: 3,
            words,
            decoded: Action::decode(words, &Knobs::LENIENT),
            outcome,
        },
        announced: Some(1),
        hash: 1,
        cr3: 0x26d_2000,
        interrupts: InterruptFlag::Clear,
    }
}

/// Returns whether the example of the page has this line, whatever its time.
fn is_in_example(line: &str) -> bool {
    PAGE.lines()
        .any(|each| each.split_once(' ').is_some() && each.splitn(4, ' ').nth(3) == Some(line))
}

#[test]
fn a_trace_begins_with_its_format_and_its_knobs() {
    let mut config = Config::new(0, NonNull::dangling());
    config.trace = Trace::new(TraceLevel::All, 2_394_000_000);
    config.page = ApicPage::Trapped;
    config.knobs.unused_fields = Offence::Ignore;
    Defect::SignalLost.apply(&mut config.knobs);
    let mut lines = Vec::new();
    Begin(&config).lines(|line| lines.push(line.to_string()));
    assert_eq!(
        lines,
        [
            "begin format=1 level=all ticks=2394000000 apic=trapped",
            "knob name=unused_fields value=ignore default=fail",
            "knob name=faults.lose_every value=3 default=0",
        ]
    );
    assert!(lines[..2].iter().all(|line| is_in_example(line)));
}

#[test]
fn the_cpu_whose_unit_is_odd_says_so_at_its_launch() {
    let mut config = Config::new(0, NonNull::dangling());
    config.knobs.unused_fields = Offence::Ignore;
    let mut knobs = config.knobs;
    knobs.table = TableSize::new(32).unwrap();
    config.odd_unit = Some(OddUnit { apic_id: 3, knobs });
    let lines = |apic_id| {
        let config = &config;
        let (mut lines, cpus) = (Vec::new(), 4);
        Launch {
            config,
            apic_id,
            cpus,
        }
        .lines(|line| lines.push(line.to_string()));
        lines
    };
    assert_eq!(lines(2), ["launch cpus=4"]);
    let odd = "knob name=table value=32 default=64";
    assert_eq!(lines(3), ["launch cpus=4", odd]);
}

#[test]
fn entries_read_as_the_page_says() {
    let performed = entry([2 << 32 | 2 << 8, 0, 0, 0], Outcome::Performed);
    let mut refused = entry(
        [1 << 37 | 2 << 8, 0, 5, 0x40_0000],
        Outcome::Refused(Refused::PcidsDisabled { pcid: 5 }),
    );
    refused.interrupts = InterruptFlag::Set;
    refused.execution.index = 0;
    for entry in [performed, refused] {
        let line = entry.to_string();
        assert!(is_in_example(&line), "{line}");
    }
}

#[test]
fn an_entry_without_a_meaning_has_a_reason_only() {
    let mut stale = entry(
        [63 << 37 | 2 << 32 | 2 << 8, 0, 0, 0],
        Outcome::Illegal(Illegal::UnusedField {
            word: 0,
            bits: 63 << 37,
        }),
    );
    stale.execution.decoded = Action::decode(stale.execution.words, &Knobs::DEFAULT);
    stale.announced = None;
    assert_eq!(
        stale.to_string(),
        "entry slot=3 type=2 subtype=2 verdict=refused \
         why=\"unused field 0x7e000000000 set in quadword 0\" byte=failure payload=unannounced \
         if=0 cr3=0x26d2000 words=0x7e200000200,0x0,0x0,0x0"
    );
    assert!(stale.refused().is_some() && !stale.is_changed());
    stale.announced = Some(2);
    assert!(stale.is_changed());
    stale.execution.outcome = Outcome::Unanswered;
    let line = stale.to_string();
    assert!(line.contains("verdict=fault why=\"a defect leaves the entry\" byte=pending"));
    assert!(line.contains("payload=changed"));
    assert!(stale.refused().is_none());
}

#[test]
fn register_writes_say_what_came_of_them() {
    let mut write = RegisterWrite {
        number: CONTROL,
        value: 0xc000_0000,
        done: Ok(()),
    };
    assert!(is_in_example(&write.to_string()), "{write}");
    write.value = 5;
    write.done = Err(GeneralProtection {
        msr: CONTROL,
        operation: MsrOperation::Write(5),
        cause: MsrFault::ReservedBits(5),
    });
    assert_eq!(
        write.to_string(),
        "msr number=0xed name=MSR_RAR_CONTROL value=0x5 result=gp \
         why=\"reserved bits 0x5 are set\""
    );
}

/// A value is a word, or a text in quotes: then every field of a line can be found.
#[test]
fn no_text_breaks_its_quotes() {
    let mut longest = 0;
    for outcome in [
        Outcome::Illegal(Illegal::NonCanonical {
            start: u64::MAX << 12,
            count: 63,
        }),
        Outcome::InjectedFailure,
        Outcome::SuccessWithoutFlush,
    ] {
        let mut entry = entry([63 << 37, 0, u64::MAX, u64::MAX << 12], outcome);
        entry.cr3 = u64::MAX;
        entry.execution.words = [u64::MAX; 4];
        let line = entry.to_string();
        assert_eq!(line.matches('"').count() % 2, 0, "{line}");
        let outside: String = line.split('"').step_by(2).collect();
        let fields = outside.split(' ').filter(|word| !word.is_empty()).skip(1);
        assert!(
            fields.into_iter().all(|field| field.contains('=')),
            "{line}"
        );
        longest = longest.max(line.len());
    }
    assert!((200..512).contains(&longest), "{longest}");
}
