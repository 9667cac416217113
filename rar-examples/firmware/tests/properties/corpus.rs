//! Tables that were met, each in a file: what must be read in it, then its bytes in hexadecimal.

use std::fs;
use std::path::Path;

use rar_kernel::{CpuList, TableNotes, read_madt};

/// One file of the corpus.
struct Case {
    name: String,
    /// The lines before the bytes, without their mark.
    expected: Vec<String>,
    bytes: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let (marked, rest): (Vec<_>, Vec<_>) =
                text.lines().partition(|line| line.starts_with('#'));
            Case {
                name: path.file_name().unwrap().to_string_lossy().into_owned(),
                expected: marked
                    .iter()
                    .map(|line| line[1..].trim().to_owned())
                    .collect(),
                bytes: rest
                    .iter()
                    .flat_map(|line| line.split_whitespace())
                    .map(|byte| u8::from_str_radix(byte, 16).unwrap())
                    .collect(),
            }
        })
        .collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// What is read, as the files say it.
fn seen(bytes: &[u8]) -> Vec<String> {
    let (mut cpus, mut notes) = (Box::new(CpuList::empty()), TableNotes::new());
    let madt = read_madt(bytes, &mut cpus, &mut notes);
    let counts = format!("CPUs {:?}, hidden {}", cpus.ids(), madt.hidden);
    let notes = notes.iter().map(ToString::to_string);
    [counts].into_iter().chain(notes).collect()
}

#[test]
fn every_table_of_the_corpus_is_read_as_its_file_says() {
    let cases = cases();
    assert!(cases.len() >= 10, "{}", cases.len());
    for case in &cases {
        assert!(case.bytes.starts_with(b"APIC"), "{}", case.name);
        assert_eq!(case.expected, seen(&case.bytes), "{}", case.name);
    }
}
