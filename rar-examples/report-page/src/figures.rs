//! Which plots a report has: latency over targets, over pages, and over CPUs that flush at once.

use std::collections::BTreeSet;

use rar_report::{Backend, Measurement, Method};

use crate::report::Report;
use crate::text;

/// One plot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    /// What all its points have in common.
    pub(crate) common: String,
    /// What grows from left to right.
    pub(crate) axis: &'static str,
    /// Where points stand on that axis, each with its label.
    pub(crate) places: Vec<(f64, String)>,
    /// The curves.
    pub(crate) curves: Vec<Curve>,
}

/// One way to flush.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    /// Who answers, and by what means.
    pub(crate) name: String,
    /// Which colour it has: the same in every plot.
    pub(crate) colour: usize,
    /// The points, from left to right.
    pub(crate) points: Vec<Point>,
}

/// One measurement: in nanoseconds, or in ticks where their rate is not known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Where it stands.
    pub(crate) at: f64,
    /// Its median.
    pub(crate) p50: f64,
    /// What 99 of 100 do not exceed.
    pub(crate) p99: f64,
}

type Members<'r, 'a> = Vec<&'r Measurement<'a>>;

/// Returns the plots of a report: those over targets, then those over pages, then those over
/// initiators.
pub(crate) fn figures(report: &Report<'_>) -> Vec<Figure> {
    let all = || {
        let measurements = report.measurements.iter();
        measurements.filter(|each| each.method.flushes())
    };
    let bare = |state| {
        let measurements = report.measurements.iter();
        measurements.filter(move |each| each.method == Method::BareIpi && each.state == state)
    };
    let alone = || all().filter(|each| each.initiators == 1 && each.targets > 0);
    let mut figures = Vec::new();

    let by_targets = grouped(alone(), |each| (each.state, each.pages));
    let sweeps = by_targets.iter().map(|(_, group)| distinct(group, targets));
    let widest = sweeps.max().unwrap_or(0).max(2);
    for ((state, pages), mut group) in by_targets {
        // Of some numbers of pages only few and many targets are measured: they stand in the plots
        // over pages.
        if distinct(&group, targets) == widest {
            group.extend(bare(state));
            let common = format!("{}, targets {state}", text::pages(pages));
            figures.push(figure(
                report,
                common,
                "targets: CPUs that are flushed",
                &group,
                targets,
            ));
        }
    }

    let local_backend = all().find(|each| each.targets == 0);
    let local_backend = local_backend.map(|each| each.backend);
    let local = || all().filter(|each| each.targets == 0 && Some(each.backend) == local_backend);
    for ((state, targets), mut group) in grouped(alone(), |each| (each.state, each.targets)) {
        if distinct(&group, pages) > 2 {
            group.extend(local());
            let common = format!("{}, {state}", text::targets(targets));
            figures.push(figure(report, common, "pages of one flush", &group, pages));
        }
    }

    let remote = all().filter(|each| each.targets > 0);
    for ((state, pages, targets), group) in
        grouped(remote, |each| (each.state, each.pages, each.targets))
    {
        if distinct(&group, initiators) > 1 {
            let (pages, targets) = (text::pages(pages), text::targets(targets));
            let common = format!("{pages} of {targets} each, {state}");
            figures.push(figure(
                report,
                common,
                "CPUs that flush at once",
                &group,
                initiators,
            ));
        }
    }
    figures
}

fn targets(measurement: &Measurement<'_>) -> u32 {
    measurement.targets
}

fn pages(measurement: &Measurement<'_>) -> u32 {
    measurement.pages
}

fn initiators(measurement: &Measurement<'_>) -> u32 {
    measurement.initiators
}

/// Returns groups of measurements, both in the order in which they were made.
fn grouped<'r, 'a: 'r, K: PartialEq>(
    measurements: impl Iterator<Item = &'r Measurement<'a>>,
    key: impl Fn(&Measurement<'a>) -> K,
) -> Vec<(K, Members<'r, 'a>)> {
    let mut groups = Vec::<(K, Members<'r, 'a>)>::new();
    for each in measurements {
        let key = key(each);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(each),
            None => groups.push((key, vec![each])),
        }
    }
    groups
}

fn distinct(group: &Members<'_, '_>, value: fn(&Measurement<'_>) -> u32) -> usize {
    group
        .iter()
        .map(|each| value(each))
        .collect::<BTreeSet<_>>()
        .len()
}

fn figure(
    report: &Report<'_>,
    common: String,
    axis: &'static str,
    group: &Members<'_, '_>,
    value: fn(&Measurement<'_>) -> u32,
) -> Figure {
    let values: BTreeSet<_> = group.iter().map(|each| value(each)).collect();
    // Everything is more than any number of pages.
    let everything = f64::from(values.last().copied().unwrap_or(1).max(1)) * 2.0;
    let at = |value: u32| match value {
        0 => everything,
        value => f64::from(value),
    };
    let label = |value: u32| match value {
        0 => "all".to_owned(),
        value => value.to_string(),
    };
    let mut places: Vec<_> = values
        .iter()
        .map(|each| (at(*each), label(*each)))
        .collect();
    places.sort_by(|left, right| left.0.total_cmp(&right.0));
    let ways = grouped(group.iter().copied(), |each| (each.backend, each.method));
    let time = |ticks| report.nanoseconds(ticks).unwrap_or(ticks as f64).max(1.0);
    let curves = ways.into_iter().map(|((backend, method), members)| {
        let mut points: Vec<_> = members
            .iter()
            .map(|each| Point {
                at: at(value(each)),
                p50: time(each.p50),
                p99: time(each.p99),
            })
            .collect();
        points.sort_by(|left, right| left.at.total_cmp(&right.at));
        Curve {
            name: name(backend, method),
            colour: colour(backend, method),
            points,
        }
    });
    Figure {
        common,
        axis,
        places,
        curves: curves.collect(),
    }
}

fn name(backend: Backend, method: Method) -> String {
    match method {
        Method::Invlpg | Method::Full | Method::Cr3 | Method::Clock | Method::BareExit => {
            format!("local {}", method.name())
        }
        _ => format!("{} {}", backend.name(), method.name()),
    }
}

const fn colour(backend: Backend, method: Method) -> usize {
    match (method, backend) {
        (Method::Rar, Backend::Hardware) => 0,
        (Method::Ipi, _) => 1,
        (Method::Nmi, _) => 2,
        (Method::Rar, _) => 3,
        (Method::Invlpg, _) => 4,
        (Method::Full, _) => 5,
        (Method::Cr3 | Method::Clock | Method::BareExit, _) => 6,
        (Method::BareIpi, Backend::Software) => 7,
        (Method::BareIpi, _) => 8,
    }
}

#[cfg(test)]
mod tests {
    use rar_report::Histogram;

    use super::*;

    fn measured(method: Method, targets: u32, pages: u32, initiators: u32) -> Measurement<'static> {
        Measurement {
            backend: Backend::Software,
            method,
            targets,
            pages,
            state: if targets == 0 { "local" } else { "spinning" },
            initiators,
            samples: 1,
            min: 10,
            p50: 20 + u64::from(targets),
            p99: 30,
            max: 30,
            histogram: Histogram::new(),
            spoiled: 0,
            disturbances: rar_report::Disturbances::NONE,
        }
    }

    fn of(measurements: &[Measurement<'static>]) -> Vec<Figure> {
        let report = Report {
            measurements: measurements.to_vec(),
            ..Report::default()
        };
        figures(&report)
    }

    fn axes(figures: &[Figure]) -> Vec<(&str, &str)> {
        let figures = figures.iter();
        figures
            .map(|each| (each.common.as_str(), each.axis))
            .collect()
    }

    #[test]
    fn each_line_of_points_is_one_plot() {
        let ipi = |targets, pages, initiators| measured(Method::Ipi, targets, pages, initiators);
        let all = [
            measured(Method::Invlpg, 0, 1, 1),
            measured(Method::Invlpg, 0, 8, 1),
            measured(Method::Clock, 0, 0, 1),
            measured(Method::Cr3, 0, 0, 1),
            ipi(4, 1, 1),
            ipi(2, 1, 1),
            ipi(1, 1, 1),
            ipi(1, 8, 1),
            ipi(4, 8, 1),
            ipi(4, 0, 1),
            ipi(4, 1, 2),
            ipi(4, 1, 5),
            measured(Method::BareIpi, 1, 0, 1),
            measured(Method::BareIpi, 4, 0, 1),
            measured(Method::BareExit, 0, 0, 1),
        ];
        let figures = of(&all);
        assert_eq!(
            axes(&figures),
            [
                ("1 page, targets spinning", "targets: CPUs that are flushed"),
                ("4 targets, spinning", "pages of one flush"),
                (
                    "1 page of 4 targets each, spinning",
                    "CPUs that flush at once"
                ),
            ]
        );
        let places = |figure: usize| {
            let places = figures[figure].places.iter();
            places.map(|(_, label)| label.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(places(0), ["1", "2", "4"]);
        assert_eq!(places(1), ["1", "8", "all"]);
        assert_eq!(places(2), ["1", "2", "5"]);
        let medians: Vec<_> = figures[0].curves[0]
            .points
            .iter()
            .map(|each| each.p50)
            .collect();
        assert_eq!(medians, [21.0, 22.0, 24.0]);
        let names = |figure: usize| {
            let curves = figures[figure].curves.iter();
            curves.map(|each| each.name.as_str()).collect::<Vec<_>>()
        };
        // Beside the flushes of a page, what none of them can be faster than.
        assert_eq!(names(0), ["software ipi", "software bare-ipi"]);
        assert_eq!(names(1), ["software ipi", "local invlpg", "local cr3"]);
    }

    #[test]
    fn single_points_make_no_plot() {
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[measured(Method::Ipi, 1, 1, 1)]), []);
        assert_eq!(of(&[measured(Method::Invlpg, 0, 1, 1)]), []);
    }
}
