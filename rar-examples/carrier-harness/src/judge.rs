//! Whether a boot went as expected, and which exit code that is.

use std::str::FromStr;

use rar_harness::ending::{Ending, PASSED};
use rar_harness::exit_code::{Fault, Reason};

use crate::boot::{BootEnd, Booted};

/// What a boot has to show.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Texts of the console.
    pub texts: Vec<String>,
    /// Offences of the driver.
    pub offences: Offences,
}

/// How many offences are expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offences {
    /// None.
    #[default]
    None,
    /// At least one.
    Some,
    /// Exactly this number.
    Exactly(u64),
    /// It does not matter.
    Any,
}

impl FromStr for Offences {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "some" => Ok(Self::Some),
            "any" => Ok(Self::Any),
            number => number
                .parse()
                .map(Self::Exactly)
                .map_err(|_| format!("offences: {text:?} (expected none, some, any or a number)")),
        }
    }
}

impl Offences {
    fn is_met(self, number: u64) -> bool {
        match self {
            Self::None => number == 0,
            Self::Some => number > 0,
            Self::Exactly(wanted) => number == wanted,
            Self::Any => true,
        }
    }

    fn words(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Some => "at least one".to_owned(),
            Self::Exactly(wanted) => wanted.to_string(),
            Self::Any => "any".to_owned(),
        }
    }
}

impl Expected {
    /// Judges a boot.
    ///
    /// # Errors
    ///
    /// The first thing that was not as expected; it chooses the exit code.
    pub fn judge(&self, booted: &Booted) -> Result<(), Fault> {
        let unsaid = self.texts.iter().find(|text| !booted.says(text));
        let did_not = unsaid.map(|text| format!("the console did not show {text:?}"));
        match (booted.end, did_not) {
            (BootEnd::Interrupted, _) => {
                let message = "interrupted; QEMU has been ended";
                return Err(Fault::new(Reason::Interrupted, message));
            }
            (BootEnd::Qemu(Ending::Signalled(signal)), _) => {
                let message = format!("QEMU was killed by signal {signal}{}", own_words(booted));
                return Err(Fault::new(Reason::Guest, message));
            }
            (BootEnd::Qemu(Ending::TimedOut(limit)), Some(did_not)) => {
                let message = format!("after {} s {did_not}; {}", limit.as_secs(), remedy(booted));
                return Err(Fault::new(Reason::Guest, message));
            }
            (BootEnd::Qemu(Ending::TimedOut(limit)), None) if self.texts.is_empty() => {
                let limit = limit.as_secs();
                let message = format!("the guest did not end in {limit} s; {}", remedy(booted));
                return Err(Fault::new(Reason::Guest, message));
            }
            (BootEnd::Qemu(Ending::Exited(code)), _) if !matches!(code, 0 | PASSED) => {
                let message = format!("QEMU ended with code {code}{}", own_words(booted));
                return Err(Fault::new(Reason::Failed, message));
            }
            (_, Some(did_not)) => {
                let message = format!("the guest ended, and {did_not}");
                return Err(Fault::new(Reason::Failed, message));
            }
            (_, None) => {}
        }
        let offences = booted.tally.offences().values().sum();
        if !self.offences.is_met(offences) {
            let message = format!(
                "offences of the driver: {offences} (expected {})",
                self.offences.words()
            );
            return Err(Fault::new(Reason::Failed, message));
        }
        Ok(())
    }
}

/// Fails if a module could not be loaded or a command failed, as the lines of `/init` say.
///
/// # Errors
///
/// The first line that reports an exit code other than 0.
pub fn judge_steps(booted: &Booted) -> Result<(), Fault> {
    let failed = booted.console.iter().find_map(|line| {
        let (_, step) = line.split_once("carry: ")?;
        let (_, code) = step.rsplit_once(" exit ")?;
        (code.trim() != "0").then_some(step)
    });
    match failed {
        Some(step) => Err(Fault::new(Reason::Failed, format!("in the guest: {step}"))),
        None => Ok(()),
    }
}

/// What helps a guest that does not end in time.
fn remedy(booted: &Booted) -> &'static str {
    let is_silent = booted
        .console
        .iter()
        .all(|line| line.is_empty() || line.starts_with("carrier: "));
    if is_silent {
        "the guest printed nothing on the serial port: a Linux needs `--append console=ttyS0`"
    } else {
        "--timeout gives it more"
    }
}

/// What QEMU itself says about its end, or else the carrier, if the last line is its own.
fn own_words(booted: &Booted) -> String {
    let last = booted.console.iter().rfind(|line| !line.is_empty());
    let carrier = last.filter(|line| line.starts_with("carrier: "));
    match (booted.stderr.trim(), carrier) {
        ("", None) => String::new(),
        ("", Some(words)) => format!(": {words}"),
        (words, _) => format!(": {words}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::trace_tally::tests::tally;

    pub(crate) fn booted(console: &[&str], trace: &str, end: BootEnd) -> Booted {
        Booted {
            console: console.iter().map(|line| (*line).to_owned()).collect(),
            tally: tally(trace),
            end,
            stderr: String::new(),
            time: Duration::from_secs(1),
            user_time: Duration::from_secs(1),
        }
    }

    pub(crate) const OFF: BootEnd = BootEnd::Qemu(Ending::Exited(0));
    const LATE: BootEnd = BootEnd::Qemu(Ending::TimedOut(Duration::from_secs(9)));
    const OFFENCE: &str = "vrar 1.000000 0 offence kind=register why=x\n";

    fn judged(texts: &[&str], offences: &str, booted: &Booted) -> Option<Reason> {
        let expected = Expected {
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            offences: offences.parse().unwrap(),
        };
        expected.judge(booted).err().map(|fault| fault.reason)
    }

    #[test]
    fn texts_and_ends_choose_the_exit_code() {
        let all = ["all tests passed"];
        let end = |code| BootEnd::Qemu(Ending::Exited(code));
        for (says, texts, end, reason) in [
            (&all[..], &["passed"][..], OFF, None),
            (&all, &["passed"], end(PASSED), None),
            (&all, &["passed"], BootEnd::Shown, None),
            (&all, &["passed"], LATE, None),
            (&all, &["passed", "done"], OFF, Some(Reason::Failed)),
            (&all, &["passed", "done"], LATE, Some(Reason::Guest)),
            (&all, &[], LATE, Some(Reason::Guest)),
            (&all, &[], OFF, None),
            (&all, &["passed"], end(35), Some(Reason::Failed)),
            (&all, &[], end(1), Some(Reason::Failed)),
            (
                &all,
                &["passed"],
                BootEnd::Interrupted,
                Some(Reason::Interrupted),
            ),
            (
                &all,
                &["passed"],
                BootEnd::Qemu(Ending::Signalled(11)),
                Some(Reason::Guest),
            ),
        ] {
            assert_eq!(
                judged(texts, "none", &booted(says, "", end)),
                reason,
                "{texts:?} {end:?}"
            );
        }
    }

    #[test]
    fn offences_are_counted_and_none_is_usual() {
        let good = booted(&[], "", OFF);
        let bad = booted(&[], OFFENCE, OFF);
        for (word, of_good, of_bad) in [
            ("none", None, Some(Reason::Failed)),
            ("some", Some(Reason::Failed), None),
            ("1", Some(Reason::Failed), None),
            ("2", Some(Reason::Failed), Some(Reason::Failed)),
            ("any", None, None),
        ] {
            assert_eq!(judged(&[], word, &good), of_good, "{word}");
            assert_eq!(judged(&[], word, &bad), of_bad, "{word}");
        }
        assert_eq!(Offences::default(), Offences::None);
        assert!("few".parse::<Offences>().is_err());
    }

    #[test]
    fn a_guest_that_prints_nothing_is_told_from_a_slow_one() {
        let silent = ["carrier: payload: 6 MiB", ""];
        let slow = ["carrier: payload: 6 MiB", "Linux version 6.1"];
        for (says, texts) in [(silent, &["login"][..]), (silent, &[]), (slow, &["login"])] {
            let expected = Expected {
                texts: texts.iter().map(|text| (*text).to_owned()).collect(),
                ..Expected::default()
            };
            let fault = expected.judge(&booted(&says, "", LATE)).unwrap_err();
            let message = fault.message;
            assert_eq!(
                message.contains("console=ttyS0"),
                says == silent,
                "{message}"
            );
            assert_eq!(message.contains("--timeout"), says == slow, "{message}");
        }
    }

    #[test]
    fn qemu_speaks_for_itself() {
        let mut dead = booted(&[], "", BootEnd::Qemu(Ending::Exited(1)));
        dead.stderr = "qemu: no such CPU\n".to_owned();
        let fault = Expected::default().judge(&dead).unwrap_err();
        assert!(
            fault.message.ends_with("code 1: qemu: no such CPU"),
            "{}",
            fault.message
        );
    }

    #[test]
    fn the_last_words_of_the_carrier_are_its_reason() {
        let failed = BootEnd::Qemu(Ending::FAILED);
        for (last, end) in [
            (
                "carrier: payload: cut short",
                "35: carrier: payload: cut short",
            ),
            ("suite: 1 failed", "code 35"),
        ] {
            let booted = booted(&["carrier: the guest has 9 MiB", last, ""], "", failed);
            let fault = Expected::default().judge(&booted).unwrap_err();
            assert!(fault.message.ends_with(end), "{}", fault.message);
        }
    }

    #[test]
    fn a_module_that_does_not_load_and_a_command_that_fails_are_failures() {
        for (line, fails) in [
            ("[    4.3] carry: module mine.ko exit 0", false),
            ("[    4.3] carry: run exit 0", false),
            ("[    4.3] carry: module mine.ko exit 8", true),
            ("[    4.3] carry: run exit 127", true),
            ("[    4.3] carry: run echo a; false", false),
            ("mine: 3 exit 5", false),
        ] {
            let booted = booted(&["carry: clock tsc", line], "", OFF);
            assert_eq!(judge_steps(&booted).is_err(), fails, "{line}");
        }
    }
}
