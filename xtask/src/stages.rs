//! `cargo xtask test`: everything, stage by stage.

mod context;
mod ended;
mod qemu;
mod stage;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Error, Result};
use clap::{Args, ValueEnum};
use rar_harness::exit_code::{Fault, reason_of};
use rar_harness::process::Verbosity;
use rar_harness::workspace::Workspace;
use rar_harness::{errln, outln, setup, text};

use self::context::Context;
use self::ended::{StageEnd, common_reason, render, total};
pub(crate) use self::stage::Stage;

#[derive(Args, Clone, Debug)]
pub(crate) struct TestArgs {
    /// Run only this stage (may be given again)
    #[arg(long = "stage", value_name = "STAGE", value_enum)]
    pub(crate) stages: Vec<Stage>,
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu: Option<PathBuf>,
    /// Fail instead of skipping a stage that this machine cannot run.
    #[arg(skip)]
    pub(crate) complete: bool,
}

/// The stages that run only if named, and in `ci --full`.
pub(crate) const LONG: [Stage; 3] = [Stage::MsrvTests, Stage::PackageTests, Stage::SimLong];

/// How many lines of a failed stage are shown.
const TAIL: usize = 60;

/// Runs `cargo xtask test`.
pub(crate) fn command(args: &TestArgs, verbosity: Verbosity) -> Result<()> {
    let begin = Instant::now();
    let mut chosen = Stage::value_variants().to_vec();
    // Without --stage all run, except the long ones.
    chosen.retain(|stage| match args.stages.is_empty() {
        true => !LONG.contains(stage),
        false => args.stages.contains(stage),
    });
    let may_skip = args.stages.is_empty() && !args.complete;
    // Before the first stage, so that a missing emulator is known at once.
    let qemu = chosen
        .iter()
        .any(|stage| {
            matches!(
                stage,
                Stage::Qemu | Stage::Soak | Stage::Image | Stage::Carry
            )
        })
        .then(|| setup::emulator(args.qemu.as_deref(), verbosity))
        .transpose()?;
    let context = Context {
        workspace: Workspace::this()?,
        qemu,
        verbosity,
    };
    let mut ended = Vec::new();
    for stage in chosen {
        let mut end = context.run(stage);
        if may_skip {
            end.skip_if_impossible();
        }
        if let Some(error) = &end.failure {
            // Nothing after Ctrl-C is of use.
            if reason_of(error).ends_all() {
                return Err(end.failure.unwrap_or_else(|| Error::msg("interrupted")));
            }
            show(&context.workspace, &end.name(), &format!("{error:#}"))?;
        } else if let Some(why) = &end.skipped {
            errln!("{} skipped: {why}", end.name());
        } else {
            errln!("{} passed in {:.1} s", end.name(), end.time.as_secs_f64());
        }
        ended.push(end);
    }
    outln!("{}", render(&ended, begin.elapsed()));
    let total = total(&ended);
    outln!("counted: {} stages and the tests in them", ended.len());
    outln!("{total}");
    if total.failed == 0 {
        return Ok(());
    }
    let failed: Vec<_> = ended
        .iter()
        .filter(|end| end.failure.is_some())
        .map(StageEnd::name)
        .collect();
    let again = failed
        .iter()
        .map(|name| format!("--stage {name}"))
        .collect::<Vec<_>>()
        .join(" ");
    Err(Fault::new(
        common_reason(&ended),
        format!(
            "{} stages failed; `cargo xtask test {again}` repeats them",
            failed.len()
        ),
    )
    .into())
}

/// Shows why a stage failed: its last lines, and where all of them are.
fn show(workspace: &Workspace, stage: &str, why: &str) -> Result<()> {
    let folder = workspace.target.join("test-logs");
    let log = folder.join(format!("{stage}.log"));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&log, why))
        .with_context(|| format!("cannot write {}", log.display()))?;
    if why.lines().count() > TAIL {
        let tail = text::tail(&format!("{stage} FAILED"), why.lines(), TAIL);
        errln!("{}", tail.trim_end());
        errln!("all of it is in {}", log.display());
    } else {
        errln!("{stage} FAILED\n{why}");
    }
    Ok(())
}
