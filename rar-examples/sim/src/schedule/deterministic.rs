//! CPUs as coroutines: one runs at a time, by a seeded choice.
#![expect(
    unsafe_code,
    reason = "the bodies borrow the machine, which outlives the coroutines"
)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};

use super::current::{Boundary, Place, play};

/// The stack of one CPU. The host maps it when touched, so that a thousand of them cost little.
const STACK_BYTES: usize = 512 << 10;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All CPUs ended, after this many steps.
    Complete(u64),
    /// The run was stopped first, after this many steps.
    Stopped(u64),
}

/// Runs `body` for each of `cpus` CPUs until all have ended or `proceed` returns false. `proceed`
/// is called before each step with the number of steps made.
///
/// A step is one choice: the chosen CPU runs to its next suspension point. The same seed and the
/// same bodies give the same run.
pub(crate) fn run(
    cpus: u32,
    seed: u64,
    boundary: &dyn Boundary,
    body: &dyn Fn(u32),
    proceed: &mut dyn FnMut(u64) -> bool,
) -> End {
    let mut choice = fastrand::Rng::with_seed(seed);
    let places: Vec<_> = (0..cpus).map(|_| Place::default()).collect();
    let mut crew: Vec<_> = (0..cpus)
        .zip(&places)
        .map(|(cpu, place)| (cpu, place, coroutine(cpu, place, body)))
        .collect();
    let mut steps = 0;
    while !crew.is_empty() {
        if !proceed(steps) {
            abandon(crew, boundary);
            return End::Stopped(steps);
        }
        steps += 1;
        let index = choice.usize(..crew.len());
        let Some((cpu, place, coroutine)) = crew.get_mut(index) else {
            unreachable!("chosen below the length")
        };
        let resumed = AssertUnwindSafe(|| play(*cpu, boundary, place, || coroutine.resume(())));
        match catch_unwind(resumed) {
            Ok(CoroutineResult::Yield(())) => {}
            Ok(CoroutineResult::Return(())) => drop(crew.swap_remove(index)),
            Err(panic) => {
                drop(crew.swap_remove(index));
                abandon(crew, boundary);
                resume_unwind(panic);
            }
        }
    }
    End::Complete(steps)
}

type Crew<'a> = Vec<(u32, &'a Place, Coroutine<(), (), ()>)>;

/// Unwinds the coroutines that have not ended. They must not suspend any more.
fn abandon(crew: Crew<'_>, boundary: &dyn Boundary) {
    for (cpu, place, mut coroutine) in crew {
        place.clear();
        play(cpu, boundary, place, || coroutine.force_unwind());
    }
}

fn coroutine<'a>(cpu: u32, place: &'a Place, body: &'a dyn Fn(u32)) -> Coroutine<(), (), ()> {
    let stack = match DefaultStack::new(STACK_BYTES) {
        Ok(stack) => stack,
        Err(error) => unreachable!("no memory for the stack of CPU {cpu}: {error}"),
    };
    // SAFETY: `run` ends or unwinds every coroutine before it returns, and keeps the closure's
    // borrows until then.
    unsafe {
        Coroutine::with_stack_unchecked(stack, move |yielder, ()| {
            place.set(yielder);
            body(cpu);
        })
    }
}
