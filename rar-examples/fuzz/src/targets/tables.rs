//! The tables of a firmware and what boot loaders hand over, as the example kernels read them.

use rar_kernel::{
    BootInfo, CpuList, FirmwareTables, HardwareFacts, MULTIBOOT2_MAGIC, MadtEntries, PVH_MAGIC,
    PhysicalMemory, Rsdp, TableNotes, demands_physical_destinations, read_boot_info,
    read_framebuffer, read_hpet, read_madt, read_pm_timer, read_pm1_control, read_reset_register,
    search_rsdp,
};

/// Where the bytes lie.
const BASE: u64 = 0x1000;

const HARDWARE: HardwareFacts = HardwareFacts {
    local_apic: 0xfee0_0000,
    boot_id: 0,
    package_cpus: 1,
};

/// Memory that has these bytes, and nothing else.
struct Memory<'b>(&'b [u8]);

impl PhysicalMemory for Memory<'_> {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(BASE)?).ok()?;
        self.0.get(start..start.checked_add(length)?)
    }
}

/// A reader, and the folder of its inputs in the corpus of rar-firmware.
type Reader = (&'static str, fn(&[u8]));

/// The readers, in the order of the first byte.
const READERS: [Reader; 6] = [
    ("madt", madt),
    ("fadt", fadt),
    ("firmware", firmware),
    ("multiboot2", |bytes| loader(MULTIBOOT2_MAGIC, bytes)),
    ("pvh", |bytes| loader(PVH_MAGIC, bytes)),
    ("screen", screen),
];

/// Reads the bytes behind the first by the reader that the first one names.
pub(crate) fn run(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else {
        return;
    };
    let mut readers = READERS.iter().cycle();
    if let Some((_, reader)) = readers.nth(usize::from(*which) % READERS.len()) {
        reader(rest);
    }
}

fn madt(bytes: &[u8]) {
    let (mut cpus, mut notes) = (Box::new(CpuList::empty()), TableNotes::new());
    let summary = read_madt(bytes, &mut cpus, &mut notes);
    let walked = MadtEntries::new(bytes.get(44..).unwrap_or(&[])).count();
    assert!(summary.entries <= walked);
    // An entry of a CPU takes 8 bytes at least.
    assert!(cpus.ids().len() + cpus.dropped() <= bytes.len() / 8 + 1);
    check(&cpus, &notes);
}

fn check(cpus: &CpuList, notes: &TableNotes) {
    let mut ids = cpus.ids().to_vec();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), cpus.ids().len(), "a CPU twice: {:?}", cpus.ids());
    for note in notes.iter().map(ToString::to_string) {
        assert!(!note.is_empty() && note.len() < 200, "{note}");
    }
}

fn fadt(bytes: &[u8]) {
    let is_in_table = |end: usize| bytes.len() >= end;
    let (timer, reset) = (read_pm_timer(bytes), read_reset_register(bytes));
    // The fields' places in the table (ACPI, "Fixed ACPI Description Table").
    assert!(timer.is_none() || is_in_table(80), "{timer:?}");
    assert!(reset.is_none() || is_in_table(129), "{reset:?}");
    assert!(read_pm1_control(bytes).is_none() || is_in_table(66));
    assert!(!demands_physical_destinations(bytes) || is_in_table(116));
    assert!(read_hpet(bytes).is_none() || is_in_table(52));
}

fn firmware(bytes: &[u8]) {
    let memory = Memory(bytes);
    let found = search_rsdp(Some(BASE), &memory);
    for root in [Some(Rsdp::At(BASE)), found, None] {
        let mut cpus = Box::new(CpuList::empty());
        let tables = FirmwareTables::read(root.as_ref(), &memory, &HARDWARE, &mut cpus);
        check(&cpus, &tables.notes);
        if let Some(why) = tables.no_list {
            assert!(!why.to_string().is_empty());
        }
    }
}

fn loader(magic: u32, bytes: &[u8]) {
    let mut info = Box::new(BootInfo::empty());
    match read_boot_info(magic, BASE, &Memory(bytes), &mut info) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(()) => {
            assert!(info.command_line.as_str().len() <= bytes.len());
            assert!(info.loader.as_str().len() <= bytes.len());
            for region in info.memory.regions() {
                assert!(region.start < region.end, "{region:?}");
            }
            // The smallest description of a module is 16 bytes.
            assert!(info.modules.all().len() <= bytes.len() / 16 + 1);
        }
    }
}

fn screen(bytes: &[u8]) {
    let text = match read_framebuffer(bytes) {
        Ok(display) => display.to_string(),
        Err(unknown) => unknown.to_string(),
    };
    assert!(!text.is_empty());
}
