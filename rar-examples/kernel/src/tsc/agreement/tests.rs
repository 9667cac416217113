//! Sources that lie, and which are believed.

use proptest::prelude::*;

use super::*;

const TRUTH: u64 = 2_445_000_000;
/// As far as a late look at the PIT was seen to go wrong.
const LIE: u64 = TRUTH * 137 / 100;

fn rate(source: ClockSource, frequency: u64) -> Rate {
    let bound = match source {
        ClockSource::Cpuid16 => 10_000,
        ClockSource::Cpuid15 => 100,
        _ => 600,
    };
    Rate {
        source,
        frequency,
        bound,
    }
}

const SOURCES: [ClockSource; 5] = [
    ClockSource::PmTimer,
    ClockSource::Hpet,
    ClockSource::Pit,
    ClockSource::Cpuid15,
    ClockSource::Cpuid16,
];

#[test]
fn without_a_source_it_is_a_guess() {
    let clock = agree([].iter());
    assert_eq!((clock, clock.bound), (Clock::GUESS, None));
    assert_eq!(
        clock.to_string(),
        "time stamp counter at 3000000 kHz by a guess"
    );
}

#[test]
fn one_source_is_all_there_is() {
    for source in SOURCES {
        let clock = agree([rate(source, TRUTH)].iter());
        assert_eq!((clock.frequency, clock.source), (TRUTH, source));
        assert!(clock.confirmed_by.is_empty() && clock.contradicted_by.is_empty());
    }
    let clock = agree([rate(ClockSource::Pit, TRUTH)].iter());
    assert_eq!(
        clock.to_string(),
        "time stamp counter at 2445000 kHz by the interval timer within 600 ppm"
    );
}

#[test]
fn two_that_agree_outvote_any_third() {
    for liar in SOURCES {
        for honest in SOURCES.iter().filter(|source| **source != liar) {
            for second in SOURCES.iter().filter(|source| **source != liar) {
                if honest == second {
                    continue;
                }
                let clock = agree(
                    [
                        rate(*honest, TRUTH),
                        rate(liar, LIE),
                        rate(*second, TRUTH + TRUTH / 10_000),
                    ]
                    .iter(),
                );
                assert!(clock.source != liar, "{clock}");
                assert!(clock.contradicted_by.contains(liar), "{clock}");
                assert!(!clock.confirmed_by.is_empty(), "{clock}");
                let least = rate(*honest, 0).bound.min(rate(*second, 0).bound);
                assert_eq!(clock.bound, Some(least));
            }
        }
    }
}

#[test]
fn a_rounded_rate_is_confirmed_and_the_measured_one_is_used() {
    let clock = agree(
        [
            rate(ClockSource::Cpuid16, 2_450_000_000),
            rate(ClockSource::PmTimer, TRUTH),
        ]
        .iter(),
    );
    assert_eq!(
        clock.to_string(),
        "time stamp counter at 2445000 kHz by the ACPI timer within 600 ppm, confirmed by CPUID \
         leaf 0x16"
    );
}

#[test]
fn two_that_disagree_leave_it_open_and_the_bound_has_room_for_both() {
    let clock = agree(
        [
            rate(ClockSource::Cpuid15, LIE),
            rate(ClockSource::PmTimer, TRUTH),
        ]
        .iter(),
    );
    assert_eq!(
        clock.to_string(),
        "time stamp counter at 2445000 kHz by the ACPI timer within 370000 ppm, unconfirmed, \
         contradicted by CPUID leaf 0x15"
    );
}

#[test]
fn of_two_pairs_the_measured_one_is_used() {
    let clock = agree(
        [
            rate(ClockSource::Cpuid15, LIE),
            rate(ClockSource::Cpuid16, LIE),
            rate(ClockSource::Pit, TRUTH),
            rate(ClockSource::PmTimer, TRUTH),
        ]
        .iter(),
    );
    assert_eq!(clock.source, ClockSource::PmTimer);
    assert!(clock.confirmed_by.contains(ClockSource::Pit));
}

proptest! {
    #[test]
    fn liars_that_do_not_agree_never_outvote_two_honest_sources(
        truth in 500_000_000_u64..6_000_000_000,
        errors in prop::collection::vec(-500_i64..500, 2..=4),
        lies in prop::collection::vec(3_u64..18, 0..3),
        order in any::<u64>(),
    ) {
        // Each source is one of the five once.
        let mut sources = SOURCES.to_vec();
        sources.rotate_left(usize::try_from(order % 5).unwrap());
        let mut sources = sources.into_iter();
        let mut rates: Vec<_> = errors
            .iter()
            .zip(sources.by_ref())
            .map(|(error, source)| {
                let bound = 600;
                let wrong = i64::try_from(truth).unwrap() / 1_000_000 * error;
                Rate { source, frequency: truth.checked_add_signed(wrong).unwrap(), bound }
            })
            .collect();
        // Lies by 15 % and more, each by another.
        let mut lies = lies;
        lies.sort_unstable();
        lies.dedup();
        let liars: Vec<_> = lies
            .iter()
            .zip(sources)
            .map(|(lie, source)| Rate { source, frequency: truth / 20 * (20 + lie), bound: 600 })
            .collect();
        rates.extend(&liars);
        let at = usize::try_from(order >> 32).unwrap() % rates.len();
        rates.rotate_left(at);
        let clock = agree(rates.iter());
        let off = clock.frequency.abs_diff(truth);
        prop_assert!(off <= truth / 1_000_000 * 500 + 1_000, "{clock}");
        prop_assert!(u128::from(off) * 1_000_000
            <= u128::from(clock.frequency) * u128::from(clock.bound.unwrap()) + 1_000_000_000);
        prop_assert!(liars.iter().all(|liar| clock.contradicted_by.contains(liar.source)));
    }

    #[test]
    fn every_source_is_within_the_bound_where_none_is_confirmed(
        frequencies in prop::collection::vec(100_000_000_u64..10_000_000_000, 1..5),
    ) {
        let rates: Vec<_> = frequencies
            .iter()
            .zip(SOURCES)
            .map(|(frequency, source)| rate(source, *frequency))
            .collect();
        let clock = agree(rates.iter());
        prop_assert!(frequencies.contains(&clock.frequency));
        if clock.confirmed_by.is_empty() {
            let bound = u128::from(clock.bound.unwrap()) * u128::from(clock.frequency);
            for frequency in frequencies {
                let off = u128::from(clock.frequency.abs_diff(frequency));
                prop_assert!(off * 1_000_000 <= bound, "{clock} {frequency}");
            }
        }
    }
}
