//! Counts over targets as a page of plots. The page is one file and loads nothing.

use std::fmt::Write as _;

use crate::figures::Count;
use crate::figures::Moved;
use crate::lines;
use crate::table::{Sheet, sheets};

/// The rows that are drawn, each with its colour: those that flush the same.
const CURVES: [(&str, &str); 6] = [
    ("flush", "#005ab5"),
    ("floor", "#505050"),
    ("C bitmap, words", "#00825a"),
    ("C bitmap, bits", "#aa5a00"),
    ("C IPI calls, words", "#6e3ca0"),
    ("C IPI calls, bits", "#dc3220"),
];

/// The same for lines.
const CURVES_OF_LINES: [(&str, &str); 5] = [
    ("flush", "#005ab5"),
    ("floor", "#505050"),
    ("bitmap of slots", "#00825a"),
    ("lock per slot", "#aa5a00"),
    ("IPI calls", "#dc3220"),
];

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Room for the labels, left and below.
const LEFT: f64 = 70.0;
const BELOW: f64 = 40.0;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:50em;\
    margin:2em auto;padding:0 1em}\
    svg{width:100%;height:auto}text{font:13px system-ui,sans-serif}.grid{stroke:#ddd}\
    span{display:inline-block;margin-right:1.5em}\
    i{display:inline-block;width:1em;height:.7em;margin-right:.4em}";

/// Returns the page.
pub fn render(title: &str, counts: &[Count], moved: &[Moved]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <title>{title}</title><style>{STYLE}</style>\n\
         <h1>{title}</h1>\n"
    );
    let (instructions, _) = sheets(counts);
    let room = |sheet: &Sheet| format!("Room for {} CPUs", sheet.room);
    let instructions_of = "Instructions of the initiator for one page";
    part(&mut page, instructions_of, &CURVES, &instructions, room);
    let initiators = |sheet: &Sheet| format!("Initiators: {}", sheet.room);
    let lines_of = "Cache lines that move for one page, for each flush";
    part(
        &mut page,
        lines_of,
        &CURVES_OF_LINES,
        &lines::sheets(moved),
        initiators,
    );
    page.push_str("</html>\n");
    page
}

/// Adds a plot for each sheet, and what the colours mean; nothing if there is no sheet.
fn part(
    page: &mut String,
    what: &str,
    curves: &[(&str, &str)],
    sheets: &[Sheet],
    heading: impl Fn(&Sheet) -> String,
) {
    if sheets.is_empty() {
        return;
    }
    let _infallible = write!(
        page,
        "<p>{what}, over the number of targets. Both axes are logarithmic. \
         Lower is better.</p>\n<p>"
    );
    for (name, colour) in curves {
        let _infallible = write!(
            page,
            "<span><i style=\"background:{colour}\"></i>{name}</span>"
        );
    }
    page.push_str("</p>\n");
    for sheet in sheets {
        let _infallible = write!(
            page,
            "<h2>{}</h2>\n{}\n",
            heading(sheet),
            svg(sheet, curves)
        );
    }
}

/// A logarithmic axis.
struct Axis {
    least: f64,
    most: f64,
    length: f64,
}

impl Axis {
    fn new(values: &[f64], length: f64) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(1.0, f64::max);
        Self {
            least: least.min(most),
            // An axis of one value would have no length.
            most: most.max(least * 2.0),
            length,
        }
    }

    fn place(&self, value: f64) -> f64 {
        (value / self.least).ln() / (self.most / self.least).ln() * self.length
    }
}

fn svg(sheet: &Sheet, curves: &[(&str, &str)]) -> String {
    let points = |name: &str| -> Vec<(f64, f64)> {
        let row = sheet.rows.iter().find(|row| row.what == name);
        let counts = row.into_iter().flat_map(|row| &row.counts);
        let pairs = sheet.targets.iter().zip(counts);
        let known = pairs.filter_map(|(targets, count)| Some((f64::from(*targets), (*count)?)));
        known.filter(|(_, count)| *count > 0.0).collect()
    };
    let curves = curves.iter().map(|(name, colour)| (colour, points(name)));
    let curves: Vec<_> = curves.collect();
    let all: Vec<_> = curves.iter().flat_map(|(_, points)| points).collect();
    let values = all.iter().map(|(_, count)| *count).collect::<Vec<_>>();
    let targets = all.iter().map(|(targets, _)| *targets).collect::<Vec<_>>();
    let (across, up) = (
        Axis::new(&targets, WIDTH - LEFT - 20.0),
        Axis::new(&values, HEIGHT - BELOW - 20.0),
    );
    let x = |value| LEFT + across.place(value);
    let y = |value| HEIGHT - BELOW - up.place(value);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    let powers = (0..7).map(|power| 10_f64.powi(power));
    for value in powers.filter(|value| (up.least..=up.most).contains(value)) {
        let _infallible = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
             <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{value}</text>",
            WIDTH - 20.0,
            y(value),
            LEFT - 8.0,
            y(value) + 4.0
        );
    }
    for targets in &sheet.targets {
        let _infallible = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{targets}</text>",
            x(f64::from(*targets)),
            HEIGHT - BELOW + 20.0
        );
    }
    for (colour, points) in curves {
        let path: Vec<_> = points
            .iter()
            .map(|(targets, count)| format!("{:.1},{:.1}", x(*targets), y(*count)))
            .collect();
        let path = path.join(" ");
        let _infallible = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{path}\"/>"
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::moved;

    #[test]
    fn a_curve_has_a_point_for_each_count() {
        let counts = [
            ("flush 1/64", 100),
            ("flush 63/64", 10_000),
            ("poll 1/64", 9),
        ];
        let counts = counts.map(|(case, instructions)| Count {
            case: case.to_owned(),
            instructions,
        });
        let page = render("Title", &counts, &[]);
        assert!(page.contains("points=\"70.0,360.0 620.0,20.0\""), "{page}");
        assert!(
            page.contains(">1000</text>") && page.contains(">63</text>"),
            "{page}"
        );
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }

    #[test]
    fn lines_are_drawn_below() {
        let moved = [moved("flush", 4, 8), moved("flush", 4, 63)];
        let page = render("Title", &[], &moved);
        assert!(page.contains("<h2>Initiators: 4</h2>"), "{page}");
        assert!(!page.contains("Room for"), "{page}");
        assert!(page.contains("points=\"70.0,360.0 620.0,20.0\""), "{page}");
    }

    #[test]
    fn a_page_without_counts_is_no_nonsense() {
        let one = [Count {
            case: "poll 1/64".to_owned(),
            instructions: 9,
        }];
        for counts in [&[][..], &one] {
            let page = render("Title", counts, &[]);
            assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        }
    }
}
