//! What operations under way have reported so far: it counts only once the operation has ended
//! well, and then only what its last attempt reported.

use std::collections::BTreeMap;

use wavetank_vocabulary::{
    Fact, InstanceId, NodeId, Observation, OperationId, OperationOutcome, Time,
};

/// One report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) attempt: u16,
    pub(super) at: Time,
    pub(super) instance: InstanceId,
    pub(super) wrote: bool,
    pub(super) place: u8,
    pub(super) node: NodeId,
    pub(super) value: Option<i64>,
}

impl Report {
    /// The report of a fact, if it is one of a single value.
    pub(super) fn of(at: Time, fact: &Fact) -> Option<(OperationId, Report)> {
        let Fact::Observed { operation, attempt, instance, what, place, node, value, .. } = *fact
        else {
            return None;
        };
        let wrote = match what {
            Observation::Wrote => true,
            Observation::Read => false,
            Observation::Listed | Observation::End => return None,
        };
        Some((operation, Report { attempt, at, instance, wrote, place, node, value }))
    }
}

/// The reports of operations that have not ended. One that comes after its operation's end, from
/// an instance that nobody waits for any more, is left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    open: BTreeMap<OperationId, Vec<Report>>,
    spare: Vec<Vec<Report>>,
}

impl Reports {
    /// Reads a fact; at the end of an operation that ended well gives what it reported.
    pub(super) fn read(&mut self, at: Time, fact: &Fact) -> Option<Vec<Report>> {
        match *fact {
            Fact::Invoked { operation, .. } => {
                let spare = self.spare.pop().unwrap_or_default();
                self.open.insert(operation, spare);
                None
            }
            Fact::Observed { .. } => {
                let (operation, report) = Report::of(at, fact)?;
                self.open.get_mut(&operation)?.push(report);
                None
            }
            Fact::Completed { operation, outcome, attempts, .. } => {
                let mut reports = self.open.remove(&operation)?;
                if outcome != OperationOutcome::Ok {
                    reports.clear();
                }
                reports.retain(|report| report.attempt == attempts);
                if reports.is_empty() {
                    self.spare.push(reports);
                    return None;
                }
                Some(reports)
            }
            _ => None,
        }
    }
}
