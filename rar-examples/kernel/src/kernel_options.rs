//! The options that every kernel obeys, whatever is above.

use crate::CommandLine;
use crate::options::{Word, Words, number, read, switch};

const WORDS: &[Word] = &[
    ("apic", "x2apic, xapic"),
    ("screen", "on, off"),
    ("rsdp", "the address of ACPI's root pointer"),
];

/// The options that every kernel obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelOptions {
    /// How the local APICs are driven where there is a choice.
    pub apic: ApicMode,
    /// Whether the screen is used.
    pub screen: bool,
    /// The physical address of ACPI's root pointer, for a boot loader that does not name it.
    pub rsdp: Option<u64>,
}

/// How local APICs are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApicMode {
    /// By model-specific registers, which a shim presents also where the machine has none.
    X2apic,
    /// By their page, if it is so already; a shim traps it.
    Xapic,
}

impl KernelOptions {
    /// The options, each with the values it takes. A kernel with more of them has this table, too.
    pub const WORDS: &'static [Word] = WORDS;

    /// What a command line without words asks for.
    pub const DEFAULT: Self = Self {
        apic: ApicMode::X2apic,
        screen: true,
        rsdp: None,
    };

    /// Reads the command line. The kernel above reports what is unknown or invalid.
    #[must_use]
    pub fn read(line: &CommandLine) -> Self {
        let mut options = Self::DEFAULT;
        read(line, &mut options, |_| {});
        options
    }
}

impl<'a> Words<'a> for KernelOptions {
    const LEGAL: &'static [&'static [Word]] = &[WORDS];

    fn set(&mut self, key: &str, value: &'a str) -> Option<()> {
        match key {
            "apic" => {
                self.apic = match value {
                    "x2apic" => ApicMode::X2apic,
                    "xapic" => ApicMode::Xapic,
                    _ => return None,
                }
            }
            "screen" => self.screen = switch(value)?,
            "rsdp" => self.rsdp = Some(number(value)?),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::OptionError;

    fn line(text: &str) -> CommandLine {
        let mut line = CommandLine::empty();
        line.copy_from_bytes(text.as_bytes());
        line
    }

    #[test]
    fn every_option_is_taken() {
        let text = "apic=xapic screen=off rsdp=0x7ff0";
        let options = KernelOptions::read(&line(text));
        let expected = KernelOptions {
            apic: ApicMode::Xapic,
            screen: false,
            rsdp: Some(0x7ff0),
        };
        assert_eq!(options, expected);
        for (key, _) in WORDS {
            assert!(text.contains(&format!("{key}=")), "{key}");
        }
    }

    #[test]
    fn what_is_invalid_leaves_the_default() {
        for (key, _) in WORDS {
            let line = line(&format!("{key}=neither"));
            let mut errors = 0;
            let mut options = KernelOptions::DEFAULT;
            read(&line, &mut options, |error| {
                assert!(matches!(error, OptionError::Invalid { .. }), "{error}");
                errors += 1;
            });
            assert_eq!((options, errors), (KernelOptions::DEFAULT, 1));
        }
    }
}
