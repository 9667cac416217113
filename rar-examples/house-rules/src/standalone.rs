//! A library crate can be used alone: a crate outside the workspace depends on it and on nothing
//! else.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rar_harness::cargo::cargo;
use rar_harness::process::{Verbosity, utf8};
use rar_harness::workspace::Workspace;

use crate::layering::{LIGHT, MOST_DEPENDENCIES, dependencies, relatives};

/// Builds the crates outside the workspace; returns what was seen.
///
/// # Errors
///
/// A crate that does not build, or that brings more than it may.
pub fn check(workspace: &Workspace, verbosity: Verbosity) -> Result<String> {
    let mut notes = Vec::new();
    for name in LIGHT {
        let root = workspace.target.join("standalone").join(name);
        write(workspace, &root, name)
            .with_context(|| format!("cannot write {}", root.display()))?;
        let target = workspace.target.join("standalone/target");
        cargo(&root, &target, "build")?.require(verbosity)?;
        let tree = cargo(&root, &target, "tree")?
            .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .require(verbosity)?;
        let mut below = dependencies(&tree.stdout);
        ensure!(
            below.remove(name),
            "the crate outside the workspace does not depend on {name}"
        );
        let relatives = relatives(&below, name);
        ensure!(
            relatives.is_empty(),
            "{name} brings other crates of this workspace: {relatives:?}"
        );
        ensure!(
            below.len() <= MOST_DEPENDENCIES,
            "{name} brings more than {MOST_DEPENDENCIES} crates: {below:?}"
        );
        notes.push(format!("{name} alone with {} dependencies", below.len()));
    }
    Ok(notes.join(", "))
}

fn write(workspace: &Workspace, root: &Path, name: &str) -> Result<()> {
    let path = workspace.root.join(name);
    let manifest = format!(
        "[package]\nname = \"standalone-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [lib]\ncrate-type = [\"staticlib\"]\n\n\
         [dependencies]\n{name} = {{ path = {path:?} }}\n\n\
         [profile.dev]\npanic = \"abort\"\n\n[workspace]\n",
        path = utf8(&path)?
    );
    // A panic handler of its own: if anything below linked std, there would be two and the build
    // would fail.
    let source = format!(
        "#![no_std]\npub use {};\n\n#[panic_handler]\n\
         fn halt(_: &core::panic::PanicInfo<'_>) -> ! {{\n    loop {{}}\n}}\n",
        name.replace('-', "_")
    );
    fs::create_dir_all(root.join("src"))?;
    fs::write(root.join("Cargo.toml"), manifest)?;
    fs::write(root.join("src/lib.rs"), source)?;
    // The same versions as inside.
    fs::copy(workspace.root.join("Cargo.lock"), root.join("Cargo.lock"))?;
    Ok(())
}
