//! Every defect of the catalogue: without it the unit is correct, with it the unit is wrong in
//! exactly one way.

mod answers;
mod entries;
mod flushes;
mod leftovers;
mod registers;
mod signals;

use std::collections::HashSet;
use std::fmt::Debug;

use rar_model::{Defect, Knobs, UnknownDefect};

/// Returns the knobs of a unit with one defect.
pub(crate) fn broken(defect: Defect) -> Knobs {
    let mut knobs = Knobs::DEFAULT;
    defect.apply(&mut knobs);
    knobs
}

/// Observes a correct unit and the broken one.
fn observes<T: Debug + PartialEq>(
    defect: Defect,
    observe: impl Fn(Knobs) -> T,
    [right, wrong]: [T; 2],
) {
    assert_ne!(right, wrong, "nothing is observed of {defect}");
    assert_eq!(observe(Knobs::DEFAULT), right, "without {defect}");
    assert_eq!(observe(broken(defect)), wrong, "with {defect}");
}

#[test]
fn each_differs_from_a_correct_unit() {
    for &defect in Defect::ALL {
        match defect {
            Defect::SuccessWithoutFlush => flushes::success_without_flush(defect),
            Defect::SuccessWithoutFlushToItself => flushes::success_to_itself(defect),
            Defect::StatusBeforeFlush => answers::status_before_flush(defect),
            Defect::StoresNotDrained => answers::stores_not_drained(defect),
            Defect::OnePageTooFew => flushes::one_page_too_few(defect),
            Defect::OnePageTooMany => flushes::one_page_too_many(defect),
            Defect::StrideSameSizeOnly => flushes::stride_same_size_only(defect),
            Defect::StrideIgnored => flushes::stride_ignored(defect),
            Defect::GlobalsKept => flushes::globals_kept(defect),
            Defect::PcidOneLess => flushes::pcid_one_less(defect),
            Defect::PcidCurrent => flushes::pcid_current(defect),
            Defect::GuestFlushed => flushes::guest_flushed(defect),
            Defect::StructuresKept => flushes::structures_kept(defect),
            Defect::WalkSurvivesFlush => leftovers::walk_survives_flush(defect),
            Defect::DirtyBitKept => leftovers::dirty_bit_kept(defect),
            Defect::FirstEntryOnly => entries::first_entry_only(defect),
            Defect::HighestEntryOnly => entries::highest_entry_only(defect),
            Defect::ScanStopsAtGap => entries::scan_stops_at_gap(defect),
            Defect::HalfTable => entries::half_table(defect),
            Defect::NeverAnswers => entries::never_answers(defect),
            Defect::PayloadIndexOff => entries::payload_index_off(defect),
            Defect::VectorBaseOff => entries::vector_base_off(defect),
            Defect::LatchedScan => entries::latched_scan(defect),
            Defect::FailureAlways => answers::failure_always(defect),
            Defect::FailureSometimes => answers::failure_sometimes(defect),
            Defect::AckedLingers => answers::acked_lingers(defect),
            Defect::SignalLost => signals::lost(defect),
            Defect::SignalDuplicated => signals::duplicated(defect),
            Defect::SignalDelayed => signals::delayed(defect),
            Defect::SignalsAnnihilate => signals::annihilate(defect),
            Defect::HaltNotServed => signals::halt_not_served(defect),
            Defect::IgnoreIfUnheeded => signals::ignore_if_unheeded(defect),
            Defect::DisabledAnswers => signals::disabled_answers(defect),
            Defect::ControlLowBitsAccepted => registers::control_low_bits_accepted(defect),
            Defect::BaseLowBitsAccepted => registers::base_low_bits_accepted(defect),
            Defect::MsrsLostAtInit => registers::msrs_lost_at_init(defect),
            Defect::LatchKeptAtInit => registers::latch_kept_at_init(defect),
        }
    }
}

#[test]
fn names_are_distinct_and_in_kebab_case() {
    let names: HashSet<_> = Defect::ALL.iter().map(|defect| defect.name()).collect();
    assert_eq!(names.len(), Defect::ALL.len());
    for name in names {
        let parts: Vec<_> = name.split('-').collect();
        let letters = |part: &&str| part.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(parts.iter().all(|part| !part.is_empty()), "{name}");
        assert!(parts.iter().all(letters), "{name}");
    }
}

#[test]
fn no_two_lead_to_the_same_knobs() {
    let knobs: HashSet<_> = Defect::ALL.iter().map(|&defect| broken(defect)).collect();
    assert_eq!(knobs.len(), Defect::ALL.len());
    assert!(!knobs.contains(&Knobs::DEFAULT));
}

#[test]
fn a_name_finds_its_defect() {
    for &defect in Defect::ALL {
        assert_eq!(Defect::by_name(defect.name()), Some(defect));
        assert_eq!(defect.to_string().parse(), Ok(defect));
    }
    assert_eq!(Defect::by_name("GlobalsKept"), None);
    assert_eq!("".parse::<Defect>(), Err(UnknownDefect));
}

#[test]
fn two_defects_can_be_combined() {
    let mut knobs = broken(Defect::GlobalsKept);
    Defect::SignalLost.apply(&mut knobs);
    assert!(knobs.faults.globals_kept);
    assert_eq!(knobs.faults.lose_every, 3);
}
