//! The first instruction of a payload, and the registers that it finds.

/// The first instruction of a payload, and the registers that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// 64-bit mode with an identity map of 4 GiB; CS is selector 0x10, the others are 0x18.
    Long {
        /// The instruction.
        rip: u64,
        /// RSI; the other general registers are zero.
        rsi: u64,
    },
    /// 32-bit protected mode without paging, in flat segments.
    Protected {
        /// The instruction.
        eip: u32,
        /// EAX.
        eax: u32,
        /// EBX; the other general registers are zero.
        ebx: u32,
    },
}
