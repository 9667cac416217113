//! The frame of each page: its head, and the style sheet inside it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::plot;

const STYLE: &str = include_str!("style.css");

/// Returns a page that loads nothing.
pub(super) fn document(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(plot::style())) }
            }
            body { (body) }
        }
    }
    .into_string()
}
