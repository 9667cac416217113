//! Bytes that were met, each in a file: what must be read in them, then the bytes in hexadecimal.
//! The folder says which reader takes them.

use std::fs;
use std::path::Path;

use rar_kernel::{
    BootInfo, CpuList, FirmwareTables, MULTIBOOT2_MAGIC, MemoryKind, PVH_MAGIC, PhysicalMemory,
    Rsdp, TableNotes, demands_physical_destinations, read_boot_info, read_framebuffer, read_madt,
    read_pm_timer, read_pm1_control, read_reset_register,
};

use crate::machine::HARDWARE;

/// Bytes at an address.
struct Chunk {
    address: u64,
    bytes: Vec<u8>,
}

/// One file of the corpus.
struct Case {
    name: String,
    /// The lines before the bytes, without their mark.
    expected: Vec<String>,
    /// What lies where; the first begins at the structure that is read.
    chunks: Vec<Chunk>,
}

impl PhysicalMemory for Case {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.chunks.iter().find_map(|chunk| {
            let start = usize::try_from(address.checked_sub(chunk.address)?).ok()?;
            chunk.bytes.get(start..start.checked_add(length)?)
        })
    }
}

impl Case {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let mut case = Self {
            name: path.display().to_string(),
            expected: Vec::new(),
            chunks: Vec::new(),
        };
        let hexadecimal = |digits: &str| u64::from_str_radix(digits, 16).unwrap();
        for line in text.lines() {
            if let Some(expected) = line.strip_prefix('#') {
                case.expected.push(expected.trim().to_owned());
                continue;
            }
            let address = line.strip_prefix("at 0x").map(hexadecimal);
            if address.is_some() || case.chunks.is_empty() {
                case.chunks.push(Chunk {
                    address: address.unwrap_or(0x1000),
                    bytes: Vec::new(),
                });
            }
            if address.is_none() {
                let bytes = line.split_whitespace();
                let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap());
                case.chunks.last_mut().unwrap().bytes.extend(bytes);
            }
        }
        case
    }

    fn first(&self) -> &Chunk {
        &self.chunks[0]
    }
}

/// The files of one folder, by name.
fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder);
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Case::read(path)).collect()
}

fn texts<T: ToString>(notes: impl IntoIterator<Item = T>) -> Vec<String> {
    notes.into_iter().map(|note| note.to_string()).collect()
}

fn madt(case: &Case) -> Vec<String> {
    let (mut cpus, mut notes) = (Box::new(CpuList::empty()), TableNotes::new());
    let madt = read_madt(&case.first().bytes, &mut cpus, &mut notes);
    let counts = format!("CPUs {:?}, hidden {}", cpus.ids(), madt.hidden);
    [counts].into_iter().chain(texts(notes.iter())).collect()
}

fn fadt(case: &Case) -> Vec<String> {
    let table = case.first().bytes.as_slice();
    vec![
        format!("timer {:x?}", read_pm_timer(table)),
        format!("reset {:x?}", read_reset_register(table)),
        format!("PM1 control {:x?}", read_pm1_control(table)),
        format!("physical {}", demands_physical_destinations(table)),
    ]
}

fn firmware(case: &Case) -> Vec<String> {
    let mut cpus = Box::new(CpuList::empty());
    let root = Rsdp::At(case.first().address);
    let tables = FirmwareTables::read(Some(&root), case, &HARDWARE, &mut cpus);
    let found = format!("CPUs {:?}, hidden {}", cpus.ids(), tables.hidden_cpus);
    let timer = format!("timer {:x?}", tables.pm_timer);
    let reset = format!("reset {:x?}", tables.reset);
    let notes = texts(tables.no_list)
        .into_iter()
        .chain(texts(tables.notes.iter()));
    [found, timer, reset].into_iter().chain(notes).collect()
}

fn loader(case: &Case, magic: u32) -> Vec<String> {
    let mut info = Box::new(BootInfo::empty());
    if let Err(error) = read_boot_info(magic, case.first().address, case, &mut info) {
        return vec![format!("refused: {error}")];
    }
    let regions = info.memory.regions().iter();
    let usable = regions.filter(|region| region.kind == MemoryKind::Usable);
    let display = info.display.map(|display| display.to_string());
    let faults = (info.faults.count() > 0).then_some(info.faults);
    let read = [
        format!("line `{}`", info.command_line.as_str()),
        format!(
            "loader `{}`, firmware {:?}",
            info.loader.as_str(),
            info.firmware
        ),
        format!(
            "{} regions, {} KiB usable",
            info.memory.regions().len(),
            usable.map(|region| region.end - region.start).sum::<u64>() >> 10
        ),
        format!(
            "{} modules, root pointer {}",
            info.modules.all().len(),
            info.rsdp.is_some()
        ),
        format!("screen {}", display.as_deref().unwrap_or("none")),
    ];
    read.into_iter().chain(texts(faults)).collect()
}

fn screen(case: &Case) -> Vec<String> {
    let display = read_framebuffer(&case.first().bytes);
    vec![display.map_or("none".to_owned(), |display| display.to_string())]
}

type Reader = fn(&Case) -> Vec<String>;

const READERS: [(&str, usize, Reader); 6] = [
    ("madt", 10, madt),
    ("fadt", 5, fadt),
    ("firmware", 5, firmware),
    ("multiboot2", 5, |case| loader(case, MULTIBOOT2_MAGIC)),
    ("pvh", 4, |case| loader(case, PVH_MAGIC)),
    ("screen", 3, screen),
];

#[test]
fn every_file_of_the_corpus_is_read_as_it_says() {
    let mut wrong = Vec::new();
    for (folder, least, reader) in READERS {
        let cases = cases(folder);
        assert!(cases.len() >= least, "{folder}: {}", cases.len());
        for case in &cases {
            let seen = reader(case);
            if case.expected != seen {
                wrong.push(format!("{}: got\n# {}", case.name, seen.join("\n# ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_cut_of_the_corpus_is_read_without_a_panic() {
    for (folder, _, reader) in READERS {
        for mut case in cases(folder) {
            for length in (0..case.first().bytes.len()).rev() {
                case.chunks[0].bytes.truncate(length);
                let _any = reader(&case);
            }
        }
    }
}
