//! Plots, as SVG that needs nothing else.
//!
//! No text of a report goes into a plot: captions are made where all text is escaped.

use std::ops::Range;

use plotters::prelude::*;
use rar_report::Histogram;

use crate::figures::Figure;

const COLOURS: [RGBColor; 9] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(0, 130, 90),
    RGBColor(110, 60, 160),
    RGBColor(170, 90, 0),
    RGBColor(80, 80, 80),
    RGBColor(0, 140, 170),
    RGBColor(200, 60, 140),
    RGBColor(120, 120, 0),
];

/// How many labels the axis of times has room for.
const MOST_LABELS: usize = 6;

type Error = DrawingAreaErrorKind<std::io::Error>;

fn colour(number: usize) -> RGBColor {
    COLOURS.get(number).copied().unwrap_or(BLACK)
}

/// Returns the rules that colour plots as the page does, in the light and in the dark: they
/// overrule what the plots say themselves.
pub(crate) fn style() -> String {
    let rule = |(number, RGBColor(red, green, blue)): (usize, &RGBColor)| {
        let written = format!("#{red:02X}{green:02X}{blue:02X}");
        let named = format!("var(--c{number})");
        format!(
            "svg [stroke=\"{written}\"] {{ stroke: {named}; }}\n\
             svg [fill=\"{written}\"] {{ fill: {named}; }}\n"
        )
    };
    COLOURS.iter().enumerate().map(rule).collect()
}

/// Median and 99th percentile of each curve; both axes are logarithmic. `None` if there is nothing
/// to draw.
pub(crate) fn curves(figure: &Figure, unit: Unit) -> Option<String> {
    let mut svg = String::new();
    draw_curves(&mut svg, figure, unit).ok()?;
    Some(svg)
}

/// What times are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Ticks of a counter whose rate is not known.
    Ticks,
}

impl Unit {
    /// Returns a value in words that fit beside an axis.
    pub(crate) fn label(self, value: f64) -> String {
        let (value, suffix) = match value {
            value if value >= 1e6 => (value / 1e6, ["ms", "M"]),
            value if value >= 1e3 => (value / 1e3, ["µs", "k"]),
            value => (value, ["ns", ""]),
        };
        let [nanoseconds, ticks] = suffix;
        match self {
            Self::Nanoseconds => format!("{value:.0} {nanoseconds}"),
            Self::Ticks => format!("{value:.0}{ticks}"),
        }
    }

    const fn axis(self) -> &'static str {
        match self {
            Self::Nanoseconds => "time of one flush",
            Self::Ticks => "ticks of one flush",
        }
    }
}

/// Returns where an axis from `least` to `most` has labels: 1, 2 and 5 of each power of ten, or
/// fewer if those are too many.
fn round_values(least: f64, most: f64) -> Vec<f64> {
    let choose = |steps: &[f64]| -> Vec<f64> {
        let powers = (0..=18).map(|power| 10_f64.powi(power));
        let values = powers.flat_map(|power| steps.iter().map(move |step| step * power));
        values
            .filter(|value| (least..=most).contains(value))
            .collect()
    };
    let fine = choose(&[1.0, 2.0, 5.0]);
    if fine.len() <= MOST_LABELS {
        fine
    } else {
        choose(&[1.0])
    }
}

fn draw_curves(svg: &mut String, figure: &Figure, unit: Unit) -> Result<(), Error> {
    let points = || figure.curves.iter().flat_map(|curve| &curve.points);
    let least = points()
        .map(|point| point.p50)
        .fold(f64::INFINITY, f64::min)
        / 1.3;
    let most = points()
        .map(|point| point.p99.max(point.p50))
        .fold(least, f64::max)
        * 1.3;
    let places = figure.places.iter().map(|(at, _)| *at);
    let (left, right) = (
        places.clone().fold(f64::INFINITY, f64::min) / 1.1,
        places.clone().fold(1.0, f64::max) * 1.1,
    );
    let area = SVGBackend::with_string(svg, (560, 340)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .x_label_area_size(48)
        .y_label_area_size(84)
        .build_cartesian_2d(
            (left..right).log_scale().with_key_points(places.collect()),
            (least..most)
                .log_scale()
                .with_key_points(round_values(least, most)),
        )?;
    let place = |at: &f64| {
        let mut places = figure.places.iter();
        let found = places.find(|(place, _)| (place - at).abs() < 0.5);
        found.map_or_else(String::new, |(_, label)| label.clone())
    };
    let time = |value: &f64| unit.label(*value);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 16))
        .x_labels(figure.places.len())
        .y_labels(2 * MOST_LABELS)
        .axis_desc_style(("sans-serif", 17))
        .x_desc(figure.axis)
        .y_desc(unit.axis())
        .x_label_formatter(&place)
        .y_label_formatter(&time)
        .draw()?;
    for curve in &figure.curves {
        let colour = colour(curve.colour);
        let p99 = curve.points.iter().map(|point| (point.at, point.p99));
        chart.draw_series(LineSeries::new(p99, colour.mix(0.35)))?;
        let p50 = curve.points.iter().map(|point| (point.at, point.p50));
        chart.draw_series(LineSeries::new(p50, colour.stroke_width(2)).point_size(3))?;
    }
    area.present()?;
    Ok(())
}

/// A histogram, one bar for each power of two; its height is the logarithm of the count, so that
/// rare long flushes are seen. All histograms with the same `buckets` have the same axis.
pub(crate) fn histogram(histogram: &Histogram, buckets: &Range<u32>) -> Option<String> {
    let most = histogram.buckets().map(|(_, count)| count).max()?;
    let mut svg = String::new();
    draw_bars(&mut svg, histogram, buckets, most).ok()?;
    Some(svg)
}

fn draw_bars(
    svg: &mut String,
    histogram: &Histogram,
    buckets: &Range<u32>,
    most: u32,
) -> Result<(), Error> {
    let area = SVGBackend::with_string(svg, (160, 28)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area).margin(2).build_cartesian_2d(
        f64::from(buckets.start)..f64::from(buckets.end),
        0.0..height(most),
    )?;
    let bars = histogram.buckets().map(|(bucket, count)| {
        let left = f64::from(bucket);
        Rectangle::new(
            [(left + 0.05, 0.0), (left + 0.95, height(count))],
            colour(0).filled(),
        )
    });
    chart.draw_series(bars)?;
    area.present()
}

fn height(count: u32) -> f64 {
    f64::from(count).ln_1p()
}
