//! Which CPU this is: vendor, family, model, stepping.

use core::fmt;

use crate::Cpuid;
use crate::msr::BASIC_LEAF;

/// Family, model and stepping, in EAX.
const SIGNATURE_LEAF: u32 = 1;

/// The vendor string of CPUID leaf 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Vendor([u8; 12]);

impl Vendor {
    /// `GenuineIntel`.
    pub const INTEL: Self = Self(*b"GenuineIntel");

    /// Returns the vendor with this string.
    #[must_use]
    pub const fn new(text: [u8; 12]) -> Self {
        Self(text)
    }

    /// Returns the string.
    #[must_use]
    pub const fn bytes(self) -> [u8; 12] {
        self.0
    }

    fn detect<C: Cpuid + ?Sized>(cpu: &C) -> Self {
        let leaf = cpu.cpuid(BASIC_LEAF, 0);
        let [a, b, c, d] = leaf.ebx.to_le_bytes();
        let [e, f, g, h] = leaf.edx.to_le_bytes();
        let [i, j, k, l] = leaf.ecx.to_le_bytes();
        Self([a, b, c, d, e, f, g, h, i, j, k, l])
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vendor({self})")
    }
}

/// What CPUID leaves 0 and 1 say of the kind of CPU.
///
/// Family and model are the displayed ones, extended parts included (SDM vol. 2, CPUID;
/// documented).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CpuSignature {
    /// Who made the CPU.
    pub vendor: Vendor,
    /// The family: 6 for every [`ListedModel`].
    pub family: u16,
    /// The model.
    pub model: u8,
    /// The stepping, 0 to 15.
    pub stepping: u8,
}

impl CpuSignature {
    /// Returns the signature of the CPU that answers.
    #[must_use]
    pub fn detect<C: Cpuid + ?Sized>(cpu: &C) -> Self {
        let [low, middle, upper, _] = cpu.cpuid(SIGNATURE_LEAF, 0).eax.to_le_bytes();
        let extended_family = (cpu.cpuid(SIGNATURE_LEAF, 0).eax >> 20).to_le_bytes()[0];
        let base_family = middle & 0xf;
        let family = match base_family {
            0xf => 0xf + u16::from(extended_family),
            base => u16::from(base),
        };
        let extended_model = match base_family {
            6 | 0xf => upper & 0xf,
            _ => 0,
        };
        Self {
            vendor: Vendor::detect(cpu),
            family,
            model: extended_model << 4 | low >> 4,
            stepping: low & 0xf,
        }
    }

    /// Returns the entry of [`ListedModel::ALL`] for this CPU, if there is one.
    #[must_use]
    pub fn listed(self) -> Option<ListedModel> {
        ListedModel::ALL.into_iter().find(|listed| {
            self.vendor == Vendor::INTEL
                && self.family == ListedModel::FAMILY
                && self.model == listed.model
        })
    }
}

impl fmt::Display for CpuSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vendor,
            family,
            model,
            stepping,
        } = self;
        write!(
            f,
            "{vendor} family {family:#x} model {model:#x} stepping {stepping:#x}"
        )
    }
}

/// An Intel CPU model that is said to have RAR.
///
/// The capability bit is model-specific, so it counts only on these (see
/// [`ModelCheck`](crate::ModelCheck) for the way past the list). Granite Rapids, Alder Lake and
/// Raptor Lake are said to have RAR too, but no report shows the bit on such a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ListedModel {
    /// The displayed model number.
    pub model: u8,
    /// Intel's name for the part.
    pub name: &'static str,
}

impl ListedModel {
    /// The family of every listed model.
    pub const FAMILY: u16 = 6;

    /// All listed models. Sapphire Rapids: Linux RFC v1 to v4, cover letters (documented). Emerald
    /// Rapids: "and newer" there, and SDM vol. 4, Table 2-52 covers both generations (inferred).
    pub const ALL: [Self; 2] = [
        Self {
            model: 0x8f,
            name: "Sapphire Rapids",
        },
        Self {
            model: 0xcf,
            name: "Emerald Rapids",
        },
    ];
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;
    use crate::FakeCpu;

    fn signature(eax: u32) -> (u16, u8, u8) {
        let signature =
            CpuSignature::detect(&FakeCpu::with_rar(63).with_signature(Vendor::INTEL, eax));
        (signature.family, signature.model, signature.stepping)
    }

    #[test]
    fn displayed_family_and_model() {
        assert_eq!(signature(0x000806f8), (6, 0x8f, 8));
        assert_eq!(signature(0x000c06f2), (6, 0xcf, 2));
        assert_eq!(signature(0x00a20f12), (0x19, 0x21, 2));
        assert_eq!(signature(0x0ff0_0f00), (0x10e, 0, 0));
        // Extended parts count for families 6 and 15 only.
        assert_eq!(signature(0x0fff_0543), (5, 4, 3));
    }

    #[test]
    fn the_list_is_intel_family_6() {
        let mut signature = CpuSignature::detect(&FakeCpu::with_rar(63));
        assert_eq!(
            signature.listed().map(|listed| listed.name),
            Some("Sapphire Rapids")
        );
        signature.model = 0xcf;
        assert_eq!(
            signature.listed().map(|listed| listed.name),
            Some("Emerald Rapids")
        );
        for model in (0..=u8::MAX).filter(|model| ![0x8f, 0xcf].contains(model)) {
            signature.model = model;
            assert_eq!(signature.listed(), None);
        }
        signature.model = 0x8f;
        assert_eq!(
            CpuSignature {
                family: 5,
                ..signature
            }
            .listed(),
            None
        );
        let vendor = Vendor::new(*b"AuthenticAMD");
        assert_eq!(
            CpuSignature {
                vendor,
                ..signature
            }
            .listed(),
            None
        );
    }

    #[test]
    fn text() {
        let signature = CpuSignature::detect(&FakeCpu::with_rar(63));
        assert_eq!(
            signature.to_string(),
            "GenuineIntel family 0x6 model 0x8f stepping 0x8"
        );
        assert_eq!(
            Vendor::new(*b"Odd\0Vendor\n\xff").to_string(),
            "Odd\\x00Vendor\\n\\xff"
        );
    }
}
