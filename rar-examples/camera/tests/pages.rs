//! Codes of the size that a kernel shows survive every way to photograph them, and a blot within their error correction.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests; a panic fails the test"
)]

use rar_camera::{Picture, SHOTS, read_codes};
use rar_report::{Parts, Symbol, qr};

/// A screen that many machines have.
const SCREEN: (usize, usize) = (1280, 800);
/// Pixels of a module on it: the quiet zone has four modules on each side.
const SCALE: usize = SCREEN.1 / (69 + 8);

/// Returns bytes that do not repeat, in parts.
fn pages(parts: u32) -> Vec<(String, Picture)> {
    let mut number = 1_u32;
    let sealed: Vec<_> = (0..10_000)
        .map(|_| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            number.to_be_bytes()[0]
        })
        .collect();
    let mut buffers = qr::Buffers::new();
    let all = Parts::new(&sealed, 7, Symbol::DEFAULT).unwrap();
    (1..=parts)
        .map(|number| {
            let part = all.get(number).unwrap();
            let code = qr::Code::new(part, &mut buffers).unwrap();
            (part.to_string(), page(&code))
        })
        .collect()
}

/// Draws a code as the kernel does, at the left of a white screen.
fn page(code: &qr::Code<'_>) -> Picture {
    let module = |at: usize| {
        (at / SCALE)
            .checked_sub(4)
            .and_then(|at| u32::try_from(at).ok())
    };
    Picture::new(SCREEN.0, SCREEN.1, |x, y| {
        let dark = module(x)
            .zip(module(y))
            .is_some_and(|(x, y)| code.is_dark(x, y));
        if dark { 0 } else { 255 }
    })
}

/// Inverts so many modules on a side in the middle of the code.
fn blotted(page: &Picture, modules: usize) -> Picture {
    let middle = SCALE * (4 + 69 / 2) + SCALE / 2;
    page.blotted((middle, middle), modules * SCALE)
}

#[test]
fn every_shot_of_a_page_is_read() {
    for (text, page) in pages(2) {
        for shot in SHOTS {
            assert_eq!(
                read_codes(&shot.take(&page)),
                [text.as_str()],
                "{}",
                shot.name
            );
        }
    }
}

#[test]
fn a_blot_is_corrected_and_a_large_one_is_never_read_as_something_else() {
    let (text, page) = pages(1).remove(0);
    assert_eq!(read_codes(&blotted(&page, 15)), [text]);
    assert_eq!(read_codes(&blotted(&page, 40)), [""; 0]);
}
