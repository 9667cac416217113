//! A machine of 96 MiB in a buffer: files lie in it, a plan is carried out, and the result is read.

use rar_carrier::{
    Entry, File, Files, GuestRam, HANDOVER_BYTES, Handover, Machine, Payload, PayloadError,
    Protocol, Step,
};
use rar_kernel::{FreeRanges, MemoryKind, MemoryMap, PhysicalMemory, Region};

pub(crate) const MIB: u64 = 1 << 20;
/// What the carrier keeps.
pub(crate) const KEPT: (u64, u64) = (64 * MIB, 66 * MIB);

pub(crate) struct Ground {
    pub(crate) memory: Vec<u8>,
    pub(crate) entry: Entry,
    /// The guest's memory map.
    pub(crate) map: MemoryMap,
}

impl PhysicalMemory for Ground {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let at = usize::try_from(address).ok()?;
        self.memory.get(at..at.checked_add(length)?)
    }
}

pub(crate) fn machine_map() -> MemoryMap {
    let mut map = MemoryMap::empty();
    for (start, end, kind) in [
        (0, 0x9_f000, MemoryKind::Usable),
        (0xf_0000, MIB, MemoryKind::Reserved),
        (MIB, 96 * MIB, MemoryKind::Usable),
    ] {
        map.push(Region { start, end, kind });
    }
    map
}

fn at(address: u64) -> usize {
    usize::try_from(address).unwrap()
}

/// Boots the first file, which lies at its address as the others do, and returns the machine as
/// the guest finds it.
pub(crate) fn boot(
    files: &[(u64, &[u8], &str)],
    line: &str,
    protocol: Option<Protocol>,
) -> Result<Ground, PayloadError> {
    boot_on(&machine_map(), files, line, protocol)
}

/// Boots on a machine with this memory map, whose RAM is that of [`machine_map`].
pub(crate) fn boot_on(
    map: &MemoryMap,
    files: &[(u64, &[u8], &str)],
    line: &str,
    protocol: Option<Protocol>,
) -> Result<Ground, PayloadError> {
    let mut memory = vec![0; at(96 * MIB)];
    let found = files
        .iter()
        .map(|&(start, bytes, line)| File { start, bytes, line });
    let found = Files::new(found)?.ok_or(PayloadError::Missing)?;
    let payload = Payload::new(found.kernel.bytes, protocol)?;
    let mut kept = FreeRanges::empty();
    kept.add(KEPT.0, KEPT.1);
    let ranges = files
        .iter()
        .map(|(start, bytes, _)| (*start, *start + bytes.len() as u64));
    let mut ram = GuestRam::new(map, &kept, ranges)?;
    let mut rsdp = [7; 36];
    rsdp[15] = 2;
    let machine = Machine {
        rsdp: Some(rsdp),
        rsdp_address: None,
        display: None,
    };
    let mut block = vec![0xff; at(HANDOVER_BYTES)];
    let mut handover = Handover::new(ram.handover(), &mut block);
    let plan = payload.plan(&found, line, &machine, map, &mut ram, &mut handover)?;
    for step in plan.steps.all() {
        let (Step::Copy { to, length, .. } | Step::Clear { start: to, length }) = *step;
        let allowed = ram.map(map);
        let mut usable = allowed.regions().iter();
        assert!(
            usable.any(|region| region.kind == MemoryKind::Usable
                && region.start <= to
                && to + length <= region.end),
            "{step:x?} writes where the guest has no RAM"
        );
        if let Step::Clear { start, length } = *step {
            memory[at(start)..at(start + length)].fill(0xa5);
        }
    }
    for (start, bytes, _) in files {
        memory[at(*start)..][..bytes.len()].copy_from_slice(bytes);
    }
    memory[at(ram.handover())..][..block.len()].copy_from_slice(&block);
    for step in plan.steps.all() {
        match *step {
            Step::Copy { from, to, length } => {
                memory.copy_within(at(from)..at(from + length), at(to));
            }
            Step::Clear { start, length } => memory[at(start)..at(start + length)].fill(0),
        }
    }
    Ok(Ground {
        memory,
        entry: plan.entry,
        map: ram.map(map),
    })
}
