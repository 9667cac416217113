//! How much the shim writes about its units.

/// How much a trace has; each level has what those before it have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TraceLevel {
    /// Nothing.
    Off,
    /// What no driver may do, what becomes of CPUs, and the counts.
    Offences,
    /// Also register writes and signals.
    Signals,
    /// Also every entry.
    All,
}

impl TraceLevel {
    /// Every level, from nothing to all.
    pub const ALL: [Self; 4] = [Self::Off, Self::Offences, Self::Signals, Self::All];

    /// Returns the word on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Offences => "offences",
            Self::Signals => "signals",
            Self::All => "all",
        }
    }

    /// Returns the level of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::TraceLevel;

    #[test]
    fn a_level_has_what_those_before_it_have() {
        for level in TraceLevel::ALL {
            assert_eq!(TraceLevel::by_name(level.name()), Some(level));
        }
        assert!(TraceLevel::ALL.is_sorted());
        assert_eq!(TraceLevel::by_name("everything"), None);
    }
}
