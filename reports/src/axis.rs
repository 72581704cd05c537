//! Axes: the time that all figures share, and the values of each.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;

use crate::chart::Format;
use crate::words::grouped;

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
pub(crate) fn every(low: f64, high: f64, step: f64) -> Vec<f64> {
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

impl Scale {
    /// A label of the axis, from the coordinate that is drawn.
    pub(crate) fn label(self, value: f64) -> String {
        match self {
            Scale::Linear if value >= 10_000.0 => grouped(value.round() as u64),
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

/// An axis with the places of its labels.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) ticks: Vec<f64>,
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
    pub(crate) fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
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
                    round_step(high.max(1e-9) / 4.0).max(if high >= 1.0 { 1.0 } else { 0.0 });
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
}
