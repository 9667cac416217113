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
        0xbf => "Raptor Lake S",
        _ => return None,
    })
}

/// Returns whether INVLPG of this Intel part may keep global translations while PCIDs are on: Alder
/// and Raptor Lake, before the microcode that mends it.
///
/// The revisions are those of Linux, which raised its first ones. No revision is known for Raptor
/// Lake S; an unknown revision counts as an old one.
#[must_use]
pub fn keeps_globals(family: u16, model: u8, microcode: Option<u32>) -> bool {
    if family != FAMILY {
        return false;
    }
    let mended = match model {
        0x97 => 0x34,
        0x9a => 0x432,
        0xb7 => 0x122,
        0xba => 0x4121,
        0xbf => return true,
        _ => return false,
    };
    microcode.is_none_or(|revision| revision < mended)
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

    #[test]
    fn the_erratum_ends_with_its_revision() {
        for (model, mended) in [(0x97, 0x34), (0x9a, 0x432), (0xb7, 0x122), (0xba, 0x4121)] {
            assert!(keeps_globals(6, model, Some(mended - 1)), "{model:#x}");
            assert!(!keeps_globals(6, model, Some(mended)), "{model:#x}");
            assert!(keeps_globals(6, model, None), "{model:#x}");
            assert!(!keeps_globals(15, model, Some(1)), "{model:#x}");
        }
        assert!(keeps_globals(6, 0xbf, Some(u32::MAX)));
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
