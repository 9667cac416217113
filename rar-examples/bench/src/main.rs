#![doc = include_str!("../README.md")]

mod apic;
mod baselines;
mod bed;
mod count;
mod driver;
mod floor;
mod parts;
mod size;
mod unmap;
mod world;

use std::process::ExitCode;

use crate::count::Counter;
use crate::size::sizes;

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
