//! The end of a run: the summary, the pages, and what the options say about the machine after that.

use rar_kernel::{ExitCode, exit, println};
use rar_validate::{End, Options, Verdict};

use crate::progress;

/// Shows what was found, then ends as the options say.
pub(crate) fn finish(options: &Options<'_>) -> ! {
    let tally = progress::tally();
    for part in tally.parts() {
        println!("{:9} {}", part.backend.as_str(), part.counts);
    }
    let verdict = tally.verdict();
    println!("verdict: {verdict}");
    match options.end {
        End::Reboot | End::PowerOff | End::Halt | End::DebugExit => exit(match verdict {
            Verdict::Holds => ExitCode::Success,
            _ => ExitCode::Failure,
        }),
    }
}
