//! How many of the machine's CPUs take part.

use core::fmt;

use rar_vocabulary::Text;

/// How many of the machine's CPUs take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// CPUs that run.
    pub online: usize,
    /// CPUs that the firmware lists.
    pub listed: usize,
    /// CPUs that may exist beside the list, at least.
    pub hidden: usize,
}

impl Coverage {
    /// Before CPUs were counted.
    pub const UNKNOWN: Self = Self {
        online: 0,
        listed: 0,
        hidden: 0,
    };

    /// Returns whether no CPU is known or suspected to be left out.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.online >= self.listed && self.hidden == 0
    }

    /// Returns the same in few columns.
    #[must_use]
    pub fn short(&self) -> Text<24> {
        let more = if self.hidden > 0 { "+" } else { "" };
        Text::of(format_args!(
            "CPUs: {} of {}{more}",
            self.online,
            self.machine()
        ))
    }

    /// Returns how many CPUs the machine has, or has at least.
    #[must_use]
    pub const fn machine(&self) -> usize {
        self.listed + self.hidden
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.online)?;
        match (self.is_whole(), self.hidden) {
            (true, _) => {}
            (false, 0) => write!(f, " of {}", self.listed)?,
            (false, _) => write!(f, " of at least {}", self.machine())?,
        }
        f.write_str(" CPUs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_that_are_left_out_are_told() {
        for (online, listed, hidden, expected) in [
            (4, 4, 0, "4 CPUs"),
            (3, 4, 0, "3 of 4 CPUs"),
            (3, 3, 1, "3 of at least 4 CPUs"),
            (2, 3, 1, "2 of at least 4 CPUs"),
        ] {
            let coverage = Coverage {
                online,
                listed,
                hidden,
            };
            assert_eq!(coverage.to_string(), expected);
            assert_eq!(coverage.is_whole(), expected == "4 CPUs");
        }
        let many = Coverage {
            online: 1_000,
            listed: 1_024,
            hidden: 1,
        };
        assert_eq!(many.short().as_str(), "CPUs: 1000 of 1025+");
    }
}
