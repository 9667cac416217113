//! How bad a photo may be: `cargo run -p rar-camera --example margins` needs the program `zbarimg`.
#![expect(clippy::unwrap_used, reason = "a measurement by hand; a panic ends it")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::Command;

use rar_camera::{Picture, View, blurred, lit, read_codes, stored};

use common::{USUAL, pages};

/// The pages to photograph at each strength.
const PAGES: u32 = 5;

/// A way to make photos worse, and its strengths.
struct Kind {
    name: &'static str,
    strengths: &'static [f64],
    make: fn(&Picture, f64) -> Picture,
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "turned by degrees",
        strengths: &[
            3.0, 7.0, 15.0, 25.0, 35.0, 45.0, 55.0, 70.0, 90.0, 135.0, 180.0, 260.0,
        ],
        make: |page, degrees| View::turned(degrees).of(page),
    },
    Kind {
        name: "from the side, far edge shorter by",
        strengths: &[0.1, 0.15, 0.2, 0.3, 0.4, 0.5],
        make: |page, shorter| {
            View {
                shorter,
                ..View::FRONT
            }
            .of(page)
        },
    },
    Kind {
        name: "from far away, pixels of a module",
        strengths: &[6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.0],
        make: |page, pixels| View::far(pixels / USUAL.scale as f64).of(page),
    },
    Kind {
        name: "out of focus, sigma in modules",
        strengths: &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        make: |page, modules| blurred(page, modules * USUAL.scale as f64),
    },
    Kind {
        name: "JPEG, quality",
        strengths: &[50.0, 30.0, 20.0, 10.0, 5.0],
        make: |page, quality| match (1..=100).find(|whole| f64::from(*whole) >= quality) {
            Some(quality) => stored(page, quality),
            None => page.clone(),
        },
    },
    Kind {
        name: "one side darker by",
        strengths: &[0.3, 0.5, 0.7, 0.8, 0.9],
        make: |page, darker| lit(page, darker, 0.0),
    },
    Kind {
        name: "noise on each pixel, up to",
        strengths: &[20.0, 40.0, 80.0, 120.0],
        make: |page, noise| lit(page, 0.0, noise),
    },
];

fn zbarimg(photo: &Picture) -> Vec<String> {
    let path = std::env::temp_dir().join(format!("margins-{}.pgm", std::process::id()));
    std::fs::write(&path, photo.to_pgm()).unwrap();
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

fn main() {
    let pages = pages(USUAL, PAGES);
    println!("codes read of {PAGES}, {} pixels a module", USUAL.scale);
    for kind in KINDS {
        println!("{}", kind.name);
        for strength in kind.strengths {
            let mut read = [0, 0];
            for (text, page) in &pages {
                let photo = (kind.make)(page, *strength);
                for (count, texts) in read.iter_mut().zip([read_codes(&photo), zbarimg(&photo)]) {
                    *count += u32::from(texts == [text.as_str()]);
                }
            }
            println!("  {strength:5}  rqrr {}  zbarimg {}", read[0], read[1]);
        }
    }
}
