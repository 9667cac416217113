//! `cargo xtask minimal`: the kernel of the porting guide, on both backends; and whether the guide
//! still quotes it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::workspace::Workspace;
use rar_harness::{minimal_kernel, outln, setup};

#[derive(Args, Clone, Debug)]
pub(crate) struct MinimalArgs {
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu: Option<PathBuf>,
}

const GUIDE: &str = "docs/porting.md";
/// What the guide quotes, each file whole.
const QUOTED: [&str; 8] = [
    "Cargo.toml",
    "build.rs",
    "src/guard.rs",
    "src/shootdown.rs",
    "src/cpus.rs",
    "src/space.rs",
    "src/lib.rs",
    "src/main.rs",
];

/// Runs `cargo xtask minimal`.
pub(crate) fn command(args: &MinimalArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    let qemu = setup::emulator(args.qemu.as_deref(), verbosity)?;
    for line in minimal_kernel::boot(&workspace, &qemu, verbosity)? {
        outln!("{line}");
    }
    Ok(())
}

/// Checks that the guide quotes each file of the package whole, under its name.
pub(crate) fn check_guide(root: &Path) -> Result<()> {
    let guide = root.join(GUIDE);
    let guide =
        fs::read_to_string(&guide).with_context(|| format!("cannot read {}", guide.display()))?;
    for name in QUOTED {
        let file = root.join("rar-examples/minimal").join(name);
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if quoted(&guide, name) != Some(text.trim_end()) {
            let message = format!(
                "{GUIDE}: the block under `{name}:` differs from rar-examples/minimal/{name}; \
                 paste the file there"
            );
            return Err(Fault::new(Reason::Failed, message).into());
        }
    }
    Ok(())
}

/// Returns the code block that follows the caption of a file.
fn quoted<'a>(guide: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = guide.split_once(&format!("\n`{name}`:\n\n```"))?;
    let (_language, code) = after.split_once('\n')?;
    code.split_once("\n```").map(|(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_under_a_caption_is_found_whole() {
        let guide = "text\n\n`src/a.rs`:\n\n```rust,ignore\nfn a() {}\n\nfn b() {}\n```\nmore\n";
        assert_eq!(quoted(guide, "src/a.rs"), Some("fn a() {}\n\nfn b() {}"));
        assert_eq!(quoted(guide, "src/b.rs"), None);
    }

    #[test]
    fn the_guide_quotes_the_package() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        check_guide(&root).unwrap();
    }
}
