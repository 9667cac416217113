//! What flushed, by what the guest says beside its records: units, or software on a machine whose
//! CPUs disagree on RAR.

use rar_vocabulary::Backend;

use crate::expectation::Expectation;

/// How the guest says that it turned RAR off: a CPU, then this, then the value of the register
/// there and on the boot CPU.
const DISAGREES: &str = " has another RAR than the boot CPU: ";
/// How it says that a flush of one CPU was in the air meanwhile, which another had not answered.
const IN_THE_AIR: &str = " had a flush in the air that CPU ";
const LANDED: &str = " had not answered: it ended without a fallback";
/// How it says what the units of the shim did meanwhile.
const EXECUTED: &str = "RAR units executed ";

/// Compares what the guest says with what the machine is, and returns what is wrong.
pub(super) fn judge_responder(expected: &Expectation, lines: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let by_units = expected.backend == Backend::Vrar;
    let refusals: Vec<_> = lines.iter().filter_map(|line| refusal(line)).collect();
    let found: Vec<_> = refusals.iter().map(|refusal| refusal.cpu).collect();
    let wanted: Vec<_> = expected.refused_by.into_iter().collect();
    if found != wanted {
        let fault = format!("CPUs that disagree on RAR: {wanted:?}, the guest says {found:?}");
        faults.push(fault);
    }
    for Refusal { cpu, values } in refusals {
        if !matches!(values, Some((here, there)) if here != there) {
            let fault = format!("the guest does not say in what CPU {cpu} differs");
            faults.push(fault);
        }
    }
    let landed = |line: &&String| line.contains(IN_THE_AIR) && line.ends_with(LANDED);
    let (wanted, found) = (
        usize::from(expected.refused_under_a_flush),
        lines.iter().filter(landed).count(),
    );
    if found != wanted {
        faults.push(format!(
            "flushes in the air when a CPU disagreed: {wanted}, the guest says {found}"
        ));
    }
    let executed = lines.iter().rev().find_map(|line| executed(line));
    match executed {
        _ if !by_units && expected.refused_by.is_none() => {}
        Some(0) if !by_units => {}
        // A few tests may have no use for units, and a CPU alone has none.
        None | Some(0) if by_units && (expected.cpus == 1 || !expected.tests.is_empty()) => {}
        Some(count) if by_units && count > 0 => {}
        _ => {
            let (wanted, count) = (if by_units { "some" } else { "0" }, show(executed));
            let fault = format!("entries that units execute: {wanted}, the guest says {count}");
            faults.push(fault);
        }
    }
    faults
}

/// A CPU that disagrees, and the register there and on the boot CPU.
struct Refusal<'a> {
    cpu: u32,
    values: Option<(&'a str, &'a str)>,
}

fn refusal(line: &str) -> Option<Refusal<'_>> {
    let (cpu, what) = line.strip_prefix("CPU ")?.split_once(DISAGREES)?;
    let value = |behind: &str| what.split(behind).next()?.rsplit(' ').next();
    let values = what.contains(" on this CPU, ") && what.contains(" on the boot CPU");
    Some(Refusal {
        cpu: cpu.parse().ok()?,
        values: values
            .then(|| value(" on this CPU, ").zip(value(" on the boot CPU")))
            .flatten(),
    })
}

fn executed(line: &str) -> Option<u64> {
    let count = line.strip_prefix(EXECUTED)?.split(' ').next()?;
    count.parse().ok()
}

fn show(count: Option<u64>) -> String {
    count.map_or("nothing".to_owned(), |count| count.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::expected;

    const REFUSED: &str = "CPU 3 has another RAR than the boot CPU: MSR_RAR_INFO is 0x1f00000007 \
                           on this CPU, 0x3f00000007 on the boot CPU; RAR is off on all CPUs, and \
                           3 of them were using their units";
    const NONE: &str = "RAR units executed 0 entries";
    const MANY: &str = "RAR units executed 512 entries";

    fn faults(backend: Backend, refused_by: Option<u32>, lines: &[&str]) -> String {
        let expected = Expectation {
            backend,
            refused_by,
            cpus: 4,
            ..expected()
        };
        faults_of(&expected, lines)
    }

    fn faults_of(expected: &Expectation, lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        judge_responder(expected, &lines).join("; ")
    }

    #[test]
    fn a_machine_whose_cpus_disagree_uses_no_unit_and_says_why() {
        let faults = |lines: &[&str]| faults(Backend::Software, Some(3), lines);
        assert_eq!(faults(&[REFUSED, NONE]), "");
        let other = REFUSED.replacen('3', "2", 1);
        for lines in [&[NONE][..], &[&other, NONE], &[REFUSED, REFUSED, NONE]] {
            assert!(
                faults(lines).contains("that disagree on RAR: [3]"),
                "{lines:?}"
            );
        }
        for lines in [&[REFUSED][..], &[REFUSED, MANY]] {
            assert!(
                faults(lines).starts_with("entries that units execute: 0, "),
                "{lines:?}"
            );
        }
        let same = REFUSED.replace("0x3f", "0x1f");
        let cut = REFUSED.replace(", 0x3f00000007 on the boot CPU", "");
        for line in [same, cut] {
            let faults = faults(&[&line, NONE]);
            assert_eq!(faults, "the guest does not say in what CPU 3 differs");
        }
    }

    #[test]
    fn a_flush_was_in_the_air_if_and_only_if_it_had_to_be() {
        const FLIGHT: &str = "CPU 0 had a flush in the air that CPU 2 had not answered: it ended \
                              without a fallback";
        let faults = |refused_under_a_flush, lines: &[&str]| {
            let expected = Expectation {
                refused_by: Some(3),
                refused_under_a_flush,
                ..expected()
            };
            faults_of(&expected, lines)
        };
        assert_eq!(faults(true, &[REFUSED, FLIGHT, NONE]), "");
        assert_eq!(faults(false, &[REFUSED, NONE]), "");
        let cut = FLIGHT.replace(" without a fallback", "");
        for lines in [&[REFUSED, NONE][..], &[REFUSED, &cut, NONE]] {
            assert!(
                faults(true, lines).starts_with("flushes in the air when a CPU disagreed: 1, ")
            );
        }
        assert!(faults(false, &[REFUSED, FLIGHT, NONE]).ends_with("the guest says 1"));
    }

    #[test]
    fn any_other_machine_uses_its_units() {
        let units = |lines: &[&str]| faults(Backend::Vrar, None, lines);
        assert_eq!(units(&[MANY]), "");
        for lines in [&[][..], &[NONE]] {
            assert!(units(lines).starts_with("entries that units execute: some, "));
        }
        assert!(units(&[REFUSED, MANY]).contains("the guest says [3]"));
        assert_eq!(faults(Backend::Software, None, &[]), "");
    }
}
