//! Archives in the format `newc` of cpio (the Linux kernel's documentation, "initramfs buffer
//! format"): how several files come as one.
//!
//! The crates that read cpio need an allocator or the standard library, and want a name to end at
//! its first NUL byte only; a pack pads names with more of them.

use core::fmt;

/// One file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where its bytes begin in the archive.
    pub offset: usize,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Bytes that are no whole archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveError {
    /// Where in the archive.
    pub offset: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, expected } = *self;
        write!(
            f,
            "archive: malformed at byte {offset} (expected {expected}); pack it again"
        )
    }
}

impl core::error::Error for ArchiveError {}

const MAGIC: &[u8] = b"070701";
const HEADER: usize = 110;
const SIZE: usize = 54;
const NAME_SIZE: usize = 94;
const TRAILER: &str = "TRAILER!!!";

/// Returns whether the bytes begin as an archive does.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Returns the files of an archive, in their order, up to its trailer.
pub fn members(archive: &[u8]) -> impl Iterator<Item = Result<Member<'_>, ArchiveError>> {
    let mut next = Some(0);
    core::iter::from_fn(move || {
        let offset = next.take()?;
        match member(archive, offset) {
            Ok(member) if member.name == TRAILER => None,
            Ok(member) => {
                next = Some(aligned(member.offset + member.bytes.len()));
                Some(Ok(member))
            }
            Err(expected) => Some(Err(ArchiveError { offset, expected })),
        }
    })
}

fn member(archive: &[u8], at: usize) -> Result<Member<'_>, &'static str> {
    let rest = archive.get(at..).unwrap_or(&[]);
    if !is_archive(rest) {
        return Err("a file's header, `070701`");
    }
    let number = |offset| hexadecimal(rest.get(offset..offset + 8)?);
    let (size, name_size) = number(SIZE)
        .zip(number(NAME_SIZE))
        .ok_or("a header of 110 bytes")?;
    let range = |start: usize, length: usize| {
        let end = start.checked_add(length)?;
        archive.get(start..end)
    };
    let name = range(at + HEADER, name_size).ok_or("the file's whole name")?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
    let name = core::str::from_utf8(name).map_err(|_| "a name in UTF-8")?;
    let offset = aligned(at + HEADER + name_size);
    let bytes = range(offset, size).ok_or("the file's whole content")?;
    Ok(Member {
        name,
        offset,
        bytes,
    })
}

/// Names and contents are padded to four bytes.
fn aligned(offset: usize) -> usize {
    offset.next_multiple_of(4)
}

fn hexadecimal(digits: &[u8]) -> Option<usize> {
    let digits = core::str::from_utf8(digits).ok()?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    usize::try_from(value).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn add(archive: &mut Vec<u8>, name: &str, padding: usize, bytes: &[u8]) {
        let name = [name.as_bytes(), &vec![0; padding]].concat();
        archive.extend(MAGIC);
        for field in 0..13 {
            let value = match field {
                6 => bytes.len(),
                11 => name.len(),
                _ => 0,
            };
            archive.extend(format!("{value:08x}").bytes());
        }
        archive.extend(&name);
        archive.resize(aligned(archive.len()), 0);
        archive.extend(bytes);
        archive.resize(aligned(archive.len()), 0);
    }

    /// An archive of these files.
    pub(crate) fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, bytes) in files.iter().chain([&(TRAILER, &[][..])]) {
            add(&mut archive, name, 1, bytes);
        }
        archive
    }

    fn archive() -> Vec<u8> {
        let mut archive = Vec::new();
        add(&mut archive, "kernel", 4096 - 110 - 6, b"MZ and more");
        add(&mut archive, "initrd", 1, b"070701");
        add(&mut archive, TRAILER, 1, b"");
        archive.extend([0; 300]);
        archive
    }

    #[test]
    fn files_come_in_their_order_with_their_places() {
        let archive = archive();
        let all: Vec<_> = members(&archive).collect::<Result<_, _>>().unwrap();
        let [kernel, initrd] = &all[..] else {
            panic!("{all:?}")
        };
        assert_eq!((kernel.name, kernel.offset), ("kernel", 4096));
        assert_eq!(kernel.bytes, b"MZ and more");
        assert_eq!((initrd.name, initrd.bytes), ("initrd", &b"070701"[..]));
        assert_eq!(archive[initrd.offset..][..6], b"070701"[..]);
    }

    #[test]
    fn an_archive_that_is_cut_is_malformed() {
        let archive = archive();
        let whole = archive.len() - 300;
        for length in 0..whole {
            let last = members(&archive[..length]).last();
            let padded = archive[length..whole].iter().all(|byte| *byte == 0);
            assert!(
                matches!(last, Some(Err(_))) || padded,
                "{length} of {whole}: {last:?}"
            );
        }
    }

    #[test]
    fn garbage_is_no_archive() {
        assert!(!is_archive(b"MZ"));
        let error = members(b"MZ").next().unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "archive: malformed at byte 0 (expected a file's header, `070701`); pack it again"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
            digits in "[0-9a-fA-F]{104}",
        ) {
            for member in members(&bytes).take(10) {
                let _ = member;
            }
            bytes.splice(0..0, [MAGIC, digits.as_bytes()].concat());
            for member in members(&bytes).take(10) {
                let _ = member;
            }
        }
    }
}
