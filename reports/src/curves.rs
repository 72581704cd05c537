//! Curves over an axis of decades that is not time: what the figures of percentiles and of
//! t-visibility share.

use std::fmt::Write;

use plotters::prelude::*;

use crate::axis::{Axis, Scale, TimeAxis};
use crate::chart::{Chart, Format, body, draw_mesh, opening};
use crate::ink::{Ink, with_variables};

const HEIGHT: u32 = 280;
const FINE: u32 = 2;

/// One curve: place on the horizontal axis, in decades, and value.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    pub(crate) points: Vec<(f64, f64)>,
}

/// All curves of a figure.
#[derive(Clone, Debug)]
pub(crate) struct CurveChart {
    pub(crate) curves: Vec<Curve>,
    /// How values are drawn.
    pub(crate) scale: Scale,
    /// First and last place of the horizontal axis.
    pub(crate) ends: (f64, f64),
    /// Places with a label.
    pub(crate) ticks: Vec<f64>,
    pub(crate) label: fn(f64) -> String,
}

impl CurveChart {
    /// A value where the scale wants it: a logarithmic one takes decades.
    fn height(&self, value: f64) -> f64 {
        if self.scale == Scale::Log { value.max(1e-3).log10() } else { value }
    }

    fn draw(
        &self,
        (width, height): (u32, u32),
        axis: &Axis,
        into: &mut String,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(into, (width, height)).into_drawing_area();
        let across = Axis { low: self.ends.0, high: self.ends.1, ticks: Vec::new() };
        let mut chart = ChartBuilder::on(&root).build_cartesian_2d(across, axis.clone())?;
        for curve in self.curves.iter().rev() {
            let drawn = curve.points.iter().map(|&(x, value)| (x, self.height(value)));
            chart.draw_series(LineSeries::new(drawn, curve.ink.sentinel().stroke_width(2)))?;
        }
        drop(chart);
        root.present()?;
        Ok(())
    }
}

impl Chart for CurveChart {
    fn svg(&self, _: &TimeAxis, format: Format, title: &str) -> String {
        let values = self.curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1));
        let axis = Axis::of(self.scale, values);
        let (top, bottom) = (Format::TOP, HEIGHT - Format::BOTTOM);
        let mut svg = opening(format, HEIGHT, title);
        let (low, high) = self.ends;
        let mut free_from = f64::NEG_INFINITY;
        for &tick in &self.ticks {
            let x =
                f64::from(format.left()) + f64::from(format.plot()) * (tick - low) / (high - low);
            // Labels that would run into each other, as on a narrow page, are left out.
            if x < free_from {
                continue;
            }
            free_from = x + 34.0;
            // Writing to a string cannot fail.
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                x.min(f64::from(format.width()) - 26.0),
                bottom + 16,
                (self.label)(tick)
            );
        }
        let mut mesh = String::new();
        draw_mesh(format, HEIGHT, &axis, &|value| self.scale.label(value), &mut mesh)
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
