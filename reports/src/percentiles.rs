//! Latency over percentiles: the horizontal axis is 1/(1-p) on a logarithmic scale, as
//! HdrHistogram plots it, so that each further nine takes as much room as the one before.

use wavetank_world::Plan;

use crate::axis::Scale;
use crate::curves::{Curve, CurveChart};
use crate::ink::Ink;
use crate::operations::OperationStats;
use crate::recorder::Recorder;

/// Points of a curve per tenfold of 1/(1-p).
const PER_DECADE: u32 = 40;
/// Samples that must lie beyond the last point: the rule for every percentile.
const BEYOND: f64 = 10.0;

/// The curve of one kind of operation: decimal logarithm of 1/(1-p), latency in milliseconds;
/// empty when there were too few.
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
pub(crate) fn chart(plan: &Plan, recorder: &Recorder) -> CurveChart {
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
    let last = curves.iter().filter_map(|curve: &Curve| Some(curve.points.last()?.0));
    let end = last.fold(1.0, f64::max);
    let nines = (1..=7).map(f64::from).take_while(|decades| *decades <= end);
    let ticks = [0.0, 2f64.log10()].into_iter().chain(nines).collect();
    CurveChart { curves, scale: Scale::Log, ends: (0.0, end), ticks, label }
}

/// `50 %`, `99.9 %`.
fn label(decades: f64) -> String {
    let percent = 100.0 * (1.0 - 10f64.powf(-decades));
    let digits = (decades - 2.0).max(0.0).round() as usize;
    format!("{percent:.digits$} %")
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
