//! Pages with codes of the size that a kernel shows.

use rar_camera::Picture;
use rar_report::{Parts, Symbol, qr};

/// A common screen size.
const SCREEN: (usize, usize) = (1280, 800);
/// Pixels of a module on it: the quiet zone has four modules on each side.
pub(crate) const SCALE: usize = SCREEN.1 / (69 + 8);

/// Returns bytes that do not repeat, in parts.
pub(crate) fn pages(parts: u32) -> Vec<(String, Picture)> {
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
