//! Names of broken RAR units on a command line.

use rar_model::Defect;

pub use crate::catalogue::ALL;

/// Returns the name if a defect has it, or if it is [`ALL`].
///
/// # Errors
///
/// No defect has it: the text lists the names.
pub fn name(name: &str) -> Result<String, String> {
    if name == ALL || Defect::by_name(name).is_some() {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = Defect::ALL.iter().map(|defect| defect.name()).collect();
    Err(format!(
        "no defect of a unit has this name; there are {ALL}, {}",
        names.join(", ")
    ))
}

/// Returns the defects that a name stands for.
pub fn chosen(asked: &str) -> impl Iterator<Item = Defect> {
    let all = Defect::ALL.iter().copied();
    all.filter(move |defect| asked == ALL || defect.name() == asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_catalogue() {
        assert_eq!(name("signal-lost"), Ok("signal-lost".to_owned()));
        assert_eq!(name("all"), Ok("all".to_owned()));
        assert!(name("signal-found").unwrap_err().contains("signal-lost"));
    }
}
