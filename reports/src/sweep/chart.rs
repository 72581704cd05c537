//! The chart of one outcome: the values of a parameter below, the outcome's mean and its band
//! above each, a line for every combination of the others. Its axis is of words, not of time.

use std::fmt::Write;

use crate::axis::{Axis, Scale};
use crate::ink::Ink;
use crate::student::Mean;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// A line: what it is called, and a mean above each value of the axis.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) means: Vec<Option<Mean>>,
}

/// The figure as SVG, to be set into a page with the report's style sheet.
pub(super) fn svg(title: &str, values: &[String], curves: &[Curve]) -> String {
    let all = curves.iter().flat_map(|curve| curve.means.iter().flatten());
    let axis = Axis::of(Scale::Linear, all.flat_map(Mean::interval));
    let room = (WIDTH - LEFT - RIGHT) / values.len().max(1) as f64;
    let x = |index: usize| LEFT + room * (index as f64 + 0.5);
    let part = |value: f64| (value - axis.low) / (axis.high - axis.low).max(1e-12);
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * part(value);
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" style=\"max-width:{WIDTH}px;width:100%;\
         font-size:12px\"><title>{}</title>",
        escaped(title)
    );
    for tick in &axis.ticks {
        let at = y(*tick);
        let _ = write!(
            text,
            "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"var(--grid)\" fill=\"none\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"var(--text)\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            escaped(&Scale::Linear.label(*tick))
        );
    }
    for (index, value) in values.iter().enumerate() {
        let _ = write!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"var(--text)\">{}</text>",
            x(index),
            HEIGHT - 8.0,
            escaped(value)
        );
    }
    for (number, curve) in curves.iter().enumerate() {
        let ink = Ink::Nth(number);
        let colour = ink.variable();
        // Where a point was not measured, the line and its band are broken.
        for run in runs(&curve.means) {
            let upper = run.iter().map(|(index, mean)| (x(*index), y(mean.interval()[1])));
            let lower = run.iter().rev().map(|(index, mean)| (x(*index), y(mean.interval()[0])));
            let middle = run.iter().map(|(index, mean)| (x(*index), y(mean.mean)));
            let _ = write!(
                text,
                "<polygon points=\"{}\" fill=\"var({colour})\" opacity=\"0.18\"/>\
                 <polyline points=\"{}\" fill=\"none\" stroke=\"var({colour})\" stroke-width=\"2\" \
                 stroke-dasharray=\"{}\"/>",
                points(upper.chain(lower)),
                points(middle),
                ink.dash()
            );
            for (index, mean) in &run {
                let (at, [low, high]) = (x(*index), mean.interval());
                let _ = write!(
                    text,
                    "<path d=\"M{at:.1} {:.1}V{:.1}\" stroke=\"var({colour})\"/>\
                     <circle cx=\"{at:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"var({colour})\"/>",
                    y(low),
                    y(high),
                    y(mean.mean)
                );
            }
        }
    }
    text += "</svg>";
    text
}

/// Points next to each other that were measured.
fn runs(means: &[Option<Mean>]) -> Vec<Vec<(usize, Mean)>> {
    let mut runs = vec![Vec::new()];
    for (index, mean) in means.iter().enumerate() {
        match (mean, runs.last_mut()) {
            (Some(mean), Some(run)) => run.push((index, *mean)),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn points(of: impl Iterator<Item = (f64, f64)>) -> String {
    of.map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
