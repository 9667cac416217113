//! `cargo xtask ci`: what CI runs.

use anyhow::Result;
use clap::Args;
use rar_carrier_harness::catalogue as carried;
use rar_harness::exit_code::{Fault, Reason, reason_of};
use rar_harness::process::Verbosity;
use rar_harness::workspace::Workspace;
use rar_harness::{defect_names, errln, outln, setup};
use rar_image_harness::{catalogue, firmware_catalogue, mutated};

use crate::bochs::{self, BochsArgs};
use crate::soak::{self, SoakArgs};
use crate::stages::{self, LONG, TestArgs};
use crate::{carry, image, many_cpus, protocol, sabotage};

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct CiArgs {
    /// Also run the tests in the packages, explore the whole model of the protocol, boot the test
    /// kernel on up to 64 CPUs and on machines with holes in their APIC ids, boot the image on
    /// every machine of the catalogue, on every one that firmware left in disorder, on 50 with
    /// changed tables, with every defect, and in Bochs where that is installed, carry every kernel
    /// of the list, soak for 10 minutes, and run every sabotage
    #[arg(long)]
    pub(crate) full: bool,
}

/// How long the soak in Bochs takes, in seconds of its clock.
const SOAK_IN_BOCHS: u64 = 10;

/// Machines with changed tables, and the seed of the first.
const MUTATED: u32 = 50;
const FIRST_SEED: u64 = 1;

/// Runs `cargo xtask ci`.
pub(crate) fn command(args: &CiArgs, verbosity: Verbosity) -> Result<()> {
    stages::command(
        &TestArgs {
            stages: Vec::new(),
            qemu: None,
            complete: true,
        },
        verbosity,
    )?;
    if args.full {
        full(verbosity)?;
    }
    Ok(())
}

/// Explores the model of the protocol, with its long scenarios.
fn whole_protocol(verbosity: Verbosity) -> Result<()> {
    let (_, failure) = protocol::stage(&Workspace::this()?, protocol::Extent::Whole, verbosity)?;
    failure.map_or(Ok(()), Err)
}

/// Runs what takes long, all of it even if a part fails.
fn full(verbosity: Verbosity) -> Result<()> {
    let long = || {
        let args = TestArgs {
            stages: LONG.to_vec(),
            qemu: None,
            complete: true,
        };
        stages::command(&args, verbosity)
    };
    let bochs = || match setup::bochs_files() {
        Some(_) => {
            bochs::command(&BochsArgs::default(), verbosity)?;
            bochs::command(&BochsArgs::soak(SOAK_IN_BOCHS), verbosity)
        }
        None => {
            outln!("Bochs is not installed: suite and soak did not run there");
            Ok(())
        }
    };
    let mut failed = Vec::new();
    let mut part = |name: &str, result: Result<()>| match result {
        Err(error) if reason_of(&error).ends_all() => Err(error),
        Err(error) => {
            errln!("{name} FAILED: {error:#}");
            failed.push(name.to_owned());
            Ok(())
        }
        Ok(()) => Ok(()),
    };
    part("long stages", long())?;
    part("protocol", whole_protocol(verbosity))?;
    part("many CPUs", many_cpus::command(verbosity))?;
    part(
        "image --machines all",
        image::on_machines(&[catalogue::ALL.to_owned()], None, verbosity),
    )?;
    part(
        "image --mutated 50",
        mutated::command(MUTATED, FIRST_SEED, None, verbosity),
    )?;
    part(
        "image --firmware all",
        image::on_disordered_machines(&[firmware_catalogue::ALL.to_owned()], None, verbosity),
    )?;
    part(
        "carry --case all",
        carry::cases(&[carried::ALL.to_owned()], None, verbosity),
    )?;
    part("soak", soak::command(&SoakArgs::usual(), verbosity))?;
    part(
        "sabotage",
        sabotage::all(&Workspace::this()?, None, verbosity),
    )?;
    part(
        "image --defect all",
        rar_image_harness::defects::command(defect_names::ALL, None, verbosity),
    )?;
    part("bochs", bochs())?;
    if failed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "failed: {}; each is a command of its own",
        failed.join(", ")
    );
    Err(Fault::new(Reason::Failed, message).into())
}
