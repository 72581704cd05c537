//! `acknowledged-writes-lost`: was every write that a client was told had succeeded still
//! there at the end?
//!
//! Two kinds of evidence must agree. The *log*: checksums of transactions form a chain, so
//! the final master's last mark names one history, and an acknowledged transaction is in it
//! or not. The *contents*: operations leave their identifier on what they created, or as the
//! last writer of a property, and the audit reads the final master's store for it. Of an operation
//! of several transactions all that its last attempt committed are looked for in the log, unless an
//! earlier attempt may have been under way beside it: then the last one is.
//!
//! A lost write is *explained* when it is absent from the log of an instance that was chosen
//! after the one under which it was logged, and the branch that held it was set aside: that is
//! what Neo4j HA may do.
//! Any other loss is *unexplained*, and its limit is always zero. The other way round, a write
//! that a client was told had failed for certain must not be there.
//!
//! Exercised: at least one write was acknowledged, and, where the Plan has faults, one of
//! them took effect.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wavetank_reports::{ExpectationResult, Verdict, grouped};
use wavetank_vocabulary::{
    Classes, Fact, InstanceId, LogMark, NodeId, Observer, OperationId, OperationOutcome, Role, Seq,
    Status, Subject, Time, TxId,
};
use wavetank_world::{Bounds, Plan};

use super::{less, limit_json};
use crate::explain::Evidence;

/// The check.
#[derive(Clone, Debug)]
pub struct AcknowledgedWrites {
    explained_limit: Bounds<u64>,
    needs_fault: bool,
    fault_seen: bool,
    /// Every transaction that was ever logged, by its mark: the checksum of the chain before it.
    chain: BTreeMap<LogMark, u64>,
    /// The transactions of each operation (several, when it was tried again).
    commits: BTreeMap<OperationId, Vec<LogMark>>,
    /// How many of them earlier attempts had made when the present one began; none if one of those
    /// may be under way still. Only of operations that were tried again.
    before: BTreeMap<OperationId, Option<usize>>,
    acknowledged: Vec<Acknowledged>,
    /// Of those with several transactions, the ones before the last.
    earlier: BTreeMap<OperationId, Vec<LogMark>>,
    /// Every election won and every reign begun, in order: whose, and with which history.
    chosen: Vec<(InstanceId, LogMark)>,
    /// Which of them was the last of its master when a transaction was logged.
    logged_under: BTreeMap<LogMark, usize>,
    /// Where each instance's log was last seen to end.
    ends: BTreeMap<InstanceId, LogMark>,
    /// Operations that their clients were told had not been done.
    failed: Vec<(Time, OperationId)>,
    discarded: Vec<LogMark>,
    end: Option<LogMark>,
    created: BTreeSet<OperationId>,
    last_writers: BTreeMap<NodeId, OperationId>,
}

#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    at: Time,
    operation: OperationId,
    tx: TxId,
    subject: Subject,
}

impl AcknowledgedWrites {
    /// A check that accepts so many explained losses.
    pub fn new(plan: &Plan, explained_limit: Bounds<u64>) -> Self {
        AcknowledgedWrites {
            explained_limit,
            needs_fault: !plan.faults.is_empty(),
            fault_seen: false,
            chain: BTreeMap::new(),
            commits: BTreeMap::new(),
            before: BTreeMap::new(),
            acknowledged: Vec::new(),
            earlier: BTreeMap::new(),
            chosen: Vec::new(),
            logged_under: BTreeMap::new(),
            ends: BTreeMap::new(),
            failed: Vec::new(),
            discarded: Vec::new(),
            end: None,
            created: BTreeSet::new(),
            last_writers: BTreeMap::new(),
        }
    }

    /// Whether the history that ends with `end` contains the transaction.
    fn contains(&self, end: LogMark, what: LogMark) -> bool {
        let mut at = end;
        while at.tx > what.tx {
            match self.chain.get(&at) {
                Some(before) => at = LogMark { tx: TxId(at.tx.0 - 1), checksum: *before },
                None => return false,
            }
        }
        at == what
    }

    /// All transactions of the history that ends with `end`.
    fn history(&self, end: LogMark) -> BTreeSet<LogMark> {
        let mut history = BTreeSet::new();
        let mut at = end;
        while let Some(before) = self.chain.get(&at) {
            history.insert(at);
            at = LogMark { tx: TxId(at.tx.0 - 1), checksum: *before };
        }
        history
    }

    /// The mark of an acknowledged transaction. Two attempts of an operation can have been logged
    /// under one id, if a crash took the first: then the one in `history` counts, else the last.
    fn mark(&self, write: &Acknowledged, history: &BTreeSet<LogMark>) -> Option<LogMark> {
        let marks = self.commits.get(&write.operation)?;
        let mut of_this_id = marks.iter().rev().copied().filter(|mark| mark.tx == write.tx);
        let last = of_this_id.clone().next();
        of_this_id.find(|mark| history.contains(mark)).or(last)
    }

    /// Which of its transactions the history lacks; none for one that was never logged.
    fn missing(&self, write: &Acknowledged, history: &BTreeSet<LogMark>) -> Vec<Option<LogMark>> {
        let earlier = self.earlier.get(&write.operation).into_iter().flatten().copied().map(Some);
        let all = earlier.chain([self.mark(write, history)]);
        all.filter(|mark| !mark.is_some_and(|mark| history.contains(&mark))).collect()
    }

    /// Whether each that is missing is explained.
    fn are_explained(&self, missing: &[Option<LogMark>]) -> bool {
        let explained = |mark: &Option<LogMark>| mark.is_some_and(|mark| self.is_explained(mark));
        !missing.is_empty() && missing.iter().all(explained)
    }

    /// Another attempt is to come.
    fn retried(&mut self, operation: OperationId, status: Status) {
        let made = self.commits.get(&operation).map_or(0, Vec::len);
        let before = self.before.entry(operation).or_insert(Some(made));
        *before = before.and((!status.is_ambiguous()).then_some(made));
    }

    /// Notes what the last attempt made before its last transaction.
    fn note_earlier(&mut self, operation: OperationId, last: TxId) {
        let Some(before) = self.before.remove(&operation).unwrap_or(Some(0)) else { return };
        let Some(marks) = self.commits.get(&operation) else { return };
        let own = marks.iter().skip(before).copied();
        let earlier: Vec<LogMark> = own.filter(|mark| mark.tx != last).collect();
        if !earlier.is_empty() {
            self.earlier.insert(operation, earlier);
        }
    }

    /// Whether the store shows what the write did, or what a later one made of it.
    fn shows(&self, write: &Acknowledged, history: &BTreeSet<LogMark>) -> bool {
        match write.subject {
            Subject::Nothing => true,
            Subject::Created => self.created.contains(&write.operation),
            Subject::Property(node) => self.last_writers.get(&node).is_some_and(|last| {
                *last == write.operation
                    || self.commits.get(last).is_some_and(|marks| {
                        marks.iter().any(|mark| mark.tx >= write.tx && history.contains(mark))
                    })
            }),
        }
    }

    /// Whether somebody was chosen afterwards whose history lacks the transaction, and the
    /// history that has it was set aside.
    fn is_explained(&self, mark: LogMark) -> bool {
        let Some(own) = self.logged_under.get(&mark) else { return false };
        let passed_over =
            self.chosen.iter().skip(own + 1).any(|(_, log)| !self.contains(*log, mark));
        let set_aside = self.discarded.iter().any(|log| self.contains(*log, mark));
        passed_over && set_aside
    }

    /// The first write that its client was told had failed and that was done all the same.
    fn done_all_the_same(&self, history: &BTreeSet<LogMark>) -> Option<(Time, OperationId)> {
        let done = |operation: &OperationId| {
            let marks = self.commits.get(operation);
            marks.is_some_and(|marks| marks.iter().any(|mark| history.contains(mark)))
        };
        self.failed.iter().copied().find(|(_, operation)| done(operation))
    }

    /// The first write that was lost without an explanation, or else the first lost one.
    pub fn evidence(&self) -> Evidence {
        let Some(end) = self.end else { return Evidence::default() };
        let history = self.history(end);
        let (mut explained, mut unexplained) = (None, None);
        for write in &self.acknowledged {
            let missing = self.missing(write, &history);
            if missing.is_empty() && self.shows(write, &history) {
                continue;
            }
            if self.are_explained(&missing) {
                explained.get_or_insert(write.operation);
            } else {
                unexplained.get_or_insert(write.operation);
            }
        }
        let undone = || self.done_all_the_same(&history).map(|(_, operation)| operation);
        let operations = unexplained.or_else(undone).or(explained).into_iter().collect();
        Evidence { operations, ..Evidence::default() }
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let limit = json!({
            "explained": limit_json(&self.explained_limit, |limit| json!(limit)),
            "unexplained": 0,
        });
        let result = |verdict, measured: Value, why: String| ExpectationResult {
            check: "acknowledged-writes-lost".into(),
            verdict,
            measured,
            limit: limit.clone(),
            why,
        };
        let total = self.acknowledged.len() as u64;
        let Some(end) = self.end else {
            let why = "There was no master at the end whose store could be read.".to_owned();
            return result(Verdict::NotExercised, Value::Null, why);
        };
        let history = self.history(end);
        let (mut explained, mut unexplained) = (0u64, 0u64);
        let mut example = None;
        for write in &self.acknowledged {
            let missing = self.missing(write, &history);
            if missing.is_empty() && self.shows(write, &history) {
                continue;
            }
            if self.are_explained(&missing) {
                explained += 1;
                continue;
            }
            unexplained += 1;
            example.get_or_insert_with(|| {
                let what = if missing.is_empty() {
                    "is in the final master's log, but its store does not show it"
                } else {
                    "is not in the final master's log, and no discarded branch holds it"
                };
                let first = missing.first().copied().flatten();
                let tx = first.map_or(write.tx, |mark| mark.tx).0;
                format!(
                    "Operation {} was acknowledged at {} as transaction {tx}: it {what}.",
                    write.operation, write.at
                )
            });
        }
        let measured = json!({"explained": explained, "unexplained": unexplained});
        if unexplained > 0 {
            return result(Verdict::Broke, measured, example.unwrap_or_default());
        }
        if let Some((at, operation)) = self.done_all_the_same(&history) {
            let why = format!(
                "Operation {operation} was told at {at} to have failed for certain: it is in the \
                 final master's log."
            );
            return result(Verdict::Broke, measured, why);
        }
        if !self.explained_limit.hold(&explained) {
            let why = format!(
                "{explained} acknowledged writes went with a branch that was discarded.{}",
                less(&self.explained_limit, &explained)
            );
            return result(Verdict::Broke, measured, why);
        }
        if total == 0 {
            let why = "No write was acknowledged.".to_owned();
            return result(Verdict::NotExercised, measured, why);
        }
        if self.needs_fault && !self.fault_seen {
            let why = "None of the scenario's faults took effect.".to_owned();
            return result(Verdict::NotExercised, measured, why);
        }
        let why = match explained {
            0 => format!("All {} acknowledged writes are in log and store.", grouped(total)),
            _ => format!(
                "Of {} acknowledged writes, {explained} went with a branch that was discarded.",
                grouped(total)
            ),
        };
        result(Verdict::Held, measured, why)
    }
}

impl Observer for AcknowledgedWrites {
    fn interests(&self) -> Classes {
        Classes::CLUSTER
            | Classes::STORE
            | Classes::TRANSACTIONS
            | Classes::OPERATIONS
            | Classes::FAULTS
            | Classes::AUDIT
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::Logged { instance, log, before, operation } => {
                self.chain.insert(log, before);
                self.ends.insert(instance, log);
                if let Some(own) = self.chosen.iter().rposition(|(who, _)| *who == instance) {
                    self.logged_under.insert(log, own);
                }
                if let Some(operation) = operation {
                    self.commits.entry(operation).or_default().push(log);
                }
            }
            Fact::Completed { operation, outcome: OperationOutcome::Ok, tx, subject, .. }
                if tx.0 != 0 =>
            {
                self.note_earlier(operation, tx);
                self.acknowledged.push(Acknowledged { at, operation, tx, subject });
            }
            Fact::Retried { operation, status, .. } => self.retried(operation, status),
            Fact::Completed { operation, outcome: OperationOutcome::Failed, .. } => {
                self.failed.push((at, operation));
            }
            Fact::EpochBegan { instance, log, .. } => self.chosen.push((instance, log)),
            // A master that wins again begins no new reign.
            Fact::ElectionEnded { winner: Some(winner), .. } => {
                if let Some(log) = self.ends.get(&winner) {
                    self.chosen.push((winner, *log));
                }
            }
            Fact::Applied { instance, log, .. } | Fact::Recovered { instance, log, .. } => {
                self.ends.insert(instance, log);
            }
            Fact::BranchDiscarded { log, .. } => self.discarded.push(log),
            Fact::FaultBegan { .. } => self.fault_seen = true,
            Fact::Final { role: Role::Master, log, contents: Some(_), .. } => {
                self.end = Some(log);
            }
            Fact::Found { operation, subject } => match subject {
                Subject::Created => {
                    self.created.insert(operation);
                }
                Subject::Property(node) => {
                    self.last_writers.insert(node, operation);
                }
                Subject::Nothing => {}
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
