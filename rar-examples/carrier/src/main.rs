//! The carrier: starts first, makes every CPU a guest of the shim, and boots a payload inside it.
#![no_std]
#![no_main]

mod arrive;
mod banner;
mod guest;
mod hand_over;
mod hiding;
mod parking;
mod to_bios;

use rar_carrier::{Options, Start};
use rar_kernel::{ExitCode, exit, kernel, println};

rar_kernel::entry!(main, arrive::arrive);

fn main() -> ! {
    let Some(kernel) = kernel() else {
        fail(format_args!("the kernel did not start"))
    };
    arrive::check_all();
    let options = match Options::read(kernel.command_line()) {
        Ok(options) => options,
        Err(error) => fail(format_args!("{error}")),
    };
    banner::print(kernel, &options);
    let ended = match options.start {
        Start::Payload => guest::boot(kernel, &options),
        Start::Chain => to_bios::boot(kernel),
    };
    match ended {
        Err(error) => fail(format_args!("{error}")),
    }
}

/// Says why there is no guest, and ends the machine.
fn fail(why: core::fmt::Arguments<'_>) -> ! {
    println!("carrier: {why}");
    exit(ExitCode::Failure)
}
