//! The end of a run: the summary, the pages, and what the options say about the machine after that.

use rar_kernel::exit::leave_emulator;
use rar_kernel::keyboard::{self, Key};
use rar_kernel::{ExitCode, clock, exit, irq, power, println, screen};
use rar_kernel_lab::abort::{Cause, Lost};
use rar_report::{EndReason, EventKind};
use rar_validate::{End, ImageOptions};
use rar_vocabulary::Verdict;

use crate::OPTIONS;
use crate::pages::Pages;
use crate::{machine, progress};

/// Every page is shown this often before the machine starts again: time to fetch a camera.
const ROUNDS: u32 = 3;
/// Between two looks at the keyboard.
const LOOK_MICROSECONDS: u64 = 10_000;

/// Shows what was found, then ends as the options say.
pub(crate) fn finish(options: &ImageOptions<'_>, reason: EndReason) -> ! {
    let verdict = progress::tally().verdict();
    machine::late_notes(|_, text| println!("{text}"));
    let pages = Pages::new(reason);
    pages.print();
    if options.page_seconds > 0 {
        turn_pages(&pages, options);
    }
    match options.end {
        End::Reboot => {
            println!("the machine starts again");
            power::reboot()
        }
        End::PowerOff => {
            power::off();
            irq::halt_forever()
        }
        End::Halt => irq::halt_forever(),
        End::DebugExit => leave_emulator(match verdict {
            Verdict::Holds => ExitCode::Success,
            _ => ExitCode::Failure,
        }),
    }
}

/// The end of a run that cannot go on: what is known is shown.
pub(crate) fn give_up(lost: &Lost<'_>) -> ! {
    let running = progress::tally();
    let test = running.running();
    let mut silent = lost.silent().peekable();
    let (kind, reason) = match lost.cause {
        Cause::Panic => (EventKind::Exception, EndReason::Fault),
        Cause::Hung if silent.peek().is_some() => (EventKind::Hung, EndReason::CpusLost),
        Cause::Hung => (EventKind::Hung, EndReason::Hung),
    };
    progress::keep(kind, Some(lost.cpu), test, lost.why);
    println!("the run ended in test {test}");
    for cpu in silent {
        progress::happened(
            EventKind::CpuSilent,
            Some(cpu),
            test,
            format_args!("CPU {cpu} does not answer, not even an NMI"),
        );
    }
    println!("what was to follow is not run, since a CPU that is lost cannot be replaced");
    match OPTIONS.get() {
        Some(options) => finish(options, reason),
        None => exit(ExitCode::Failure),
    }
}

/// Shows the pages in turn until a key ends it, or every page was shown several times.
fn turn_pages(pages: &Pages, options: &ImageOptions<'_>) {
    let mut page = 0;
    let mut shown = 0;
    let mut paused = false;
    let endless = options.end == End::Halt;
    while endless || shown < ROUNDS * pages.count() {
        pages.show(page);
        let count = pages.count();
        match wait_for_key(options.page_seconds, &mut paused) {
            Some(Key::Reboot) => return,
            Some(Key::Previous) => page = (page + count - 1) % count,
            _ => {
                page = (page + 1) % count;
                shown += 1;
            }
        }
    }
    screen::clear();
}

/// Waits until the page turns; returns the key that turned it.
fn wait_for_key(seconds: u64, paused: &mut bool) -> Option<Key> {
    let looks = seconds.saturating_mul(1_000_000 / LOOK_MICROSECONDS);
    let mut look = 0;
    while *paused || look < looks {
        match keyboard::pressed() {
            Some(Key::Pause) => *paused = !*paused,
            Some(key) => return Some(key),
            None => {}
        }
        clock::delay_microseconds(LOOK_MICROSECONDS);
        look += 1;
    }
    None
}
