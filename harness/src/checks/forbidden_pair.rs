//! `forbidden-pair`: is there a relationship where something else excludes it?
//!
//! A relationship the other way, such as a block of the follower, is looked for in the master's
//! store at the end; who created the two, and when, operations have told. With a label, such as
//! that of a deleted user, what counts is the order of the transactions: which one first gave a
//! node the label, and which one last led a relationship there, is read from what operations that
//! ended well have reported, in earlier attempts, too. When a new master begins its reign, what lies beyond its log is gone.
//!
//! Left undecided is what looks wrong of a node that may have become another one between the two
//! (`ids_again`), what one of several transactions did while an earlier attempt may have been
//! under way, and all else where an operation gives the label, or leads there, without reporting
//! the node in the same transaction and under the same tests.
//!
//! Exercised: operations created such relationships, and something could exclude one. Memory: the
//! relationships of both types at the end, and one entry for each operation that could create one;
//! with a label, one entry for each node that was led to or given the label.

use std::collections::BTreeMap;

use wavetank_vocabulary::{Classes, Fact, InstanceId, NodeId, OperationId, Time, TxId};
use wavetank_world::{Forbidden, Plan, Program, Tells};

use super::anomalies::{Tally, Watch};
use super::deeds::Deeds;
use super::ids_again::IdsAgain;
use super::observed::Reports;

/// A transaction that concerned a node.
#[derive(Clone, Copy, Debug)]
struct Deed {
    operation: OperationId,
    tx: TxId,
    at: Time,
    instance: InstanceId,
}

impl Deed {
    /// E.g. `transaction 12, at 3.5s, instance 1`.
    fn place(&self) -> String {
        format!("transaction {}, at {}, instance {}", self.tx.0, self.at, self.instance.0)
    }
}

#[derive(Clone, Debug)]
enum By {
    Type {
        place: u8,
        other: u8,
        excluded: BTreeMap<(NodeId, NodeId), Option<OperationId>>,
        there: Vec<(NodeId, NodeId, Option<OperationId>)>,
        /// What created such relationships.
        deeds: Deeds,
    },
    Label {
        /// For each kind of operation, how it tells where it leads relationships, and what it
        /// gives the label; and whether it has several transactions.
        kinds: Vec<(Tells, Tells, bool)>,
        /// Why what is not told of may be wrong.
        silent: Option<String>,
        reports: Reports,
        master: Option<InstanceId>,
        /// The last transaction that led a relationship there.
        led: BTreeMap<NodeId, Deed>,
        /// The first that gave the label.
        given: BTreeMap<NodeId, Deed>,
        ids_again: Box<IdsAgain>,
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
                let deeds = Deeds::new(plan, |program| {
                    program.leads_to(kind).chain(program.leads_to(other)).next().is_some()
                });
                let by = By::Type {
                    place,
                    other: second,
                    excluded: BTreeMap::new(),
                    there: Vec::new(),
                    deeds,
                };
                (other, by)
            }
            Forbidden::Label(label) => {
                let kinds = plan.operations.iter().map(|program| {
                    let (led, given) = (program.tells_led(kind), program.tells_labelled(label));
                    (led, given, program.commits_between())
                });
                let by = By::Label {
                    kinds: kinds.collect(),
                    silent: plan.operations.iter().find_map(|it| silent(it, kind, label)),
                    reports: Reports::of_every_attempt(),
                    master: None,
                    led: BTreeMap::new(),
                    given: BTreeMap::new(),
                    ids_again: Box::new(IdsAgain::new(plan)),
                };
                (label, by)
            }
        };
        ForbiddenPair { kind: kind.to_owned(), other: other.clone(), by }
    }
}

/// What an operation does without saying so.
fn silent(program: &Program, kind: &str, label: &str) -> Option<String> {
    let does = match (program.tells_led(kind).always, program.tells_labelled(label).always) {
        (true, true) => return None,
        (false, _) => format!("creates relationships `{kind}` and does not report where they lead"),
        (true, false) => format!("gives the label `{label}` and does not report to what"),
    };
    let name = &program.name;
    Some(format!("`{name}` {does}, in the same transaction and under the same tests."))
}

fn find(
    names: (&str, &str),
    node: NodeId,
    (led, given): (&Deed, &Deed),
    ids_again: &IdsAgain,
    tally: &mut Tally,
) {
    if led.tx <= given.tx {
        return;
    }
    if let Some(why) = ids_again.doubt(node, led.at.max(given.at)) {
        tally.undecided.get_or_insert_with(|| why.to_owned());
        return;
    }
    let operations = vec![given.operation, led.operation];
    let at = Some(led.at.max(given.at));
    tally.find(1, at, operations, vec![given.instance, led.instance], || {
        format!(
            "Node {} was given the label {} by {} ({}), and {} led a {} there after that ({}).",
            node.0,
            names.1,
            given.operation,
            given.place(),
            led.operation,
            names.0,
            led.place()
        )
    });
}

impl Watch for ForbiddenPair {
    fn interests(&self) -> Classes {
        match &self.by {
            By::Type { .. } => Classes::OPERATIONS | Classes::AUDIT,
            By::Label { ids_again, .. } => {
                let own = Classes::OPERATIONS | Classes::VALUES | Classes::TRANSACTIONS;
                own | Classes::CLUSTER | ids_again.interests()
            }
        }
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        match &mut self.by {
            By::Type { place, other, excluded, there, deeds } => {
                deeds.read(at, fact);
                let Fact::FinalRelationship { kind, from, to, operation } = *fact else { return };
                if kind == *place {
                    there.push((from, to, operation));
                }
                if kind == *other {
                    excluded.insert((to, from), operation);
                }
            }
            By::Label { kinds, reports, master, led, given, ids_again, .. } => {
                ids_again.observe(at, fact);
                match *fact {
                    Fact::EpochBegan { instance, log, .. } => {
                        *master = Some(instance);
                        reports.cut(log.tx);
                        led.retain(|_, deed| deed.tx <= log.tx);
                        given.retain(|_, deed| deed.tx <= log.tx);
                    }
                    // Who was master before and does not know that it is no longer.
                    Fact::Committed { instance, .. }
                        if master.is_some_and(|master| master != instance) =>
                    {
                        return;
                    }
                    _ => {}
                }
                let Some(reports) = reports.read(at, fact) else { return };
                let Fact::Completed { operation, kind, tx, .. } = *fact else { return };
                let (leads, gives, several) = &kinds[kind.index()];
                let names = (self.kind.as_str(), self.other.as_str());
                for report in &reports {
                    let did = |tells: &Tells| {
                        tells.places.iter().any(|(place, merges)| {
                            *place == report.place
                                && (*merges == 0 || report.found & merges != *merges)
                        })
                    };
                    let (leads, gives) = (did(leads), did(gives));
                    if !leads && !gives {
                        continue;
                    }
                    let Some(tx) = (if *several { report.tx } else { Some(tx) }) else {
                        tally.undecided.get_or_insert_with(|| {
                            format!(
                                "By which of its transactions {operation} did what it reports at \
                                 {} is not known: an earlier attempt may have been under way.",
                                report.at
                            )
                        });
                        continue;
                    };
                    if tx == TxId(0) {
                        continue;
                    }
                    let (node, instance) = (report.node, report.instance);
                    let deed = Deed { operation, tx, at, instance };
                    if leads {
                        tally.looked += 1;
                        if let Some(given) = given.get(&node) {
                            find(names, node, (&deed, given), ids_again, tally);
                        }
                        if led.get(&node).is_none_or(|last| last.tx < tx) {
                            led.insert(node, deed);
                        }
                    }
                    // Who gave it first counts, whoever is told of first.
                    let known = given.get(&node).map(|known| known.tx);
                    if gives && known.is_none_or(|known| tx < known) {
                        // What came after the one known was found by it.
                        let between = |led: &&Deed| known.is_none_or(|known| led.tx <= known);
                        if let Some(led) = led.get(&node).filter(between) {
                            find(names, node, (led, &deed), ids_again, tally);
                        }
                        given.insert(node, deed);
                    }
                }
            }
        }
    }

    fn close(&self, tally: &mut Tally) {
        let (excluded, there, deeds) = match &self.by {
            By::Type { excluded, there, deeds, .. } => (excluded, there, deeds),
            By::Label { silent, .. } => {
                tally.undecided = tally.undecided.take().or_else(|| silent.clone());
                return;
            }
        };
        if excluded.is_empty() {
            return;
        }
        let who = |by: Option<OperationId>| {
            by.map_or_else(
                || "was there at the start or does not say by whom".to_owned(),
                |by| format!("was created by {}", deeds.told(by)),
            )
        };
        for (from, to, first) in there {
            tally.looked += u64::from(first.is_some());
            let Some(second) = excluded.get(&(*from, *to)) else { continue };
            let both = || first.iter().chain(second);
            let told = || both().filter_map(|by| deeds.of(*by));
            let at = told().map(|deed| deed.to).max();
            let instances = told().filter_map(|deed| deed.instance).collect();
            tally.find(1, at, both().copied().collect(), instances, || {
                format!(
                    "Node {} has a {} to node {}, and that one a {} back; the first {}, the second \
                     {}.",
                    from.0,
                    self.kind,
                    to.0,
                    self.other,
                    who(*first),
                    who(*second)
                )
            });
        }
    }

    fn looks_at(&self) -> &'static str {
        "relationships that something could exclude"
    }
}

#[cfg(test)]
mod tests;
