//! The t-visibility curves as a figure: the age of a read after the user's last write, on a
//! logarithmic scale, and the part of such reads that was stale.

use std::fmt::Write;

use plotters::prelude::*;
use wavetank_world::Plan;

use crate::axis::{Axis, Scale, TimeAxis};
use crate::chart::{Chart, Format, body, draw_mesh, opening};
use crate::ink::{Ink, with_variables};
use crate::recorder::Recorder;
use crate::visibility::AgeBin;

const HEIGHT: u32 = 280;
const FINE: u32 = 2;
/// Reads that a point of the curve must rest on.
pub(crate) const ENOUGH: u64 = 200;

/// One client's curve.
#[derive(Clone, Debug)]
pub(crate) struct AgeCurve {
    /// The client and its routing.
    pub(crate) name: String,
    pub(crate) ink: Ink,
    /// Bins of enough reads.
    pub(crate) bins: Vec<AgeBin>,
}

/// All curves.
#[derive(Clone, Debug)]
pub(crate) struct VisibilityChart {
    pub(crate) curves: Vec<AgeCurve>,
}

/// The curves of a run, of the clients whose users read after they had written.
pub(crate) fn chart(plan: &Plan, recorder: &Recorder) -> VisibilityChart {
    let mut curves = Vec::new();
    for (client, curve) in plan.clients.iter().zip(recorder.visibility().curves()) {
        let bins = gathered(curve.bins());
        if bins.len() > 1 {
            let name = format!("{}, {}", client.name, client.routing.name());
            curves.push(AgeCurve { name, ink: Ink::Nth(curves.len()), bins });
        }
    }
    VisibilityChart { curves }
}

/// Neighbouring bins taken together until each has enough reads.
fn gathered(bins: impl Iterator<Item = AgeBin>) -> Vec<AgeBin> {
    let mut all: Vec<AgeBin> = Vec::new();
    for bin in bins {
        match all.last_mut() {
            Some(last) if last.reads < ENOUGH => {
                last.to_ms = bin.to_ms;
                last.reads += bin.reads;
                last.stale += bin.stale;
            }
            _ => all.push(bin),
        }
    }
    all.retain(|bin| bin.reads >= ENOUGH);
    all
}

/// Decades from a millisecond on; what is younger lies at its left.
fn place(ms: f64) -> f64 {
    ms.max(1.0).log10()
}

/// The middle of a bin on that scale.
fn middle(bin: &AgeBin) -> f64 {
    let to = if bin.to_ms.is_finite() { bin.to_ms } else { bin.from_ms };
    (place(bin.from_ms) + place(to)) / 2.0
}

fn label(decades: f64) -> String {
    let ms = 10f64.powf(decades).round();
    if ms >= 1_000.0 { format!("{} s", ms / 1_000.0) } else { format!("{ms} ms") }
}

impl VisibilityChart {
    fn ends(&self) -> (f64, f64) {
        let all = || self.curves.iter().flat_map(|curve| &curve.bins).map(middle);
        let low = all().fold(f64::INFINITY, f64::min).floor();
        (low, all().fold(low + 1.0, f64::max))
    }

    fn draw(
        &self,
        (width, height): (u32, u32),
        axis: &Axis,
        into: &mut String,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(into, (width, height)).into_drawing_area();
        let (low, high) = self.ends();
        let across = Axis { low, high, ticks: Vec::new() };
        let mut chart = ChartBuilder::on(&root).build_cartesian_2d(across, axis.clone())?;
        for curve in self.curves.iter().rev() {
            let drawn = curve.bins.iter().map(|bin| (middle(bin), bin.part()));
            chart.draw_series(LineSeries::new(drawn, curve.ink.sentinel().stroke_width(2)))?;
        }
        drop(chart);
        root.present()?;
        Ok(())
    }
}

impl Chart for VisibilityChart {
    fn svg(&self, _: &TimeAxis, format: Format, title: &str) -> String {
        let values = self.curves.iter().flat_map(|curve| curve.bins.iter().map(AgeBin::part));
        let axis = Axis::of(Scale::Percent, values);
        let (top, bottom) = (Format::TOP, HEIGHT - Format::BOTTOM);
        let mut svg = opening(format, HEIGHT, title);
        let (low, high) = self.ends();
        let decades = (0..=6).map(f64::from).filter(|at| (low..=high).contains(at));
        for at in decades {
            let part = (at - low) / (high - low);
            let x = f64::from(format.left()) + f64::from(format.plot()) * part;
            // Writing to a string cannot fail.
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                x.min(f64::from(format.width()) - 26.0),
                bottom + 16,
                label(at)
            );
        }
        let mut mesh = String::new();
        draw_mesh(format, HEIGHT, &axis, &|value| Scale::Percent.label(value), &mut mesh)
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

    #[test]
    fn few_reads_are_taken_together() {
        let bin =
            |from: f64, reads, stale| AgeBin { from_ms: from, to_ms: from * 2.0, reads, stale };
        let bins = [bin(1.0, 70, 10), bin(2.0, 135, 4), bin(4.0, 300, 1), bin(8.0, 3, 0)];
        let all = gathered(bins.into_iter());
        let found: Vec<(f64, f64, u64, u64)> =
            all.iter().map(|b| (b.from_ms, b.to_ms, b.reads, b.stale)).collect();
        assert_eq!(found, [(1.0, 4.0, 205, 14), (4.0, 8.0, 300, 1)]);
        assert_eq!([0.0, 2.0, 3.0, 5.0].map(label), ["1 ms", "100 ms", "1 s", "100 s"]);
    }
}
