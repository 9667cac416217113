//! Whether the suite passed in Bochs.

use rar_harness::guest::Finished;
use rar_harness::records::Record;
use rar_harness::requirements::{beyond_tcg, functional};
use rar_harness::run::Run;
use rar_image_harness::boot::kernel_verdict;
use rar_vocabulary::{Backend, Outcome, Verdict};

/// Flushes of each test of volume.
pub(super) const FLUSHES: u32 = 50;

/// Returns how many tests passed, or what is wrong.
pub(super) fn judge(cpus: u32, finished: &Finished) -> Result<usize, String> {
    if kernel_verdict(finished) != Some(Verdict::Holds) {
        let verdict = kernel_verdict(finished);
        return Err(format!("the kernel's verdict is {verdict:?}"));
    }
    let run = Run::functional(Backend::Software, cpus, FLUSHES, 1);
    let mut count = 0;
    // Bochs has VMX; the kernel lets CPUs die in QEMU only.
    let required = run.expectation().required;
    let must_run = functional()
        .filter(|test| beyond_tcg(test) || required.contains(&test.name) && !test.crash);
    for test in must_run {
        let name = test.name;
        let of_test = |record: &Record| match record {
            Record::Test(test) if test.name == name => Some(test.outcome),
            _ => None,
        };
        let records = &finished.transcript.records;
        let mut outcomes = records.iter().filter_map(of_test).peekable();
        if outcomes.peek().is_none() {
            return Err(format!("{name} has no record"));
        }
        for outcome in outcomes {
            // Its INVPCID drops more than it names; and what guests use is an open question.
            let open = test.spares || beyond_tcg(test);
            if outcome != Outcome::Pass && !(open && outcome == Outcome::Observed) {
                return Err(format!("{name}: {outcome:?}"));
            }
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use rar_harness::ending::Ending;
    use rar_harness::records::Transcript;
    use rar_harness::samples::complete;

    use super::*;

    const CPUS: u32 = 4;

    fn finished(outcome: &str, verdict: &str) -> Finished {
        let test = rar_harness::samples::TEST;
        let mut transcript = Transcript::default();
        let run = Run::functional(Backend::Software, CPUS, FLUSHES, 1);
        let required = run.expectation().required;
        for name in required.into_iter().chain(["target-in-guest"]) {
            let named = test.replace("one-page", name);
            transcript.push(complete(
                &named.replace("\"pass\"", &format!("\"{outcome}\"")),
            ));
        }
        transcript.push(complete(&format!("verdict: {verdict}")));
        Finished {
            transcript,
            ending: Ending::Exited(1),
            stderr: String::new(),
        }
    }

    #[test]
    fn only_a_whole_run_passes() {
        let good = finished("pass", "holds");
        let required = Run::functional(Backend::Software, CPUS, FLUSHES, 1).expectation();
        // One runs in guests, and one needs CPUs that die.
        assert_eq!(judge(CPUS, &good), Ok(required.required.len() + 1 - 1));
        for bad in [
            finished("fail", "holds"),
            finished("observed", "holds"),
            finished("pass", "VIOLATED"),
        ] {
            assert!(judge(CPUS, &bad).is_err());
        }
        let mut less = finished("pass", "holds");
        less.transcript.records.pop();
        assert!(judge(CPUS, &less).is_err());
    }
}
