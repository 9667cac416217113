//! How the emulator and the kernel are driven.

use std::fmt;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rar_vocabulary::TraceLevel;

use crate::parallel::Cores;

/// How the kernel drives its local APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Apic {
    /// By model-specific registers
    X2apic,
    /// By a page of registers
    Xapic,
}

/// When the CPU with another table joins the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OddJoins {
    /// While the others join
    #[default]
    With,
    /// When the others are online, and one of them has a flush in the air
    Late,
}

/// TCG's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Thread {
    /// One host thread for all CPUs: fast, and PAUSE yields
    Single,
    /// One host thread for each CPU: real concurrency, slow
    Multi,
}

impl Thread {
    /// Returns how many of the host's cores a guest with such threads keeps busy.
    #[must_use]
    pub const fn cores(self) -> Cores {
        match self {
            Self::Single => Cores::One,
            Self::Multi => Cores::All,
        }
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Multi => "multi",
        })
    }
}

/// Returns what reads the level of a trace.
pub fn trace_level() -> impl TypedValueParser<Value = TraceLevel> {
    let level = |name: String| TraceLevel::by_name(&name).ok_or("no such level");
    PossibleValuesParser::new(TraceLevel::ALL.map(TraceLevel::name)).try_map(level)
}
