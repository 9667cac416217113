//! Registers of a CPU as firmware left them.

use core::fmt;

/// What tells the types of memory, on one CPU: all must have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryTypes {
    /// IA32_MTRR_DEF_TYPE; `None` where there is no such register.
    pub mtrr_default: Option<u64>,
    /// IA32_PAT; `None` where there is no such register.
    pub pat: Option<u64>,
}

impl fmt::Display for MemoryTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = [("MTRR default", self.mtrr_default), ("PAT", self.pat)];
        let mut before = "";
        both.into_iter().try_for_each(|(name, value)| {
            write!(f, "{before}{name} ")?;
            before = ", ";
            match value {
                Some(value) => write!(f, "{value:#x}"),
                None => f.write_str("absent"),
            }
        })
    }
}

/// Returns whether a CPU announces RAR: bit 30 of EDX of CPUID leaf 7, and bit 1 of
/// IA32_CORE_CAPABILITIES, which is read only if the first is set.
#[must_use]
pub fn announces_rar(
    cpuid_7_edx: Option<u32>,
    core_capabilities: impl FnOnce() -> Option<u64>,
) -> bool {
    cpuid_7_edx.is_some_and(|edx| edx >> 30 & 1 != 0)
        && core_capabilities().is_some_and(|capabilities| capabilities >> 1 & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_is_read_only_where_cpuid_names_it() {
        let never = || panic!("it is read");
        assert!(!announces_rar(None, never));
        assert!(!announces_rar(Some(!(1 << 30)), never));
        assert!(announces_rar(Some(1 << 30), || Some(2)));
        for register in [None, Some(0), Some(!2)] {
            assert!(!announces_rar(Some(1 << 30), || register));
        }
    }

    #[test]
    fn types_are_shown_with_their_absence() {
        let types = MemoryTypes {
            mtrr_default: Some(0xc06),
            pat: None,
        };
        assert_eq!(types.to_string(), "MTRR default 0xc06, PAT absent");
    }
}
