//! `linearizable`: could what operations read and wrote in a register have happened one after the
//! other, each at a moment while it was under way?
//!
//! Each node's property is a register. What an operation did is read from what it reports; the
//! search is that of `histories::linearizable`, fed in the order of time as soon as it is known
//! how the operations under way ended. Judged is what the master answered, between two failovers:
//! after one, a register is looked at again from the first operation that was alone on it.
//! Operations elsewhere, or whose outcome is unknown, may have happened at any time since.
//!
//! Nothing is said where an operation writes the property without reporting it, nor where some
//! delete nodes and others create them: a new node may have the id of a deleted one.
//!
//! Exercised: an answer was judged. *Undecided* is a register on which the search went over its
//! budget. Memory: what is under way or ended unknown, and one search for each register.

use std::collections::{BTreeMap, VecDeque};

use wavetank_vocabulary::{
    Classes, Fact, InstanceId, NodeId, OperationId, OperationKind, OperationOutcome, Time,
};
use wavetank_world::{GraphSource, Plan};

use super::anomalies::{Tally, Watch};
use super::ids_again::IdsAgain;
use super::observed::{Report, sets};
use crate::histories::linearizable::{Linearizer, Op, Step, Value};

/// Configurations that are looked at for one register before it stays undecided.
const BUDGET: u64 = 200_000;
/// What a register without the property holds.
const ABSENT: Value = Value::MAX;

fn number(value: Option<i64>) -> Value {
    value.map_or(ABSENT, |value| value as Value)
}

fn words(value: Value) -> String {
    if value == ABSENT { "nothing".into() } else { (value as i64).to_string() }
}

/// An operation under way.
#[derive(Clone, Debug, Default)]
struct Open {
    kind: OperationKind,
    /// With whether the instance was the master.
    reports: Vec<(Report, bool)>,
    /// Attempts that certainly did nothing.
    failed: Vec<u16>,
    /// Whether some attempt may have done something unseen.
    ambiguous: bool,
}

/// How an operation ended.
#[derive(Clone, Debug, Default)]
struct Ended {
    /// One for each node.
    did: Vec<(NodeId, Op, InstanceId)>,
    /// What may have happened besides.
    maybe: Vec<(NodeId, Op)>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Called(OperationId),
    Returned(OperationId, Time),
    /// A write of an operation that nobody waits for any more.
    Maybe(NodeId, Op),
    Epoch,
}

#[derive(Clone, Debug, Default)]
struct Register {
    /// None: what it holds is not known.
    search: Option<Linearizer>,
    /// Operations under way, and their tickets.
    under_way: Vec<(OperationId, Option<usize>)>,
    /// The only one under way since there was none.
    alone: Option<OperationId>,
    /// What may still happen, called before the last failover.
    carried: Vec<Op>,
    undecided: bool,
}

/// What registers begin with.
#[derive(Clone, Debug)]
struct Start {
    value: Value,
    /// On the nodes before this one; what an operation creates begins with what it says.
    nodes: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Linearizable {
    name: String,
    start: Start,
    /// Why it comes to no verdict.
    why: Option<String>,
    /// For each kind of operation: the return steps that report the register, and whether as
    /// written.
    places: Vec<Vec<(u8, bool)>>,
    open: BTreeMap<OperationId, Open>,
    ended: BTreeMap<OperationId, Ended>,
    /// Operations that have ended, and may still do something.
    late: BTreeMap<OperationId, OperationKind>,
    events: VecDeque<Event>,
    master: Option<InstanceId>,
    registers: BTreeMap<NodeId, Register>,
}

impl Linearizable {
    pub(super) fn new(plan: &Plan, name: &str) -> Self {
        let places = plan.operations.iter().map(|program| {
            let of = program.returned().filter(|step| step.key == Some(name));
            of.map(|step| (step.place, step.wrote)).collect()
        });
        let start = plan.graph.properties.iter().find(|(key, _)| key == name);
        let nodes = match &plan.graph.source {
            GraphSource::Social { users, .. } => *users,
            GraphSource::Edges { edges, .. } => edges.nodes,
        };
        let silent = plan.operations.iter().find(|program| {
            let told = program.returned().filter(|step| step.wrote && step.key == Some(name));
            sets(program, name) != told.count()
        });
        let silent = silent.map(|program| {
            format!("`{}` writes `{name}` and does not report what it wrote.", program.name)
        });
        Linearizable {
            name: name.to_owned(),
            start: Start { value: number(start.map(|(_, value)| *value)), nodes: u64::from(nodes) },
            why: silent.or_else(|| IdsAgain::new(plan).why().map(str::to_owned)),
            places: places.collect(),
            open: BTreeMap::new(),
            ended: BTreeMap::new(),
            late: BTreeMap::new(),
            events: VecDeque::new(),
            master: None,
            registers: BTreeMap::new(),
        }
    }

    /// What the reports of one attempt amount to: one for each node.
    fn did(
        &self,
        kind: OperationKind,
        reports: impl Iterator<Item = Report>,
    ) -> Vec<(NodeId, Op, InstanceId)> {
        let mut did: Vec<(NodeId, Op, InstanceId)> = Vec::new();
        for report in reports {
            let places = &self.places[kind.index()];
            let Some((_, writes)) = places.iter().find(|(place, _)| *place == report.place) else {
                continue;
            };
            let value = number(report.value);
            let known = did.iter_mut().find(|(node, ..)| *node == report.node);
            match (known, *writes) {
                (Some((_, op, _)), true) => {
                    *op = match *op {
                        Op::Read(from) | Op::Cas(from, _) => Op::Cas(from, value),
                        _ => Op::Write(value),
                    }
                }
                (Some((_, op, _)), false) => {
                    *op = match *op {
                        Op::Write(to) | Op::Cas(_, to) => Op::Cas(value, to),
                        _ => Op::Read(value),
                    }
                }
                (None, true) => did.push((report.node, Op::Write(value), report.instance)),
                (None, false) => did.push((report.node, Op::Read(value), report.instance)),
            }
        }
        did
    }

    fn ended(&mut self, operation: OperationId, outcome: OperationOutcome, attempts: u16) {
        let Some(open) = self.open.remove(&operation) else { return };
        let mut ended = Ended::default();
        for attempt in 1..=attempts {
            let of = open.reports.iter().filter(|(report, _)| report.attempt == attempt);
            let at_master = of.clone().all(|(_, at_master)| *at_master);
            let did = self.did(open.kind, of.map(|(report, _)| *report));
            if outcome == OperationOutcome::Ok && attempt == attempts && at_master {
                ended.did = did;
            } else if outcome != OperationOutcome::Failed && !open.failed.contains(&attempt) {
                ended.maybe.extend(did.into_iter().map(|(node, op, _)| (node, op)));
            }
        }
        if open.ambiguous || outcome == OperationOutcome::Unknown {
            self.late.insert(operation, open.kind);
        }
        self.ended.insert(operation, ended);
    }

    fn play(&mut self, tally: &mut Tally) {
        while let Some(event) = self.events.front().copied() {
            match event {
                Event::Called(operation) => {
                    let Some(ended) = self.ended.get(&operation) else { return };
                    for (node, op) in &ended.maybe {
                        register(&mut self.registers, &self.start, *node).maybe(*op);
                    }
                    for (node, op, _) in &ended.did {
                        let register = register(&mut self.registers, &self.start, *node);
                        register.alone = register.under_way.is_empty().then_some(operation);
                        let ticket = register.search.as_mut().map(|search| search.call(*op));
                        register.under_way.push((operation, ticket));
                    }
                }
                Event::Returned(operation, at) => {
                    let Some(ended) = self.ended.remove(&operation) else { return };
                    for (node, op, instance) in ended.did {
                        let Some(register) = self.registers.get_mut(&node) else { continue };
                        let names = (self.name.as_str(), node, operation);
                        register.returned(names, op, (at, instance), tally);
                    }
                }
                Event::Maybe(node, op) => {
                    register(&mut self.registers, &self.start, node).maybe(op);
                }
                Event::Epoch => {
                    for register in self.registers.values_mut() {
                        register.forget();
                    }
                    // What was called and has not returned may happen under the new master.
                    for ended in self.ended.values() {
                        for (node, op) in &ended.maybe {
                            if let Some(register) = self.registers.get_mut(node) {
                                register.maybe(*op);
                            }
                        }
                    }
                }
            }
            self.events.pop_front();
        }
    }
}

/// The register of a node; what it begins with is known of the nodes of the graph.
fn register<'r>(
    registers: &'r mut BTreeMap<NodeId, Register>,
    start: &Start,
    node: NodeId,
) -> &'r mut Register {
    registers.entry(node).or_insert_with(|| Register {
        search: (node.0 < start.nodes).then(|| Linearizer::new(start.value, BUDGET)),
        ..Register::default()
    })
}

impl Register {
    fn maybe(&mut self, op: Op) {
        // What it read is of no matter if it did not happen: as a write it explains the most.
        let op = match op {
            Op::Cas(_, to) => Op::Write(to),
            other => other,
        };
        match &mut self.search {
            Some(search) => search.call_open(op),
            None => self.carried.push(op),
        }
    }

    /// What it holds is no longer known.
    fn forget(&mut self) {
        self.search = None;
        self.alone = None;
        self.carried.clear();
        self.under_way.iter_mut().for_each(|(_, ticket)| *ticket = None);
    }

    fn returned(
        &mut self,
        (name, node, operation): (&str, NodeId, OperationId),
        op: Op,
        (at, instance): (Time, InstanceId),
        tally: &mut Tally,
    ) {
        let place = self.under_way.iter().position(|(known, _)| *known == operation);
        let Some((_, ticket)) = place.map(|place| self.under_way.swap_remove(place)) else {
            return;
        };
        if self.undecided {
            return;
        }
        match (&mut self.search, ticket) {
            (Some(search), Some(ticket)) => {
                tally.looked += 1;
                match search.returned(ticket) {
                    Step::Explained => {}
                    Step::Spent => {
                        self.undecided = true;
                        tally.undecided.get_or_insert_with(|| {
                            format!(
                                "Undecided: at {at} the search for an order on node {} had looked \
                                 at {BUDGET} configurations.",
                                node.0
                            )
                        });
                    }
                    Step::Impossible => {
                        let possible: Vec<String> =
                            search.possible().iter().take(6).map(|value| words(*value)).collect();
                        tally.find(1, Some(at), vec![operation], vec![instance], || {
                            let did = match op {
                                Op::Read(value) => format!("read {}", words(value)),
                                Op::Write(value) => format!("wrote {}", words(value)),
                                Op::Cas(from, to) => {
                                    format!("found {} and wrote {}", words(from), words(to))
                                }
                                Op::CasMiss(from) => format!("did not find {}", words(from)),
                            };
                            format!(
                                "{operation} {did} in `{name}` of node {} at instance {} and ended \
                                 at {at}; nothing explains it: before it there could be {}.",
                                node.0,
                                instance.0,
                                possible.join(", ")
                            )
                        });
                        self.forget();
                    }
                }
            }
            (None, _) if self.alone == Some(operation) && self.under_way.is_empty() => {
                let holds = match op {
                    Op::Read(value) | Op::Write(value) | Op::Cas(_, value) => value,
                    Op::CasMiss(_) => return,
                };
                let mut search = Linearizer::new(holds, BUDGET);
                for op in self.carried.drain(..) {
                    search.call_open(op);
                }
                self.search = Some(search);
            }
            _ => {}
        }
        if self.under_way.is_empty() {
            self.alone = None;
        }
    }
}

impl Watch for Linearizable {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::VALUES | Classes::CLUSTER
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        if self.why.is_some() {
            return;
        }
        match *fact {
            Fact::EpochBegan { instance, .. } => {
                let before = self.master.replace(instance);
                self.events.extend(before.map(|_| Event::Epoch));
            }
            Fact::Invoked { operation, kind } if !self.places[kind.index()].is_empty() => {
                self.open.insert(operation, Open { kind, ..Open::default() });
                self.events.push_back(Event::Called(operation));
            }
            Fact::Observed { .. } => {
                let Some((operation, report)) = Report::of(at, fact) else { return };
                if let Some(open) = self.open.get_mut(&operation) {
                    open.reports.push((report, self.master == Some(report.instance)));
                } else if let Some(kind) = self.late.get(&operation)
                    && report.wrote
                {
                    let did = self.did(*kind, std::iter::once(report));
                    self.events.extend(did.into_iter().map(|(node, op, _)| Event::Maybe(node, op)));
                }
            }
            Fact::Retried { operation, status, attempt } => {
                if let Some(open) = self.open.get_mut(&operation) {
                    match status.is_ambiguous() {
                        true => open.ambiguous = true,
                        false => open.failed.push(attempt.saturating_sub(1)),
                    }
                }
            }
            Fact::Completed { operation, outcome, attempts, .. }
                if self.open.contains_key(&operation) =>
            {
                self.ended(operation, outcome, attempts);
                self.events.push_back(Event::Returned(operation, at));
                self.play(tally);
            }
            _ => {}
        }
    }

    fn close(&self, tally: &mut Tally) {
        if self.why.is_some() {
            tally.undecided.clone_from(&self.why);
        }
    }

    fn looks_at(&self) -> &'static str {
        "answers"
    }
}

#[cfg(test)]
mod tests;
