//! The t-visibility curves as a figure: the age of a read after the user's last write, on a
//! logarithmic scale, and the part of such reads that was stale.

use wavetank_world::Plan;

use crate::axis::Scale;
use crate::curves::{Curve, CurveChart};
use crate::ink::Ink;
use crate::recorder::Recorder;
use crate::visibility::AgeBin;

/// Reads that a point of the curve must rest on.
pub(crate) const ENOUGH: u64 = 200;

/// The curves of a run, of the clients whose users read after they had written.
pub(crate) fn chart(plan: &Plan, recorder: &Recorder) -> CurveChart {
    let mut curves = Vec::new();
    for (client, curve) in plan.clients.iter().zip(recorder.visibility().curves()) {
        let bins = gathered(curve.bins());
        if bins.len() > 1 {
            let name = format!("{}, {}", client.name, client.routing.name());
            let points = bins.iter().map(|bin| (middle(bin), bin.part())).collect();
            curves.push(Curve { name, ink: Ink::Nth(curves.len()), points });
        }
    }
    let places = || curves.iter().flat_map(|curve: &Curve| &curve.points).map(|point| point.0);
    let low = places().fold(f64::INFINITY, f64::min).floor();
    let ends = (low, places().fold(low + 1.0, f64::max));
    let ticks = (0..=6).map(f64::from).filter(|at| (ends.0..=ends.1).contains(at)).collect();
    CurveChart { curves, scale: Scale::Percent, ends, ticks, label }
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
