//! Whether the CPU uses process-context identifiers.

/// CR4.PCIDE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pcids {
    /// CR4.PCIDE is 1: CR3 11:0 is the current PCID.
    Enabled,
    /// CR4.PCIDE is 0: the current PCID is 0.
    Disabled,
}
