//! The values of knobs in words, for command lines.

use core::fmt;

use crate::{
    Acked, Contexts, CountedPages, Cr3Mismatch, Globals, LatchClear, LinearWidth, MsrsAtInit,
    Offence, PageReach, Rebase, Scan, ScanOrder, ServedEntries, Signals, Sleep, TableSize,
    UsedPcid, ZeroPages,
};

/// A type of knob whose values can be written and read as text.
pub(crate) trait KnobValue: Sized {
    /// The values that it takes.
    const ALLOWED: &'static [&'static str];

    fn parse(text: &str) -> Option<Self>;

    /// Writes what [`parse`](Self::parse) reads.
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// Gives each variant of an enum its word.
macro_rules! words {
    ($($type:ident { $($variant:ident $word:literal),* })*) => {
        $(impl KnobValue for $type {
            const ALLOWED: &'static [&'static str] = &[$($word),*];

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)*
                })
            }
        })*
    };
}

words! {
    Offence { Fail "fail", Ignore "ignore" }
    Signals { Drop "drop", Hold "hold" }
    Rebase { Fault "fault", AtOnce "at-once" }
    MsrsAtInit { Keep "keep", Clear "clear" }
    Sleep { Serve "serve", ServeAndWake "serve-and-wake", Hold "hold" }
    Scan { Live "live", Snapshot "snapshot", Twice "twice" }
    LatchClear { BeforeScan "before-scan", AfterScan "after-scan" }
    Acked { Never "never", WhileExecuting "while-executing" }
    Cr3Mismatch { Success "success", Failure "failure" }
    LinearWidth { Bits48 "48", Bits57 "57" }
    ZeroPages { Fail "fail", Nothing "nothing" }
    PageReach { Covering "covering", SameSize "same-size", Span "span" }
    Globals { Include "include", Exclude "exclude" }
    CountedPages { AsEncoded "as-encoded", OneFewer "one-fewer", OneMore "one-more" }
    UsedPcid { AsEncoded "as-encoded", OneLess "one-less", Current "current" }
    ServedEntries { All "all", First "first", Highest "highest", UpToGap "up-to-gap" }
}

/// Only what a unit may choose can be named.
impl KnobValue for Contexts {
    const ALLOWED: &'static [&'static str] = &["current", "all"];

    fn parse(text: &str) -> Option<Self> {
        match text {
            "current" => Some(Self::Current),
            "all" => Some(Self::All),
            _ => None,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("current"),
            Self::All => f.write_str("all"),
            Self::Pcid(pcid) => write!(f, "pcid:{pcid}"),
            Self::Guest(vpid) => write!(f, "guest:{vpid}"),
        }
    }
}

impl KnobValue for ScanOrder {
    const ALLOWED: &'static [&'static str] = &["ascending", "descending", "from:0 to from:255"];

    fn parse(text: &str) -> Option<Self> {
        match text {
            "ascending" => Some(Self::Ascending),
            "descending" => Some(Self::Descending),
            _ => text.strip_prefix("from:")?.parse().ok().map(Self::From),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ascending => f.write_str("ascending"),
            Self::Descending => f.write_str("descending"),
            Self::From(first) => write!(f, "from:{first}"),
        }
    }
}

impl KnobValue for TableSize {
    const ALLOWED: &'static [&'static str] = &["1 to 64"];

    fn parse(text: &str) -> Option<Self> {
        Self::new(text.parse().ok()?)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.entries())
    }
}

impl KnobValue for bool {
    const ALLOWED: &'static [&'static str] = &["off", "on"];

    fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(false),
            "on" => Some(true),
            _ => None,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self { "on" } else { "off" })
    }
}

impl KnobValue for u8 {
    const ALLOWED: &'static [&'static str] = &["0 to 255"];

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl KnobValue for u16 {
    const ALLOWED: &'static [&'static str] = &["0 to 65535"];

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Masks.
impl KnobValue for u32 {
    const ALLOWED: &'static [&'static str] = &["0x0 to 0xffffffff"];

    fn parse(text: &str) -> Option<Self> {
        mask(text)?.try_into().ok()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#x}")
    }
}

/// Masks.
impl KnobValue for u64 {
    const ALLOWED: &'static [&'static str] = &["0x0 to 0xffffffffffffffff"];

    fn parse(text: &str) -> Option<Self> {
        mask(text)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#x}")
    }
}

/// Reads a mask: hexadecimal with `0x`, or decimal.
fn mask(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
