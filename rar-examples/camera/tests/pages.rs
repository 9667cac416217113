//! Codes of the size that a kernel shows survive every way to photograph them, and a blot within
//! their error correction.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests; a panic fails the test"
)]

mod common;

use rar_camera::{Picture, SHOTS, read_codes};

use common::{SCALE, pages};

/// Inverts a square of modules in the middle of the code.
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
