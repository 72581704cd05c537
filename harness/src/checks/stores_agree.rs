//! `stores-agree`: does a second store say of a node what the graph says?
//!
//! Compared at the end, for every node that was written to in the second store. Left out are
//! nodes of operations whose outcome is unknown: nobody can say which of the two is right.
//!
//! Exercised: something was written to the second store. Memory: one entry for each such node.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_vocabulary::{
    Classes, Fact, NodeId, OperationId, OperationOutcome, SecondWrite, Time,
};
use wavetank_world::Plan;

use super::anomalies::{Tally, Watch};

/// What stands under a node, and who put it there.
#[derive(Clone, Copy, Debug)]
struct Entry {
    value: Option<i64>,
    by: OperationId,
    what: SecondWrite,
    at: Time,
}

#[derive(Clone, Debug)]
pub(super) struct StoresAgree {
    names: (String, String),
    store: u8,
    property: u8,
    there: BTreeMap<NodeId, Entry>,
    graph: BTreeMap<NodeId, i64>,
    /// Nodes that operations have written to and not ended, or ended unknown.
    unsettled: BTreeMap<OperationId, Vec<NodeId>>,
}

impl StoresAgree {
    pub(super) fn new(plan: &Plan, names: (String, String), property: u8) -> Self {
        let store = plan.second_stores().iter().position(|store| *store == names.0);
        StoresAgree {
            store: store.map_or(u8::MAX, |store| store as u8),
            names,
            property,
            there: BTreeMap::new(),
            graph: BTreeMap::new(),
            unsettled: BTreeMap::new(),
        }
    }
}

impl Watch for StoresAgree {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::VALUES | Classes::AUDIT
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        match *fact {
            Fact::SecondStore { operation, store, what, node, value, .. }
                if store == self.store =>
            {
                tally.looked += u64::from(what == SecondWrite::Written);
                self.there.insert(node, Entry { value, by: operation, what, at });
                self.unsettled.entry(operation).or_default().push(node);
            }
            Fact::Completed { operation, outcome, .. } if outcome != OperationOutcome::Unknown => {
                self.unsettled.remove(&operation);
            }
            Fact::FinalValue { property, node, value }
                if property == self.property && self.there.contains_key(&node) =>
            {
                self.graph.insert(node, value);
            }
            _ => {}
        }
    }

    fn close(&self, tally: &mut Tally) {
        let unsettled: BTreeSet<NodeId> = self.unsettled.values().flatten().copied().collect();
        let words = |value: Option<i64>| value.map_or("nothing".to_owned(), |v| v.to_string());
        for (node, entry) in &self.there {
            let graph = self.graph.get(node).copied();
            // What was taken back to nothing says nothing about what the graph began with.
            let silent = entry.what == SecondWrite::TakenBack && entry.value.is_none();
            if silent || graph == entry.value || unsettled.contains(node) {
                continue;
            }
            tally.find(1, Some(entry.at), vec![entry.by], Vec::new(), || {
                let (store, property) = &self.names;
                let did = match entry.what {
                    SecondWrite::Written => "wrote",
                    SecondWrite::TakenBack => "put back",
                };
                format!(
                    "`{store}` has {} under node {}, which {} {did} at {}; `{property}` in the graph is {}.",
                    words(entry.value), node.0, entry.by, entry.at, words(graph)
                )
            });
        }
    }

    fn looks_at(&self) -> &'static str {
        "writes beside the graph"
    }
}

#[cfg(test)]
mod tests {
    use wavetank_vocabulary::{ClientId, OperationKind, Status, Subject, TxId};

    use super::*;

    #[test]
    fn no_node_of_an_operation_that_ended_unknown_is_compared() {
        let mut check = StoresAgree {
            names: ("search".into(), "email".into()),
            store: 0,
            property: 0,
            there: BTreeMap::new(),
            graph: BTreeMap::new(),
            unsettled: BTreeMap::new(),
        };
        let mut tally = Tally::default();
        let operation = OperationId { client: ClientId(0), index: 1 };
        for node in [NodeId(3), NodeId(4)] {
            let fact = Fact::SecondStore {
                operation,
                attempt: 1,
                store: 0,
                what: SecondWrite::Written,
                node,
                value: Some(1),
            };
            check.observe(Time::ZERO, &fact, &mut tally);
        }
        let ended = Fact::Completed {
            operation,
            kind: OperationKind(0),
            outcome: OperationOutcome::Unknown,
            status: Status::ClientTimeout,
            attempts: 1,
            instance: None,
            tx: TxId(0),
            subject: Subject::Nothing,
            intended: Time::ZERO,
        };
        check.observe(Time::ZERO, &ended, &mut tally);
        check.close(&mut tally);
        assert_eq!((tally.looked, tally.found), (2, 0));
    }
}
