//! `lost-updates`: is what operations added to a number, and were told to have, in it at the end?
//!
//! Which operations add, and how much, is read from their programs; which node, from what they
//! report. Counted are the additions that are missing at the end, whatever took them: two that
//! read the same value before they wrote, or a branch that was discarded. Additions whose outcome
//! is unknown may be in it, too, and can hide that others are missing.
//!
//! Exercised: something was added. Memory: one entry for each node that was added to.

use std::collections::BTreeMap;

use wavetank_vocabulary::{Classes, Fact, NodeId, Time};
use wavetank_world::Plan;

use super::anomalies::{Tally, Watch};
use super::observed::{Reports, Writes};

#[derive(Clone, Debug, Default)]
struct Sum {
    added: i128,
    writes: Writes,
    finally: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct LostUpdates {
    name: String,
    property: u8,
    start: i64,
    /// For each kind of operation, the return steps that report an addition, and how much.
    adds: Vec<Vec<(u8, i64)>>,
    reports: Reports,
    sums: BTreeMap<NodeId, Sum>,
}

impl LostUpdates {
    pub(super) fn new(plan: &Plan, name: &str, property: u8) -> Self {
        let adds = plan.operations.iter().map(|program| {
            let returned = program.returned().filter(|step| step.wrote && step.key == Some(name));
            returned.filter_map(|step| Some((step.place, step.adds?))).collect()
        });
        let start = plan.graph.properties.iter().find(|(key, _)| key == name);
        LostUpdates {
            name: name.to_owned(),
            property,
            start: start.map_or(0, |(_, value)| *value),
            adds: adds.collect(),
            reports: Reports::default(),
            sums: BTreeMap::new(),
        }
    }
}

impl Watch for LostUpdates {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::VALUES | Classes::AUDIT
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        if let Fact::FinalValue { property, node, value } = *fact
            && property == self.property
            && let Some(sum) = self.sums.get_mut(&node)
        {
            sum.finally = Some(value);
        }
        let Some(reports) = self.reports.read(at, fact) else { return };
        let Fact::Completed { operation, kind, .. } = *fact else { return };
        for report in reports.iter().filter(|report| report.wrote) {
            let adds = self.adds[kind.index()].iter();
            let Some((_, added)) = adds.clone().find(|(place, _)| *place == report.place) else {
                continue;
            };
            tally.looked += 1;
            let sum = self.sums.entry(report.node).or_default();
            sum.added += i128::from(*added);
            sum.writes.add(operation, report);
        }
    }

    fn close(&self, tally: &mut Tally) {
        for (node, sum) in &self.sums {
            let expected = i128::from(self.start) + sum.added;
            let there = i128::from(sum.finally.unwrap_or(0));
            // What is missing has the sign of what was added.
            let missing = (expected - there) * sum.added.signum();
            if missing <= 0 {
                continue;
            }
            let (name, node) = (&self.name, node.0);
            let (at, operations, instances) = sum.writes.proof();
            let missing = u64::try_from(missing).unwrap_or(u64::MAX);
            tally.find(missing, at, operations, instances, || {
                let how = sum.writes.story();
                format!("`{name}` of node {node} should be {expected}, and is {there}.{how}")
            });
        }
    }

    fn looks_at(&self) -> &'static str {
        "additions"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::{
        InstanceId, Observation, OperationId, OperationKind, OperationOutcome, Span, Status,
        Subject, TxId,
    };

    fn told(writes: &[(OperationOutcome, i64)], finally: i64) -> Tally {
        let plan = crate::testing::plan();
        let (mut check, mut tally) = (LostUpdates::new(&plan, "count", 0), Tally::default());
        check.adds = vec![vec![(0, 1)]];
        let mut tell = |secs: usize, fact: Fact| {
            check.observe(Time::ZERO + Span::from_secs(secs as u64), &fact, &mut tally);
        };
        for (index, (outcome, value)) in writes.iter().enumerate() {
            let operation = OperationId { index: index as u32, ..OperationId::default() };
            let (kind, attempt, instance, node) = (OperationKind(0), 1, InstanceId(1), NodeId(3));
            tell(index, Fact::Invoked { operation, kind });
            tell(
                index,
                Fact::Observed {
                    operation,
                    attempt,
                    instance,
                    what: Observation::Wrote,
                    place: 0,
                    index: 0,
                    node,
                    value: Some(*value),
                },
            );
            tell(
                index,
                Fact::Completed {
                    operation,
                    kind,
                    outcome: *outcome,
                    status: Status::Ok,
                    attempts: 1,
                    instance: Some(instance),
                    tx: TxId(1),
                    subject: Subject::Nothing,
                    intended: Time::ZERO,
                },
            );
        }
        tell(99, Fact::FinalValue { property: 0, node: NodeId(3), value: finally });
        check.close(&mut tally);
        tally
    }

    #[test]
    fn two_that_write_the_same_number_are_told() {
        use OperationOutcome::Ok;
        assert_eq!(told(&[(Ok, 1), (Ok, 2)], 2).found, 0);
        let lost = told(&[(Ok, 1), (Ok, 1), (Ok, 2)], 2);
        assert_eq!((lost.looked, lost.found), (3, 1));
        let story = lost.first.expect("a story").0;
        assert!(story.starts_with("`count` of node 3 should be 3, and is 2."), "{story}");
        assert!(story.ends_with("both wrote 1."), "{story}");
    }

    #[test]
    fn what_failed_or_is_unknown_is_not_asked_for() {
        use OperationOutcome::{Failed, Ok, Unknown};
        assert_eq!(told(&[(Ok, 1), (Failed, 2)], 1).found, 0);
        assert_eq!(told(&[(Ok, 1), (Unknown, 2)], 1).found, 0);
        assert_eq!(told(&[(Ok, 1), (Unknown, 2)], 2).found, 0);
    }
}
