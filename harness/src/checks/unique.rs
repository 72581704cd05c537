//! `unique-relationship`: do two nodes have the same relationship more than once?
//!
//! Read from the master's store at the end. Only what operations created counts, by the mark that
//! it carries: a graph may have been given with double edges.
//!
//! Exercised: there is a relationship that an operation created. Memory: one relationship, since
//! the audit tells them in order, and one entry for each operation that creates some.

use wavetank_vocabulary::{Classes, Fact, NodeId, OperationId, Time};
use wavetank_world::Plan;

use super::anomalies::{Tally, Watch};
use super::deeds::Deeds;

#[derive(Clone, Debug)]
pub(super) struct Unique {
    kind: String,
    place: u8,
    last: Option<(NodeId, NodeId, Option<OperationId>)>,
    deeds: Deeds,
}

impl Unique {
    pub(super) fn new(plan: &Plan, kind: &str, place: u8) -> Self {
        let deeds = Deeds::new(plan, |program| program.leads_to(kind).next().is_some());
        Unique { kind: kind.to_owned(), place, last: None, deeds }
    }

    fn creator(&self, operation: Option<OperationId>) -> String {
        operation.map_or_else(
            || "was there at the start".into(),
            |operation| format!("by {}", self.deeds.told(operation)),
        )
    }
}

impl Watch for Unique {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::AUDIT
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        self.deeds.read(at, fact);
        let Fact::FinalRelationship { kind, from, to, operation } = *fact else { return };
        if kind != self.place {
            return;
        }
        tally.looked += u64::from(operation.is_some());
        if let Some((_, _, first)) = self.last.filter(|last| (last.0, last.1) == (from, to))
            && (operation.is_some() || first.is_some())
        {
            let operations: Vec<OperationId> = first.into_iter().chain(operation).collect();
            let deeds = operations.iter().filter_map(|operation| self.deeds.of(*operation));
            let instances = deeds.clone().filter_map(|deed| deed.instance).collect();
            let when = deeds.map(|deed| deed.to).max();
            tally.find(1, when, operations, instances, || {
                format!(
                    "Node {} has more than one {} to node {}: one {}, and one {}.",
                    from.0,
                    self.kind,
                    to.0,
                    self.creator(first),
                    self.creator(operation)
                )
            });
        }
        self.last = Some((from, to, operation));
    }

    fn looks_at(&self) -> &'static str {
        "relationships that operations created"
    }
}
