//! Inputs that are kept: one a file, what it is for, then the bytes in hexadecimal.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// A kept input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The file.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// The input.
    pub bytes: Vec<u8>,
}

/// Returns the folder of a target's inputs.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target)
}

/// Reads the inputs of a folder, by name.
///
/// # Errors
///
/// The folder or a file is not readable, or a file has no purpose.
pub fn read(folder: &Path) -> Result<Vec<Seed>> {
    let cannot = || format!("cannot read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(cannot)?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.with_context(cannot)?.path());
    }
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "hex"))
        .map(|path| {
            let name = path.display().to_string();
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
            parse(&name, &text)
        })
        .collect()
}

/// Reads one input: lines that begin with `#` say what it is for.
///
/// # Errors
///
/// It has no such line, or something else than bytes in hexadecimal.
pub fn parse(name: &str, text: &str) -> Result<Seed> {
    let (comments, digits): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('#'));
    let purpose: Vec<_> = comments
        .iter()
        .map(|line| line.trim_matches(['#', ' ']))
        .collect();
    ensure!(
        !purpose.is_empty(),
        "{name}: no line says what the input is for"
    );
    let mut bytes = Vec::new();
    for byte in digits.iter().flat_map(|line| line.split_whitespace()) {
        let value = u8::from_str_radix(byte, 16);
        bytes.push(value.with_context(|| format!("{name}: `{byte}` is no byte"))?);
    }
    Ok(Seed {
        name: name.to_owned(),
        purpose: purpose.join(" "),
        bytes,
    })
}

/// Returns the text of a file with this input.
#[must_use]
pub fn render(purpose: &str, bytes: &[u8]) -> String {
    let mut text = format!("# {purpose}\n");
    for line in bytes.chunks(16) {
        let line: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&line.join(" "));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_purpose_is_needed() {
        let bytes: Vec<u8> = (0..40).collect();
        let seed = parse("a", &render("a reason", &bytes)).unwrap();
        assert_eq!((seed.purpose.as_str(), seed.bytes), ("a reason", bytes));
        assert!(parse("a", "00 01\n").is_err());
        assert!(parse("a", "# b\n0g\n").is_err());
        assert!(parse("a", "# nothing\n").unwrap().bytes.is_empty());
    }
}
