//! CPUID as the guest sees it: a part with RAR and an x2APIC, and without SVM.

/// The leaf by which software detects the shim.
pub(crate) const OWN_LEAF: u32 = 0x4000_0100;
/// What EBX, ECX and EDX of [`OWN_LEAF`] hold.
pub(crate) const OWN_NAME: [u32; 3] = words(*b"rar-vrar-svm");
/// Leaf 0x8000_0001, ECX: SVM.
pub(crate) const SVM: u32 = 1 << 2;

const INTEL: [u32; 3] = words(*b"GenuntelineI");
const X2APIC: u32 = 1 << 21;
const CORE_CAPABILITIES: u32 = 1 << 30;

/// The four registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) eax: u32,
    pub(crate) ebx: u32,
    pub(crate) ecx: u32,
    pub(crate) edx: u32,
}

const fn words(text: [u8; 12]) -> [u32; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = text;
    [
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
        u32::from_le_bytes([i, j, k, l]),
    ]
}

/// Returns what the guest reads where the processor says `real`.
pub(crate) const fn presented(leaf: u32, subleaf: u32, real: Leaf, signature: u32) -> Leaf {
    match (leaf, subleaf) {
        (0, _) => {
            let [ebx, ecx, edx] = INTEL;
            Leaf {
                ebx,
                ecx,
                edx,
                ..real
            }
        }
        (1, _) => Leaf {
            eax: signature,
            ecx: real.ecx | X2APIC,
            ..real
        },
        (7, 0) => Leaf {
            edx: real.edx | CORE_CAPABILITIES,
            ..real
        },
        (0x8000_0001, _) => Leaf {
            ecx: real.ecx & !SVM,
            ..real
        },
        (0x8000_000a, _) => Leaf {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
        },
        (OWN_LEAF, _) => {
            let [ebx, ecx, edx] = OWN_NAME;
            Leaf {
                eax: OWN_LEAF,
                ebx,
                ecx,
                edx,
            }
        }
        _ => real,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: Leaf = Leaf {
        eax: 0xd,
        ebx: 1,
        ecx: SVM,
        edx: 3,
    };

    #[test]
    fn a_listed_part_with_rar_and_without_svm() {
        let see = |leaf, subleaf| presented(leaf, subleaf, REAL, 0x0008_06f8);
        assert_eq!(see(0, 0).eax, 0xd);
        assert_eq!(see(0, 0).ebx.to_le_bytes(), *b"Genu");
        assert_eq!(see(0, 0).edx.to_le_bytes(), *b"ineI");
        assert_eq!(see(0, 0).ecx.to_le_bytes(), *b"ntel");
        assert_eq!((see(1, 0).eax, see(1, 0).ecx), (0x0008_06f8, X2APIC | SVM));
        assert_eq!(see(7, 0).edx, 1 << 30 | 3);
        assert_eq!(see(7, 1), REAL);
        assert_eq!(see(0x8000_0001, 0).ecx, 0);
        assert_eq!(see(0x8000_000a, 0).eax, 0);
        assert_eq!(see(OWN_LEAF, 0).ebx.to_le_bytes(), *b"rar-");
        assert_eq!(see(0xb, 0), REAL);
    }
}
