//! `cargo xtask qemu --defect`: a broken RAR unit on every CPU of the test kernel, and which test tells of it.

use crate::cli::{Apic, Backend, QemuArgs, Thread};
use crate::command::Shell;
use crate::fault::{Fault, Reason};
use crate::plan::{Run, Tests};
use crate::qemu::{self, Logs};
use crate::records::Outcome;
use crate::report::{Report, table};
use crate::setup::Qemu;
use anyhow::Result;
use rar_model::Defect;
use std::path::Path;
use std::time::Duration;

/// The name that stands for all of them.
const ALL: &str = "all";
/// Enough for one of each kind; with a broken unit each may wait for its fallback.
const FLUSHES: u32 = 3;
/// How long a target may take to answer in these runs, in milliseconds.
const ANSWER_MILLISECONDS: u32 = 20;
/// A broken unit may cost every flush its deadline.
const LIMIT: Duration = Duration::from_secs(180);

/// What QEMU shows of a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// This test fails, with these threads.
    By(&'static str, Thread),
    /// Nothing, and why.
    Not(&'static str),
}

const fn shown(defect: Defect) -> Shown {
    use Shown::{By, Not};
    match defect {
        Defect::SuccessWithoutFlush => By("unit-registers", Thread::Single),
        Defect::SuccessWithoutFlushToItself => By("unit-signals-itself", Thread::Single),
        Defect::StatusBeforeFlush => {
            Not("a unit of the shim is done before its CPU runs on, and nobody else sees its TLB")
        }
        Defect::StoresNotDrained => Not("TCG has no store buffer"),
        Defect::OnePageTooFew => By("unit-pages-1", Thread::Single),
        Defect::OnePageTooMany => By("unit-pages-63", Thread::Single),
        Defect::StrideSameSizeOnly => By("unit-small-stride", Thread::Single),
        Defect::StrideIgnored => By("unit-large-stride", Thread::Single),
        Defect::GlobalsKept => By("unit-subtypes", Thread::Single),
        Defect::PcidOneLess => By("one-page", Thread::Single),
        Defect::PcidCurrent => Not("TCG has no PCIDs"),
        Defect::GuestFlushed => Not("the shim's guests have no guests"),
        Defect::StructuresKept => Not("TCG has no paging-structure caches"),
        Defect::FirstEntryOnly | Defect::HighestEntryOnly => {
            By("unit-slots-at-once", Thread::Single)
        }
        Defect::ScanStopsAtGap | Defect::HalfTable => By("unit-slots-in-turn", Thread::Single),
        Defect::NeverAnswers | Defect::PayloadIndexOff | Defect::VectorBaseOff => {
            By("unit-registers", Thread::Single)
        }
        Defect::LatchedScan => {
            Not("a scan of the shim is over before another signal can come in its middle")
        }
        Defect::FailureAlways | Defect::FailureSometimes => {
            By("unit-slots-in-turn", Thread::Single)
        }
        // A thread of the host for each CPU: otherwise the sender does not run while the target waits.
        Defect::AckedLingers => By("unit-one-entry", Thread::Multi),
        Defect::SignalLost => By("unit-slots-in-turn", Thread::Single),
        Defect::SignalDuplicated => By("signal-unheard", Thread::Single),
        Defect::SignalDelayed => {
            Not("sixteen stays in the shim are over sooner than a host may take for one")
        }
        Defect::SignalsAnnihilate => By("unit-signals-merge", Thread::Single),
        Defect::HaltNotServed => By("unit-halted", Thread::Single),
        Defect::IgnoreIfUnheeded => By("unit-interrupts-off", Thread::Single),
        Defect::DisabledAnswers => By("unit-disabled", Thread::Single),
        Defect::ControlLowBitsAccepted => By("unit-control-bits", Thread::Single),
        Defect::BaseLowBitsAccepted => By("unit-base-bits", Thread::Single),
        Defect::MsrsLostAtInit => By("unit-init-registers", Thread::Single),
        Defect::LatchKeptAtInit => By("unit-init-signal", Thread::Single),
    }
}

/// Returns why a name is none; `all` is one.
pub(crate) fn name(name: &str) -> Result<String, String> {
    if name == ALL || Defect::by_name(name).is_some() {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = Defect::ALL.iter().map(|defect| defect.name()).collect();
    Err(format!(
        "no defect of a unit has this name; there are {ALL}, {}",
        names.join(", ")
    ))
}

/// Runs the suite with the defect asked for, or with each, and prints which tests told of it. Fails unless each is told of as it should be.
pub(crate) fn command(
    asked: &str,
    args: &QemuArgs,
    qemu: &Qemu,
    kernel: &Path,
    shell: Shell,
) -> Result<()> {
    let chosen = |defect: &&Defect| asked == ALL || defect.name() == asked;
    let mut rows = table(&[
        "defect",
        "test of the driver",
        "test of the units",
        "in QEMU",
    ]);
    let mut wrong = Vec::new();
    let mut none = Vec::new();
    for thread in [Thread::Single, Thread::Multi] {
        none.extend(failed(&run(None, thread, args), qemu, kernel, shell)?);
    }
    if !none.is_empty() {
        wrong.push(format!(
            "nothing is broken, and there fail: {}",
            none.join(", ")
        ));
    }
    for defect in Defect::ALL.iter().filter(chosen) {
        let shown = shown(*defect);
        let thread = match shown {
            Shown::By(_, thread) => thread,
            Shown::Not(_) => Thread::Single,
        };
        let tests = failed(&run(Some(*defect), thread, args), qemu, kernel, shell)?;
        let (units, driver): (Vec<_>, Vec<_>) =
            tests.iter().partition(|test| test.starts_with("unit-"));
        let first = |tests: &[&String]| tests.first().map_or(String::new(), |test| (*test).clone());
        let verdict = match shown {
            Shown::By(test, _) if tests.iter().any(|failed| failed == test) => {
                format!("told by {test}")
            }
            Shown::By(test, _) => {
                wrong.push(format!("{defect}: {test} should fail, and does not"));
                "NOT TOLD".to_owned()
            }
            Shown::Not(why) if tests.is_empty() => format!("not shown: {why}"),
            Shown::Not(_) => {
                wrong.push(format!(
                    "{defect}: {} fails, though nothing should",
                    tests.join(", ")
                ));
                "TOLD, against what is known".to_owned()
            }
        };
        rows.add_row([defect.name(), &first(&driver), &first(&units), &verdict]);
    }
    println!("{rows}");
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Fault::new(Reason::Failed, wrong.join("\n")).into())
}

fn run(defect: Option<Defect>, thread: Thread, args: &QemuArgs) -> Run {
    Run {
        cpus: 2,
        backend: Backend::Vrar,
        before: args.late_launch.then_some(Backend::Software),
        defect: defect.map(Defect::name),
        answer: (thread == Thread::Single).then_some(ANSWER_MILLISECONDS),
        apic: Apic::X2apic,
        thread,
        // What is slow with host threads is not what they are here for.
        tests: match thread {
            Thread::Single => Tests::Functional,
            Thread::Multi => Tests::Named(vec!["unit-one-entry".to_owned()]),
        },
        flushes: FLUSHES,
        initiators: None,
        risky: false,
        measure: None,
        deterministic: false,
        timeout: Some(LIMIT),
    }
}

/// Returns the tests that failed, each once, in their order, and whatever was wrong with the run as a whole.
fn failed(run: &Run, qemu: &Qemu, kernel: &Path, shell: Shell) -> Result<Vec<String>> {
    let reports = qemu::run_quietly(qemu, kernel, run, &Logs::temporary()?, shell)?;
    let mut names: Vec<String> = Vec::new();
    for Report { verdict, .. } in &reports {
        let failed = verdict
            .tests
            .iter()
            .filter(|test| test.outcome == Outcome::Fail);
        for name in failed.map(|test| &test.record.name).chain(&verdict.faults) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_catalogue() {
        assert_eq!(name("signal-lost"), Ok("signal-lost".to_owned()));
        assert_eq!(name("all"), Ok("all".to_owned()));
        assert!(name("signal-found").unwrap_err().contains("signal-lost"));
    }

    #[test]
    fn most_defects_are_told_in_qemu_too() {
        let told = Defect::ALL
            .iter()
            .filter(|defect| matches!(shown(**defect), Shown::By(..)));
        assert!(told.count() * 4 > Defect::ALL.len() * 3);
    }
}
