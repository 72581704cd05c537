//! Two figures of a comparison: the times of both sides as pairs of intervals, and the errors as
//! bars with the goal of each.

use std::fmt::Write;

use super::{Row, Spread, percent};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 64.0;
const TOP: f64 = 8.0;
const LINE: f64 = 26.0;
const BOTTOM: f64 = 24.0;
/// Errors beyond this are cut off, and their figure says how large they are.
const LARGEST: f64 = 1.0;

/// The inks of both sides, variables of the style sheet.
pub(super) const REAL: &str = "--i0";
pub(super) const SIMULATED: &str = "--i1";

fn head(title: &str, lines: usize) -> (String, f64) {
    let height = TOP + LINE * lines as f64 + BOTTOM;
    let text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" style=\"max-width:{WIDTH}px;\
         width:100%;font-size:12px\"><title>{}</title>",
        escaped(title)
    );
    (text, height)
}

fn label(text: &mut String, line: usize, what: &str) {
    let _ = write!(
        text,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"var(--text)\">{}</text>",
        LEFT - 10.0,
        middle(line) + 4.0,
        escaped(what)
    );
}

fn tick(text: &mut String, x: f64, height: f64, what: &str) {
    let _ = write!(
        text,
        "<path d=\"M{x:.1} {TOP}V{:.1}\" stroke=\"var(--grid)\" fill=\"none\"/>\
         <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"var(--text)\">{}</text>",
        height - BOTTOM,
        height - 8.0,
        escaped(what)
    );
}

fn middle(line: usize) -> f64 {
    TOP + LINE * (line as f64 + 0.5)
}

/// Pairs of intervals on one axis of time in milliseconds, by powers of ten; none without rows.
pub(super) fn times(rows: &[&Row]) -> Option<String> {
    let ms = |row: &Row, value: f64| if row.unit == "s" { value * 1e3 } else { value };
    let ends = rows.iter().flat_map(|row| {
        [row.real, row.simulated]
            .into_iter()
            .flat_map(move |side| [ms(row, side.low), ms(row, side.high)])
    });
    let ends: Vec<f64> = ends.filter(|end| *end > 0.0).map(f64::log10).collect();
    let low = ends.iter().copied().fold(f64::INFINITY, f64::min).floor();
    let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
    if !low.is_finite() {
        return None;
    }
    let high = high.max(low + 1.0);
    let x = |ms: f64| {
        let part = (ms.max(1e-9).log10().clamp(low, high) - low) / (high - low);
        LEFT + (WIDTH - LEFT - RIGHT) * part
    };
    let (mut text, height) = head("Times, real and simulated", rows.len());
    for power in low as i32..=high as i32 {
        let at = 10f64.powi(power);
        let what = if at >= 1e3 { format!("{} s", at / 1e3) } else { format!("{at} ms") };
        tick(&mut text, x(at), height, &what);
    }
    for (line, row) in rows.iter().enumerate() {
        let name = row.quantity.split(" [").next().unwrap_or_default();
        label(&mut text, line, name);
        for (side, ink, above) in [(row.real, REAL, -5.0), (row.simulated, SIMULATED, 5.0)] {
            let Spread { mean, low, high, .. } = side;
            let (y, [mean, low, high]) =
                (middle(line) + above, [mean, low, high].map(|v| x(ms(row, v))));
            let _ = write!(
                text,
                "<path d=\"M{low:.1} {y:.1}H{high:.1}\" stroke=\"var({ink})\" stroke-width=\"5\" \
                 stroke-linecap=\"round\" opacity=\"0.45\"/>"
            );
            // Told apart without colour, too: a disc and a diamond.
            if ink == REAL {
                let _ = write!(
                    text,
                    "<circle cx=\"{mean:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"var({ink})\"/>"
                );
            } else {
                let _ = write!(
                    text,
                    "<path d=\"M{:.1} {y:.1}L{mean:.1} {:.1}L{:.1} {y:.1}L{mean:.1} {:.1}Z\" \
                     fill=\"var({ink})\"/>",
                    mean - 5.0,
                    y - 5.0,
                    mean + 5.0,
                    y + 5.0
                );
            }
        }
    }
    text += "</svg>";
    Some(text)
}

/// The errors as bars from zero; a bracket marks what the goal allows. None without rows.
pub(super) fn errors(rows: &[&Row]) -> Option<String> {
    let known: Vec<(&Row, f64)> = rows.iter().filter_map(|row| Some((*row, row.error?))).collect();
    let largest = known.iter().flat_map(|(row, error)| [error.abs(), row.goal.unwrap_or(0.0)]);
    let reach = largest.fold(0.1f64, f64::max).min(LARGEST);
    let reach = (reach * 10.0).ceil() / 10.0;
    if known.is_empty() {
        return None;
    }
    let x = |error: f64| {
        let part = (error.clamp(-reach, reach) / reach + 1.0) / 2.0;
        LEFT + (WIDTH - LEFT - RIGHT) * part
    };
    let (mut text, height) = head("Error of the simulation", known.len());
    for part in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        let at = reach * part;
        tick(&mut text, x(at), height, &format!("{:+.0} %", at * 100.0).replace("+0", "0"));
    }
    for (line, (row, error)) in known.iter().enumerate() {
        label(&mut text, line, row.quantity.split(" [").next().unwrap_or_default());
        let y = middle(line);
        if let Some(goal) = row.goal {
            let [low, high] = [x(-goal), x(goal)];
            let _ = write!(
                text,
                "<rect x=\"{low:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"18\" \
                 fill=\"var(--outside)\" stroke=\"var(--rule)\"/>",
                y - 9.0,
                high - low
            );
        }
        let ink = match row.met() {
            Some(true) => "--held",
            Some(false) => "--broke",
            None => "--soft",
        };
        let [from, to] = if *error < 0.0 { [x(*error), x(0.0)] } else { [x(0.0), x(*error)] };
        let _ = write!(
            text,
            "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"10\" fill=\"var({ink})\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"var(--text)\">{}</text>",
            y - 5.0,
            (to - from).max(1.0),
            WIDTH - RIGHT + 8.0,
            y + 4.0,
            percent(*error)
        );
    }
    text += "</svg>";
    Some(text)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
