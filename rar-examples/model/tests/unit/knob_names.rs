//! Every knob by its name and its values in words.

use rar_model::{
    Action, Defect, Illegal, Knob, KnobError, Knobs, Offence, Preset, ScanOrder, WordTaken,
};

const PAGE: &str = include_str!("../../../../docs/rar-machine.md");

/// Values to try: whatever a knob takes in words, and a few numbers.
fn values(knob: Knob) -> impl Iterator<Item = &'static str> {
    let numbers = ["57", "0x5", "from:9"];
    knob.allowed().iter().copied().chain(numbers)
}

fn changed(knobs: &Knobs) -> Vec<Knob> {
    Knob::all()
        .filter(|knob| !knob.is_same(knobs, &Knobs::DEFAULT))
        .collect()
}

#[test]
fn a_name_sets_its_own_knob_and_no_other() {
    for knob in Knob::all() {
        let mut set = 0;
        for value in values(knob) {
            let mut knobs = Knobs::DEFAULT;
            if knobs.set(knob.name(), value).is_err() {
                assert_eq!(knobs, Knobs::DEFAULT);
                continue;
            }
            if knobs != Knobs::DEFAULT {
                assert_eq!(changed(&knobs), [knob], "{value}");
                set += 1;
            }
        }
        assert!(set > 0, "{knob:?} keeps its default");
    }
}

#[test]
fn what_is_shown_can_be_set() {
    for knobs in [Knobs::DEFAULT, Knobs::SPARING, Knobs::LENIENT] {
        let mut again = Preset::Strict.knobs();
        for knob in Knob::all() {
            let text = knob.value(&knobs).to_string();
            again.set(knob.name(), &text).unwrap();
        }
        assert_eq!(again, knobs);
    }
}

#[test]
fn every_word_that_is_offered_is_taken() {
    let ranges = |word: &&str| !word.contains(" to ");
    for knob in Knob::all() {
        for word in knob.allowed().iter().copied().filter(ranges) {
            let mut knobs = Knobs::DEFAULT;
            assert_eq!(knob.set(&mut knobs, word), Ok(()));
            assert_eq!(knob.value(&knobs).to_string(), word);
        }
    }
}

#[test]
fn words_of_a_command_line_work_one_after_another() {
    let mut knobs = Knobs::SPARING;
    for (key, value) in [
        ("knobs", "lenient"),
        ("defect", "signal-lost"),
        ("knob.faults.lose_every", "7"),
        ("knob.order", "descending"),
    ] {
        assert_eq!(knobs.take_word(key, value), Ok(WordTaken::Yes));
    }
    let mut expected = Knobs {
        order: ScanOrder::Descending,
        ..Knobs::LENIENT
    };
    expected.faults.lose_every = 7;
    assert_eq!(knobs, expected);
    assert_eq!(knobs.take_word("trace", "all"), Ok(WordTaken::No));
    for (key, value, text) in [
        (
            "knobs",
            "kind",
            "(got kind, expected strict, lenient or sparing)",
        ),
        (
            "defect",
            "none",
            "(got none, expected success-without-flush, ",
        ),
        ("knob.order", "up", "(got up, expected ascending, "),
        ("knob.", "up", "knob : unknown name"),
    ] {
        let error = knobs.take_word(key, value).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(knobs, expected);
}

#[test]
fn a_name_may_be_written_with_hyphens() {
    let (mut one, mut other) = (Knobs::DEFAULT, Knobs::DEFAULT);
    one.set("unused-fields", "ignore").unwrap();
    other.set("unused_fields", "ignore").unwrap();
    assert_eq!(one, other);
    assert_ne!(one, Knobs::DEFAULT);
}

#[test]
fn an_error_lists_what_is_allowed() {
    let mut knobs = Knobs::DEFAULT;
    let error = knobs.set("unused_fields", "no").unwrap_err();
    assert_eq!(
        error.to_string(),
        "knob unused_fields: unknown value (got no, expected fail or ignore); \
         docs/rar-machine.md says what it decides"
    );
    let order = knobs.set("order", "from:256").unwrap_err().to_string();
    assert!(
        order.contains("(got from:256, expected ascending, descending or from:0 to from:255)"),
        "{order}"
    );
    let error = knobs.set("unused-field", "ignore").unwrap_err();
    assert_eq!(
        error,
        KnobError::Name {
            name: "unused-field"
        }
    );
    let text = error.to_string();
    assert!(text.starts_with("knob unused-field: unknown name (expected table, types, "));
    assert!(text.contains(" or faults.base_low_bits_accepted); "));
    assert_eq!(knobs, Knobs::DEFAULT);
}

#[test]
fn defects_show_as_their_knobs() {
    let mut knobs = Knobs::DEFAULT;
    Defect::SignalLost.apply(&mut knobs);
    let [knob] = changed(&knobs)[..] else {
        panic!("one knob is the defect")
    };
    assert_eq!(
        (knob.name(), knob.value(&knobs).to_string().as_str()),
        ("faults.lose_every", "3")
    );
    for defect in Defect::ALL {
        let mut knobs = Knobs::DEFAULT;
        defect.apply(&mut knobs);
        assert_ne!(changed(&knobs), [], "{defect}");
    }
}

/// A full flush in whose page count the one before it stands, as the Linux RFC v4 leaves it.
const STALE_COUNT: [u64; 4] = [63 << 37 | 2 << 32 | 2 << 8, 0, 0, 0];

#[test]
fn a_lenient_unit_executes_what_a_strict_one_refuses() {
    let strict = Action::decode(STALE_COUNT, &Preset::Strict.knobs());
    assert_eq!(
        strict,
        Err(Illegal::UnusedField {
            word: 0,
            bits: 63 << 37
        })
    );
    let clean = Action::decode([2 << 32 | 2 << 8, 0, 0, 0], &Knobs::DEFAULT);
    let lenient = Action::decode(STALE_COUNT, &Preset::Lenient.knobs());
    assert_eq!((lenient, lenient.is_ok()), (clean, true));
    let only = Knobs {
        unused_fields: Offence::Ignore,
        ..Knobs::DEFAULT
    };
    assert_eq!(Action::decode(STALE_COUNT, &only), clean);
}

#[test]
fn the_page_lists_every_knob() {
    let row = |knob: Knob| {
        format!(
            "| `{}` | {} | {} | {} |",
            knob.name(),
            knob.allowed().join(", "),
            knob.value(&Knobs::DEFAULT),
            knob.describe()
        )
    };
    let expected: Vec<_> = Knob::all().map(row).collect();
    let found: Vec<_> = PAGE
        .lines()
        .skip_while(|line| !line.starts_with("| knob | values |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(found, expected, "write this:\n{}", expected.join("\n"));
    let presets: Vec<_> = Preset::ALL
        .iter()
        .map(|preset| format!("| `{}` | {} |", preset.name(), preset.describe()))
        .collect();
    for preset in presets {
        assert!(PAGE.contains(&preset), "write this: {preset}");
    }
}
