//! The words of the carrier's command line.

use core::fmt;

use rar_kernel::CommandLine;
use rar_vrar::{Defect, KnobError, Knobs, TraceLevel, WordTaken};

use crate::protocol::Protocol;

/// The words that the carrier takes, as they are shown to people. The kernel obeys `apic`, `screen`
/// and `rsdp`.
const KNOWN: &str = "apic=xapic|x2apic, defect=NAME, protocol=linux|multiboot2|pvh, \
                     trace=off|offences|signals|all, knobs=PRESET, knob.NAME=VALUE, chain, \
                     screen=off, rsdp=ADDRESS";

/// How the guest finds the local APICs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApicMode {
    /// By their page, which the shim traps.
    Xapic,
    /// By registers.
    X2apic,
}

/// What is started on the CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The payload beside the carrier.
    Payload,
    /// The firmware's next boot device.
    Chain,
}

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How the guest finds the local APICs.
    pub apic: ApicMode,
    /// The decisions of every unit.
    pub knobs: Knobs,
    /// The defect of every unit.
    pub defect: Option<Defect>,
    /// The way in which the payload is started; what it offers if `None`.
    pub protocol: Option<Protocol>,
    /// How much is traced.
    pub trace: TraceLevel,
    /// What is started.
    pub start: Start,
}

/// A word that the carrier does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionError<'a> {
    /// There is no such option.
    Unknown {
        /// The option.
        key: &'a str,
    },
    /// The option does not take this value.
    Value {
        /// The option.
        key: &'a str,
        /// The value.
        got: &'a str,
        /// The values that it takes.
        expected: &'static str,
    },
    /// A knob is not set.
    Knob(KnobError<'a>),
    /// The line is longer than the carrier reads.
    Cut,
}

impl fmt::Display for OptionError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unknown { key } => write!(
                f,
                "option {key}: unknown (expected {KNOWN}); the guest's own words belong behind --"
            ),
            Self::Value { key, got, expected } => {
                write!(
                    f,
                    "option {key}: invalid (got {got:?}, expected {expected})"
                )
            }
            Self::Knob(error) => error.fmt(f),
            Self::Cut => write!(
                f,
                "command line: too long (expected at most {} bytes); shorten it",
                CommandLine::CAPACITY
            ),
        }
    }
}

impl core::error::Error for OptionError<'_> {}

impl Options {
    /// What a command line without words asks for.
    pub const DEFAULT: Self = Self {
        apic: ApicMode::X2apic,
        knobs: Knobs::DEFAULT,
        defect: None,
        protocol: None,
        trace: TraceLevel::Off,
        start: Start::Payload,
    };

    /// Reads the words up to `--`. Of an option given twice the last one counts.
    ///
    /// # Errors
    ///
    /// [`OptionError`] names the first word that the carrier does not take.
    pub fn read(line: &CommandLine) -> Result<Self, OptionError<'_>> {
        if line.is_cut() {
            return Err(OptionError::Cut);
        }
        let mut options = Self::DEFAULT;
        for (key, value) in line.words() {
            options.set(key, value)?;
        }
        Ok(options)
    }

    fn set<'a>(&mut self, key: &'a str, value: &'a str) -> Result<(), OptionError<'a>> {
        match key {
            "apic" => {
                let names = [("xapic", ApicMode::Xapic), ("x2apic", ApicMode::X2apic)];
                self.apic = one_of(key, value, names, "xapic or x2apic")?;
            }
            "defect" => {
                let expected = "a name that `cargo xtask defects --list` shows";
                let defect = Defect::by_name(value);
                self.defect = Some(defect.ok_or(OptionError::Value {
                    key,
                    got: value,
                    expected,
                })?);
            }
            "protocol" => {
                let names = Protocol::NAMES.map(|(protocol, name)| (name, protocol));
                self.protocol = Some(one_of(key, value, names, "linux, multiboot2 or pvh")?);
            }
            "trace" => {
                let names = TraceLevel::ALL.map(|level| (level.name(), level));
                self.trace = one_of(key, value, names, "off, offences, signals or all")?;
            }
            "chain" => {
                self.start = one_of(key, value, [("", Start::Chain)], "no value")?;
            }
            "screen" => one_of(key, value, [("on", ()), ("off", ())], "on or off")?,
            "rsdp" => {
                let expected = "an address";
                rar_kernel::options::number(value).ok_or(OptionError::Value {
                    key,
                    got: value,
                    expected,
                })?;
            }
            // `knobs=` and `knob.NAME=`.
            _ => {
                let taken = self.knobs.take_word(key, value);
                if taken.map_err(OptionError::Knob)? == WordTaken::No {
                    return Err(OptionError::Unknown { key });
                }
            }
        }
        Ok(())
    }
}

fn one_of<'a, T, const N: usize>(
    key: &'a str,
    got: &'a str,
    names: [(&str, T); N],
    expected: &'static str,
) -> Result<T, OptionError<'a>> {
    let mut names = names.into_iter();
    let found = names.find(|(name, _)| *name == got);
    found
        .map(|(_, value)| value)
        .ok_or(OptionError::Value { key, got, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> CommandLine {
        let mut line = CommandLine::empty();
        line.copy_from_bytes(text.as_bytes());
        line
    }

    fn ignoring_unused_fields() -> Knobs {
        let mut knobs = Knobs::DEFAULT;
        knobs.set("unused_fields", "ignore").unwrap();
        knobs
    }

    #[test]
    fn each_word_is_taken_up_to_the_dashes() {
        let line = line(
            "apic=xapic defect=signal-lost protocol=pvh trace=all chain screen=off \
             knob.unused_fields=ignore -- apic=debug",
        );
        assert_eq!(
            Options::read(&line),
            Ok(Options {
                apic: ApicMode::Xapic,
                defect: Defect::by_name("signal-lost"),
                protocol: Some(Protocol::Pvh),
                trace: TraceLevel::All,
                start: Start::Chain,
                knobs: ignoring_unused_fields(),
            })
        );
    }

    #[test]
    fn every_option_of_the_kernel_is_known() {
        let text = "apic=xapic screen=off rsdp=0x7ff0";
        for (key, _) in rar_kernel::KernelOptions::WORDS {
            assert!(KNOWN.contains(&format!("{key}=")), "{key}");
            assert!(text.contains(&format!("{key}=")), "{key}");
        }
        assert!(Options::read(&line(text)).is_ok());
    }

    #[test]
    fn what_is_unknown_is_named_with_what_is_known() {
        let wrong = line("console=ttyS0");
        let error = Options::read(&wrong).unwrap_err();
        assert_eq!(error, OptionError::Unknown { key: "console" });
        let text = error.to_string();
        for word in [
            "apic=",
            "defect=",
            "protocol=",
            "trace=",
            "chain",
            "screen=",
            "knobs=",
            "knob.NAME=",
        ] {
            assert!(text.contains(word), "{text}");
        }
        assert!(text.ends_with("the guest's own words belong behind --"));
    }

    #[test]
    fn a_wrong_value_is_refused_with_the_right_ones() {
        for word in [
            "apic=",
            "apic=x3",
            "defect=none",
            "protocol=efi",
            "trace=1",
            "chain=1",
            "screen=",
            "rsdp=root",
        ] {
            let wrong = line(word);
            let error = Options::read(&wrong).unwrap_err();
            assert!(matches!(error, OptionError::Value { .. }), "{word}");
        }
        for (word, text) in [
            (
                "knobs=kind",
                "knobs: unknown preset (got kind, expected strict, lenient",
            ),
            (
                "knob.order=up",
                "knob order: unknown value (got up, expected ascending, ",
            ),
            (
                "knob.speed=1",
                "knob speed: unknown name (expected table, types, ",
            ),
        ] {
            let wrong = line(word);
            let error = Options::read(&wrong).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
        let wrong = line("apic=x3");
        assert_eq!(
            Options::read(&wrong).unwrap_err().to_string(),
            "option apic: invalid (got \"x3\", expected xapic or x2apic)"
        );
    }

    #[test]
    fn a_line_that_was_cut_is_refused() {
        let long = line(&format!("-- {}", "a".repeat(CommandLine::CAPACITY)));
        assert_eq!(Options::read(&long), Err(OptionError::Cut));
    }
}
