//! What a boot loader hands over (Multiboot2 specification 2.0, "Boot information format"; Xen
//! public header `arch-x86/hvm/start_info.h`).

/// A tag of multiboot2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootTag {
    /// Its type.
    pub kind: u32,
    /// The size that it says, if that is not its own.
    pub size: Option<u32>,
    /// What follows type and size.
    pub body: Vec<u8>,
}

impl BootTag {
    /// Makes a tag that is right.
    #[must_use]
    pub fn new(kind: u32, body: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            size: None,
            body: body.into(),
        }
    }

    /// Makes the memory map of these ranges: start, length, type.
    #[must_use]
    pub fn memory_map(ranges: &[(u64, u64, u32)]) -> Self {
        let mut body = [24_u32, 0].map(u32::to_le_bytes).as_flattened().to_vec();
        body.extend(ranges.iter().flat_map(|range| entry(*range)));
        Self::new(6, body)
    }

    /// Makes the command line.
    #[must_use]
    pub fn command_line(line: &str) -> Self {
        Self::new(1, [line.as_bytes(), &[0]].concat())
    }

    /// Makes the screen of a VGA in text mode.
    #[must_use]
    pub fn vga_text() -> Self {
        let mut body = 0xb_8000_u64.to_le_bytes().to_vec();
        body.extend([160_u32, 80, 25].map(u32::to_le_bytes).as_flattened());
        body.extend([16, 2, 0, 0]);
        Self::new(8, body)
    }
}

/// One range of a memory map, which looks the same in both protocols.
fn entry((start, length, kind): (u64, u64, u32)) -> Vec<u8> {
    let mut bytes = [start, length]
        .map(u64::to_le_bytes)
        .as_flattened()
        .to_vec();
    bytes.extend([kind, 0].map(u32::to_le_bytes).as_flattened());
    bytes
}

/// Returns the information of multiboot2 with these tags and the one that ends it.
#[must_use]
pub fn multiboot2(tags: &[BootTag]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    let end = BootTag::new(0, []);
    for tag in tags.iter().chain([&end]) {
        let size = u32::try_from(tag.body.len() + 8).unwrap_or(u32::MAX);
        bytes.extend(tag.kind.to_le_bytes());
        bytes.extend(tag.size.unwrap_or(size).to_le_bytes());
        bytes.extend(&tag.body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    let total = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    for (to, from) in bytes.iter_mut().zip(total) {
        *to = from;
    }
    bytes
}

/// Returns the start information of PVH at `address`, with a memory map and a command line behind
/// it.
#[must_use]
pub fn pvh(address: u64, line: &str, ranges: &[(u64, u64, u32)]) -> Vec<u8> {
    const LENGTH: u64 = 56;
    let map = address + LENGTH;
    let text = map + 24 * ranges.len() as u64;
    let mut bytes = [0x336e_c578_u32, 1, 0, 0]
        .map(u32::to_le_bytes)
        .as_flattened()
        .to_vec();
    // No modules, the command line, no ACPI tables, the map.
    bytes.extend([0, text, 0, map].map(u64::to_le_bytes).as_flattened());
    let count = u32::try_from(ranges.len()).unwrap_or(u32::MAX);
    bytes.extend([count, 0].map(u32::to_le_bytes).as_flattened());
    bytes.extend(ranges.iter().flat_map(|range| entry(*range)));
    bytes.extend(line.as_bytes());
    bytes.push(0);
    bytes
}
