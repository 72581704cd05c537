//! `unique-relationship`: do two nodes have the same relationship more than once?
//!
//! Read from the master's store at the end. Only what operations created counts, by the mark that
//! it carries: a graph may have been given with double edges.
//!
//! Exercised: there is a relationship that an operation created. Memory: one relationship, since
//! the audit tells them in order.

use wavetank_vocabulary::{Classes, Fact, NodeId, OperationId, Time};

use super::anomalies::{Tally, Watch};

#[derive(Clone, Debug)]
pub(super) struct Unique {
    kind: String,
    place: u8,
    last: Option<(NodeId, NodeId, Option<OperationId>)>,
}

impl Unique {
    pub(super) fn new(kind: String, place: u8) -> Self {
        Unique { kind, place, last: None }
    }
}

fn creator(operation: Option<OperationId>) -> String {
    operation.map_or_else(|| "was there at the start".into(), |operation| format!("by {operation}"))
}

impl Watch for Unique {
    fn interests(&self) -> Classes {
        Classes::AUDIT
    }

    fn observe(&mut self, _at: Time, fact: &Fact, tally: &mut Tally) {
        let Fact::FinalRelationship { kind, from, to, operation } = *fact else { return };
        if kind != self.place {
            return;
        }
        tally.looked += u64::from(operation.is_some());
        if let Some((_, _, first)) = self.last.filter(|last| (last.0, last.1) == (from, to))
            && (operation.is_some() || first.is_some())
        {
            let operations = first.into_iter().chain(operation).collect();
            tally.find(1, None, operations, Vec::new(), || {
                format!(
                    "Node {} has more than one {} to node {}: one {}, and one {}.",
                    from.0,
                    self.kind,
                    to.0,
                    creator(first),
                    creator(operation)
                )
            });
        }
        self.last = Some((from, to, operation));
    }

    fn looks_at(&self) -> &'static str {
        "relationships that operations created"
    }
}
