//! The language of the command line: words of the form `option=value`.

use core::fmt;

use crate::CommandLine;

/// An option, and the values it takes in words.
pub type Word = (&'static str, &'static str);

/// Options that the command line sets. Nothing else reads it, so an option that no table has is not
/// obeyed.
pub trait Words<'a> {
    /// The options, table by table.
    const LEGAL: &'static [&'static [Word]];

    /// Sets one of the options; returns `None` if it does not take the value.
    fn set(&mut self, key: &str, value: &'a str) -> Option<()>;
}

/// Reads the command line into options; `report` gets each word that they do not take. Of an option
/// given twice the last one counts.
pub fn read<'a, W: Words<'a>>(
    line: &'a CommandLine,
    options: &mut W,
    mut report: impl FnMut(OptionError<'a>),
) {
    for (key, value) in line.words() {
        let legal = W::LEGAL.iter().copied().flatten();
        match legal.copied().find(|(name, _)| *name == key) {
            None => report(OptionError::Unknown {
                key,
                legal: W::LEGAL,
            }),
            Some((_, legal)) => {
                if options.set(key, value).is_none() {
                    report(OptionError::Invalid { key, value, legal });
                }
            }
        }
    }
}

/// What is wrong with a word of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionError<'a> {
    /// There is no such option.
    Unknown {
        /// The option.
        key: &'a str,
        /// The options that there are.
        legal: &'static [&'static [Word]],
    },
    /// The option does not take this value.
    Invalid {
        /// The option.
        key: &'a str,
        /// The value.
        value: &'a str,
        /// The values that it takes.
        legal: &'static str,
    },
}

impl fmt::Display for OptionError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unknown { key, legal } => {
                write!(f, "option {key} is unknown and ignored; the options are")?;
                let all = legal.iter().copied().flatten().enumerate();
                all.into_iter().try_for_each(|(number, (key, _))| {
                    let comma = if number == 0 { "" } else { "," };
                    write!(f, "{comma} {key}")
                })
            }
            Self::Invalid { key, value, legal } => write!(
                f,
                "option {key}={value} is invalid (expected {legal}); the default is used"
            ),
        }
    }
}

/// Returns the value, if there is one.
#[must_use]
pub fn not_empty(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.is_empty())
}

/// Returns what a switch is set to.
#[must_use]
pub fn switch(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// Returns a number, decimal or with `0x`.
#[must_use]
pub fn number(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

/// Returns a number from 1.
#[must_use]
pub fn positive(value: &str) -> Option<u64> {
    value.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(number("0xff"), Some(255));
        assert_eq!(number("20000"), Some(20_000));
        for wrong in ["-1", "", "0x", "0xyz", "1k"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
        assert_eq!((positive("0"), positive("7")), (None, Some(7)));
    }
}
