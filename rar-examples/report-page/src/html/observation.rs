//! What a test observed, as a list of findings in words.

use maud::{Markup, html};

use crate::findings::{Finding, findings};

/// Returns the findings of a test.
pub(super) fn observation(test: &str, text: &str) -> Markup {
    html! {
        ul.findings {
            @for Finding { about, what } in findings(test, text) {
                @if about.is_empty() {
                    li.sentence { (what) }
                } @else {
                    li { span.about { (about) ":" } " " span.what { (what) } }
                }
            }
        }
    }
}
