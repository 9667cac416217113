//! Codes of the size that a kernel shows survive every way to photograph them, and a blot within
//! their error correction.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests; a panic fails the test"
)]

mod common;

use rar_camera::{Picture, SHOTS, on_panel, read_codes};

use common::{Screen, USUAL, pages};

/// Inverts a square of modules in the middle of the code.
fn blotted(page: &Picture, modules: usize) -> Picture {
    let scale = USUAL.scale;
    let middle = scale * (4 + 69 / 2) + scale / 2;
    page.blotted((middle, middle), modules * scale)
}

#[test]
fn every_shot_of_a_page_is_read() {
    every_shot(&pages(USUAL, 2), "usual");
}

#[test]
fn every_shot_of_a_panel_that_enlarges_a_small_mode_is_read() {
    let small = Screen {
        width: 320,
        height: 200,
        version: 10,
        scale: 3,
    };
    let panels = pages(small, 2).into_iter();
    let panels: Vec<_> = panels.map(|(text, page)| (text, on_panel(&page))).collect();
    every_shot(&panels, "320x200");
}

fn every_shot(pages: &[(String, Picture)], screen: &str) {
    for (text, page) in pages {
        for shot in SHOTS {
            let read = read_codes(&shot.take(page));
            assert_eq!(read, [text.as_str()], "{screen}, {}", shot.name);
        }
    }
}

#[test]
fn a_blot_is_corrected_and_a_large_one_is_never_read_as_something_else() {
    let (text, page) = pages(USUAL, 1).remove(0);
    assert_eq!(read_codes(&blotted(&page, 15)), [text]);
    assert_eq!(read_codes(&blotted(&page, 40)), [""; 0]);
}
