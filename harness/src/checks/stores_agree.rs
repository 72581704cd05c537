//! `stores-agree`: does a second store say of a node what the graph says?
//!
//! Compared at the end, for every node that was written to in the second store. Left out are
//! nodes of operations whose outcome is unknown: nobody can say which of the two is right. So is
//! what was taken back to nothing, unless an operation that wrote it ended well: there the
//! second store says nothing of what the graph began with. Where operations delete nodes, nothing
//! is said of a node that no longer has the number: it may be gone, or another by now.
//!
//! Exercised: something was written to the second store. Memory: one entry for each such node,
//! and for each operation under way or of unknown outcome.

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
    /// Nodes that operations have written to and not ended, or ended unknown; what was taken
    /// back, too.
    unsettled: BTreeMap<OperationId, Vec<(NodeId, SecondWrite)>>,
    /// Nodes that operations have written to which ended well.
    done: BTreeSet<NodeId>,
    deletes_nodes: bool,
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
            done: BTreeSet::new(),
            deletes_nodes: plan.operations.iter().any(|program| program.deletes_nodes()),
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
                // One that comes after its operation's end leaves nothing open.
                if let Some(nodes) = self.unsettled.get_mut(&operation) {
                    nodes.push((node, what));
                }
            }
            Fact::Invoked { operation, .. } => {
                self.unsettled.insert(operation, Vec::new());
            }
            Fact::Completed { operation, outcome, .. } if outcome != OperationOutcome::Unknown => {
                let ended = self.unsettled.remove(&operation).unwrap_or_default();
                if outcome == OperationOutcome::Ok {
                    let last: BTreeMap<NodeId, SecondWrite> = ended.into_iter().collect();
                    let wrote = last.into_iter().filter(|(_, what)| *what == SecondWrite::Written);
                    self.done.extend(wrote.map(|(node, _)| node));
                }
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
        let unsettled: BTreeSet<NodeId> =
            self.unsettled.values().flatten().map(|(node, _)| *node).collect();
        let words = |value: Option<i64>| value.map_or("nothing".to_owned(), |v| v.to_string());
        for (node, entry) in &self.there {
            let graph = self.graph.get(node).copied();
            let silent = entry.what == SecondWrite::TakenBack
                && entry.value.is_none()
                && !self.done.contains(node);
            let gone = graph.is_none() && self.deletes_nodes;
            if silent || gone || graph == entry.value || unsettled.contains(node) {
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

    struct Told(StoresAgree, Tally);

    fn id(index: u32) -> OperationId {
        OperationId { client: ClientId(0), index }
    }

    impl Told {
        fn new() -> Told {
            let check = StoresAgree {
                names: ("search".into(), "email".into()),
                store: 0,
                property: 0,
                there: BTreeMap::new(),
                graph: BTreeMap::new(),
                unsettled: BTreeMap::new(),
                done: BTreeSet::new(),
                deletes_nodes: false,
            };
            Told(check, Tally::default())
        }

        fn tell(&mut self, fact: Fact) -> &mut Told {
            self.0.observe(Time::ZERO, &fact, &mut self.1);
            self
        }

        fn begins(&mut self, index: u32) -> &mut Told {
            self.tell(Fact::Invoked { operation: id(index), kind: OperationKind(0) })
        }

        fn writes(&mut self, index: u32, what: SecondWrite, value: Option<i64>) -> &mut Told {
            let (operation, node) = (id(index), NodeId(3));
            self.tell(Fact::SecondStore { operation, attempt: 1, store: 0, what, node, value })
        }

        fn ends(&mut self, index: u32, outcome: OperationOutcome, status: Status) -> &mut Told {
            self.tell(Fact::Completed {
                operation: id(index),
                kind: OperationKind(0),
                outcome,
                status,
                attempts: 1,
                instance: None,
                tx: TxId(0),
                subject: Subject::Nothing,
                intended: Time::ZERO,
            })
        }

        fn found(&mut self, graph: i64) -> u64 {
            self.tell(Fact::FinalValue { property: 0, node: NodeId(3), value: graph });
            self.0.close(&mut self.1);
            self.1.found
        }
    }

    use OperationOutcome::{Failed, Ok, Unknown};
    use SecondWrite::{TakenBack, Written};

    #[test]
    fn no_node_of_an_operation_that_ended_unknown_is_compared() {
        let mut told = Told::new();
        told.begins(1).writes(1, Written, Some(1)).ends(1, Unknown, Status::ClientTimeout);
        assert_eq!((told.found(7), told.1.looked), (0, 1));
        let mut under_way = Told::new();
        assert_eq!(under_way.begins(1).writes(1, Written, Some(1)).found(7), 0);
    }

    #[test]
    fn what_one_took_back_from_another_that_ended_well_is_told() {
        let mut told = Told::new();
        told.begins(1).begins(2).writes(1, Written, Some(5)).writes(2, Written, Some(6));
        told.ends(2, Ok, Status::Ok).writes(1, TakenBack, None);
        assert_eq!(told.ends(1, Failed, Status::DeadlockDetected).found(6), 1);
        let mut alone = Told::new();
        alone.begins(1).writes(1, Written, Some(5)).writes(1, TakenBack, None);
        assert_eq!(alone.ends(1, Failed, Status::DeadlockDetected).found(6), 0);
    }

    #[test]
    fn a_node_that_is_gone_disagrees_with_nothing() {
        for (deletes_nodes, found) in [(true, 0), (false, 1)] {
            let mut told = Told::new();
            told.0.deletes_nodes = deletes_nodes;
            told.begins(1).writes(1, Written, Some(5)).ends(1, Ok, Status::Ok);
            told.0.close(&mut told.1);
            assert_eq!(told.1.found, found);
        }
    }

    #[test]
    fn a_write_after_the_end_of_its_operation_hides_nothing() {
        let mut told = Told::new();
        told.begins(1).writes(1, Written, Some(5)).ends(1, Ok, Status::Ok);
        assert_eq!(told.writes(1, Written, Some(4)).found(5), 1);
    }
}
