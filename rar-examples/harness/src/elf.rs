//! The code of an ELF file: cut at its symbols, and spoiled at one of them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use object::{
    File, Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SymbolKind, elf,
};

/// An instruction that raises an exception (SDM vol. 2, "UD").
const UD2: [u8; 2] = [0x0f, 0x0b];

/// The bytes from one symbol to the next.
#[derive(Clone, Debug)]
pub struct Function {
    /// The symbol as people write it, without a hash.
    pub name: String,
    /// Where it is linked.
    pub address: u64,
    /// Its bytes, and the padding behind it.
    pub code: Vec<u8>,
    /// A label in hand-written assembly: perhaps not 64-bit code.
    pub label: bool,
}

/// Returns all code of an ELF file.
///
/// # Errors
///
/// The file cannot be read, is not an ELF file, or has no code.
pub fn functions(path: &Path) -> Result<Vec<Function>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = object::File::parse(bytes.as_slice())
        .with_context(|| format!("{} is no ELF file", path.display()))?;
    let mut functions = Vec::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else {
            continue;
        };
        if sh_flags & u64::from(elf::SHF_EXECINSTR) == 0 {
            continue;
        }
        let data = section.data().context("a code section cannot be read")?;
        let (begin, end) = (section.address(), section.address() + section.size());
        let mut names: BTreeMap<u64, (String, bool)> = BTreeMap::new();
        names.insert(
            begin,
            (
                format!("(start of {})", section.name().unwrap_or("a section")),
                true,
            ),
        );
        for symbol in file.symbols() {
            let inside = (begin..end).contains(&symbol.address());
            let Ok(name) = symbol.name() else { continue };
            if !inside || symbol.section_index() != Some(section.index()) || name.is_empty() {
                continue;
            }
            let label = symbol.kind() != SymbolKind::Text;
            let entry = names
                .entry(symbol.address())
                .or_insert_with(|| (String::new(), true));
            // A function's own name beats a label at the same place.
            if entry.1 && symbol.kind() != SymbolKind::Section {
                *entry = (format!("{:#}", rustc_demangle::demangle(name)), label);
            }
        }
        let ends: Vec<u64> = names.keys().skip(1).copied().chain([end]).collect();
        for ((address, (name, label)), next) in names.into_iter().zip(ends) {
            let from = usize::try_from(address - begin).context("a section is too large")?;
            let to = usize::try_from(next - begin).context("a section is too large")?;
            let code = data
                .get(from..to)
                .context("a section is shorter than its size")?
                .to_vec();
            functions.push(Function {
                name,
                address,
                code,
                label,
            });
        }
    }
    ensure!(!functions.is_empty(), "{} has no code", path.display());
    Ok(functions)
}

/// Returns the bytes of an ELF file whose function with this symbol raises an exception at its
/// first instruction.
///
/// # Errors
///
/// The file cannot be read, is not an ELF file, or has no such function.
pub fn dying_at(path: &Path, symbol: &str) -> Result<Vec<u8>> {
    let mut bytes =
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = File::parse(bytes.as_slice())
        .with_context(|| format!("{} is no ELF file", path.display()))?;
    let place = place_of(&file, symbol)
        .with_context(|| format!("{} has no function {symbol}", path.display()))?;
    bytes
        .get_mut(place..place + UD2.len())
        .with_context(|| format!("{} is cut before {symbol}", path.display()))?
        .copy_from_slice(&UD2);
    Ok(bytes)
}

/// Returns where a function lies in the file.
fn place_of(file: &File<'_>, symbol: &str) -> Option<usize> {
    let symbol = file.symbol_by_name(symbol)?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let (begin, _) = section.file_range()?;
    let offset = symbol.address().checked_sub(section.address())?;
    usize::try_from(begin + offset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_function_is_spoiled_and_nothing_else() {
        let this = std::env::current_exe().unwrap();
        let spoiled = dying_at(&this, "main").unwrap();
        let whole = std::fs::read(&this).unwrap();
        let differ = whole
            .iter()
            .zip(&spoiled)
            .filter(|(one, other)| one != other);
        assert!((1..=2).contains(&differ.count()) && whole.len() == spoiled.len());
        assert!(dying_at(&this, "no_such_function").is_err());
    }
}
