//! When, where and by which transaction operations of some kinds were done: so that a check which
//! finds their marks at the end can tell who raced with whom.
//!
//! Memory: one entry for each operation of these kinds that did not fail.

use std::collections::BTreeMap;

use wavetank_vocabulary::{Fact, InstanceId, OperationId, OperationOutcome, Time, TxId};
use wavetank_world::{Plan, Program};

/// What one operation did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed {
    /// When it was due, and when its client was told.
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) instance: Option<InstanceId>,
    tx: TxId,
}

#[derive(Clone, Debug)]
pub(super) struct Deeds {
    kinds: Vec<bool>,
    done: BTreeMap<OperationId, Deed>,
}

impl Deeds {
    /// Of the operations whose program is one of those.
    pub(super) fn new(plan: &Plan, of: impl Fn(&Program) -> bool) -> Self {
        Deeds { kinds: plan.operations.iter().map(of).collect(), done: BTreeMap::new() }
    }

    /// Reads a fact.
    pub(super) fn read(&mut self, at: Time, fact: &Fact) {
        let Fact::Completed { operation, kind, outcome, instance, tx, intended, .. } = *fact else {
            return;
        };
        let is_one = self.kinds.get(kind.index()).is_some_and(|is_one| *is_one);
        if is_one && outcome != OperationOutcome::Failed {
            self.done.insert(operation, Deed { from: intended, to: at, instance, tx });
        }
    }

    pub(super) fn of(&self, operation: OperationId) -> Option<&Deed> {
        self.done.get(&operation)
    }

    /// An operation in words: with when and where, if that is known.
    pub(super) fn told(&self, operation: OperationId) -> String {
        let Some(deed) = self.of(operation) else { return operation.to_string() };
        let tx = match deed.tx {
            TxId(0) => String::new(),
            TxId(tx) => format!(", transaction {tx}"),
        };
        let place =
            deed.instance.map_or_else(String::new, |instance| format!(", instance {}", instance.0));
        format!("{operation} (from {} to {}{place}{tx})", deed.from, deed.to)
    }
}
