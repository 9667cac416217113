//! Plots, as SVG that needs nothing else.
//!
//! No text of a report goes into a plot: captions are made where all text is escaped.

use crate::report::Report;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;
use rar_report::{Backend, Histogram, Measurement, Method};
use std::collections::BTreeMap;

const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(0, 130, 90),
    RGBColor(170, 90, 0),
    RGBColor(110, 60, 160),
    RGBColor(80, 80, 80),
];

/// Targets, median and 99th percentile of each point of each line.
type Lines = BTreeMap<(Backend, Method), Vec<(f64, f64, f64)>>;

type Error = DrawingAreaErrorKind<std::io::Error>;

/// Median and 99th percentile of each backend and method over the number of targets; `None` if there is nothing to connect.
pub(crate) fn by_targets(report: &Report<'_>, measurements: &[&Measurement<'_>]) -> Option<String> {
    let mut lines = Lines::new();
    for measurement in measurements
        .iter()
        .filter(|measurement| measurement.targets > 0)
    {
        let value = |ticks| report.nanoseconds(ticks).unwrap_or(ticks as f64).max(1.0);
        let point = (
            f64::from(measurement.targets),
            value(measurement.p50),
            value(measurement.p99),
        );
        lines
            .entry((measurement.backend, measurement.method))
            .or_default()
            .push(point);
    }
    if !lines.values().any(|points| points.len() > 1) {
        return None;
    }
    let unit = if report.nanoseconds(0).is_some() {
        "ns"
    } else {
        "ticks"
    };
    let mut svg = String::new();
    draw_lines(&mut svg, lines, unit).ok()?;
    Some(svg)
}

fn draw_lines(svg: &mut String, lines: Lines, unit: &str) -> Result<(), Error> {
    let points = || lines.values().flatten();
    let most_targets = points().map(|point| point.0).fold(2.0, f64::max);
    let least = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let most = points()
        .map(|point| point.2.max(point.1))
        .fold(least, f64::max);
    let area = SVGBackend::with_string(svg, (640, 320)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(
            (1.0..most_targets * 1.1).log_scale(),
            (least / 1.3..most * 1.3).log_scale(),
        )?;
    mesh(&mut chart, "targets", unit)?;
    for (((backend, method), mut points), colour) in
        lines.into_iter().zip(COLOURS.into_iter().cycle())
    {
        points.sort_by(|left, right| left.0.total_cmp(&right.0));
        let p99 = points.iter().map(|point| (point.0, point.2));
        chart.draw_series(LineSeries::new(p99, colour.mix(0.35)))?;
        let p50 = points.iter().map(|point| (point.0, point.1));
        chart
            .draw_series(LineSeries::new(p50, colour.stroke_width(2)).point_size(3))?
            .label(format!("{} {}", backend.name(), method.name()))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    area.present()?;
    Ok(())
}

fn mesh<X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    x: &str,
    y: &str,
) -> Result<(), Error>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let whole = |value: &f64| format!("{value:.0}");
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .draw()?;
    Ok(())
}

/// A histogram, one bar for each power of two; its height is the logarithm of the count, so that rare long flushes are seen.
pub(crate) fn histogram(histogram: &Histogram) -> Option<String> {
    let first = histogram.buckets().next()?.0;
    let last = histogram.buckets().last()?.0;
    let most = histogram.buckets().map(|(_, count)| count).max()?;
    let mut svg = String::new();
    draw_bars(&mut svg, histogram, first..last + 1, most).ok()?;
    Some(svg)
}

fn draw_bars(
    svg: &mut String,
    histogram: &Histogram,
    buckets: std::ops::Range<u32>,
    most: u32,
) -> Result<(), Error> {
    let area = SVGBackend::with_string(svg, (160, 48)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(2)
        .margin_left(14)
        .margin_right(14)
        .x_label_area_size(14)
        .build_cartesian_2d(
            f64::from(buckets.start)..f64::from(buckets.end),
            0.0..height(most),
        )?;
    let exponent = |bucket: &f64| format!("2^{bucket:.0}");
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_y_axis()
        .x_labels(4)
        .x_label_formatter(&exponent)
        .draw()?;
    let bars = histogram.buckets().map(|(bucket, count)| {
        let left = f64::from(bucket);
        Rectangle::new(
            [(left + 0.05, 0.0), (left + 0.95, height(count))],
            COLOURS.first().map_or(BLACK.filled(), |c| c.filled()),
        )
    });
    chart.draw_series(bars)?;
    area.present()
}

fn height(count: u32) -> f64 {
    f64::from(count).ln_1p()
}
