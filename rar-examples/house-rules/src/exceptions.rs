//! All exceptions from the rules, each with its reason.

/// Files that may have more lines than the rule allows.
pub(crate) const LONG_FILES: &[(&str, &str)] = &[];

/// Files that may have wider lines than the rule allows.
pub(crate) const WIDE_FILES: &[(&str, &str)] = &[(
    "rar-examples/bench/c/baselines.c",
    "older than the rule for C; the macros are easier to read unbroken",
)];

/// Files that commands write. Their writers keep the rules that matter to readers.
pub(crate) const GENERATED: &[&str] = &[
    "docs/defects.md",
    "docs/performance.md",
    "docs/questions.md",
];

/// Files whose circles stay, each with the reason.
pub(crate) const CIRCLES: &[(&str, &str)] = &[
    (
        "rar-regs/src/error.rs",
        "an error holds the value that it is about, and that type's functions return the error",
    ),
    (
        "rar-payload/src/msr_write.rs",
        "the one file with an unsafe maker: operation, encoding and decoding name its type",
    ),
    (
        "rar-payload/src/page_range.rs",
        "a range is cut into chunks, and a chunk is a range that fits an entry",
    ),
    (
        "rar-shootdown/src/error.rs",
        "the error of a wait gives the flight back, and a machine gets errors as events",
    ),
];

/// Files that must name the phrases that are not to be written.
pub(crate) const WORDS: &[&str] = &["CONTRIBUTING.md", "rar-examples/house-rules/src/words.rs"];
