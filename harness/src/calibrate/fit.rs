//! From how long pieces of work took to what each unit of work costs: least squares over
//! relative errors, no cost below zero.

use wavetank_vocabulary::Span;

use super::Workload;

/// How much of each unit a piece of work has: steps, records, hits, faults, KiB logged.
pub(super) type Units = [f64; 5];

/// What each unit costs on a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Each step.
    pub step: Span,
    /// Each record touched.
    pub record: Span,
    /// Each page found resident.
    pub hit: Span,
    /// Each page loaded.
    pub fault: Span,
    /// Each KiB logged.
    pub logged_kib: Span,
}

impl Costs {
    /// The nanoseconds of so much work.
    pub(super) fn of(&self, each: &Units) -> f64 {
        let costs = [self.step, self.record, self.hit, self.fault, self.logged_kib];
        costs.iter().zip(each).map(|(cost, each)| cost.as_nanos() as f64 * each).sum()
    }
}

/// Rounds of coordinate descent: the five costs settle long before.
const ROUNDS: usize = 20_000;

/// The costs that explain the workloads best.
pub(super) fn costs(workloads: &[Workload]) -> Costs {
    // Each row divided by its time, so that all errors are parts of a time.
    let rows: Vec<Units> =
        workloads.iter().map(|work| work.each.map(|units| units / work.nanos)).collect();
    let mut costs: Units = [0.0; 5];
    for _ in 0..ROUNDS {
        for unit in 0..costs.len() {
            let (mut slope, mut curve) = (0.0, 0.0);
            for row in &rows {
                let others: f64 =
                    (0..costs.len()).filter(|&u| u != unit).map(|u| row[u] * costs[u]).sum();
                slope += row[unit] * (1.0 - others);
                curve += row[unit] * row[unit];
            }
            costs[unit] = if curve > 0.0 { (slope / curve).max(0.0) } else { 0.0 };
        }
    }
    let [step, record, hit, fault, logged_kib] =
        costs.map(|nanos| Span::from_nanos(nanos.round() as u64));
    Costs { step, record, hit, fault, logged_kib }
}
