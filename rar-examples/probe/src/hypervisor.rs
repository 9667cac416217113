//! Whether a hypervisor lies below, and which.

use rar_regs::Cpuid;

/// CPUID leaf 1, ECX: a hypervisor is present (SDM vol. 2 leaves the bit to software).
const PRESENT: u32 = 1 << 31;
/// Where a hypervisor says its name.
const NAME_LEAF: u32 = 0x4000_0000;
/// Where the shim of this project says its name (`rar-vrar`, `cpuid.rs`).
const SHIM_LEAF: u32 = 0x4000_0100;
/// The name of the shim.
const SHIM_NAME: [u8; 12] = *b"rar-vrar-svm";

/// What lies between the processor and the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hypervisor {
    /// Its name; `None` if the processor says that there is no hypervisor.
    pub(crate) name: Option<String>,
    /// Whether RAR comes from software.
    pub(crate) unit: Unit,
}

/// Where a RAR unit, if there is one, comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// From `rar-vrar`: software.
    Shim,
    /// From the processor, or from a hypervisor that does not say so.
    Machine,
}

impl Hypervisor {
    /// Asks the executing CPU.
    pub(crate) fn detect<C: Cpuid + ?Sized>(cpu: &C) -> Self {
        let present = cpu.cpuid(1, 0).ecx & PRESENT != 0;
        Self {
            name: present.then(|| printable(name(cpu, NAME_LEAF))),
            // The shim says its name whatever the bit says.
            unit: match name(cpu, SHIM_LEAF) {
                SHIM_NAME => Unit::Shim,
                _ => Unit::Machine,
            },
        }
    }
}

/// Returns the twelve bytes of EBX, ECX and EDX.
fn name<C: Cpuid + ?Sized>(cpu: &C, leaf: u32) -> [u8; 12] {
    let answer = cpu.cpuid(leaf, 0);
    let [a, b, c, d] = answer.ebx.to_le_bytes();
    let [e, f, g, h] = answer.ecx.to_le_bytes();
    let [i, j, k, l] = answer.edx.to_le_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

fn printable(name: [u8; 12]) -> String {
    let end = name
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    let text = name
        .get(..end)
        .unwrap_or_default()
        .escape_ascii()
        .to_string();
    if text.is_empty() {
        "without a name".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use rar_regs::{CpuidResult, FakeCpu};

    use super::*;

    fn named(cpu: FakeCpu, leaf: u32, name: [u8; 12]) -> FakeCpu {
        let word = |at: usize| u32::from_le_bytes(name[at..at + 4].try_into().unwrap());
        let (ebx, ecx, edx) = (word(0), word(4), word(8));
        let result = CpuidResult {
            eax: leaf,
            ebx,
            ecx,
            edx,
        };
        cpu.with_cpuid(leaf, 0, result)
    }

    #[test]
    fn none_a_named_one_and_the_shim() {
        let bare = FakeCpu::with_rar(63);
        assert_eq!(Hypervisor::detect(&bare).name, None);
        assert_eq!(Hypervisor::detect(&bare).unit, Unit::Machine);

        let leaf_1 = CpuidResult {
            eax: 0x0008_06f8,
            ecx: PRESENT,
            ..CpuidResult::default()
        };
        let below = FakeCpu::with_rar(63).with_cpuid(1, 0, leaf_1);
        let unnamed = Hypervisor::detect(&below);
        assert_eq!(unnamed.name.as_deref(), Some("without a name"));
        let kvm = named(below, NAME_LEAF, *b"KVMKVMKVM\0\0\0");
        assert_eq!(Hypervisor::detect(&kvm).name.as_deref(), Some("KVMKVMKVM"));

        let shim = named(kvm, SHIM_LEAF, SHIM_NAME);
        assert_eq!(Hypervisor::detect(&shim).unit, Unit::Shim);
    }
}
