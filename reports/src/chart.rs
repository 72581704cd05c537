//! Figures over one shared time axis, as SVG to be set into a page.
//!
//! Lines are drawn by plotters, which stands behind the [`Chart`] trait and can be replaced
//! here alone. It writes fixed colours only; so every ink is drawn in a colour that nothing
//! else uses and afterwards replaced by a variable of the page's style sheet, which knows
//! about light, dark and print. Each figure is drawn twice, for wide and for narrow pages:
//! a scaled-down figure would have unreadable labels.

use std::fmt::Write;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;

/// A figure over time.
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
            Format::Narrow => 60,
        }
    }

    pub(crate) const RIGHT: u32 = 14;
    pub(crate) const BOTTOM: u32 = 22;
    const TOP: u32 = 8;

    const fn height(self) -> u32 {
        match self {
            Format::Wide => 180,
            Format::Narrow => 160,
        }
    }

    const fn most_ticks(self) -> f64 {
        match self {
            Format::Wide => 11.0,
            Format::Narrow => 6.0,
        }
    }
}

/// What a stroke or an area means; the style sheet says which colour that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Grid,
    /// Warm-up, and the time after the clients stopped.
    Outside,
    Fault,
    /// A new master.
    Mark,
    Ok,
    Failed,
    Unknown,
    Median,
    Tail,
    /// One of the instances, in the order of the Plan.
    Instance(usize),
}

/// How many instances can be told apart by colour.
const INSTANCE_INKS: usize = 6;
const SENTINEL: &str = "#0102";

impl Ink {
    fn number(self) -> u8 {
        match self {
            Ink::Text => 0,
            Ink::Grid => 1,
            Ink::Outside => 2,
            Ink::Fault => 3,
            Ink::Mark => 4,
            Ink::Ok => 5,
            Ink::Failed => 6,
            Ink::Unknown => 7,
            Ink::Median => 8,
            Ink::Tail => 9,
            Ink::Instance(n) => 10 + (n % INSTANCE_INKS) as u8,
        }
    }

    /// The name of the style sheet's variable.
    pub(crate) fn variable(self) -> &'static str {
        VARIABLES[usize::from(self.number())]
    }

    fn sentinel(self) -> RGBColor {
        RGBColor(1, 2, self.number())
    }
}

const VARIABLES: [&str; 10 + INSTANCE_INKS] = [
    "--text",
    "--grid",
    "--outside",
    "--fault",
    "--mark",
    "--ok",
    "--failed",
    "--unknown",
    "--median",
    "--tail",
    "--i0",
    "--i1",
    "--i2",
    "--i3",
    "--i4",
    "--i5",
];

/// Replaces the sentinel colours by the variables that they stand for.
fn with_variables(svg: &str) -> String {
    let mut text = String::with_capacity(svg.len() + svg.len() / 8);
    let mut parts = svg.split(SENTINEL);
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let number = part.get(..2).and_then(|hex| usize::from_str_radix(hex, 16).ok());
        match number.and_then(|number| VARIABLES.get(number)) {
            Some(variable) => {
                let _ = write!(text, "var({variable}){}", &part[2..]);
            }
            None => {
                text.push_str(SENTINEL);
                text.push_str(part);
            }
        }
    }
    text
}

/// The axis that all figures of a report share, and what is marked across them. Seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeAxis {
    pub(crate) end: f64,
    pub(crate) warm_up: f64,
    /// When the clients stopped.
    pub(crate) stop: f64,
    pub(crate) faults: Vec<(f64, f64)>,
    /// When an instance became master.
    pub(crate) masters: Vec<f64>,
}

impl TimeAxis {
    /// Labelled moments: as many as fit, at round distances.
    pub(crate) fn ticks(&self, format: Format) -> Vec<f64> {
        const STEPS: [f64; 22] = [
            1.0,
            2.0,
            5.0,
            10.0,
            15.0,
            30.0,
            60.0,
            120.0,
            300.0,
            600.0,
            900.0,
            1_800.0,
            3_600.0,
            7_200.0,
            10_800.0,
            21_600.0,
            43_200.0,
            86_400.0,
            172_800.0,
            432_000.0,
            864_000.0,
            4_320_000.0,
        ];
        let fits = |step: &f64| self.end / step <= format.most_ticks();
        let step = STEPS.into_iter().find(fits).unwrap_or(self.end);
        every(0.0, self.end, step)
    }

    /// A tick's label, in the unit that the other ticks have too.
    pub(crate) fn label(&self, format: Format, at: f64) -> String {
        let ticks = self.ticks(format);
        let step = ticks.get(1).copied().unwrap_or(1.0);
        for (size, unit) in [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")] {
            if step % size == 0.0 {
                return format!("{} {unit}", at / size);
            }
        }
        if self.end < 120.0 {
            return format!("{at} s");
        }
        format!("{}:{:02}", (at / 60.0).floor(), at % 60.0)
    }
}

/// `low`, `low + step`, ... up to `high`.
fn every(low: f64, high: f64, step: f64) -> Vec<f64> {
    let steps = ((high - low) / step + 1e-9).floor() as u32;
    (0..=steps).map(|n| low + f64::from(n) * step).collect()
}

/// What the vertical axis shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// From zero to beyond the largest value.
    Linear,
    /// Powers of ten, for latencies in milliseconds.
    Log,
    /// Up to 100 %, from wherever there is something to see; values are parts of 1.
    Percent,
}

/// An axis with the places of its labels.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let part = (value - self.low) / (self.high - self.low);
        from + (part * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl Axis {
    /// The vertical axis for some values, in the coordinate that is drawn: for
    /// [`Scale::Log`] the logarithm.
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 0.0);
        }
        match scale {
            Scale::Linear => {
                let step =
                    round_step(high.max(1e-9) / 4.0).max(if high >= 1.0 { 0.5 } else { 0.0 });
                let top = (high / step).ceil().max(1.0) * step;
                Axis { low: 0.0, high: top, ticks: every(0.0, top, step) }
            }
            Scale::Percent => {
                let floors = [0.99, 0.98, 0.95, 0.9, 0.8, 0.5];
                let floor = floors.into_iter().find(|&floor| low >= floor).unwrap_or(0.0);
                let top = if floor > 0.0 || high > 0.5 {
                    1.0
                } else {
                    (high * 10.0).ceil().max(1.0) / 10.0
                };
                let step = round_step((top - floor) / 4.5);
                Axis { low: floor, high: top, ticks: every(floor, top, step) }
            }
            Scale::Log => {
                let low = low.max(1e-3).log10().floor();
                let high = high.max(1e-3).log10().ceil().max(low + 1.0);
                let mut ticks = every(low, high, 1.0);
                if high - low < 2.5 {
                    ticks = ticks
                        .iter()
                        .flat_map(|&tick| [1.0f64, 2.0, 5.0].map(|m| tick + m.log10()))
                        .filter(|&tick| tick <= high)
                        .collect();
                }
                Axis { low, high, ticks }
            }
        }
    }
}

/// The next of 1, 2, 5, 10, ... at least as large.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// A curve: one value per bucket, with gaps where nothing was measured.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) ink: Ink,
    pub(crate) points: Vec<(f64, Option<f64>)>,
}

/// Curves over time.
#[derive(Clone, Debug)]
pub(crate) struct LineChart {
    pub(crate) scale: Scale,
    pub(crate) lines: Vec<Line>,
    /// Points further apart than this are not joined, in seconds.
    pub(crate) longest_gap: f64,
}

impl LineChart {
    /// Whether there is anything to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.points.iter().all(|(_, value)| value.is_none()))
    }

    fn runs(&self, line: &Line) -> Vec<Vec<(f64, f64)>> {
        let mut runs: Vec<Vec<(f64, f64)>> = Vec::new();
        for (at, value) in line.points.iter().filter_map(|&(at, value)| Some((at, value?))) {
            let value = if self.scale == Scale::Log { value.max(1e-3).log10() } else { value };
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(|last| at - last.0 <= self.longest_gap) => {
                    run.push((at, value));
                }
                _ => runs.push(vec![(at, value)]),
            }
        }
        runs
    }

    fn draw(
        &self,
        time: &TimeAxis,
        format: Format,
        into: &mut String,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let values = self.lines.iter().flat_map(|line| line.points.iter().filter_map(|p| p.1));
        let axis = Axis::of(self.scale, values);
        let (low, high) = (axis.low, axis.high);
        let root =
            SVGBackend::with_string(into, (format.width(), format.height())).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin_top(Format::TOP)
            .margin_right(Format::RIGHT)
            .set_label_area_size(LabelAreaPosition::Left, format.left())
            .set_label_area_size(LabelAreaPosition::Bottom, Format::BOTTOM)
            .build_cartesian_2d(
                Axis { low: 0.0, high: time.end, ticks: time.ticks(format) },
                axis,
            )?;

        let mut shade = |from: f64, to: f64, ink: Ink, opacity: f64| {
            let corners = [(from, low), (to.min(time.end), high)];
            let style = ink.sentinel().mix(opacity).filled();
            chart.draw_series(std::iter::once(Rectangle::new(corners, style))).map(|_| ())
        };
        shade(0.0, time.warm_up, Ink::Outside, 1.0)?;
        shade(time.stop, time.end, Ink::Outside, 1.0)?;
        for &(from, to) in &time.faults {
            shade(from, to, Ink::Fault, 0.16)?;
        }
        let ink = Ink::Text.sentinel();
        let label = TextStyle::from(("sans-serif", 14)).color(&ink);
        chart
            .configure_mesh()
            .bold_line_style(Ink::Grid.sentinel())
            .light_line_style(TRANSPARENT)
            .axis_style(Ink::Grid.sentinel())
            .label_style(label)
            .x_label_formatter(&|at| time.label(format, *at))
            .y_label_formatter(&|value| self.label(*value))
            .draw()?;
        for &at in &time.masters {
            let ends = [(at, low), (at, high)];
            chart.draw_series(LineSeries::new(ends, Ink::Mark.sentinel().mix(0.5)))?;
        }
        for line in &self.lines {
            let style = line.ink.sentinel().stroke_width(2);
            for run in self.runs(line) {
                if let [lone] = run[..] {
                    let dot = Circle::new(lone, 2, line.ink.sentinel().filled());
                    chart.draw_series(std::iter::once(dot))?;
                } else {
                    chart.draw_series(LineSeries::new(run, style))?;
                }
            }
        }
        drop(chart);
        root.present()?;
        Ok(())
    }

    fn label(&self, value: f64) -> String {
        match self.scale {
            Scale::Linear => trimmed(value),
            Scale::Percent => format!("{} %", trimmed(value * 100.0)),
            Scale::Log => match 10f64.powf(value) {
                ms if ms >= 999.0 => format!("{} s", trimmed(ms / 1e3)),
                ms => format!("{} ms", trimmed(ms)),
            },
        }
    }
}

/// A number without the noise of its last digits.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Chart for LineChart {
    fn svg(&self, time: &TimeAxis, format: Format, title: &str) -> String {
        let mut drawn = String::new();
        self.draw(time, format, &mut drawn).expect("drawing into a string cannot fail");
        let body = drawn.split_once('>').map_or("", |(_, body)| body);
        format!("{}{}", opening(format, format.height(), title), with_variables(body))
    }
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

    #[test]
    fn ticks_are_few_and_round() {
        let labels = |end: f64| {
            let time = TimeAxis { end, ..TimeAxis::default() };
            let ticks = time.ticks(Format::Narrow);
            assert!(ticks.len() <= 7, "{ticks:?}");
            ticks.iter().map(|&at| time.label(Format::Narrow, at)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(5.0), "0 s 1 s 2 s 3 s 4 s 5 s");
        assert_eq!(labels(306.0), "0 m 1 m 2 m 3 m 4 m 5 m");
        assert_eq!(labels(150.0), "0:00 0:30 1:00 1:30 2:00 2:30");
        assert_eq!(labels(86_400.0), "0 h 6 h 12 h 18 h 24 h");
    }

    #[test]
    fn value_axes_hold_all_values() {
        let values = [0.0, 0.3, 7.0, 99.0, 100.0, 1_234.5, 3e7];
        for scale in [Scale::Linear, Scale::Log] {
            for high in values {
                let axis = Axis::of(scale, [0.2_f64.min(high), high].into_iter());
                let drawn = if scale == Scale::Log { high.max(1e-3).log10() } else { high };
                assert!(axis.high >= drawn && axis.low < axis.high, "{scale:?} {high}");
                assert!((2..=12).contains(&axis.ticks.len()), "{high}: {:?}", axis.ticks);
            }
        }
        let axis = Axis::of(Scale::Percent, [0.962, 0.999].into_iter());
        assert_eq!((axis.low, axis.high), (0.95, 1.0));
        let axis = Axis::of(Scale::Percent, [0.0, 0.24].into_iter());
        assert_eq!((axis.low, axis.high), (0.0, 0.3));
        assert!(Axis::of(Scale::Linear, std::iter::empty()).high > 0.0);
    }

    #[test]
    fn gaps_in_the_measurements_are_gaps_in_the_line() {
        let points = [(0.0, Some(1.0)), (1.0, Some(2.0)), (2.0, None), (9.0, Some(3.0))];
        let line = Line { ink: Ink::Ok, points: points.to_vec() };
        let chart = LineChart { scale: Scale::Linear, lines: vec![line], longest_gap: 2.5 };
        assert_eq!(chart.runs(&chart.lines[0]), [vec![(0.0, 1.0), (1.0, 2.0)], vec![(9.0, 3.0)]]);
        let svg = chart.svg(&TimeAxis { end: 10.0, ..TimeAxis::default() }, Format::Wide, "a");
        assert!(svg.contains("<circle"), "a lone point is a dot");
        assert!(svg.contains("var(--ok)"));
    }

    #[test]
    fn sentinels_become_variables_and_other_colours_stay() {
        let svg = "a=\"#010205\" b=\"#0102FF\" c=\"#FFFFFF\"";
        assert_eq!(with_variables(svg), "a=\"var(--ok)\" b=\"#0102FF\" c=\"#FFFFFF\"");
        for (number, variable) in VARIABLES.iter().enumerate() {
            let style = include_str!("style.css");
            assert!(style.matches(&format!("{variable}: ")).count() >= 2, "{number} {variable}");
        }
    }
}
