//! Latency over percentiles: the horizontal axis is 1/(1-p) on a logarithmic scale, as
//! HdrHistogram plots it, so that each further nine takes as much room as the one before.

use std::fmt::Write;

use plotters::prelude::*;
use wavetank_world::Plan;

use crate::axis::{Axis, Scale, TimeAxis};
use crate::chart::{Chart, Format, body, draw_mesh, opening};
use crate::ink::{Ink, with_variables};
use crate::operations::OperationStats;
use crate::recorder::Recorder;

/// Points of a curve per tenfold of 1/(1-p).
const PER_DECADE: u32 = 40;
/// Samples that must lie beyond the last point: the rule for every percentile.
const BEYOND: f64 = 10.0;
const HEIGHT: u32 = 280;
const FINE: u32 = 2;

/// One operation's curve: decimal logarithm of 1/(1-p), latency in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    pub(crate) points: Vec<(f64, f64)>,
}

/// All curves.
#[derive(Clone, Debug)]
pub(crate) struct PercentileChart {
    pub(crate) curves: Vec<Curve>,
}

/// The curve of one kind of operation; empty when there were too few.
pub(crate) fn points(stats: &OperationStats) -> Vec<(f64, f64)> {
    let latency = stats.latency();
    let longest = stats.longest().map_or(0, |span| span.as_nanos());
    let most = latency.len() as f64 / BEYOND;
    let steps = (0u32..).map(|n| f64::from(n) / f64::from(PER_DECADE));
    steps
        .take_while(|decades| 10f64.powf(*decades) <= most)
        .map(|decades| {
            let quantile = 1.0 - 10f64.powf(-decades);
            let nanos = latency.value_at_quantile(quantile).min(longest);
            (decades, nanos as f64 / 1e6)
        })
        .collect()
}

/// The curves of a run's operations, as far as they have any.
pub(crate) fn chart(plan: &Plan, recorder: &Recorder) -> PercentileChart {
    let mut curves = Vec::new();
    for (index, client) in plan.clients.iter().enumerate() {
        for &(kind, _) in &client.mix {
            let named = plan.operations.get(kind.index());
            let Some((program, stats)) = named.zip(recorder.operation(index, kind)) else {
                continue;
            };
            let points = points(stats);
            if points.len() > 1 {
                let name = format!("{}.{}", client.name, program.name);
                curves.push(Curve { name, ink: Ink::Nth(curves.len()), points });
            }
        }
    }
    PercentileChart { curves }
}

/// `50 %`, `99.9 %`.
fn label(decades: f64) -> String {
    let percent = 100.0 * (1.0 - 10f64.powf(-decades));
    let digits = (decades - 2.0).max(0.0).round() as usize;
    format!("{percent:.digits$} %")
}

impl PercentileChart {
    fn end(&self) -> f64 {
        let ends = self.curves.iter().filter_map(|curve| Some(curve.points.last()?.0));
        ends.fold(1.0, f64::max)
    }

    fn draw(
        &self,
        (width, height): (u32, u32),
        axis: &Axis,
        into: &mut String,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(into, (width, height)).into_drawing_area();
        let across = Axis { low: 0.0, high: self.end(), ticks: Vec::new() };
        let mut chart = ChartBuilder::on(&root).build_cartesian_2d(across, axis.clone())?;
        for curve in self.curves.iter().rev() {
            let drawn = curve.points.iter().map(|&(x, ms)| (x, ms.max(1e-3).log10()));
            chart.draw_series(LineSeries::new(drawn, curve.ink.sentinel().stroke_width(2)))?;
        }
        drop(chart);
        root.present()?;
        Ok(())
    }
}

impl Chart for PercentileChart {
    fn svg(&self, _: &TimeAxis, format: Format, title: &str) -> String {
        let values = self.curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1));
        let axis = Axis::of(Scale::Log, values);
        let (top, bottom) = (Format::TOP, HEIGHT - Format::BOTTOM);
        let mut svg = opening(format, HEIGHT, title);
        let end = self.end();
        let nines = (1..=7).map(f64::from).take_while(|decades| *decades <= end);
        // On a narrow page the first two would run into each other.
        let first = if format == Format::Wide { 0 } else { 1 };
        for decades in [0.0, 2f64.log10()].into_iter().skip(first).chain(nines) {
            let x = f64::from(format.left()) + f64::from(format.plot()) * decades / end;
            // Writing to a string cannot fail.
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                x.min(f64::from(format.width()) - 26.0),
                bottom + 16,
                label(decades)
            );
        }
        let mut mesh = String::new();
        draw_mesh(format, HEIGHT, &axis, &|value| Scale::Log.label(value), &mut mesh)
            .expect("drawing into a string cannot fail");
        svg.push_str(&with_variables(body(&mesh)));
        let size = (format.plot() * FINE, (bottom - top) * FINE);
        let mut lines = String::new();
        self.draw(size, &axis, &mut lines).expect("nor can this");
        let _ = writeln!(
            svg,
            "<svg x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" \
             preserveAspectRatio=\"none\">{}</svg></svg>",
            format.left(),
            format.plot(),
            bottom - top,
            size.0,
            size.1,
            with_variables(body(&lines))
        );
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::{OperationOutcome, Span, Time};

    #[test]
    fn each_nine_takes_as_much_room_and_has_its_label() {
        let labels: Vec<String> = [0.0, 2f64.log10(), 1.0, 2.0, 3.0, 4.0].map(label).to_vec();
        assert_eq!(labels, ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }

    #[test]
    fn a_curve_ends_where_fewer_than_ten_samples_lie_beyond() {
        let mut stats = OperationStats::default();
        for n in 1..=1_000u64 {
            let end = Time::ZERO + Span::from_millis(n);
            stats.complete(OperationOutcome::Ok, 1, Time::ZERO, end);
        }
        let points = points(&stats);
        let (last, ms) = points[points.len() - 1];
        assert!((last - 2.0).abs() < 1e-9, "1,000 samples are enough for 99 %: {last}");
        assert!((ms - 990.0).abs() < 2.0, "{ms}");
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        let median = points.iter().find(|point| point.0 >= 2f64.log10()).map(|point| point.1);
        assert!(median.is_some_and(|ms| (ms - 500.0).abs() < 30.0), "{median:?}");
        assert!(super::points(&OperationStats::default()).is_empty());
    }
}
