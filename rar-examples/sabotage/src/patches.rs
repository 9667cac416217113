//! The patches in the folder of this package.

use std::fs;

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::workspace::Workspace;

use crate::patch::{Kind, Sabotage};

/// Returns the patch of that name.
///
/// # Errors
///
/// No patch has this name, or a patch is malformed.
pub fn find(workspace: &Workspace, name: &str) -> Result<Sabotage> {
    let all = all(workspace)?;
    let names: Vec<_> = all.iter().map(|sabotage| sabotage.name.clone()).collect();
    all.into_iter()
        .find(|sabotage| sabotage.name == name)
        .ok_or_else(|| {
            let message = format!(
                "there is no sabotage `{name}`; there are: {}",
                names.join(", ")
            );
            Fault::new(Reason::Usage, message).into()
        })
}

/// Returns all patches, by name.
///
/// # Errors
///
/// The folder cannot be read, or a patch is malformed.
pub fn all(workspace: &Workspace) -> Result<Vec<Sabotage>> {
    let dir = workspace.sabotage();
    let mut all = Vec::new();
    let entries = fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", dir.display()))?
            .path();
        if path
            .extension()
            .is_none_or(|extension| extension != "patch")
        {
            continue;
        }
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        all.push(
            Sabotage::parse(&name, &text)
                .with_context(|| format!("{} is malformed", path.display()))?,
        );
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Returns the patches for loom.
///
/// # Errors
///
/// As [`all`].
pub fn mutants(workspace: &Workspace) -> Result<Vec<Sabotage>> {
    let all = self::all(workspace)?;
    Ok(all
        .into_iter()
        .filter(|sabotage| matches!(sabotage.kind, Kind::Loom { .. }))
        .collect())
}
