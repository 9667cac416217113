//! cargo-mutants: installed on demand, and only here.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rar_harness::cargo::cargo;
use rar_harness::errln;
use rar_harness::process::{Cmd, Verbosity, is_executable, utf8};
use rar_harness::workspace::Workspace;

use crate::mutant::{self, Mutant};
use crate::plan::{Library, NOT_BUILT};

/// The version whose names and files this package reads.
const VERSION: &str = "27.1.0";

/// Where results and the tool are, in the target folder.
#[must_use]
pub fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("mutants")
}

/// The installed tool.
#[derive(Clone, Debug)]
pub struct Tool {
    program: PathBuf,
}

impl Tool {
    /// Returns the tool, and compiles it into the target folder if it is not there: that takes
    /// minutes, once.
    ///
    /// # Errors
    ///
    /// It cannot be fetched or compiled.
    pub fn provide(workspace: &Workspace, verbosity: Verbosity) -> Result<Self> {
        let place = workspace.target.join("tools");
        let tool = Self {
            program: place.join("bin/cargo-mutants"),
        };
        if tool.is_current(verbosity) {
            return Ok(tool);
        }
        errln!("cargo-mutants {VERSION} is missing; cargo compiles it, which takes minutes");
        cargo(Path::new("/"), &place.join("build"), "install")?
            .args(["cargo-mutants", "--locked", "--version", VERSION, "--root"])
            .arg(utf8(&place)?)
            .require(verbosity)?;
        Ok(tool)
    }

    fn is_current(&self, verbosity: Verbosity) -> bool {
        is_executable(&self.program)
            && utf8(&self.program)
                .and_then(|program| {
                    Cmd::new(program)
                        .args(["mutants", "--version"])
                        .capture(verbosity)
                })
                .is_ok_and(|captured| captured.stdout.trim().ends_with(VERSION))
    }

    /// Returns a call of the tool in this workspace.
    ///
    /// Each copy of the workspace has a target folder of its own: in a common one, what a mutant
    /// left could pass for the unchanged library.
    ///
    /// # Errors
    ///
    /// A path is not UTF-8.
    pub fn call(&self, workspace: &Workspace) -> Result<Cmd> {
        let program = utf8(&self.program)?;
        let cmd =
            rar_harness::cargo::call(program, &workspace.root, &folder(workspace), "mutants")?;
        Ok(cmd.arg("--no-config").env("CARGO_TARGET_DIR", "target"))
    }

    /// Returns the mutants of a library, those of code that is compiled.
    ///
    /// # Errors
    ///
    /// The tool cannot read the library.
    pub fn list(
        &self,
        workspace: &Workspace,
        library: &Library,
        verbosity: Verbosity,
    ) -> Result<Vec<Mutant>> {
        let listed = self
            .call(workspace)?
            .args(["--list", "--json", "--package", library.package])
            .require(verbosity)?;
        let mut mutants = mutant::parse(&listed.stdout)?;
        mutants.retain(|mutant| !NOT_BUILT.iter().any(|code| code.holds(mutant)));
        Ok(mutants)
    }
}
