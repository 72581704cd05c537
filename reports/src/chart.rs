//! Figures as SVG to be set into a page.
//!
//! Lines and axes are drawn by plotters, which stands behind the [`Chart`] trait and can be
//! replaced here alone. Each figure is drawn twice, for wide and for narrow pages: a
//! scaled-down figure would have unreadable labels. What lies over the time axis is an SVG
//! of its own within the figure, whose view can be narrowed: so the page's script zooms
//! without drawing anything anew.

use std::fmt::Write;

use plotters::prelude::*;

use crate::axis::{Axis, Scale, TimeAxis};
use crate::ink::{Ink, with_variables};

/// Something that can be drawn.
pub(crate) trait Chart {
    /// The figure in that format; `title` is for readers who do not see it.
    fn svg(&self, time: &TimeAxis, format: Format, title: &str) -> String;
}

/// For which pages a figure is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Wide,
    Narrow,
}

impl Format {
    pub(crate) const BOTH: [Format; 2] = [Format::Wide, Format::Narrow];

    /// The class of the style sheet that shows it where it fits.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Format::Wide => "wide",
            Format::Narrow => "narrow",
        }
    }

    pub(crate) const fn width(self) -> u32 {
        match self {
            Format::Wide => 1_000,
            Format::Narrow => 370,
        }
    }

    /// Room for the labels left of the plot.
    pub(crate) const fn left(self) -> u32 {
        match self {
            Format::Wide => 64,
            Format::Narrow => 58,
        }
    }

    pub(crate) const RIGHT: u32 = 14;
    pub(crate) const BOTTOM: u32 = 22;
    pub(crate) const TOP: u32 = 8;

    const fn height(self) -> u32 {
        match self {
            Format::Wide => 168,
            Format::Narrow => 160,
        }
    }

    /// The width of the plot itself.
    pub(crate) const fn plot(self) -> u32 {
        self.width() - self.left() - Self::RIGHT
    }

    /// As many labels as fit below an axis.
    pub(crate) const fn most_ticks(self) -> f64 {
        match self {
            Format::Wide => 13.0,
            Format::Narrow => 6.0,
        }
    }
}

/// Data is drawn in units that much finer than the figure's, so that it can be looked at
/// closely.
const FINE: u32 = 4;

/// A curve: one value per point, with gaps where nothing was measured.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    pub(crate) points: Vec<(f64, Option<f64>)>,
    /// The smallest and largest of what each point stands for; empty when that is the point
    /// itself.
    pub(crate) spread: Vec<Option<(f64, f64)>>,
    /// Drawn as dots that are not joined.
    pub(crate) dots: bool,
}

impl Line {
    /// The values with what they range over.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        let spread = self.spread.iter().flatten().flat_map(|&(low, high)| [low, high]);
        self.points.iter().filter_map(|point| point.1).chain(spread)
    }
}

/// A value that others are compared with.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) value: f64,
    pub(crate) name: String,
}

/// Curves over time.
#[derive(Clone, Debug)]
pub(crate) struct LineChart {
    pub(crate) scale: Scale,
    pub(crate) lines: Vec<Line>,
    /// Drawn across, and kept in sight.
    pub(crate) limit: Option<Limit>,
    /// Values that the vertical axis holds as well: those of a figure beside which this one
    /// is read.
    pub(crate) holds: Vec<f64>,
    /// Points further apart than this are not joined, in seconds.
    pub(crate) longest_gap: f64,
}

impl LineChart {
    /// Whether there is anything to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.points.iter().all(|(_, value)| value.is_none()))
    }

    fn axis(&self) -> Axis {
        let limit = self.limit.iter().map(|limit| limit.value);
        let own = self.lines.iter().flat_map(Line::values);
        Axis::of(self.scale, own.chain(limit).chain(self.holds.iter().copied()))
    }

    /// The coordinate that is drawn.
    fn coordinate(&self, value: f64) -> f64 {
        if self.scale == Scale::Log { value.max(1e-3).log10() } else { value }
    }

    /// Points that are to be joined.
    fn runs(&self, line: &Line) -> Vec<Vec<(f64, f64)>> {
        let mut runs: Vec<Vec<(f64, f64)>> = Vec::new();
        for (at, value) in line.points.iter().filter_map(|&(at, value)| Some((at, value?))) {
            let point = (at, self.coordinate(value));
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(|last| at - last.0 <= self.longest_gap) => {
                    run.push(point);
                }
                _ => runs.push(vec![point]),
            }
        }
        runs
    }

    /// The joined points, in fine units of the plot.
    fn draw_lines(
        &self,
        (width, height): (u32, u32),
        time: &TimeAxis,
        axis: &Axis,
        into: &mut String,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(into, (width, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root).build_cartesian_2d(
            Axis { low: 0.0, high: time.end, ticks: Vec::new() },
            axis.clone(),
        )?;
        for line in self.lines.iter().filter(|line| !line.dots) {
            let style = line.ink.sentinel().stroke_width(2);
            for run in self.runs(line).into_iter().filter(|run| run.len() > 1) {
                chart.draw_series(LineSeries::new(run, style))?;
            }
        }
        drop(chart);
        root.present()?;
        Ok(())
    }
}

/// The grid across and the labels left of it, by plotters; labels are the caller's.
pub(crate) fn draw_mesh(
    format: Format,
    height: u32,
    axis: &Axis,
    label: &dyn Fn(f64) -> String,
    into: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(into, (format.width(), height)).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin_top(Format::TOP)
        .margin_right(Format::RIGHT)
        .set_label_area_size(LabelAreaPosition::Left, format.left())
        .set_label_area_size(LabelAreaPosition::Bottom, Format::BOTTOM)
        .build_cartesian_2d(Axis { low: 0.0, high: 1.0, ticks: Vec::new() }, axis.clone())?;
    let ink = Ink::Text.sentinel();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .bold_line_style(Ink::Grid.sentinel())
        .light_line_style(TRANSPARENT)
        .axis_style(Ink::Grid.sentinel())
        .label_style(TextStyle::from(("sans-serif", 14)).color(&ink))
        .y_label_formatter(&|value| label(*value))
        .draw()?;
    drop(chart);
    root.present()?;
    Ok(())
}

/// What is within the outermost tag.
pub(crate) fn body(svg: &str) -> &str {
    let inner = svg.split_once('>').map_or("", |(_, inner)| inner);
    inner.trim_end().strip_suffix("</svg>").unwrap_or(inner).trim_end()
}

/// The labels of the time axis with their grid lines: a group that the script replaces.
pub(crate) fn time_labels(svg: &mut String, time: &TimeAxis, format: Format, y: (u32, u32)) {
    // Writing to a string cannot fail.
    let _ = write!(svg, "<g class=\"x\">");
    for tick in time.ticks(format) {
        let x = f64::from(format.left()) + f64::from(format.plot()) * tick / time.end.max(1e-9);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            y.0,
            y.1,
            y.1 + 16,
            time.label(format, tick)
        );
    }
    svg.push_str("</g>\n");
}

/// The opening tag of what lies over the time axis: `width` units for the whole of it,
/// `height` units high, at `y` in the figure.
pub(crate) fn open_plot(svg: &mut String, format: Format, y: (u32, u32), size: (u32, u32)) {
    let _ = writeln!(
        svg,
        "<svg class=\"plot\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\">",
        format.left(),
        y.0,
        format.plot(),
        y.1 - y.0,
        size.0,
        size.1,
    );
}

/// Shades and marks across a plot of that size: what is outside, faults, new masters.
pub(crate) fn shades(svg: &mut String, time: &TimeAxis, (width, height): (u32, u32)) {
    let x = |at: f64| f64::from(width) * (at / time.end.max(1e-9)).clamp(0.0, 1.0);
    let mut column = |from: f64, to: f64, class: &str| {
        if to > from {
            let (from, to) = (x(from), x(to));
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{from:.0}\" y=\"0\" width=\"{:.0}\" height=\"{height}\"/>",
                (to - from).max(1.0)
            );
        }
    };
    column(0.0, time.warm_up, "outside");
    column(time.stop, time.end, "outside");
    for &(from, to) in &time.faults {
        column(from, to, "fault");
    }
    let mut marks = String::new();
    for &at in &time.masters {
        let _ = write!(marks, "M{:.0} 0V{height}", x(at));
    }
    if !marks.is_empty() {
        let _ = writeln!(svg, "<path class=\"new-master\" d=\"{marks}\"/>");
    }
}

impl LineChart {
    /// What a line ranges over, as an area behind it; and points that are not joined.
    fn draw_by_hand(&self, svg: &mut String, time: &TimeAxis, axis: &Axis, size: (u32, u32)) {
        let x = |at: f64| f64::from(size.0) * (at / time.end.max(1e-9));
        let y = |value: f64| {
            let part = (self.coordinate(value) - axis.low) / (axis.high - axis.low);
            f64::from(size.1) * (1.0 - part.clamp(0.0, 1.0))
        };
        if let Some(limit) = &self.limit {
            let at = y(limit.value);
            let _ = writeln!(svg, "<path class=\"limit\" d=\"M0 {at:.0}H{}\"/>", size.0);
        }
        for line in &self.lines {
            let spreads: Vec<(f64, Option<(f64, f64)>)> = line
                .points
                .iter()
                .zip(&line.spread)
                .map(|(point, spread)| (point.0, *spread))
                .collect();
            let runs = spreads
                .chunk_by(|a, b| a.1.is_some() && b.1.is_some() && b.0 - a.0 <= self.longest_gap);
            for run in runs {
                let ends: Vec<(f64, (f64, f64))> =
                    run.iter().filter_map(|&(at, spread)| Some((at, spread?))).collect();
                if ends.len() < 2 {
                    continue;
                }
                let up = ends.iter().map(|&(at, (_, high))| (at, high));
                let back = ends.iter().rev().map(|&(at, (low, _))| (at, low));
                let mut path = String::new();
                for (at, value) in up.chain(back) {
                    let _ = write!(path, "{:.0} {:.0} ", x(at), y(value));
                }
                let _ = writeln!(
                    svg,
                    "<polygon class=\"spread\" fill=\"var({})\" points=\"{}\"/>",
                    line.ink.variable(),
                    path.trim_end()
                );
            }
        }
        for line in &self.lines {
            let lone = self.runs(line);
            let lone = lone.iter().filter(|run| line.dots || run.len() == 1).flatten();
            let mut path = String::new();
            for &(at, drawn) in lone {
                let part = (drawn - axis.low) / (axis.high - axis.low);
                let _ = write!(path, "M{:.0} {:.0}h0", x(at), f64::from(size.1) * (1.0 - part));
            }
            if !path.is_empty() {
                let class = if line.dots { "dots" } else { "lone" };
                let _ = writeln!(
                    svg,
                    "<path class=\"{class}\" stroke=\"var({})\" d=\"{path}\"/>",
                    line.ink.variable()
                );
            }
        }
    }
}

impl Chart for LineChart {
    fn svg(&self, time: &TimeAxis, format: Format, title: &str) -> String {
        let axis = self.axis();
        let (top, bottom) = (Format::TOP, format.height() - Format::BOTTOM);
        let size = (format.plot() * FINE, (bottom - top) * FINE);
        let mut mesh = String::new();
        draw_mesh(format, format.height(), &axis, &|value| self.scale.label(value), &mut mesh)
            .expect("drawing into a string cannot fail");
        let mut lines = String::new();
        self.draw_lines(size, time, &axis, &mut lines).expect("nor can this");

        let mut svg = opening(format, format.height(), title);
        time_labels(&mut svg, time, format, (top, bottom));
        svg.push_str(&with_variables(body(&mesh)));
        open_plot(&mut svg, format, (top, bottom), size);
        shades(&mut svg, time, size);
        self.draw_by_hand(&mut svg, time, &axis, size);
        svg.push_str(&with_variables(&slim(body(&lines))));
        svg.push_str("</svg></svg>\n");
        svg
    }
}

/// Leaves out what the style sheet says for all lines.
fn slim(svg: &str) -> String {
    svg.replace(" fill=\"none\" opacity=\"1\"", "").replace(" stroke-width=\"2\"", "")
}

/// The opening tag of a figure: it fills its column.
pub(crate) fn opening(format: Format, height: u32, title: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    format!(
        "<svg class=\"{}\" viewBox=\"0 0 {} {height}\" role=\"img\" aria-label=\"{title}\">",
        format.class(),
        format.width(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, Option<f64>)], spread: &[Option<(f64, f64)>]) -> LineChart {
        let line = Line {
            name: String::from("a"),
            ink: Ink::Ok,
            points: points.to_vec(),
            spread: spread.to_vec(),
            dots: false,
        };
        LineChart {
            scale: Scale::Linear,
            lines: vec![line],
            limit: None,
            holds: Vec::new(),
            longest_gap: 2.5,
        }
    }

    fn drawn(chart: &LineChart) -> String {
        chart.svg(&TimeAxis { end: 10.0, ..TimeAxis::default() }, Format::Wide, "a")
    }

    #[test]
    fn gaps_in_the_measurements_are_gaps_in_the_line() {
        let points = [(0.0, Some(1.0)), (1.0, Some(2.0)), (2.0, None), (9.0, Some(3.0))];
        let chart = chart(&points, &[]);
        assert_eq!(chart.runs(&chart.lines[0]), [vec![(0.0, 1.0), (1.0, 2.0)], vec![(9.0, 3.0)]]);
        let svg = drawn(&chart);
        assert!(svg.contains("<path class=\"lone\""), "a lone point is a dot");
        assert_eq!(svg.matches("stroke=\"var(--ok)\" points=").count(), 1);
        assert!(svg.contains("var(--ok)"));
    }

    #[test]
    fn extremes_that_a_mean_hides_are_drawn_and_in_sight() {
        let points = [(0.0, Some(1.0)), (1.0, Some(1.0))];
        let chart = chart(&points, &[Some((1.0, 1.0)), Some((0.0, 900.0))]);
        assert!(chart.axis().high >= 900.0);
        let svg = drawn(&chart);
        let polygon = svg.split("<polygon").nth(1).expect("an area");
        let highest = polygon.split("points=\"").nth(1).expect("its points");
        let ys = highest.split('"').next().unwrap_or_default().split(' ').skip(1).step_by(2);
        let heights: Vec<f64> = ys.filter_map(|y| y.parse().ok()).collect();
        let height = f64::from((Format::Wide.height() - Format::BOTTOM - Format::TOP) * FINE);
        let top = height * (1.0 - 900.0 / chart.axis().high);
        assert!(heights.iter().any(|y| (y - top).abs() <= 1.0), "{heights:?} {top}");
    }

    #[test]
    fn a_limit_is_in_sight_even_if_far_away() {
        let mut chart = chart(&[(0.0, Some(1.0)), (1.0, Some(2.0))], &[]);
        chart.limit = Some(Limit { value: 40.0, name: String::from("timeout") });
        assert!(chart.axis().high >= 40.0);
        assert!(drawn(&chart).contains("class=\"limit\""));
    }
}
