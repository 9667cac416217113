//! CPUID as the guest sees it: a part with RAR and an x2APIC, and without SVM.

use rar_vocabulary::ENTRY_LEAF;

use crate::config::{Config, Hypervisor, Mwait};

/// The leaf by which software detects the shim.
pub(crate) const OWN_LEAF: u32 = 0x4000_0100;
/// What EBX, ECX and EDX of [`OWN_LEAF`] hold.
pub(crate) const OWN_NAME: [u32; 3] = words(*b"rar-vrar-svm");
/// Leaf 0x8000_0001, ECX: SVM.
pub(crate) const SVM: u32 = 1 << 2;

const INTEL: [u32; 3] = words(*b"GenuntelineI");
/// The leaves of the hypervisor that stands first.
const HYPERVISOR_FIRST: u32 = 0x4000_0000;
const HYPERVISOR_LAST: u32 = 0x4000_00ff;
const KVM: [u32; 3] = words(*b"KVMKVMKVM\0\0\0");
/// Leaf 1, ECX: there is a hypervisor.
const HYPERVISOR: u32 = 1 << 31;
/// Leaf 1, ECX: MONITOR and MWAIT.
const MONITOR: u32 = 1 << 3;
/// Their details.
const MWAIT_LEAF: u32 = 5;
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
pub(crate) fn presented(leaf: u32, subleaf: u32, real: Leaf, config: &Config) -> Leaf {
    let hypervisor = match config.hypervisor {
        Hypervisor::Machine => 0,
        Hypervisor::Kvm => HYPERVISOR,
    };
    let hidden = match config.mwait {
        Mwait::Shown => 0,
        Mwait::Hidden => MONITOR,
    };
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
            eax: config.signature,
            ecx: (real.ecx & !hidden) | X2APIC | hypervisor,
            ..real
        },
        (MWAIT_LEAF, _) if config.mwait == Mwait::Hidden => NOTHING,
        (7, 0) => Leaf {
            edx: real.edx | CORE_CAPABILITIES,
            ..real
        },
        (0x8000_0001, _) => Leaf {
            ecx: real.ecx & !SVM,
            ..real
        },
        (0x8000_000a, _) => NOTHING,
        (OWN_LEAF, _) => named(ENTRY_LEAF, OWN_NAME),
        (HYPERVISOR_FIRST..=HYPERVISOR_LAST, _) if config.hypervisor == Hypervisor::Kvm => {
            if leaf == HYPERVISOR_FIRST {
                // The next leaf has the features: it stays zero.
                named(HYPERVISOR_FIRST + 1, KVM)
            } else {
                NOTHING
            }
        }
        _ => real,
    }
}

const NOTHING: Leaf = named(0, [0; 3]);

/// The first leaf of a hypervisor: its last leaf and its name.
const fn named(last: u32, [ebx, ecx, edx]: [u32; 3]) -> Leaf {
    Leaf {
        eax: last,
        ebx,
        ecx,
        edx,
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

    fn config(hypervisor: Hypervisor) -> Config {
        Config {
            hypervisor,
            ..Config::new(0, core::ptr::NonNull::dangling())
        }
    }

    #[test]
    fn a_name_that_linux_knows_and_beside_it_the_own_one() {
        let kvm = config(Hypervisor::Kvm);
        let see = |leaf| presented(leaf, 0, REAL, &kvm);
        assert_eq!(see(1).ecx, HYPERVISOR | X2APIC | SVM);
        assert_eq!(see(0x4000_0000), named(0x4000_0001, KVM));
        assert_eq!(see(0x4000_0000).ebx.to_le_bytes(), *b"KVMK");
        for leaf in [0x4000_0001, 0x4000_0010, 0x4000_00ff] {
            assert_eq!(see(leaf), NOTHING, "{leaf:#x}");
        }
        assert_eq!(see(OWN_LEAF), named(ENTRY_LEAF, OWN_NAME));
        for hypervisor in [Hypervisor::Machine, Hypervisor::Kvm] {
            let config = config(hypervisor);
            assert_eq!(presented(0x4000_0200, 0, REAL, &config), REAL);
        }
        let machine = config(Hypervisor::Machine);
        assert_eq!(presented(0x4000_0000, 0, REAL, &machine), REAL);
    }

    #[test]
    fn mwait_is_the_processors_or_hidden() {
        let real = Leaf {
            ecx: u32::MAX,
            ..REAL
        };
        let mut config = config(Hypervisor::Machine);
        assert_eq!(presented(1, 0, real, &config).ecx, u32::MAX);
        assert_eq!(presented(5, 0, real, &config), real);
        config.mwait = Mwait::Hidden;
        assert_eq!(presented(1, 0, real, &config).ecx, !MONITOR);
        assert_eq!(presented(5, 0, real, &config), NOTHING);
    }

    #[test]
    fn a_listed_part_with_rar_and_without_svm() {
        let config = config(Hypervisor::Machine);
        let see = |leaf, subleaf| presented(leaf, subleaf, REAL, &config);
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
