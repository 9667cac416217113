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
/// Leaf 1, EDX: there is an APIC, and it is enabled.
const APIC: u32 = 1 << 9;
const X2APIC: u32 = 1 << 21;
const CORE_CAPABILITIES: u32 = 1 << 30;
/// Leaf 1, ECX: the operating system has set CR4.OSXSAVE.
const OSXSAVE: u32 = 1 << 27;
const CR4_OSXSAVE: u64 = 1 << 18;
/// Leaf 7, ECX: the operating system has set CR4.PKE.
const OSPKE: u32 = 1 << 4;
const CR4_PKE: u64 = 1 << 22;

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

/// Returns what a guest with this CR4 reads where the processor says `real`.
pub(crate) fn presented(leaf: u32, subleaf: u32, real: Leaf, cr4: u64, config: &Config) -> Leaf {
    let hypervisor = match config.hypervisor {
        Hypervisor::Machine => 0,
        Hypervisor::Kvm => HYPERVISOR,
    };
    let hidden = match config.mwait {
        Mwait::Shown => 0,
        Mwait::Hidden => MONITOR,
    };
    // The processor has answered by the host's CR4.
    let follows = |register: u32, bit: u32, wanted: u64| {
        let shown = if cr4 & wanted == 0 { 0 } else { bit };
        register & !bit | shown
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
            ecx: follows(real.ecx & !hidden, OSXSAVE, CR4_OSXSAVE) | X2APIC | hypervisor,
            ..real
        },
        (MWAIT_LEAF, _) if config.mwait == Mwait::Hidden => NOTHING,
        (7, 0) => Leaf {
            ecx: follows(real.ecx, OSPKE, CR4_PKE),
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

/// Returns what a guest reads instead while its APIC is disabled: that it has no APIC (SDM vol. 3,
/// "Enabling or Disabling the Local APIC").
pub(crate) fn without_apic(leaf: u32, seen: Leaf) -> Leaf {
    match leaf {
        1 => Leaf {
            edx: seen.edx & !APIC,
            ..seen
        },
        _ => seen,
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
    fn a_disabled_apic_is_not_shown() {
        let real = Leaf { edx: 0x2ff, ..REAL };
        assert_eq!(without_apic(1, real), Leaf { edx: 0xff, ..real });
        assert_eq!(without_apic(7, real), real);
    }

    #[test]
    fn a_name_that_linux_knows_and_beside_it_the_own_one() {
        let kvm = config(Hypervisor::Kvm);
        let see = |leaf| presented(leaf, 0, REAL, 0, &kvm);
        assert_eq!(see(1).ecx, HYPERVISOR | X2APIC | SVM);
        assert_eq!(see(0x4000_0000), named(0x4000_0001, KVM));
        assert_eq!(see(0x4000_0000).ebx.to_le_bytes(), *b"KVMK");
        for leaf in [0x4000_0001, 0x4000_0010, 0x4000_00ff] {
            assert_eq!(see(leaf), NOTHING, "{leaf:#x}");
        }
        assert_eq!(see(OWN_LEAF), named(ENTRY_LEAF, OWN_NAME));
        for hypervisor in [Hypervisor::Machine, Hypervisor::Kvm] {
            let config = config(hypervisor);
            assert_eq!(presented(0x4000_0200, 0, REAL, 0, &config), REAL);
        }
        let machine = config(Hypervisor::Machine);
        assert_eq!(presented(0x4000_0000, 0, REAL, 0, &machine), REAL);
    }

    #[test]
    fn mwait_is_the_processors_or_hidden() {
        let real = Leaf {
            ecx: u32::MAX,
            ..REAL
        };
        let mut config = config(Hypervisor::Machine);
        let see = |leaf, config: &Config| presented(leaf, 0, real, CR4_OSXSAVE, config);
        assert_eq!(see(1, &config).ecx, u32::MAX);
        assert_eq!(see(5, &config), real);
        config.mwait = Mwait::Hidden;
        assert_eq!(see(1, &config).ecx, !MONITOR);
        assert_eq!(see(5, &config), NOTHING);
    }

    #[test]
    fn what_the_operating_system_has_enabled_is_the_guests() {
        let config = config(Hypervisor::Machine);
        for host in [0, u32::MAX] {
            let real = Leaf { ecx: host, ..REAL };
            let see = |leaf, cr4| presented(leaf, 0, real, cr4, &config).ecx;
            let rest = |leaf, cr4, bit: u32| see(leaf, cr4) & !bit;
            for (leaf, bit, cr4) in [(1, 1 << 27, 1 << 18), (7, 1 << 4, 1 << 22)] {
                assert_eq!(see(leaf, cr4) & bit, bit, "{leaf} {host:#x}");
                assert_eq!(see(leaf, !cr4) & bit, 0, "{leaf} {host:#x}");
                assert_eq!(rest(leaf, cr4, bit), rest(leaf, !cr4, bit));
            }
        }
    }

    #[test]
    fn a_listed_part_with_rar_and_without_svm() {
        let config = config(Hypervisor::Machine);
        let see = |leaf, subleaf| presented(leaf, subleaf, REAL, 0, &config);
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
