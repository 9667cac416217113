//! Words as a shell reads them.

/// Returns the word so that a shell reads it back.
pub(super) fn quote(word: &str) -> String {
    if word.contains(|character: char| character.is_ascii_control()) {
        // Shells know this form; a raw control character would be lost on the way.
        let escape = |character: char| match character {
            '\'' | '\\' => format!("\\{character}"),
            character if character.is_ascii_control() => format!("\\x{:02x}", u32::from(character)),
            character => character.to_string(),
        };
        return format!("$'{}'", word.chars().map(escape).collect::<String>());
    }
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Into::into)
}
