//! `forbidden-pair`: is there a relationship where something else excludes it?
//!
//! A relationship the other way, such as a block of the follower, is looked for in the master's
//! store at the end. With a label, such as that of a deleted user, what counts is the order of the
//! transactions: which one gave a node the label, and which one led a relationship there, is read
//! from what the operations report. When a new master begins its reign, what lies beyond its log
//! is gone. What looks wrong there is left undecided where some operations delete nodes and others
//! create them: a new node may have the id of a deleted one.
//!
//! Exercised: operations created such relationships, and something could exclude one. Memory: the
//! relationships of both types at the end; with a label, one entry for each node that was led to
//! or given the label.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_vocabulary::{Classes, Fact, InstanceId, NodeId, OperationId, Time, TxId};
use wavetank_world::{Forbidden, Plan};

use super::anomalies::{Tally, Watch};
use super::observed::{Reports, ids_again};

/// A transaction that concerned a node.
#[derive(Clone, Copy, Debug)]
struct Deed {
    operation: OperationId,
    tx: TxId,
    at: Time,
    instance: InstanceId,
}

#[derive(Clone, Debug)]
enum By {
    Type {
        place: u8,
        other: u8,
        excluded: BTreeSet<(NodeId, NodeId)>,
        there: Vec<(NodeId, NodeId, Option<OperationId>)>,
    },
    Label {
        /// For each kind of operation, the return steps that report a node that a relationship
        /// was led to, and those that report one that was given the label.
        leads: Vec<Vec<u8>>,
        gives: Vec<Vec<u8>>,
        reports: Reports,
        /// The last transaction that led a relationship there.
        led: BTreeMap<NodeId, Deed>,
        /// The one that gave the label.
        given: BTreeMap<NodeId, Deed>,
        /// Why a node may be another by now.
        ids_again: Option<String>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct ForbiddenPair {
    kind: String,
    other: String,
    by: By,
}

impl ForbiddenPair {
    pub(super) fn new(plan: &Plan, kind: &str, by: &Forbidden, place: impl Fn(&str) -> u8) -> Self {
        let (other, by) = match by {
            Forbidden::Type(other) => {
                let (place, second) = (place(kind), place(other));
                let (excluded, there) = (BTreeSet::new(), Vec::new());
                (other, By::Type { place, other: second, excluded, there })
            }
            Forbidden::Label(label) => {
                let leads = plan.operations.iter().map(|program| {
                    let to = |of| program.leads_to(kind).any(|slot| slot == of);
                    program.returned().filter(|step| to(step.of)).map(|step| step.place).collect()
                });
                let gives = plan.operations.iter().map(|program| {
                    let to = |of| program.labelled(label).any(|slot| slot == of);
                    program.returned().filter(|step| to(step.of)).map(|step| step.place).collect()
                });
                let by = By::Label {
                    leads: leads.collect(),
                    gives: gives.collect(),
                    reports: Reports::default(),
                    led: BTreeMap::new(),
                    given: BTreeMap::new(),
                    ids_again: ids_again(plan),
                };
                (label, by)
            }
        };
        ForbiddenPair { kind: kind.to_owned(), other: other.clone(), by }
    }
}

fn find(
    names: (&str, &str),
    node: NodeId,
    (led, given): (&Deed, &Deed),
    ids_again: Option<&str>,
    tally: &mut Tally,
) {
    if led.tx <= given.tx {
        return;
    }
    if let Some(why) = ids_again {
        tally.undecided.get_or_insert_with(|| why.to_owned());
        return;
    }
    let operations = vec![given.operation, led.operation];
    let at = Some(led.at.max(given.at));
    tally.find(1, at, operations, vec![given.instance, led.instance], || {
        format!(
            "Node {} was given the label {} by {} (transaction {}, at {}, instance {}), and {} led \
             a {} there after that (transaction {}, at {}, instance {}).",
            node.0,
            names.1,
            given.operation,
            given.tx.0,
            given.at,
            given.instance.0,
            led.operation,
            names.0,
            led.tx.0,
            led.at,
            led.instance.0
        )
    });
}

impl Watch for ForbiddenPair {
    fn interests(&self) -> Classes {
        match &self.by {
            By::Type { .. } => Classes::AUDIT,
            By::Label { .. } => Classes::OPERATIONS | Classes::VALUES | Classes::CLUSTER,
        }
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        match &mut self.by {
            By::Type { place, other, excluded, there } => {
                let Fact::FinalRelationship { kind, from, to, operation } = *fact else { return };
                if kind == *place {
                    there.push((from, to, operation));
                }
                if kind == *other {
                    excluded.insert((to, from));
                }
            }
            By::Label { leads, gives, reports, led, given, ids_again } => {
                if let Fact::EpochBegan { log, .. } = *fact {
                    led.retain(|_, deed| deed.tx <= log.tx);
                    given.retain(|_, deed| deed.tx <= log.tx);
                }
                let Some(reports) = reports.read(at, fact) else { return };
                let Fact::Completed { operation, kind, tx, .. } = *fact else { return };
                for report in reports.iter().filter(|_| tx != TxId(0)) {
                    let (node, instance) = (report.node, report.instance);
                    let deed = Deed { operation, tx, at, instance };
                    let names = (self.kind.as_str(), self.other.as_str());
                    if leads[kind.index()].contains(&report.place) {
                        tally.looked += 1;
                        if let Some(given) = given.get(&node) {
                            find(names, node, (&deed, given), ids_again.as_deref(), tally);
                        }
                        if led.get(&node).is_none_or(|last| last.tx < tx) {
                            led.insert(node, deed);
                        }
                    }
                    if gives[kind.index()].contains(&report.place) {
                        if let Some(led) = led.get(&node) {
                            find(names, node, (led, &deed), ids_again.as_deref(), tally);
                        }
                        given.insert(node, deed);
                    }
                }
            }
        }
    }

    fn close(&self, tally: &mut Tally) {
        let By::Type { excluded, there, .. } = &self.by else { return };
        if excluded.is_empty() {
            return;
        }
        for (from, to, operation) in there {
            tally.looked += u64::from(operation.is_some());
            if excluded.contains(&(*from, *to)) {
                tally.find(1, None, operation.iter().copied().collect(), Vec::new(), || {
                    let by = operation.map_or("was there at the start".into(), |operation| {
                        format!("was created by {operation}")
                    });
                    format!(
                        "Node {} has a {} to node {}, and that one a {} back; the first {by}.",
                        from.0, self.kind, to.0, self.other
                    )
                });
            }
        }
    }

    fn looks_at(&self) -> &'static str {
        "relationships that something could exclude"
    }
}
