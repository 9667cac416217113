//! Pages with codes of the size that a kernel shows.

use rar_camera::Picture;
use rar_report::{Parts, Symbol, qr};

/// A screen, and the codes on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) version: u8,
    /// Pixels of a module: the quiet zone has four modules on each side.
    pub(crate) scale: usize,
}

/// A common screen size.
pub(crate) const USUAL: Screen = Screen {
    width: 1280,
    height: 800,
    version: 13,
    scale: 800 / (69 + 8),
};

/// Returns bytes that do not repeat, in parts.
pub(crate) fn pages(screen: Screen, parts: u32) -> Vec<(String, Picture)> {
    let mut number = 1_u32;
    let sealed: Vec<_> = (0..10_000)
        .map(|_| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            number.to_be_bytes()[0]
        })
        .collect();
    let mut buffers = qr::Buffers::new();
    let all = Parts::new(&sealed, 7, Symbol::new(screen.version).unwrap()).unwrap();
    (1..=parts)
        .map(|number| {
            let part = all.get(number).unwrap();
            let code = qr::Code::new(part, &mut buffers).unwrap();
            (part.to_string(), page(screen, &code))
        })
        .collect()
}

/// Draws a code as the kernel does, at the left of a white screen.
fn page(screen: Screen, code: &qr::Code<'_>) -> Picture {
    let module = |at: usize| {
        (at / screen.scale)
            .checked_sub(4)
            .and_then(|at| u32::try_from(at).ok())
    };
    Picture::new(screen.width, screen.height, |x, y| {
        let dark = module(x)
            .zip(module(y))
            .is_some_and(|(x, y)| code.is_dark(x, y));
        if dark { 0 } else { 255 }
    })
}
