//! `linearizable`: could what operations read and wrote in a register have happened one after the
//! other, each at a moment while it was under way?
//!
//! Each node's property is a register. What an operation did is read from what it reports: one
//! that adds 1 and wrote 5 has found 4, another write is a blind one. A write happens when it is
//! committed, and so after it was reported: its time begins there, unless its program has several
//! transactions. The search is that of `histories::linearizable`, fed in the order of time as soon
//! as it is known how the operations under way ended. Judged is what the master answered, between
//! two failovers: after one, a register is looked at again from the first operation that was alone
//! on it. Operations elsewhere, or whose outcome is unknown, may have happened at any time since.
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
use wavetank_world::operation::OperationStep;
use wavetank_world::{GraphSource, Plan};

use super::anomalies::{Tally, Watch};
use super::ids_again::IdsAgain;
use super::observed::{Report, sets};
use crate::histories::linearizable::{Linearizer, Op, Step, Value};

/// Configurations that are looked at for one register before it stays undecided.
const BUDGET: u64 = 200_000;
/// So many may be looked at for an answer without counting.
const EACH: u64 = 64;
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
    attempts: u16,
    /// Whether what it wrote may have been there before it was reported.
    from_call: bool,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Called(OperationId),
    /// It reported that it wrote, and has not yet committed.
    Wrote(OperationId, u16, NodeId),
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
    /// Whether some operation takes the property away.
    unset: bool,
}

impl Start {
    /// What an addition found, if that is known: what is not there counts as 0.
    fn found(&self, node: NodeId, value: Option<i64>, added: i64) -> Option<Value> {
        let before = value?.wrapping_sub(added);
        let there = !self.unset && node.0 < self.nodes && self.value != ABSENT;
        (before != 0 || there).then(|| number(Some(before)))
    }
}

/// A return step that reports the register.
#[derive(Clone, Copy, Debug)]
struct Place {
    number: u8,
    wrote: bool,
    adds: Option<i64>,
}

/// What the reports of one attempt say of a node.
#[derive(Clone, Copy, Debug)]
struct Said {
    node: NodeId,
    instance: InstanceId,
    read: Option<Value>,
    /// With what it found, if it adds.
    wrote: Option<(Value, Option<Value>)>,
}

impl Said {
    fn op(&self) -> Option<Op> {
        Some(match (self.read, self.wrote) {
            (Some(from), Some((to, _))) | (None, Some((to, Some(from)))) => Op::Cas(from, to),
            (None, Some((to, None))) => Op::Write(to),
            (Some(value), None) => Op::Read(value),
            (None, None) => return None,
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Linearizable {
    name: String,
    start: Start,
    /// Why it comes to no verdict.
    why: Option<String>,
    /// For each kind of operation.
    places: Vec<Vec<Place>>,
    /// For each kind, whether it has several transactions.
    several: Vec<bool>,
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
            of.map(|step| Place { number: step.place, wrote: step.wrote, adds: step.adds })
                .collect()
        });
        let start = plan.graph.properties.iter().find(|(key, _)| key == name);
        let nodes = match &plan.graph.source {
            GraphSource::Social { users, .. } => *users,
            GraphSource::Edges { edges, .. } => edges.nodes,
        };
        let unset = plan.operations.iter().any(|program| {
            program.steps.iter().any(|step| {
                matches!(step, OperationStep::Unset { key, .. } if program.name_of(*key) == name)
            })
        });
        let several = plan.operations.iter().map(wavetank_world::Program::commits_between);
        let silent = plan.operations.iter().find(|program| {
            let told = program.returned().filter(|step| step.wrote && step.key == Some(name));
            sets(program, name) != told.count() || !program.tells_each_write(name)
        });
        let silent = silent.map(|program| {
            format!("`{}` writes `{name}` and does not report what it wrote.", program.name)
        });
        Linearizable {
            name: name.to_owned(),
            start: Start {
                value: number(start.map(|(_, value)| *value)),
                nodes: u64::from(nodes),
                unset,
            },
            why: silent.or_else(|| IdsAgain::new(plan).why().map(str::to_owned)),
            places: places.collect(),
            several: several.collect(),
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
        let mut all: Vec<Said> = Vec::new();
        for report in reports {
            let mut places = self.places[kind.index()].iter();
            let Some(place) = places.find(|place| place.number == report.place) else {
                continue;
            };
            let Report { node, instance, value, .. } = report;
            let at = all.iter().position(|said| said.node == node).unwrap_or_else(|| {
                all.push(Said { node, instance, read: None, wrote: None });
                all.len() - 1
            });
            let said = &mut all[at];
            if place.wrote {
                // Where it wrote the same twice, what it found first is not known.
                let once = place.adds.filter(|_| said.wrote.is_none());
                let found = once.and_then(|added| self.start.found(node, value, added));
                said.wrote = Some((number(value), found));
            } else if said.wrote.is_none() {
                // What is read after one's own write is that.
                said.read = Some(number(value));
            }
        }
        all.iter().filter_map(|said| Some((said.node, said.op()?, said.instance))).collect()
    }

    fn ended(&mut self, operation: OperationId, outcome: OperationOutcome, attempts: u16) {
        let Some(open) = self.open.remove(&operation) else { return };
        let from_call = self.several[open.kind.index()];
        let mut ended = Ended { attempts, from_call, ..Ended::default() };
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
                        if ended.from_call || matches!(op, Op::Read(_)) {
                            register(&mut self.registers, &self.start, *node).call(operation, *op);
                        }
                    }
                }
                Event::Wrote(operation, attempt, node) => {
                    let Some(ended) = self.ended.get(&operation) else { return };
                    let counts = !ended.from_call && ended.attempts == attempt;
                    let did = ended.did.iter().find(|(of, ..)| counts && *of == node);
                    if let Some((_, op, _)) = did {
                        register(&mut self.registers, &self.start, node).call(operation, *op);
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
    fn call(&mut self, operation: OperationId, op: Op) {
        if self.under_way.iter().any(|(known, _)| *known == operation) {
            return;
        }
        self.alone = self.under_way.is_empty().then_some(operation);
        let ticket = self.search.as_mut().map(|search| search.call(op));
        self.under_way.push((operation, ticket));
    }

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
                search.allow(EACH, BUDGET);
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
                    if report.wrote {
                        let Report { attempt, node, .. } = report;
                        self.events.push_back(Event::Wrote(operation, attempt, node));
                    }
                } else if let Some(kind) = self.late.get(&operation)
                    && report.wrote
                {
                    let did = self.did(*kind, std::iter::once(report));
                    self.events.extend(did.into_iter().map(|(node, op, _)| Event::Maybe(node, op)));
                }
            }
            Fact::Retried { operation, attempt, may_have_done, .. } => {
                if let Some(open) = self.open.get_mut(&operation) {
                    match may_have_done {
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
