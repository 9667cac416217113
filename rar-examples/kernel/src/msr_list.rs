//! The model-specific registers that this kernel writes. A write of any other one panics.

/// Registers in a row, and why they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The first register.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// Its name.
    pub name: &'static str,
}

const fn one(msr: u32, name: &'static str) -> Written {
    Written {
        first: msr,
        last: msr,
        name,
    }
}

/// The list, as `docs/validating.md` shows it with the reasons.
pub const WRITTEN_MSRS: [Written; 7] = [
    Written {
        first: 0x800,
        last: 0x8ff,
        name: "x2APIC registers",
    },
    Written {
        first: 0xed,
        last: 0xf0,
        name: "IA32_RAR_CTRL to IA32_RAR_INFO",
    },
    one(0x1b, "IA32_APIC_BASE"),
    one(0xcf, "IA32_CORE_CAPABILITIES"),
    one(0xc000_0080, "IA32_EFER"),
    one(0xc000_0101, "IA32_GS_BASE"),
    one(0xc001_0117, "VM_HSAVE_PA"),
];

/// Returns whether the kernel may write a register.
#[must_use]
pub fn is_written(msr: u32) -> bool {
    WRITTEN_MSRS
        .iter()
        .any(|range| (range.first..=range.last).contains(&msr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_harm_a_machine_is_not_in_the_list() {
        // Microcode update, SMM base, power limits, turbo ratios, PAT, an MTRR, and what lies
        // beside the listed ones.
        for msr in [
            0x79,
            0x9e,
            0x610,
            0x1ad,
            0x277,
            0x200,
            0x1a,
            0x1c,
            0xce,
            0xd0,
            0xec,
            0xf1,
            0x7ff,
            0x900,
            0xc000_0081,
            0xc000_0102,
            0xc001_0116,
        ] {
            assert!(!is_written(msr), "{msr:#x}");
        }
        assert!(is_written(0x830) && is_written(0xc000_0080));
    }

    #[test]
    fn the_guide_shows_the_list() {
        let guide = include_str!("../../../docs/validating.md");
        let rows = guide.lines().filter(|line| line.starts_with("| `0x"));
        let shown: Vec<_> = rows
            .map(|row| row.split('|').take(3).collect::<Vec<_>>().join("|"))
            .collect();
        let listed: Vec<_> = WRITTEN_MSRS
            .iter()
            .map(|Written { first, last, name }| {
                if first == last {
                    format!("| `{first:#X}` | {name} ").replace("0X", "0x")
                } else {
                    format!("| `{first:#X}` to `{last:#X}` | {name} ").replace("0X", "0x")
                }
            })
            .collect();
        assert_eq!(shown, listed);
    }
}
