//! What the log of a Linux says about how it went.

use std::collections::BTreeSet;

/// Warnings that a Linux in QEMU has or has not, with and without the shim, by the load of the
/// host: each says that a timer or a clock of the emulator was late.
///
/// Sentences about clocks are those that were seen without the shim, and no more: a clock that the
/// shim made unstable has to be seen.
const OF_A_BUSY_HOST: [&str; 10] = [
    "APIC calibration not consistent with PM-Timer",
    "TSC found unstable after boot",
    "clocksource: Long readout interval, skipping watchdog check",
    "tsc: PIT calibration deviates from HPET",
    "hpet: Lost",
    "on the kernel command line",
    "trace_clock=local",
    "tsc: Unable to calibrate against PIT",
    "If you want to keep using the local clock",
    "Unstable clock detected",
];

/// Returns the warnings of a log, without what differs from boot to boot: times, addresses, counts.
///
/// A line begins with its level, `<4>` or less for a warning.
pub(crate) fn warnings<'l>(lines: impl Iterator<Item = &'l str>) -> BTreeSet<String> {
    lines.filter_map(warning).collect()
}

fn warning(line: &str) -> Option<String> {
    let (level, text) = line.strip_prefix('<')?.split_once('>')?;
    if !matches!(level, "0" | "1" | "2" | "3" | "4") {
        return None;
    }
    let (time, text) = text.strip_prefix('[')?.split_once(']')?;
    let text = text.trim();
    let is_time = time
        .trim()
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    // The first program's own lines are warnings so that they are always shown.
    if !is_time || text.is_empty() || text.starts_with("carry: ") {
        return None;
    }
    let mut plain = String::new();
    for character in text.chars() {
        match character.is_ascii_digit() {
            true if plain.ends_with('0') => {}
            true => plain.push('0'),
            false => plain.push(character),
        }
    }
    Some(plain)
}

/// Returns the warnings that only the first log has, except those of a busy host.
pub(crate) fn added(carried: &BTreeSet<String>, bare: &BTreeSet<String>) -> Vec<String> {
    let new = carried.difference(bare);
    let new = new.filter(|line| !OF_A_BUSY_HOST.iter().any(|noise| line.contains(noise)));
    new.cloned().collect()
}

/// Returns how many tests the module says have passed and failed.
pub(crate) fn module_counts<'l>(mut lines: impl Iterator<Item = &'l str>) -> Option<(u64, u64)> {
    lines.find_map(|line| {
        let (_, counts) = line.split_once("rar_check: # ")?;
        let mut numbers = counts.split(", ").map(|part| part.split_once(' '));
        let mut next = |name: &str| {
            let (number, word) = numbers.next()??;
            (word == name).then(|| number.parse().ok())?
        };
        Some((next("passed")?, next("failed")?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_warnings_count_and_their_numbers_do_not() {
        let log = [
            "<6>[    0.000000] Linux version 6.1",
            "<4>[    1.204118] MDS CPU bug present: 2 of 12",
            "<3>[    1.5] rcu: INFO: stall on CPU 3",
            "<4>[    1.9] carry: online 0-1",
            "<4>no time",
            "Linux",
        ];
        let found = warnings(log.into_iter());
        let expected = ["MDS CPU bug present: 0 of 0", "rcu: INFO: stall on CPU 0"];
        assert_eq!(found, expected.map(str::to_owned).into());
    }

    #[test]
    fn a_new_warning_is_found_and_one_that_is_gone_is_not() {
        let set = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let bare = set(&["a", "b"]);
        assert_eq!(
            added(&set(&["b", "unchecked MSR"]), &bare),
            ["unchecked MSR"]
        );
        assert!(added(&set(&["b"]), &bare).is_empty());
        assert!(added(&set(&["hpet: Lost 0 RTC interrupts"]), &bare).is_empty());
        assert!(added(&set(&["tsc: Unable to calibrate against PIT"]), &bare).is_empty());
        for line in [
            "clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable",
            "tsc: Marking TSC unstable due to clocksource watchdog",
        ] {
            assert_eq!(added(&set(&[line]), &bare), [line]);
        }
    }

    #[test]
    fn the_modules_own_count_is_read() {
        let line = "[   13.85] rar_check: # 13 passed, 2 failed, 5 observed, 0 skipped";
        assert_eq!(module_counts(["x", line].into_iter()), Some((13, 2)));
        let cut = "rar_check: # 13 passed, 2 fai";
        assert_eq!(module_counts([cut].into_iter()), None);
    }
}
