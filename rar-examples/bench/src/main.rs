#![doc = include_str!("../README.md")]

mod apic;
mod baselines;
mod bed;
mod count;
mod driver;
mod floor;
mod parts;
mod unmap;
mod world;

use std::fmt;
use std::process::ExitCode;

use crate::count::Counter;

/// The page that is flushed.
const ADDRESS: u64 = 0x7f00_0000_0000;

/// The entry that asks for it, as the driver and everything it is compared with must write it.
const fn golden() -> [u64; 8] {
    [0x20_0000_0200, 0, 5, ADDRESS, 0, 0, 0, 0]
}

/// How many targets there are, and for how many CPUs there is room.
#[derive(Clone, Copy)]
struct Size {
    targets: u32,
    words: u32,
}

impl Size {
    /// Returns the mask of the initiator, which is CPU 0, and the targets.
    fn space(self) -> Vec<u64> {
        let mut space = vec![0_u64; self.words as usize];
        for cpu in 0..=self.targets {
            if let Some(word) = space.get_mut(cpu as usize / 64) {
                *word |= 1 << (cpu % 64);
            }
        }
        space
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.targets, 64 * self.words)
    }
}

fn sizes() -> impl Iterator<Item = Size> {
    [1, 4, 16].into_iter().flat_map(|words| {
        [1, 8, 63, 255, 1023]
            .into_iter()
            .filter(move |targets| *targets < 64 * words)
            .map(move |targets| Size { targets, words })
    })
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut counter = Counter::new(std::env::args().nth(1));
    counter.case(count::NOTHING, || true);
    for size in sizes() {
        driver::count(&mut counter, size).map_err(|error| error.to_string())?;
        driver::count_requests(&mut counter, size).map_err(|error| error.to_string())?;
        unmap::count_flushes(&mut counter, size).map_err(|error| error.to_string())?;
        apic::count(&mut counter, size).map_err(|error| error.to_string())?;
        floor::count(&mut counter, size);
        baselines::count(&mut counter, size);
    }
    parts::count(&mut counter).map_err(|error| error.to_string())?;
    unmap::count(&mut counter);
    counter.finish()
}
