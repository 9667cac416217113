//! The sections that callgrind counts.

use core::hint::black_box;
use std::arch::asm;

/// Iterations of a case's first section; the second has three times as many. Half the difference of
/// their counts belongs to this many iterations, and holds nothing that happens once. Of as many
/// looks of a poll, one does more than the others.
const ITERATIONS: u32 = 64;

/// The case that measures what each measured call costs besides.
pub(crate) const NOTHING: &str = "nothing";

/// Where callgrind ends a part (`--dump-before`).
// SAFETY: (no_mangle) nothing else has this name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rar_bench_mark() {
    // SAFETY: no instruction. The compiler cannot see that, so it keeps the calls.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}

/// What callgrind counts (`--toggle-collect`), except what is in functions named
/// `rar_bench_outside*`.
// SAFETY: (no_mangle) nothing else has this name.
#[unsafe(no_mangle)]
#[inline(never)]
fn rar_bench_measured(call: &mut dyn FnMut() -> bool) -> bool {
    let good = call();
    // SAFETY: no instruction. It keeps the call above from becoming a jump, which callgrind would
    // not see return.
    unsafe { asm!("", options(nostack, preserves_flags)) };
    good
}

/// Runs cases, and keeps their names in the order of the parts.
pub(crate) struct Counter {
    wanted: Option<String>,
    names: Vec<String>,
    failed: Vec<String>,
}

impl Counter {
    /// Returns a counter of the cases whose name contains the text.
    pub(crate) fn new(wanted: Option<String>) -> Self {
        Self {
            wanted,
            names: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Counts what `measured` executes.
    pub(crate) fn case(&mut self, name: &str, measured: impl FnMut() -> bool) {
        let mut measured = measured;
        self.staged(name, &mut (), |()| {}, |()| measured(), |()| true);
    }

    /// Counts what `measured` executes, between what must happen before and after it.
    pub(crate) fn staged<S>(
        &mut self,
        name: &str,
        state: &mut S,
        mut before: impl FnMut(&mut S),
        mut measured: impl FnMut(&mut S) -> bool,
        mut after: impl FnMut(&mut S) -> bool,
    ) {
        if !self.wants(name) {
            return;
        }
        let mut good = true;
        let mut run = |times| {
            for _ in 0..times {
                before(state);
                good &= rar_bench_measured(black_box(&mut || measured(state)));
                good &= after(state);
            }
        };
        // What happens once: lazy binding, cold branches.
        run(2);
        rar_bench_mark();
        run(ITERATIONS);
        rar_bench_mark();
        run(3 * ITERATIONS);
        rar_bench_mark();
        self.names.push(name.to_owned());
        if !good {
            self.failed.push(name.to_owned());
        }
    }

    /// Returns whether any case whose name begins so may be wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.wanted
            .as_deref()
            .is_none_or(|wanted| name == NOTHING || name.contains(wanted))
    }

    /// Notes that a case does not do what it is to do.
    pub(crate) fn fail(&mut self, name: &str, why: &str) {
        self.failed.push(format!("{name}: {why}"));
    }

    /// Prints the names, each after the number of iterations that its two parts differ by.
    pub(crate) fn finish(self) -> Result<(), String> {
        for name in &self.names {
            println!("{}\t{name}", 2 * ITERATIONS);
        }
        if self.failed.is_empty() {
            Ok(())
        } else {
            Err(self.failed.join("\n"))
        }
    }
}
