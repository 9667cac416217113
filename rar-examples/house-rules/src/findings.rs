/// What a rule found.
#[derive(Debug, Default)]
pub struct Findings {
    /// The rules that are broken, each with its place and a remedy.
    pub violations: Vec<String>,
    /// What was checked, as one phrase.
    pub summary: String,
}
