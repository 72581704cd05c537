//! `unique-value`: do two nodes have the same number, where each should have its own?
//!
//! Read from the master's store at the end, of all nodes that have one. Who created them with it is
//! read from what operations report (`return wrote`), for the story.
//!
//! Exercised: an operation created a node with such a number. Memory: one entry for each such node.

use std::collections::BTreeMap;

use wavetank_vocabulary::{Classes, Fact, InstanceId, NodeId, OperationId, Time};
use wavetank_world::Plan;

use super::anomalies::{Tally, Watch};
use super::observed::Reports;

#[derive(Clone, Debug)]
pub(super) struct UniqueValue {
    name: String,
    property: u8,
    /// The return step of each kind of operation that reports the number of a new node.
    places: Vec<Option<u8>>,
    reports: Reports,
    created: BTreeMap<NodeId, (OperationId, Time, InstanceId)>,
    /// Who has each number.
    have: BTreeMap<i64, NodeId>,
}

impl UniqueValue {
    pub(super) fn new(plan: &Plan, name: &str, property: u8) -> Self {
        let places = plan.operations.iter();
        let places = places.map(|program| program.appends(name).map(|appends| appends.wrote));
        UniqueValue {
            name: name.to_owned(),
            property,
            places: places.collect(),
            reports: Reports::default(),
            created: BTreeMap::new(),
            have: BTreeMap::new(),
        }
    }
}

impl Watch for UniqueValue {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::VALUES | Classes::AUDIT
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        if let Fact::FinalValue { property, node, value } = *fact
            && property == self.property
        {
            let Some(first) = self.have.insert(value, node) else { return };
            let who = |node: NodeId| self.created.get(&node);
            let creators = [first, node].into_iter().filter_map(who);
            let operations = creators.clone().map(|(operation, ..)| *operation).collect();
            let instances = creators.clone().map(|(_, _, instance)| *instance).collect();
            let when = creators.map(|(_, at, _)| *at).max();
            tally.find(1, when, operations, instances, || {
                let words = |node: NodeId| match who(node) {
                    None => format!("node {}", node.0),
                    Some((operation, at, instance)) => format!(
                        "node {}, created by {operation} (at {at}, instance {})",
                        node.0, instance.0
                    ),
                };
                format!("`{}` is {value} for {} and for {}.", self.name, words(first), words(node))
            });
            return;
        }
        let Some(reports) = self.reports.read(at, fact) else { return };
        let Fact::Completed { operation, kind, .. } = *fact else { return };
        for report in reports.iter().filter(|report| report.wrote) {
            if self.places[kind.index()] == Some(report.place) {
                tally.looked += 1;
                self.created.insert(report.node, (operation, report.at, report.instance));
            }
        }
    }

    fn looks_at(&self) -> &'static str {
        "nodes that operations created"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_of_one_number_are_told() {
        let mut check = UniqueValue::new(&crate::testing::plan(), "account", 0);
        let creator = (OperationId::default(), Time::ZERO, InstanceId(2));
        check.created.insert(NodeId(8), creator);
        let mut tally = Tally::default();
        for (node, value) in [(5, 70), (7, 71), (8, 70)] {
            let fact = Fact::FinalValue { property: 0, node: NodeId(node), value };
            check.observe(Time::ZERO, &fact, &mut tally);
        }
        assert_eq!(tally.found, 1);
        let (story, evidence) = tally.first.expect("a story");
        assert!(
            story.starts_with("`account` is 70 for node 5 and for node 8, created by"),
            "{story}"
        );
        assert_eq!(evidence.instances, [InstanceId(2)]);
    }
}
