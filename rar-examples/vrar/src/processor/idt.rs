//! The host's interrupt descriptor table.

/// Returns the gates: every vector leads to its stub, on the stack in use (VMRUN keeps the guest's
/// task register, so that no stack of a task state segment is the host's).
pub(crate) fn gates(stubs: u64, code_selector: u16) -> [[u64; 2]; 256] {
    let mut gates = [[0; 2]; 256];
    for (gate, vector) in gates.iter_mut().zip(0_u64..) {
        let entry = stubs + vector * 16;
        // Present, type 14: an interrupt gate of 64-bit mode.
        let low = entry & 0xffff
            | u64::from(code_selector) << 16
            | 0x8e << 40
            | (entry >> 16 & 0xffff) << 48;
        *gate = [low, entry >> 32];
    }
    gates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_gate() {
        let gates = gates(0xffff_8000_1234_5670, 0x08);
        assert_eq!(gates[1], [0x1234_8e00_0008_5680, 0xffff_8000]);
        assert_eq!(gates[255], [0x1234_8e00_0008_6660, 0xffff_8000]);
    }
}
