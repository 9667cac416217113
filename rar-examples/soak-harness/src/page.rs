//! A soak as a page with a time line. The page is one file and loads nothing.

use std::fmt::Write as _;

use rar_harness::modes::Thread;
use rar_vocabulary::{Backend, Soak, SoakFault, SoakOperation};

use crate::report::total;
use crate::run::{Ended, rate};
use crate::slice::Machine;
use crate::table::sums;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 360.0;
/// Room for the labels, left and below.
const LEFT: f64 = 80.0;
const BELOW: f64 = 60.0;
const ABOVE: f64 = 20.0;

/// Machines and their colours.
const COLOURS: [(Machine, &str); 6] = [
    (Machine::Simulated(Backend::Model), "#505050"),
    (Machine::Simulated(Backend::Software), "#999999"),
    (Machine::Guest(Backend::Software, Thread::Single), "#005ab5"),
    (Machine::Guest(Backend::Vrar, Thread::Single), "#00825a"),
    (Machine::Guest(Backend::Software, Thread::Multi), "#6e3ca0"),
    (Machine::Guest(Backend::Vrar, Thread::Multi), "#aa5a00"),
];
const FAULTS: &str = "#dc3220";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:62em;\
    margin:2em auto;padding:0 1em}\
    svg{width:100%;height:auto}text{font:13px system-ui,sans-serif}.grid{stroke:#ddd}\
    table{border-collapse:collapse;margin:1em 0}td,th{padding:.1em .8em;text-align:right}\
    td:first-child,th:first-child{text-align:left}tr{border-bottom:1px solid #ddd}\
    .failed{color:#dc3220}\
    span{display:inline-block;margin-right:1.5em}\
    i{display:inline-block;width:1em;height:.7em;margin-right:.4em}";

/// Returns the page.
#[must_use]
pub fn render(seed: u64, slices: &[Ended]) -> String {
    let title = format!("Soak, seed {seed}");
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <title>{title}</title><style>{STYLE}</style>\n<h1>{title}</h1>\n<p>{}.</p>\n",
        sums(slices)
    );
    page.push_str(
        "<h2>Time line</h2>\n<p>Flushes in a second (line) and those that are verified (dashed), \
         slice after slice. The scale is logarithmic. Ticks below: injected faults.</p>\n<p>",
    );
    for (machine, colour) in COLOURS {
        legend(&mut page, colour, &machine.to_string());
    }
    legend(&mut page, FAULTS, "faults");
    let _infallible = write!(page, "</p>\n{}\n", svg(slices));
    page.push_str(&of_slices(slices));
    page.push_str(&of_kinds(&total(slices)));
    page.push_str("</html>\n");
    page
}

fn legend(page: &mut String, colour: &str, name: &str) {
    let _infallible = write!(
        page,
        "<span><i style=\"background:{colour}\"></i>{name}</span>"
    );
}

fn colour_of(machine: Machine) -> &'static str {
    let mut all = COLOURS.iter();
    let found = all.find(|(each, _)| *each == machine);
    found.map_or("#000", |(_, colour)| colour)
}

/// A second of a slice: when it was in the soak, and what was counted in it.
struct Point {
    at: f64,
    flushes: f64,
    verified: f64,
    faults: u64,
}

/// Returns the points of a slice that begins after that many seconds.
fn points(ended: &Ended, begin: f64) -> Vec<Point> {
    let mut before = Soak::default();
    let point = |soak: &Soak| {
        let point = Point {
            at: begin + soak.milliseconds as f64 / 1_000.0,
            flushes: rate(&before, soak, Soak::flushes),
            verified: rate(&before, soak, Soak::verified),
            faults: soak.injected().saturating_sub(before.injected()),
        };
        before = *soak;
        point
    };
    ended.samples.iter().map(point).collect()
}

fn svg(slices: &[Ended]) -> String {
    let mut begin = 0.0;
    let mut lines = Vec::new();
    for ended in slices {
        lines.push((ended, begin, points(ended, begin)));
        begin += ended.counts().milliseconds as f64 / 1_000.0;
    }
    let seconds = begin.max(1.0);
    let all = || lines.iter().flat_map(|(_, _, points)| points);
    let most = all().map(|point| point.flushes).fold(10.0, f64::max);
    let x = |at: f64| LEFT + at / seconds * (WIDTH - LEFT - 20.0);
    let y = |value: f64| {
        let height = HEIGHT - BELOW - ABOVE;
        HEIGHT - BELOW - value.max(1.0).ln() / most.ln() * height
    };
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for value in (0..7).map(|power| 10_f64.powi(power)) {
        if value <= most {
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
    }
    for (ended, begin, points) in &lines {
        let colour = colour_of(ended.slice.machine);
        let _infallible = write!(
            svg,
            "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{ABOVE}\" y2=\"{1:.1}\"/>",
            x(*begin),
            HEIGHT - BELOW
        );
        let curve = |count: fn(&Point) -> f64| {
            let place = |point: &Point| format!("{:.1},{:.1}", x(point.at), y(count(point)));
            points.iter().map(place).collect::<Vec<_>>().join(" ")
        };
        let _infallible = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"><title>{}</title></polyline>\
             <polyline fill=\"none\" stroke=\"{colour}\" stroke-dasharray=\"3 3\" points=\"{}\"/>",
            curve(|point| point.flushes),
            ended.slice,
            curve(|point| point.verified)
        );
        for point in points.iter().filter(|point| point.faults > 0) {
            let height = (point.faults as f64).ln_1p() * 5.0;
            let _infallible = write!(
                svg,
                "<line stroke=\"{FAULTS}\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" \
                 y2=\"{2:.1}\"/>",
                x(point.at),
                HEIGHT - BELOW + 4.0,
                HEIGHT - BELOW + 4.0 + height.min(30.0)
            );
        }
    }
    let _infallible = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{seconds:.0} s</text></svg>",
        WIDTH - 20.0,
        HEIGHT - 8.0
    );
    svg
}

fn of_slices(slices: &[Ended]) -> String {
    let mut table = "<h2>Slices</h2>\n<table><tr><th>slice</th><th>flushes</th><th>verified</th>\
                     <th>faults</th><th>accounted</th><th>stale</th><th>outcome</th></tr>\n"
        .to_owned();
    for ended in slices {
        let counts = ended.counts();
        let outcome = match ended.passed() {
            true => "<td>passed</td>".to_owned(),
            false => format!(
                "<td class=\"failed\">FAILED: {}</td>",
                escape(&ended.problems.join("; "))
            ),
        };
        let _infallible = writeln!(
            table,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{outcome}</tr>",
            ended.slice,
            counts.flushes(),
            counts.verified(),
            counts.injected(),
            counts.accounted(),
            counts.stale
        );
    }
    table.push_str("</table>\n<p><code>cargo xtask soak --replay SLICE</code> repeats one.</p>\n");
    table
}

fn of_kinds(total: &Soak) -> String {
    let mut table = "<h2>Flushes and faults</h2>\n<table><tr><th>kind</th><th>what</th>\
                     <th>flushes</th><th>verified</th></tr>\n"
        .to_owned();
    let mut row = |name: &str, what: &str, all: u64, good: u64| {
        let _infallible = writeln!(
            table,
            "<tr><td>{name}</td><td>{what}</td><td>{all}</td><td>{good}</td></tr>"
        );
    };
    for (kind, each) in SoakOperation::ALL.iter().zip(total.operations) {
        row(kind.name(), kind.describe(), each.flushes, each.verified);
    }
    row("<b>fault</b>", "", total.injected(), total.accounted());
    for (kind, each) in SoakFault::ALL.iter().zip(total.faults) {
        row(kind.name(), kind.describe(), each.injected, each.accounted);
    }
    table.push_str("</table>\n");
    table
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(problems: &[&str]) -> Ended {
        let sample = |seconds: u64| {
            let mut soak = Soak {
                milliseconds: 1_000 * seconds,
                ..Soak::default()
            };
            (soak.operations[0].flushes, soak.operations[0].verified) =
                (100 * seconds, 50 * seconds);
            soak.faults[0].injected = seconds / 2;
            soak
        };
        Ended {
            slice: "vrar-single:2:7:3".parse().unwrap(),
            samples: [1, 2, 3].map(sample).to_vec(),
            problems: problems.iter().map(|each| (*each).to_owned()).collect(),
            died: false,
            said: Vec::new(),
        }
    }

    #[test]
    fn the_time_line_has_each_second_of_each_slice() {
        let page = render(5, &[ended(&[]), ended(&[])]);
        assert!(page.contains("Soak, seed 5") && page.contains("600 flushes, 300 verified"));
        let curves: Vec<_> = page.split("<polyline").skip(1).collect();
        assert_eq!(curves.len(), 4);
        for curve in curves {
            let points = curve.split("points=\"").nth(1).unwrap();
            let points = points.split('"').next().unwrap();
            assert_eq!(points.split(' ').count(), 3, "{points}");
        }
        // A fault in the second second of each.
        assert_eq!(page.matches("<line stroke=\"#dc3220\"").count(), 2);
        assert!(!page.contains("http"), "a page loads nothing");
    }

    #[test]
    fn what_failed_is_named_with_how_to_repeat_it() {
        let page = render(5, &[ended(&["got 1 < 2"])]);
        assert!(page.contains("FAILED: got 1 &lt; 2"));
        assert!(page.contains("vrar-single:2:7:3"));
    }
}
