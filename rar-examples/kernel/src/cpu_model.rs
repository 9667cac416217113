//! Parts of family 6 by their model numbers: their names, and what is known to be wrong with them.

/// The family of all Intel parts here.
const FAMILY: u16 = 6;

/// Returns the name of a part that is said to have RAR, now or possibly.
#[must_use]
pub const fn model_name(family: u16, model: u8) -> Option<&'static str> {
    if family != FAMILY {
        return None;
    }
    Some(match model {
        0x8f => "Sapphire Rapids",
        0xcf => "Emerald Rapids",
        0xad => "Granite Rapids",
        0xae => "Granite Rapids D",
        0x97 => "Alder Lake S",
        0x9a => "Alder Lake P/H",
        0xb7 => "Raptor Lake",
        0xba => "Raptor Lake P",
        0xbe => "Alder Lake N",
        0xbf => "Raptor Lake S",
        _ => return None,
    })
}

/// A part whose INVLPG may keep global translations while PCIDs are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvlpgErratum {
    model: u8,
    /// The first microcode revision without it.
    pub mended: u32,
    /// Where the revision is from, and since when it stands there.
    pub source: &'static str,
}

/// Alder and Raptor Lake: Intel's revisions, as Linux merged them.
///
/// A release note of 2024 had higher ones; the patch with those was never merged.
const INVLPG_KEEPS_GLOBALS: [InvlpgErratum; 6] = {
    const SOURCE: &str = "Linux f24f669d03f8, March 2025";
    const fn row(model: u8, mended: u32, source: &'static str) -> InvlpgErratum {
        InvlpgErratum {
            model,
            mended,
            source,
        }
    }
    [
        row(0x97, 0x2e, SOURCE),
        row(0x9a, 0x42c, SOURCE),
        row(0xbe, 0x11, SOURCE),
        row(0xb7, 0x118, SOURCE),
        row(0xba, 0x4117, SOURCE),
        row(0xbf, 0x2e, SOURCE),
    ]
};

/// Returns the erratum of an Intel part whose INVLPG may keep global translations while PCIDs are
/// on.
#[must_use]
pub fn invlpg_erratum(family: u16, model: u8) -> Option<&'static InvlpgErratum> {
    INVLPG_KEEPS_GLOBALS
        .iter()
        .find(|row| family == FAMILY && row.model == model)
}

/// Returns whether the part has that erratum with this microcode. An unknown revision counts as an
/// old one.
#[must_use]
pub fn keeps_globals(family: u16, model: u8, microcode: Option<u32>) -> bool {
    invlpg_erratum(family, model)
        .is_some_and(|row| microcode.is_none_or(|revision| revision < row.mended))
}

/// Returns the microcode revision in register 0x8b: Intel has it in the upper half, AMD in the
/// lower one. Zero says nothing.
#[must_use]
pub fn revision(intel: bool, register: u64) -> Option<u32> {
    let half = if intel {
        register >> 32
    } else {
        register & 0xffff_ffff
    };
    u32::try_from(half).ok().filter(|revision| *revision != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written from the source, not from the table.
    const MENDED: [(u8, u32); 6] = [
        (0x97, 0x2e),
        (0x9a, 0x42c),
        (0xb7, 0x118),
        (0xba, 0x4117),
        (0xbe, 0x11),
        (0xbf, 0x2e),
    ];

    #[test]
    fn the_erratum_ends_with_its_revision() {
        for (model, mended) in MENDED {
            assert!(keeps_globals(6, model, Some(mended - 1)), "{model:#x}");
            assert!(!keeps_globals(6, model, Some(mended)), "{model:#x}");
            assert!(keeps_globals(6, model, None), "{model:#x}");
            assert!(!keeps_globals(15, model, Some(1)), "{model:#x}");
        }
        let with_it = (0..=u8::MAX).filter(|model| keeps_globals(6, *model, None));
        assert!(with_it.eq(MENDED.map(|(model, _)| model)));
    }

    #[test]
    fn every_revision_has_a_source_with_a_date() {
        for row in &INVLPG_KEEPS_GLOBALS {
            assert!(row.source.contains("20"), "{:#x}", row.model);
        }
    }

    #[test]
    fn servers_do_not_have_it() {
        for model in [0x8f, 0xcf, 0xad, 0xae] {
            assert!(model_name(6, model).is_some() && !keeps_globals(6, model, None));
        }
    }

    #[test]
    fn every_part_with_the_erratum_has_a_name() {
        for model in 0..=u8::MAX {
            if keeps_globals(6, model, None) {
                assert!(model_name(6, model).is_some(), "{model:#x}");
            }
        }
        assert_eq!(model_name(25, 0x97), None);
    }

    #[test]
    fn each_vendor_has_its_half() {
        assert_eq!(revision(true, 0x2b00_0571_0000_0000), Some(0x2b00_0571));
        assert_eq!(revision(true, 0x1234), None);
        assert_eq!(revision(false, 0x0a10_1148), Some(0x0a10_1148));
        assert_eq!(revision(false, 0), None);
    }
}
