//! Makes carried runs, and prints what each came to.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::setup::Qemu;
use rar_harness::text::{table, tail};
use rar_harness::workspace::Workspace;
use rar_harness::{interrupt, outln, parallel, progress};
use rar_vocabulary::{Counts, TraceLevel};

use crate::boot::{self, Booted, Show, Watch};
use crate::carrier_words::UnitArgs;
use crate::case_judge::{self, Showed, one_passed};
use crate::catalogue::{Case, Guest};
use crate::machine::{self, MachineArgs, Network};
use crate::memory_test;
use crate::module_judge::{self, Unproved};
use crate::payload::{Carrier, Payload, Way};
use crate::supplies::{Linux, Supplies};
use crate::terminal::Keyboard;
use crate::times::Times;

/// How often a pair of boots is made whose times differ too much.
const MOST_BOOTS: u32 = 8;

/// How many lines of a failed boot are shown.
const TAIL: usize = 15;

/// What a Linux is told.
const LINUX_LINE: &str = "console=ttyS0 panic=-1";

/// What runs came to, all together.
#[derive(Debug)]
pub struct Made {
    /// Tests in them.
    pub counts: Counts,
    /// How many there were, or what this machine lacks.
    pub note: String,
    /// Which failed.
    pub failure: Option<Error>,
}

/// What a run came to.
struct Row {
    case: Case,
    result: Outcome,
    time: Duration,
}

/// What a run came to.
enum Outcome {
    Passed(Showed),
    Failed(String),
    /// This machine lacks something.
    Skipped(String),
}

/// Makes these runs; prints a table.
///
/// # Errors
///
/// A kernel does not build, or QEMU cannot be started. What a guest shows is no error here: it is
/// counted.
pub fn run_all(
    cases: &[Case],
    workspace: &Workspace,
    emulator: &Qemu,
    verbosity: Verbosity,
) -> Result<Made> {
    let supplies = Supplies::provide(cases, workspace, verbosity)?;
    let rows = parallel::by_cores(
        cases,
        |case| case.guest.cores(),
        |case| {
            let begin = Instant::now();
            let result = run(case, &supplies, emulator, verbosity)?;
            let row = Row {
                case: *case,
                result,
                time: begin.elapsed(),
            };
            progress::line(&format!("{}: {}", case.name, row.words()));
            Ok(row)
        },
    )?;
    outln!("{}", render(&rows));
    let mut count = Counts::NONE;
    let (mut wrong, mut lacking) = (Vec::new(), Vec::new());
    for Row { case, result, .. } in &rows {
        match result {
            Outcome::Passed(showed) => count += showed.counts,
            Outcome::Skipped(why) => {
                count.skipped += 1;
                lacking.push(format!("{} skipped: {why}", case.name));
            }
            Outcome::Failed(why) => {
                count.failed += 1;
                wrong.push(format!("{} ({}): {why}", case.name, case.about));
            }
        }
    }
    let failure = (!wrong.is_empty()).then(|| Fault::new(Reason::Failed, wrong.join("\n")).into());
    let note = match lacking.is_empty() {
        true => format!("{} kernels carried", rows.len()),
        false => lacking.join("; "),
    };
    Ok(Made {
        counts: count,
        note,
        failure,
    })
}

impl Row {
    fn words(&self) -> String {
        let seconds = self.time.as_secs_f64();
        match &self.result {
            Outcome::Passed(showed) => format!("passed in {seconds:.1} s, {}", showed.note),
            Outcome::Failed(why) => {
                let first = why.lines().next().unwrap_or_default();
                format!("FAILED in {seconds:.1} s: {first}")
            }
            Outcome::Skipped(why) => format!("skipped: {why}"),
        }
    }
}

fn render(rows: &[Row]) -> String {
    let mut table = table(&["run", "what", "CPUs", "result"]);
    for row in rows {
        let Case {
            name, about, cpus, ..
        } = row.case;
        table.add_row([name, about, &cpus.to_string(), &row.words()]);
    }
    table.to_string()
}

/// Makes one run and judges it.
fn run(case: &Case, supplies: &Supplies, emulator: &Qemu, verbosity: Verbosity) -> Result<Outcome> {
    let units = UnitArgs {
        defect: case.defect.map(str::to_owned),
        ..UnitArgs::usual(case.apic, TraceLevel::Offences)
    };
    let boots = Boots {
        case,
        supplies,
        emulator,
        verbosity,
    };
    let carrier = |units| Carrier {
        elf: &supplies.carrier,
        units,
    };
    let no_disk = MachineArgs {
        machine: case.board,
        ..MachineArgs::usual(case.cpus)
    };
    match case.guest {
        Guest::Suite(protocol, volume) => {
            let payload = Payload {
                kernel: supplies.suite.clone().context("a kernel that was built")?,
                initrd: None,
                line: case_judge::suite_line(case, volume, cores()),
            };
            let units = UnitArgs {
                words: vec![protocol.word().to_owned()],
                ..units
            };
            let way = Way::Carried(&payload, carrier(&units));
            let booted = boots.boot(way, &no_disk, Network::None)?;
            Ok(judged(case_judge::suite(case, volume, &booted), &[&booted]))
        }
        Guest::Stock => {
            let linux = match &supplies.linux {
                Ok(linux) => linux,
                Err(why) => return Ok(Outcome::Skipped(why.clone())),
            };
            let payload = payload(linux, linux.with_modules(&[])?);
            let machine = MachineArgs {
                disk: Some(linux.disk.clone()),
                ..no_disk
            };
            let way = Way::Carried(&payload, carrier(&units));
            let mut times = Times::NONE;
            loop {
                let bare = boots.boot(Way::Bare(&payload), &machine, Network::Isolated)?;
                let carried = boots.boot(way, &machine, Network::Isolated)?;
                times.add(carried.user_time, bare.user_time);
                let result = case_judge::stock(case, &linux.sum, &carried, &bare);
                // Another load of the host only adds to a time.
                if result.is_ok() && !times.are_close() && times.boots < MOST_BOOTS {
                    continue;
                }
                return Ok(judged(
                    result.and_then(|()| times.judge()),
                    &[&bare, &carried],
                ));
            }
        }
        Guest::Module => {
            let (linux, module) = match (&supplies.linux, &supplies.module) {
                (Ok(linux), Ok(module)) => (linux, module),
                (Err(why), _) | (_, Err(why)) => return Ok(Outcome::Skipped(why.clone())),
            };
            let initrd = linux.with_modules(std::slice::from_ref(module))?;
            let payload = payload(linux, initrd);
            let way = Way::Carried(&payload, carrier(&units));
            let mut booted = boots.boot(way, &no_disk, Network::None)?;
            let mut result = module_judge::module(case, &booted);
            if let Err(Unproved::Hidden(why)) = &result {
                progress::line(&format!("{}: {why}; once more", case.name));
                booted = boots.boot(way, &no_disk, Network::None)?;
                result = module_judge::module(case, &booted);
            }
            let result = result.map_err(|(Unproved::Hidden(why) | Unproved::Wrong(why))| why);
            Ok(judged(result, &[&booted]))
        }
        Guest::Probe => {
            let linux = match &supplies.linux {
                Ok(linux) => linux,
                Err(why) => return Ok(Outcome::Skipped(why.clone())),
            };
            let program = supplies.probe.as_deref();
            let initrd = linux.with_program(program.context("a program that was built")?)?;
            let payload = payload(linux, initrd);
            let way = Way::Carried(&payload, carrier(&units));
            let booted = boots.boot(way, &no_disk, Network::None)?;
            Ok(judged(case_judge::probe(case, &booted), &[&booted]))
        }
        Guest::MemoryTest => {
            let cd = match &supplies.memory_test {
                Ok(cd) => cd,
                Err(why) => return Ok(Outcome::Skipped(why.clone())),
            };
            let machine = MachineArgs {
                disk: Some(cd.clone()),
                memory: 256,
                ..no_disk
            };
            let booted = boots.boot(Way::Chained(carrier(&units)), &machine, Network::None)?;
            let result = case_judge::launched(case, &booted);
            let result = result.and_then(|()| memory_test::judge(&booted));
            Ok(judged(result.map(one_passed), &[&booted]))
        }
    }
}

fn payload(linux: &Linux, initrd: Vec<u8>) -> Payload {
    Payload {
        kernel: linux.image.clone(),
        initrd: Some(initrd),
        line: LINUX_LINE.to_owned(),
    }
}

fn cores() -> u32 {
    u32::try_from(parallel::cores()).unwrap_or(1)
}

/// What every boot of a run has.
struct Boots<'r> {
    case: &'r Case,
    supplies: &'r Supplies,
    emulator: &'r Qemu,
    verbosity: Verbosity,
}

impl Boots<'_> {
    fn boot(&self, way: Way<'_>, machine: &MachineArgs, network: Network) -> Result<Booted> {
        let folder = tempfile::Builder::new()
            .prefix("boot-")
            .tempdir_in(self.supplies.folder.path());
        let folder = folder.context("cannot create a folder for temporary files")?;
        let trace = folder.path().join("trace");
        let start = way.start(folder.path())?;
        let cmd = machine::command(&self.emulator.path, machine, &start, network, &trace)?;
        let watch = Watch {
            limit: Duration::from_secs(self.case.limit),
            until: Vec::new(),
            trace: None,
            keyboard: Keyboard::None,
            show: match self.verbosity.is_verbose() {
                true => Show::All,
                false => Show::Nothing,
            },
        };
        let booted = boot::run(&cmd, &trace, &watch, self.verbosity)?;
        interrupt::check()?;
        Ok(booted)
    }
}

/// Adds the end of each console to what was wrong.
fn judged(result: Result<Showed, String>, boots: &[&Booted]) -> Outcome {
    match result {
        Ok(showed) => Outcome::Passed(showed),
        Err(why) => {
            let consoles = boots.iter().map(|booted| {
                let lines = booted.console.iter().map(String::as_str);
                let title = format!("console, {:?} {}", booted.end, booted.stderr.trim());
                tail(&title, lines, TAIL)
            });
            Outcome::Failed(format!("{why}\n{}", consoles.collect::<String>()))
        }
    }
}
