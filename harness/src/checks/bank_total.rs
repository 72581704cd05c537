//! `bank-total`: was money lost or made?
//!
//! At the end the sum of a number over all nodes, read from the master's store, is what it was:
//! every transfer was done whole or not at all, whatever its client knows of it. That two errors
//! cancel out there is caught on the way: no account is written below zero if it began above, and
//! each transfer goes on from what the one before it left on the account, in the order of their
//! transactions: of several in one operation, the one that was committed next after the report. That
//! is judged as far as every operation that changes the number reports so (`return wrote`), while
//! it is known how all of them ended and the master stays the same.
//!
//! Exercised: some operation changed the number and was told so. Memory: one entry for each
//! account, and what operations under way have reported.

use std::collections::BTreeMap;

use wavetank_vocabulary::{
    Classes, Fact, InstanceId, NodeId, OperationId, OperationKind, OperationOutcome, Time, TxId,
};
use wavetank_world::{GraphSource, Plan, Program};

use super::anomalies::{Tally, Watch};
use super::observed::{Reports, adds, sets, silent};

/// What one transfer did to one account.
#[derive(Clone, Copy, Debug)]
struct Change {
    before: i64,
    after: i64,
    operation: OperationId,
    at: Time,
    instance: InstanceId,
    /// How many operations had begun when it was known: one of them may come before it.
    known: u64,
}

/// What is known of an account.
#[derive(Clone, Copy, Debug)]
struct Left {
    tx: TxId,
    by: Option<Change>,
    balance: i64,
}

/// The changes of accounts, in the order of their transactions.
#[derive(Clone, Debug, Default)]
struct Chain {
    /// Operations that change the number and have not ended, by how many had begun before.
    open: BTreeMap<OperationId, u64>,
    begun: u64,
    waiting: BTreeMap<(TxId, NodeId), Change>,
    accounts: BTreeMap<NodeId, Left>,
    /// What accounts hold that nobody has changed; none once that is not known.
    start: Option<i64>,
    master: Option<InstanceId>,
    /// Somebody may have changed an account unseen.
    doubtful: bool,
}

#[derive(Clone, Debug)]
pub(super) struct BankTotal {
    name: String,
    property: u8,
    each: i64,
    // Wide enough for any number of nodes.
    start: i128,
    end: i128,
    kinds: Vec<bool>,
    /// Whether each kind has several transactions.
    several: Vec<bool>,
    /// For each kind of operation, the return steps that report the number, and how much was
    /// added to it.
    adds: Vec<Vec<(u8, i64)>>,
    reports: Reports,
    chain: Chain,
    audited: bool,
}

impl BankTotal {
    pub(super) fn new(plan: &Plan, name: &str, property: u8) -> Self {
        let nodes = match &plan.graph.source {
            GraphSource::Social { users, .. } => *users,
            GraphSource::Edges { edges, .. } => edges.nodes,
        };
        let each = plan.graph.properties.iter().find(|(key, _)| key == name);
        let each = each.map_or(0, |(_, value)| *value);
        let adds = plan.operations.iter().map(|program| adds(program, name)).collect();
        // One that says nothing of what it changes leaves holes.
        let silent = silent(plan, name).is_some();
        BankTotal {
            name: name.to_owned(),
            property,
            each,
            start: i128::from(each) * i128::from(nodes),
            end: 0,
            kinds: plan.operations.iter().map(|program| sets(program, name) > 0).collect(),
            several: plan.operations.iter().map(Program::commits_between).collect(),
            adds,
            reports: Reports::default(),
            chain: Chain { start: Some(each), doubtful: silent, ..Chain::default() },
            audited: false,
        }
    }

    fn changes(&self, kind: OperationKind) -> bool {
        self.kinds.get(kind.index()).is_some_and(|changes| *changes)
    }

    fn changed(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        let Some(reports) = self.reports.read(at, fact) else { return };
        let Fact::Completed { operation, kind, tx, .. } = *fact else { return };
        for report in reports.iter().filter(|report| report.wrote) {
            let mut adds = self.adds[kind.index()].iter();
            let Some((_, added)) = adds.find(|(place, _)| *place == report.place) else { continue };
            let after = report.value.unwrap_or(0);
            if after < 0 && self.each >= 0 {
                tally.find(1, Some(report.at), vec![operation], vec![report.instance], || {
                    format!(
                        "{operation} left {after} in `{}` of node {} (at {}, instance {}).",
                        self.name, report.node.0, report.at, report.instance.0
                    )
                });
            }
            let change = Change {
                before: after.saturating_sub(*added),
                after,
                operation,
                at: report.at,
                instance: report.instance,
                known: self.chain.begun,
            };
            self.chain.doubtful |= self.chain.master != Some(report.instance);
            let several = self.several.get(kind.index()).is_some_and(|several| *several);
            match if several { report.tx } else { Some(tx) } {
                Some(tx) => drop(self.chain.waiting.insert((tx, report.node), change)),
                // By which of them is not known.
                None => self.chain.doubtful = true,
            }
        }
    }
}

impl Chain {
    /// Takes up the changes before which no other can come any more.
    fn play(&mut self, name: &str, tally: &mut Tally) {
        if self.doubtful {
            self.waiting.clear();
            self.accounts.clear();
            return;
        }
        let settled = self.open.values().min().copied().unwrap_or(self.begun);
        while let Some(entry) = self.waiting.first_entry()
            && entry.get().known <= settled
        {
            let ((tx, node), change) = entry.remove_entry();
            let fresh = self.start.map(|balance| Left { tx: TxId(0), by: None, balance });
            let before = self.accounts.get(&node).copied().or(fresh);
            if let Some(left) = before.filter(|left| left.tx < tx && left.balance != change.before)
            {
                let operations = left.by.iter().map(|by| by.operation).chain([change.operation]);
                let instances = left.by.iter().map(|by| by.instance).chain([change.instance]);
                let (operations, instances) = (operations.collect(), instances.collect());
                tally.find(1, Some(change.at), operations, instances, || {
                    let who = |change: &Change, tx: TxId| {
                        format!(
                            "{} (transaction {}, at {}, instance {})",
                            change.operation, tx.0, change.at, change.instance.0
                        )
                    };
                    let first = left.by.map_or_else(
                        || format!("began with {}", left.balance),
                        |by| format!("was left at {} by {}", left.balance, who(&by, left.tx)),
                    );
                    format!(
                        "`{name}` of node {} {first}; {} changed it from {} to {}.",
                        node.0,
                        who(&change, tx),
                        change.before,
                        change.after
                    )
                });
            }
            if before.is_none_or(|left| left.tx < tx) {
                self.accounts.insert(node, Left { tx, by: Some(change), balance: change.after });
            }
        }
    }

    /// A new master: what lies beyond its log is gone.
    fn epoch(&mut self, instance: InstanceId) {
        if self.master.replace(instance).is_some() {
            self.accounts.clear();
            self.waiting.clear();
            self.start = None;
        }
    }
}

impl Watch for BankTotal {
    fn interests(&self) -> Classes {
        let own = Classes::OPERATIONS | Classes::VALUES | Classes::TRANSACTIONS;
        own | Classes::CLUSTER | Classes::AUDIT
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        match *fact {
            Fact::Invoked { operation, kind } if self.changes(kind) => {
                self.chain.open.insert(operation, self.chain.begun);
                self.chain.begun += 1;
            }
            Fact::Retried { operation, may_have_done: true, .. }
                if self.chain.open.contains_key(&operation) =>
            {
                self.chain.doubtful = true;
            }
            Fact::EpochBegan { instance, log, .. } => {
                self.reports.cut(log.tx);
                self.chain.epoch(instance);
            }
            Fact::FinalValue { property, value, .. } if property == self.property => {
                self.end += i128::from(value);
                self.audited = true;
            }
            _ => {}
        }
        self.changed(at, fact, tally);
        if let Fact::Completed { operation, kind, tx, outcome, .. } = *fact
            && self.changes(kind)
        {
            tally.looked += u64::from(tx != TxId(0));
            self.chain.doubtful |= outcome == OperationOutcome::Unknown;
            self.chain.open.remove(&operation);
            self.chain.play(&self.name, tally);
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

#[cfg(test)]
mod tests {
    use wavetank_vocabulary::{Epoch, LogMark, Observation, Span, Status, Subject};

    use super::*;

    const OK: OperationOutcome = OperationOutcome::Ok;

    /// Transfers of 1 from node 1 to node 2, who begin with 100: what they wrote, by which
    /// transaction, and how they ended.
    fn told(transfers: &[(i64, i64, u64, OperationOutcome)]) -> Tally {
        let mut plan = crate::testing::plan();
        plan.graph.properties = vec![("balance".into(), 100)];
        let (mut check, mut tally) = (BankTotal::new(&plan, "balance", 0), Tally::default());
        (check.kinds, check.adds) = (vec![true], vec![vec![(0, -1), (1, 1)]]);
        let mut ms = 0;
        let mut tell = |fact: Fact| {
            ms += 1;
            check.observe(Time::ZERO + Span::from_millis(ms), &fact, &mut tally);
        };
        let (instance, epoch, log) = (InstanceId(1), Epoch::default(), LogMark::BASE);
        tell(Fact::EpochBegan { instance, epoch, log });
        let id = |index: usize| OperationId { index: index as u32, ..OperationId::default() };
        for index in 0..transfers.len() {
            tell(Fact::Invoked { operation: id(index), kind: OperationKind(0) });
        }
        for (index, (from, to, tx, outcome)) in transfers.iter().enumerate() {
            let operation = id(index);
            for (place, node, value) in [(0, 1, *from), (1, 2, *to)] {
                tell(Fact::Observed {
                    operation,
                    attempt: 1,
                    instance,
                    what: Observation::Wrote,
                    place,
                    index: 0,
                    node: NodeId(node),
                    value: Some(value),
                });
            }
            tell(Fact::Completed {
                operation,
                kind: OperationKind(0),
                outcome: *outcome,
                status: Status::Ok,
                attempts: 1,
                instance: Some(instance),
                tx: TxId(*tx),
                subject: Subject::Nothing,
                intended: Time::ZERO,
            });
        }
        tally
    }

    #[test]
    fn each_transfer_goes_on_from_the_one_before_it_in_whatever_order_they_are_told() {
        let told = told(&[(98, 102, 6, OK), (99, 101, 5, OK), (97, 103, 7, OK)]);
        assert_eq!((told.looked, told.found), (3, 0));
    }

    #[test]
    fn a_lost_transfer_is_told_although_the_sum_is_right() {
        let told = told(&[(99, 101, 5, OK), (99, 101, 6, OK)]);
        assert_eq!(told.found, 2, "on both accounts");
        let story = told.first.expect("a story").0;
        assert!(story.starts_with("`balance` of node 1 was left at 99 by"), "{story}");
        assert!(story.ends_with("instance 1) changed it from 100 to 99."), "{story}");
    }

    #[test]
    fn what_may_have_been_done_unseen_ends_it() {
        let told = told(&[(99, 101, 5, OperationOutcome::Unknown), (98, 102, 6, OK)]);
        assert_eq!(told.found, 0);
    }

    #[test]
    fn a_transfer_is_of_the_transaction_that_made_it() {
        let plan = crate::testing::plan();
        let mut check = BankTotal::new(&plan, "balance", 0);
        (check.kinds, check.adds) = (vec![true], vec![vec![(0, -1)]]);
        check.chain.start = Some(100);
        // The first goes on to another transaction, and ends after the second.
        check.several = vec![true];
        let mut told = super::super::told::Told::new(check);
        let kind = OperationKind(0);
        told.call(1, kind);
        told.call(2, kind);
        told.report(1, Observation::Wrote, 0, 99);
        told.committed(1, 5);
        told.report(2, Observation::Wrote, 0, 98);
        told.committed(2, 6);
        told.committed(1, 7);
        told.end(2, kind, OK);
        told.end(1, kind, OK);
        assert_eq!(told.tally.found, 0, "{}", told.story());
        // And one that is not the last of its operation is not hidden.
        told.call(3, kind);
        told.report(3, Observation::Wrote, 0, 98);
        told.committed(3, 8);
        told.committed(3, 9);
        told.end(3, kind, OK);
        assert!(told.story().contains("by c0#2 (transaction 6,"), "{}", told.story());
        assert!(told.story().contains("c0#3 (transaction 8,"), "{}", told.story());
    }

    #[test]
    fn no_account_is_left_below_zero() {
        let told = told(&[(-1, 101, 5, OperationOutcome::Ok)]);
        let story = told.first.expect("a story").0;
        assert!(story.contains("left -1 in `balance` of node 1"), "{story}");
    }
}
