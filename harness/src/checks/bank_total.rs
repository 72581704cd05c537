//! `bank-total`: is the sum of a number over all nodes what it was?
//!
//! Read from the master's store at the end, where every transfer was done whole or not at all,
//! whatever its client knows of it.
//!
//! Exercised: some operation changed the number and was told so. Memory: two numbers.

use wavetank_vocabulary::{Classes, Fact, OperationKind, Time, TxId};
use wavetank_world::operation::OperationStep;
use wavetank_world::{GraphSource, Plan};

use super::anomalies::{Tally, Watch};

#[derive(Clone, Debug)]
pub(super) struct BankTotal {
    name: String,
    property: u8,
    // Wide enough for any number of nodes.
    start: i128,
    end: i128,
    kinds: Vec<bool>,
    audited: bool,
}

impl BankTotal {
    pub(super) fn new(plan: &Plan, name: &str, property: u8) -> Self {
        let nodes = match &plan.graph.source {
            GraphSource::Social { users, .. } => *users,
            GraphSource::Edges { edges, .. } => edges.nodes,
        };
        let each = plan.graph.properties.iter().find(|(key, _)| key == name);
        let sets = plan.operations.iter().map(|program| {
            program.steps.iter().any(|step| {
                matches!(step, OperationStep::Set { key, .. } if program.name_of(*key) == name)
            })
        });
        BankTotal {
            name: name.to_owned(),
            property,
            start: each.map_or(0, |(_, value)| i128::from(*value) * i128::from(nodes)),
            end: 0,
            kinds: sets.collect(),
            audited: false,
        }
    }

    fn changes(&self, kind: OperationKind) -> bool {
        self.kinds.get(kind.index()).is_some_and(|changes| *changes)
    }
}

impl Watch for BankTotal {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::AUDIT
    }

    fn observe(&mut self, _at: Time, fact: &Fact, tally: &mut Tally) {
        match *fact {
            Fact::Completed { kind, tx, .. } if tx != TxId(0) && self.changes(kind) => {
                tally.looked += 1;
            }
            Fact::FinalValue { property, value, .. } if property == self.property => {
                self.end += i128::from(value);
                self.audited = true;
            }
            _ => {}
        }
    }

    fn close(&self, tally: &mut Tally) {
        if self.audited && self.end != self.start {
            let off = u64::try_from(self.end.abs_diff(self.start)).unwrap_or(u64::MAX);
            tally.find(off, None, Vec::new(), Vec::new(), || {
                format!("The sum of `{}` was {}, and is {}.", self.name, self.start, self.end)
            });
        }
    }

    fn looks_at(&self) -> &'static str {
        "operations that changed it"
    }
}
