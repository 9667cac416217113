//! What a kernel must say of the bytes that it is handed: its own readers, on the host.

use rar_kernel::{
    BootInfo, CpuList, Display, FirmwareTables, FreeRanges, HardwareFacts, KernelOptions,
    LOCAL_APIC_DEFAULT, MULTIBOOT2_MAGIC, Module, read_boot_info, search_rsdp,
};

use super::guest_memory::{BootView, CPUS, GuestMemory, INFORMATION, RAM, TableView};

const PAGE: u64 = 4096;
const FIRST_MEBIBYTE: u64 = 1 << 20;
/// Where the kernel lies, with room for its image.
const KERNEL: (u64, u64) = (2 << 20, 16 << 20);
/// Bytes that a run needs in one piece above the kernel.
const ROOM: u64 = 64 << 20;

/// What CPUID and registers of QEMU's machine say.
const HARDWARE: HardwareFacts = HardwareFacts {
    local_apic: LOCAL_APIC_DEFAULT,
    boot_id: 0,
    package_cpus: CPUS as usize,
};

/// What a kernel must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prediction {
    /// Its notes about the tables and the boot information, as a person sees them.
    pub(super) notes: Vec<String>,
    /// Notes that had no room.
    pub(super) dropped: usize,
    /// The APIC ids that are listed, the boot CPU's first.
    pub(super) ids: Vec<u32>,
    /// How many are listed, with those that have no room.
    pub(super) listed: usize,
    /// CPUs that run.
    pub(super) online: usize,
    /// CPUs that may exist beside the list.
    pub(super) hidden: usize,
    /// Addresses that were read without being known: a note about them may have other words.
    pub(super) unknown: Vec<u64>,
}

/// What comes of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The kernel runs, and says this.
    Runs(Prediction),
    /// The kernel cannot start, and says why.
    Refused(String),
    /// The readers say this, and no kernel can be judged by what it does there, for this reason.
    NotBootable(&'static str, Prediction),
}

/// Returns what comes of a machine that is to run with the command line `line`.
pub(super) fn predict(memory: &GuestMemory, line: &str) -> Fate {
    let mut boot = Box::new(BootInfo::empty());
    let read = read_boot_info(MULTIBOOT2_MAGIC, INFORMATION, &BootView(memory), &mut boot);
    if let Err(error) = read {
        return Fate::Refused(error.to_string());
    }
    let mut cpus = Box::new(CpuList::empty());
    let view = TableView(memory, &boot.memory);
    let named = KernelOptions::read(&boot.command_line).rsdp;
    let search = || search_rsdp(named, &BootView(memory));
    let root = boot.rsdp.or_else(search);
    let tables = FirmwareTables::read(root.as_ref(), &view, &HARDWARE, &mut cpus);
    cpus.put_first(HARDWARE.boot_id);
    let exists = |id: &&u32| **id < CPUS;
    let online = match free(&boot).take(1, PAGE, PAGE, FIRST_MEBIBYTE) {
        Some(_) => cpus.ids().iter().filter(exists).count(),
        // Nowhere to start one.
        None => 1,
    };
    let mut notes = Vec::new();
    if boot.faults.count() > 0 {
        notes.push(boot.faults.to_string());
    }
    notes.extend(tables.no_list.map(|why| why.to_string()));
    notes.extend(tables.notes.iter().map(ToString::to_string));
    let prediction = Prediction {
        notes,
        dropped: tables.notes.dropped(),
        ids: cpus.ids().to_vec(),
        listed: cpus.ids().len() + cpus.dropped(),
        online,
        hidden: tables.hidden_cpus,
        unknown: memory.unknown(),
    };
    match not_bootable(&boot, line) {
        None => Fate::Runs(prediction),
        Some(why) => Fate::NotBootable(why, prediction),
    }
}

fn free(boot: &BootInfo) -> FreeRanges {
    let mut free = boot.memory.free(&[(0, PAGE), KERNEL]);
    for (start, end) in boot.modules.all().iter().flat_map(Module::ranges) {
        free.cut(start, end);
    }
    free
}

/// Returns why the machine cannot be judged by a boot, if it cannot.
fn not_bootable(boot: &BootInfo, line: &str) -> Option<&'static str> {
    if boot.rsdp.is_none() {
        return Some("the kernel finds the tables of QEMU's own firmware");
    }
    if boot.command_line.as_str() != line {
        return Some("another command line runs other tests");
    }
    let has_ram = |start: u64, end: u64| {
        let mut all = RAM.iter();
        all.any(|(from, to)| *from <= start && end <= *to)
    };
    let ram = boot.memory.ram();
    if !ram
        .ranges()
        .iter()
        .all(|(start, end)| has_ram(*start, *end))
    {
        return Some("the memory map names RAM that does not exist");
    }
    let room = |(start, end): &(u64, u64)| end.saturating_sub((*start).max(KERNEL.1)) >= ROOM;
    if !free(boot).ranges().iter().any(room) {
        return Some("too little memory is left for a run");
    }
    let (start, end) = match boot.display {
        None
        | Some(Display::Text {
            address: 0xb_8000, ..
        }) => return None,
        Some(display) => display.range(),
    };
    // There the kernel draws nothing.
    let refused = boot.memory.has_ram(start, end);
    (!refused).then_some("the screen lies where no screen can be seen")
}

#[cfg(test)]
mod tests {
    use rar_firmware::{Change, HandedOver, Mutation, Root, Sum};

    use super::super::guest_memory::hand_over;
    use super::*;

    const LINE: &str = "run=quick";

    fn fate(changes: &[Change]) -> Fate {
        let handed: HandedOver = hand_over(LINE).with(changes);
        predict(&GuestMemory::new(&[], &handed), LINE)
    }

    fn runs(changes: &[Change]) -> Prediction {
        match fate(changes) {
            Fate::Runs(prediction) => prediction,
            other => panic!("{changes:?}: {other:?}"),
        }
    }

    #[test]
    fn the_machine_without_changes_runs_without_a_note() {
        let expected = Prediction {
            notes: vec![],
            dropped: 0,
            ids: vec![0, 1, 2, 3],
            listed: 4,
            online: 4,
            hidden: 0,
            unknown: vec![],
        };
        assert_eq!(fate(&[]), Fate::Runs(expected));
    }

    #[test]
    fn a_fault_is_noted_and_its_cpus_are_counted() {
        let sum = runs(&[Change::TableSum(2, Sum::Off(1))]);
        assert!(sum.notes[0].contains("wrong checksum"), "{:?}", sum.notes);
        let phantoms = runs(&[Change::Phantoms(40, 3)]);
        assert_eq!((phantoms.listed, phantoms.online), (7, 4));
        let none = runs(&[Change::Xsdt(Root::Empty), Change::Rsdt(Root::Empty)]);
        assert_eq!((none.listed, none.online, none.hidden), (1, 1, 3));
        let elsewhere = runs(&[Change::Rsdt(Root::Nowhere(0x7000))]);
        assert_eq!(elsewhere.unknown, [0x7000]);
    }

    #[test]
    fn what_no_boot_can_judge_is_not_booted() {
        // The map is the third tag behind the command line; the type of its third range, the
        // BIOS, lies behind the head, two ranges, and two numbers of its own.
        let ram = Change::TagBody(2, Mutation::Byte(8 + 2 * 24 + 16, 1));
        assert!(matches!(fate(&[ram]), Fate::NotBootable(why, _) if why.contains("RAM")));
        let root = [Change::TagGone(5), Change::TagGone(4)];
        assert!(matches!(fate(&root), Fate::NotBootable(why, _) if why.contains("own")));
        let line = Change::TagKind(0, 1);
        assert!(matches!(fate(&[line]), Fate::NotBootable(why, _) if why.contains("line")));
        let nothing = [Change::TagGone(2), Change::TagGone(1)];
        let refused = Fate::Refused("the boot loader gave no memory map".to_owned());
        assert_eq!(fate(&nothing), refused);
    }
}
