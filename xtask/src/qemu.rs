//! `cargo xtask qemu`, the main job: boots the test kernel and judges every test.

pub(crate) mod defects;
mod plan;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::json_file::JsonFile;
use rar_harness::judged_run::require_pass;
use rar_harness::logs::Logs;
use rar_harness::modes::{self, Apic, OddJoins, Thread};
use rar_harness::process::Verbosity;
use rar_harness::workspace::Workspace;
use rar_harness::{kernel, out, outln, results, setup, test_kernel};
use rar_vocabulary::{Backend, TraceLevel};

/// Runs `cargo xtask qemu`.
pub(crate) fn command(args: &QemuArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    require_whole_sockets(args)?;
    let runs = plan::runs(args);
    // Before the runs, so that a missing program or a place that cannot be written is known at
    // once.
    let qemu = setup::emulator(args.qemu.as_deref(), verbosity)?;
    let json = args.json.as_deref().map(JsonFile::create).transpose()?;
    let logs = logs(args, &workspace)?;

    let kernel = test_kernel::build(&workspace, &kernel::target(&workspace), verbosity)?;
    let judged = test_kernel::run_all(&qemu.path, &kernel, &runs, &logs, verbosity)?;

    if args.deterministic {
        outln!("replay mode: instructions are counted, so times are not measured");
    }
    out!("{}", results::render(&judged));
    if let Some(json) = json {
        json.write(&judged)?;
    }
    logs.announce();
    outln!("{}", results::count(&judged));
    require_pass(&judged)
}

/// Refuses a number of CPUs that fills no whole number of sockets.
fn require_whole_sockets(args: &QemuArgs) -> Result<()> {
    let cores = args.cores.unwrap_or(1);
    let Some(cpus) = args.cpus.iter().find(|cpus| *cpus % cores != 0) else {
        return Ok(());
    };
    let message = format!(
        "--cpus {cpus}: no multiple of the cores of a socket (got {cores}); name a multiple"
    );
    Err(Fault::new(Reason::Usage, message).into())
}

fn logs(args: &QemuArgs, workspace: &Workspace) -> Result<Logs> {
    match &args.keep_log {
        None => Logs::temporary(),
        Some(Some(folder)) => Logs::kept(folder.clone()),
        Some(None) => Logs::kept(workspace.target.join("qemu-logs")),
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct QemuArgs {
    /// CPU counts, one boot each
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "4",
          value_parser = clap::value_parser!(u32).range(1..=255))]
    pub(crate) cpus: Vec<u32>,
    /// Cores of a socket; APIC ids have holes if it is no power of two [default: one socket]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub(crate) cores: Option<u32>,
    /// What executes remote flushes [default: vrar; for a sabotage what its patch names]
    #[arg(long, value_parser = backend())]
    pub(crate) backend: Option<Backend>,
    /// Run backend software first, then launch the shim on the running CPUs, in one boot
    #[arg(long, conflicts_with_all = ["backend", "sabotage"])]
    pub(crate) late_launch: bool,
    /// How the kernel drives its local APIC; software backend: x2apic where the CPU has it
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Apic::X2apic)]
    pub(crate) apic: Apic,
    /// Give the last CPU a table of another size: CPUs disagree on RAR, and software must flush
    #[arg(long, value_name = "ENTRIES", conflicts_with_all = ["backend", "cores", "late_launch"],
          value_parser = clap::value_parser!(u8).range(1..=63))]
    pub(crate) odd_table: Option<u8>,
    /// When that CPU joins
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        requires = "odd_table"
    )]
    pub(crate) odd_joins: OddJoins,
    /// Run only the tests of exactly these names
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = test_name)]
    pub(crate) test: Vec<String>,
    /// TCG's threads [default: single, then a short race pass on multi]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) thread: Option<Thread>,
    /// Flushes per CPU in the volume tests [default: 20000 with single, 100 with multi]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) flushes: Option<u32>,
    /// Limit the number of CPUs that initiate each test [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) initiators: Option<u32>,
    /// Run the tests that may hang a real machine, too
    #[arg(long)]
    pub(crate) risky: bool,
    /// Measure N flushes of each kind after the tests: RAR, IPI, NMI, local; and print how many
    /// bare round trips one takes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) measure: Option<u32>,
    /// Write one JSON line per test and initiator, and per measurement; the file appears whole,
    /// when all runs have ended
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu: Option<PathBuf>,
    /// Kill the guest after this many seconds [default: grows with CPUs and flushes]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    /// Keep console and defmt logs in DIR [default DIR: qemu-logs in the target folder]
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "clap's way to say: absent, without a value, with one"
    )]
    pub(crate) keep_log: Option<Option<PathBuf>>,
    /// Let the units of the shim write what they see, one line for each event; the file stays only
    /// with --keep-log
    #[arg(long, value_name = "LEVEL", requires = "keep_log", value_parser = modes::trace_level())]
    pub(crate) trace: Option<TraceLevel>,
    /// Replay mode: instruction counting makes every repeat the same (implies --thread single)
    #[arg(long, conflicts_with = "thread")]
    pub(crate) deterministic: bool,
    /// Inject this defect into every RAR unit (`all`: each in turn) and list the tests that
    /// detect it
    #[arg(long, value_name = "NAME", hide = true, value_parser = rar_harness::defect_names::name,
          conflicts_with_all = ["backend", "test", "json", "thread", "deterministic", "sabotage"])]
    pub(crate) defect: Option<String>,
    /// Apply this patch to a copy of the workspace and check that a test notices
    #[arg(long, value_name = "NAME", conflicts_with_all = ["test", "json", "deterministic"])]
    pub(crate) sabotage: Option<String>,
}

/// Returns the name if the suite has a test of it.
fn test_name(name: &str) -> Result<String, String> {
    if rar_suite::test_named(name).is_some() {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = rar_suite::TESTS.iter().map(|test| test.name).collect();
    Err(format!(
        "no test has this name; the tests are: {}",
        names.join(", ")
    ))
}

/// Returns a parser of the backends that QEMU can have.
fn backend() -> impl TypedValueParser<Value = Backend> {
    let vrar = "A RAR unit for each CPU, by the shim that makes the kernel its guest";
    let software = "The responder in software, on an ordinary IPI";
    let values = [(Backend::Vrar, vrar), (Backend::Software, software)];
    let values = values.map(|(backend, help)| PossibleValue::new(backend.name()).help(help));
    PossibleValuesParser::new(values).try_map(|name| name.parse())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Subcommands};

    fn qemu(args: &[&str]) -> Result<QemuArgs, clap::Error> {
        let cli = Cli::try_parse_from(["xtask", "qemu"].iter().chain(args))?;
        match cli.command {
            Subcommands::Qemu(args) => Ok(args),
            _ => panic!("not qemu"),
        }
    }

    #[test]
    fn defaults_and_lists() {
        assert_eq!(qemu(&[]).unwrap().cpus, [4]);
        assert_eq!(qemu(&["--cpus", "1,2,4"]).unwrap().cpus, [1, 2, 4]);
        assert_eq!(qemu(&["--keep-log"]).unwrap().keep_log, Some(None));
        assert_eq!(
            qemu(&["--keep-log", "d"]).unwrap().keep_log,
            Some(Some("d".into()))
        );
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        for args in [
            &["--cpus", "0"][..],
            &["--cpus", "256"],
            &["--backend", "kvm"],
            &["--thread", "both"],
            &["--timeout", "0"],
            &["--test", "storm list=all"],
            &["--test", ""],
            &["--deterministic", "--thread", "multi"],
            &["--sabotage", "x", "--test", "y"],
        ] {
            assert_eq!(qemu(args).unwrap_err().exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn an_unknown_test_is_a_usage_error_that_lists_the_names() {
        let error = qemu(&["--test", "no-such"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("one-page, pages-2"), "{text}");
    }
}
