//! Runs one stage.

use std::time::Instant;

use anyhow::{Context as _, Result};
use rar_carrier_harness::{case_run, catalogue};
use rar_harness::cargo::cargo;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::setup::Qemu;
use rar_harness::workspace::{LIBRARIES, Workspace};
use rar_harness::{kernel, observed};
use rar_house_rules::{SourceTree, layering, standalone};
use rar_image_harness::boot_plan;
use rar_sabotage::by_loom;

use super::ended::{Done, StageEnd};
use super::qemu;
use super::stage::Stage;
use crate::{bench, defects, disasm, host_tests, minimal, msrv, packages, protocol, sim, soak};

pub(super) struct Context {
    pub(super) workspace: Workspace,
    /// Found if the stage that needs it is to run.
    pub(super) qemu: Option<Qemu>,
    pub(super) verbosity: Verbosity,
}

impl Context {
    pub(super) fn run(&self, stage: Stage) -> StageEnd {
        let begin = Instant::now();
        let step = (!stage.shows_steps()).then(|| Step::new(stage.what(), self.verbosity));

        let done = match stage {
            Stage::Arrows => layering::check(&self.workspace, self.verbosity).map(Done::note),
            Stage::House => self.house(),
            Stage::Format => self.format(),
            Stage::Clippy => self.clippy(),
            Stage::Docs => self.docs(),
            Stage::Host => self.host(),
            Stage::Outside => standalone::check(&self.workspace, self.verbosity).map(Done::note),
            Stage::Msrv => msrv::builds(&self.workspace, self.verbosity).map(Done::note),
            Stage::MsrvTests => self.msrv_tests(),
            Stage::Package => packages::check(&self.workspace, self.verbosity).map(Done::note),
            Stage::PackageTests => self.package_tests(),
            Stage::Kernels => self.kernels(),
            Stage::Disasm => disasm::kernels(&self.workspace, self.verbosity).map(Done::note),
            Stage::Loom => self.loom(),
            Stage::Sim => self.sim(sim::STEPS),
            Stage::SimLong => self.sim(sim::MANY_STEPS),
            Stage::Defects => self.defects(),
            Stage::Protocol => self.protocol(),
            Stage::Qemu => self.qemu(),
            Stage::Soak => self.soak(),
            Stage::Image => self.image(),
            Stage::Carry => self.carry(),
            Stage::Bench => bench::check(&self.workspace, self.verbosity).map(Done::note),
        };
        drop(step);
        let Done {
            tests,
            note,
            failure,
        } = done.unwrap_or_else(|error| Done {
            failure: Some(error),
            ..Done::default()
        });
        StageEnd {
            stage,
            tests,
            note,
            time: begin.elapsed(),
            failure,
            skipped: None,
        }
    }

    fn house(&self) -> Result<Done> {
        let found = rar_house_rules::check(&SourceTree::read(&self.workspace.root)?)?;
        if found.violations.is_empty() {
            return Ok(Done::note(found.summary));
        }
        Err(Fault::new(Reason::Failed, found.violations.join("\n")).into())
    }

    fn format(&self) -> Result<Done> {
        cargo(&self.workspace.root, &self.workspace.target, "fmt")?
            .args(["--all", "--", "--check", "-l"])
            .require(self.verbosity)?;
        Ok(Done::default())
    }

    fn clippy(&self) -> Result<Done> {
        let libraries: Vec<_> = LIBRARIES
            .iter()
            .flat_map(|name| ["--package", name])
            .collect();
        let all_features = [libraries.as_slice(), &["--all-features"]].concat();
        for args in [&["--workspace"][..], &all_features] {
            cargo(&self.workspace.root, &self.workspace.target, "clippy")?
                .args(args.iter().copied())
                .args(["--all-targets", "--", "-D", "warnings"])
                .require(self.verbosity)?;
        }
        observed::call(&self.workspace, "clippy")?
            .args([
                "--package",
                "rar-sim",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
            .require(self.verbosity)?;
        let kernels = self.workspace.freestanding();
        if !kernels.is_empty() {
            kernel::freestanding(&self.workspace, &kernel::target(&self.workspace), "clippy")?
                .args(
                    kernels
                        .iter()
                        .flat_map(|package| ["--package", package.name.as_str()]),
                )
                .args(["--", "-D", "warnings"])
                .require(self.verbosity)?;
        }
        Ok(Done::note(format!(
            "workspace, all features, observed, {} freestanding crates",
            kernels.len()
        )))
    }

    fn docs(&self) -> Result<Done> {
        minimal::check_guide(&self.workspace.root)?;
        cargo(&self.workspace.root, &self.workspace.target, "doc")?
            .args(["--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .require(self.verbosity)?;
        let dead = packages::links_without_page(&self.workspace)?;
        if !dead.is_empty() {
            return Err(Fault::new(Reason::Failed, dead.join("\n")).into());
        }
        Ok(Done::default())
    }

    fn host(&self) -> Result<Done> {
        let ran = host_tests::tests(&self.workspace, self.verbosity)?;
        let note = match ran.failed.is_empty() {
            true => "unit, property, documentation tests; all features".to_owned(),
            false => format!("FAILED: {}", ran.failed.join(", ")),
        };
        Ok(Done {
            tests: ran.count,
            note,
            failure: ran.failure,
        })
    }

    fn msrv_tests(&self) -> Result<Done> {
        let (tests, note, failure) = msrv::tests(&self.workspace, self.verbosity)?;
        Ok(Done {
            tests,
            note,
            failure,
        })
    }

    fn package_tests(&self) -> Result<Done> {
        let (tests, failure) = packages::tests(&self.workspace, self.verbosity)?;
        Ok(Done {
            tests,
            note: "from the packages alone".to_owned(),
            failure,
        })
    }

    fn kernels(&self) -> Result<Done> {
        let target = kernel::target(&self.workspace);
        let mut names = Vec::new();
        for package in self.workspace.kernels() {
            kernel::build(&self.workspace, &target, &package.name, self.verbosity)?;
            names.push(package.name.to_string());
        }
        if names.is_empty() {
            return Err(Fault::new(
                Reason::Failed,
                "there is no kernel: no program with the feature freestanding",
            )
            .into());
        }
        Ok(Done::note(names.join(", ")))
    }

    fn loom(&self) -> Result<Done> {
        let tests = by_loom::models(&self.workspace, None, self.verbosity)?;
        let note = format!(
            "{} models; their mutants: `cargo xtask loom`, `cargo xtask ci --full`",
            tests.passed
        );
        Ok(Done {
            tests,
            note,
            failure: None,
        })
    }

    fn sim(&self, steps: u32) -> Result<Done> {
        let (tests, failure) = sim::stage(&self.workspace, steps, self.verbosity)?;
        Ok(Done {
            tests,
            note: format!("random histories of {steps} steps, backends model and software"),
            failure,
        })
    }

    fn defects(&self) -> Result<Done> {
        let (tests, failure) = defects::stage(&self.workspace, self.verbosity)?;
        Ok(Done {
            tests,
            note: "each defect caught, what can be survived survived; docs/defects.md".to_owned(),
            failure,
        })
    }

    fn protocol(&self) -> Result<Done> {
        let (tests, failure) =
            protocol::stage(&self.workspace, protocol::Extent::Quick, self.verbosity)?;
        Ok(Done {
            tests,
            note: "each scenario holds, each mutant breaks its invariant; docs/protocol.md"
                .to_owned(),
            failure,
        })
    }

    fn image(&self) -> Result<Done> {
        let qemu = self.qemu.as_ref().context("no emulator")?;
        let (tests, failure) = boot_plan::stage(&self.workspace, qemu, self.verbosity)?;
        Ok(Done {
            tests,
            note: "on machines of the catalogue, and with a CPU that stops".to_owned(),
            failure,
        })
    }

    fn carry(&self) -> Result<Done> {
        let qemu = self.qemu.as_ref().context("no emulator")?;
        let cases = catalogue::of_each_test();
        let made = case_run::run_all(&cases, &self.workspace, qemu, self.verbosity)?;
        Ok(Done {
            tests: made.counts,
            note: made.note,
            failure: made.failure,
        })
    }

    fn soak(&self) -> Result<Done> {
        let emulator = self.qemu.as_ref().context("no emulator")?;
        let (tests, note, failure) = soak::stage(&self.workspace, emulator, self.verbosity)?;
        Ok(Done {
            tests,
            note,
            failure,
        })
    }

    fn qemu(&self) -> Result<Done> {
        let emulator = self.qemu.as_ref().context("no emulator")?;
        qemu::run(&self.workspace, emulator, self.verbosity)
    }
}
