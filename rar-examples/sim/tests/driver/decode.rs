//! Two readings of the same 64 bytes: the driver's and the model's.
//!
//! They agree for types 0 to 2, with these differences, each on purpose:
//!
//! - **Canonical addresses.** An entry does not say how wide linear addresses are. The driver
//!   checks 57 bits, the model the width of a knob, set to 57 bits here.
//! - **CR3 to match (type 0), bits 63:52.** They are not part of a CR3 value, so the driver can
//!   neither make nor read such an entry. Which bits hardware compares is unknown; the model takes
//!   any value and masks.
//! - **Reasons.** Both stop at the first error, each in its own order; only the verdict is
//!   compared.
//!
//! Types 3 to 5 are illegal to both as configured here: behind a feature there, behind a knob here.

use proptest::prelude::*;
use rar_model::{Action, Globals, Knobs, LinearWidth, PageSize, Pages};
use rar_payload::{InvpcidScope, InvpgScope, Operation, PageChunk, Payload};

/// The model's default unit on a CPU with 57-bit addresses.
const WIDE: Knobs = Knobs {
    linear: LinearWidth::Bits57,
    ..Knobs::DEFAULT
};

/// Translates the driver's operation to the model's.
fn translate(operation: Operation) -> Option<Action> {
    Some(match operation {
        Operation::Invpg { cr3, scope } => Action::Invpg {
            cr3: cr3.map(|cr3| cr3.get()),
            scope: match scope {
                InvpgScope::Pages(chunk) => rar_model::InvpgScope::Pages(pages(chunk)),
                InvpgScope::All(which) => rar_model::InvpgScope::All(globals(which)),
            },
        },
        Operation::Invpcid(scope) => Action::Invpcid(match scope {
            InvpcidScope::Pages { pcid, pages: chunk } => rar_model::InvpcidScope::Pages {
                pcid: pcid.get(),
                pages: pages(chunk),
            },
            InvpcidScope::Context { pcid } => rar_model::InvpcidScope::Context { pcid: pcid.get() },
            InvpcidScope::AllContexts(which) => {
                rar_model::InvpcidScope::AllContexts(globals(which))
            }
        }),
        _ => return None,
    })
}

fn pages(chunk: PageChunk) -> Pages {
    Pages {
        start: chunk.start(),
        size: size(chunk.size()),
        count: chunk.page_count(),
    }
}

fn size(size: rar_payload::PageSize) -> PageSize {
    match size {
        rar_payload::PageSize::Size4K => PageSize::Size4K,
        rar_payload::PageSize::Size2M => PageSize::Size2M,
        rar_payload::PageSize::Size1G => PageSize::Size1G,
    }
}

fn globals(globals: rar_payload::Globals) -> Globals {
    match globals {
        rar_payload::Globals::Include => Globals::Include,
        rar_payload::Globals::Exclude => Globals::Exclude,
    }
}

/// Whether the entry falls under the difference about CR3.
fn has_no_cr3(words: &[u64; 8]) -> bool {
    words[0] >> 8 & 0xff == 0 && words[2] >> 52 != 0
}

/// Compares both readings of one entry; returns whether it is legal.
fn compare(words: [u64; 8]) -> Result<bool, TestCaseError> {
    let driver = Operation::decode(&Payload::from_words(words));
    let [first, second, third, fourth, ..] = words;
    let model = Action::decode([first, second, third, fourth], &WIDE);
    if has_no_cr3(&words) {
        prop_assert!(driver.is_err(), "{words:x?}");
        return Ok(false);
    }
    match (driver, model) {
        (Ok(operation), Ok(action)) => {
            prop_assert_eq!(translate(operation), Some(action), "{:x?}", words);
            Ok(true)
        }
        (Err(_), Err(_)) => Ok(false),
        (driver, model) => Err(TestCaseError::fail(format!(
            "{words:x?}: driver {driver:?}, model {model:?}"
        ))),
    }
}

/// Addresses near the boundaries of rules, and anywhere.
fn addresses() -> impl Strategy<Value = u64> {
    let edges = prop::sample::select(vec![
        0,
        1 << 30,
        1 << 47,
        (1 << 56) - (64 << 30),
        1 << 56,
        1u64.wrapping_neg() << 56,
        1u64.wrapping_neg() << 47,
        (64u64 << 30).wrapping_neg(),
    ]);
    let shift = prop::sample::select(vec![0, 11, 12, 21, 30]);
    prop_oneof![
        4 => (edges, -70i64..70, prop::sample::select(vec![12, 21, 30]))
            .prop_map(|(edge, steps, shift)| edge.wrapping_add_signed(steps << shift)),
        1 => (any::<u64>(), shift).prop_map(|(address, shift)| address >> shift << shift),
        2 => (0..1u64 << 18).prop_map(|page| page << 30),
    ]
}

/// Entries that are legal, or wrong in one or two fields.
fn nearly_legal() -> impl Strategy<Value = [u64; 8]> {
    let control = (
        prop::sample::select(vec![0, 1, 2, 2, 2, 3, 5, 6]),
        prop::sample::select(vec![0, 0, 0, 1, 2, 3, 4, 7]),
        prop::sample::select(vec![0, 0, 1, 2, 3]),
        prop_oneof![Just(0), 0..64u64],
        any::<u8>(),
    )
        .prop_map(|(kind, subtype, size, count, software)| {
            kind << 8 | subtype << 32 | size << 35 | count << 37 | u64::from(software)
        });
    let operand = prop_oneof![
        3 => Just(0),
        3 => 0..4096u64,
        1 => 0..1u64 << 16,
        1 => any::<u64>(),
        1 => 0..1u64 << 52,
    ];
    let address = prop_oneof![1 => Just(0), 2 => addresses()];
    let spoilt = prop::option::weighted(0.2, (0..4usize, 0..64u32));
    (control, operand, address, any::<[u64; 4]>(), spoilt).prop_map(
        |(control, operand, address, [a, b, c, d], spoilt)| {
            let mut words = [control, 0, operand, address, a, b, c, d];
            if let Some((word, bit)) = spoilt {
                words[word] ^= 1 << bit;
            }
            words
        },
    )
}

/// Entries that are legal by the layout.
fn legal() -> impl Strategy<Value = [u64; 8]> {
    let ranged = (
        prop::sample::select(vec![(0, 1u64 << 52), (1, 1), (2, 4096)]),
        any::<u64>(),
        prop::sample::select(vec![
            (0, PageSize::Size4K),
            (1, PageSize::Size2M),
            (2, PageSize::Size1G),
        ]),
        1..64u64,
        0..1u64 << 17,
    )
        .prop_map(|((kind, operands), operand, (code, size), count, page)| {
            let control = kind << 8 | code << 35 | count << 37;
            [
                control,
                0,
                operand % operands,
                page * size.bytes(),
                0,
                0,
                0,
                0,
            ]
        });
    let whole = (
        prop::sample::select(vec![
            (0, 2, 1u64 << 52),
            (0, 3, 1 << 52),
            (1, 2, 1),
            (1, 3, 1),
            (2, 1, 4096),
            (2, 2, 1),
            (2, 3, 1),
        ]),
        any::<u64>(),
    )
        .prop_map(|((kind, subtype, operands), operand)| {
            [
                kind << 8 | subtype << 32,
                0,
                operand % operands,
                0,
                0,
                0,
                0,
                0,
            ]
        });
    prop_oneof![ranged, whole]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn both_read_random_bytes_alike(words in any::<[u64; 8]>()) {
        compare(words)?;
    }

    #[test]
    fn both_read_nearly_legal_entries_alike(words in nearly_legal()) {
        compare(words)?;
    }

    /// Uniform bytes are hardly ever legal, so only this test makes the agreement meaningful.
    #[test]
    fn both_read_legal_entries_alike(words in legal()) {
        prop_assert!(compare(words)?, "{words:x?}");
        // A decoded entry encodes to the same bytes.
        let operation = Operation::decode(&Payload::from_words(words)).unwrap();
        prop_assert_eq!(operation.encode().words(), words);
    }

    /// One wrong bit in a legal entry.
    #[test]
    fn both_read_spoilt_entries_alike(words in legal(), word in 0..8usize, bit in 0..64u32) {
        let mut words = words;
        words[word] ^= 1 << bit;
        compare(words)?;
    }
}

#[test]
fn the_difference_about_cr3_is_real() {
    let words = [2 << 32, 0, 1 << 52, 0];
    assert!(Action::decode(words, &WIDE).is_ok());
    let payload = Payload::from_words([2 << 32, 0, 1 << 52, 0, 0, 0, 0, 0]);
    assert!(Operation::decode(&payload).is_err());
}

#[test]
fn the_difference_about_width_is_real() {
    let chunk = [2 << 8 | 1 << 37, 0, 0, 1 << 47];
    assert!(Action::decode(chunk, &Knobs::DEFAULT).is_err());
    assert!(Action::decode(chunk, &WIDE).is_ok());
    let payload = Payload::from_words([2 << 8 | 1 << 37, 0, 0, 1 << 47, 0, 0, 0, 0]);
    assert!(Operation::decode(&payload).is_ok());
}
