//! `rar-probe`: has this Linux machine RAR?

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use rar_probe::{Linux, json, probe, text};

/// Asks each CPU of this Linux machine whether it has Intel Remote Action Request (RAR).
///
/// Reads CPUID and, only if CPUID says that they may exist, registers by /dev/cpu/*/msr. Writes
/// nothing. CPUID needs no privilege; registers need root and the kernel's module `msr`.
#[derive(Debug, Parser)]
#[command(name = "rar-probe", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all CPUs have the same RAR, and the model is listed as having it
  1  no CPU has RAR
  2  wrong usage
  3  unknown: something could not be read, or the answer could not be written
  4  the CPUs disagree
  5  all CPUs set the bit, but a driver should refuse: the model is not listed, a register holds
     what this revision of RAR does not define, or MSR_RAR_INFO is 0";

/// Exit code: the answer could not be written.
const NOT_WRITTEN: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let answer = probe(&Linux::new());
    let rendered = match cli.json {
        true => json(&answer)
            .map(|json| json + "\n")
            .map_err(io::Error::from),
        false => Ok(text(&answer)),
    };
    let written = rendered.and_then(|rendered| io::stdout().write_all(rendered.as_bytes()));
    match written {
        Ok(()) => answer.verdict.exit_code().into(),
        Err(error) => {
            // Standard error is the last place to say anything.
            let _ = writeln!(io::stderr(), "error: the answer cannot be written: {error}");
            NOT_WRITTEN.into()
        }
    }
}
