//! Commands of GRUB that put a machine in disorder.

/// Writes a doubleword of memory, or a register in it.
pub(super) fn store(address: u32, value: u32) -> String {
    format!("write_dword {address:#x} {value:#x}")
}

/// Writes bytes into memory; their number is a multiple of four.
pub(super) fn store_all(address: u32, bytes: &[u8]) -> Vec<String> {
    let words = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word));
    let places = (address..).step_by(4);
    places
        .zip(words)
        .map(|(at, word)| store(at, word))
        .collect()
}

/// Writes a byte to an I/O port.
pub(super) fn output(port: u16, value: u8) -> String {
    format!("outb {port:#x} {value:#x}")
}

/// Writes a model-specific register of the boot CPU.
pub(super) fn register(number: u32, value: u64) -> String {
    format!("wrmsr {number:#x} {value:#x}")
}

/// Selector and window of the I/O APIC.
const IO_APIC: [u32; 2] = [0xfec0_0000, 0xfec0_0010];
const FIRST_ENTRY: u32 = 0x10;

/// Writes an entry of the I/O APIC: the destination, then what it does.
pub(super) fn io_apic_entry(input: u8, destination: u8, low: u32) -> [String; 4] {
    let [selector, window] = IO_APIC;
    let number = FIRST_ENTRY + 2 * u32::from(input);
    [
        store(selector, number + 1),
        store(window, u32::from(destination) << 24),
        store(selector, number),
        store(window, low),
    ]
}

const LOCAL_APIC: u32 = 0xfee0_0000;
const COMMAND: [u32; 2] = [0x300, 0x310];

/// Writes a register of the boot CPU's local APIC.
pub(super) fn local_apic(offset: u32, value: u32) -> String {
    store(LOCAL_APIC + offset, value)
}

/// Sends the boot CPU an interrupt that no code ends: the BIOS, through which GRUB's next output
/// goes, takes it.
pub(super) fn in_service(vector: u8) -> [String; 3] {
    let [low, high] = COMMAND;
    [
        local_apic(high, 0),
        local_apic(low, 0x4000 | u32::from(vector)),
        "sleep 1".to_owned(),
    ]
}
