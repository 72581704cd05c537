//! `linearizable`: could what operations read and wrote in a register have happened one after the
//! other, each at a moment while it was under way?
//!
//! Each node's property is a register. What an operation did is read from what it reports; the
//! search is that of `histories::linearizable`, fed in the order of time as soon as it is known
//! how the operations under way ended. Judged is what the master answered, between two failovers:
//! after one, a register is looked at again from the first operation that was alone on it.
//! Operations elsewhere, or whose outcome is unknown, may have happened at any time since.
//!
//! Exercised: an answer was judged. *Undecided* is a register on which the search went over its
//! budget. Memory: what is under way or ended unknown, and one search for each register.

use std::collections::{BTreeMap, VecDeque};

use wavetank_vocabulary::{
    Classes, Fact, InstanceId, NodeId, OperationId, OperationKind, OperationOutcome, Time,
};
use wavetank_world::Plan;

use super::anomalies::{Tally, Watch};
use super::observed::Report;
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
    did: Option<(NodeId, Op, InstanceId)>,
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

#[derive(Clone, Debug)]
pub(super) struct Linearizable {
    name: String,
    start: Value,
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
        Linearizable {
            name: name.to_owned(),
            start: number(start.map(|(_, value)| *value)),
            places: places.collect(),
            open: BTreeMap::new(),
            ended: BTreeMap::new(),
            late: BTreeMap::new(),
            events: VecDeque::new(),
            master: None,
            registers: BTreeMap::new(),
        }
    }

    /// What the reports of one attempt amount to.
    fn did(
        &self,
        kind: OperationKind,
        reports: impl Iterator<Item = Report>,
    ) -> Option<(NodeId, Op, InstanceId)> {
        let (mut read, mut wrote, mut at) = (None, None, None);
        for report in reports {
            let places = &self.places[kind.index()];
            let Some((_, writes)) = places.iter().find(|(place, _)| *place == report.place) else {
                continue;
            };
            at = Some((report.node, report.instance));
            let value = Some(number(report.value));
            if *writes { wrote = value } else { read = value }
        }
        let (node, instance) = at?;
        let op = match (read, wrote) {
            (Some(from), Some(to)) => Op::Cas(from, to),
            (None, Some(to)) => Op::Write(to),
            (Some(value), None) => Op::Read(value),
            (None, None) => return None,
        };
        Some((node, op, instance))
    }

    fn ended(&mut self, operation: OperationId, outcome: OperationOutcome, attempts: u16) {
        let Some(open) = self.open.remove(&operation) else { return };
        let mut ended = Ended::default();
        for attempt in 1..=attempts {
            let of = open.reports.iter().filter(|(report, _)| report.attempt == attempt);
            let at_master = of.clone().all(|(_, at_master)| *at_master);
            let Some(did) = self.did(open.kind, of.map(|(report, _)| *report)) else { continue };
            if outcome == OperationOutcome::Ok && attempt == attempts && at_master {
                ended.did = Some(did);
            } else if outcome != OperationOutcome::Failed && !open.failed.contains(&attempt) {
                ended.maybe.push((did.0, did.1));
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
                    let start = self.start;
                    let fresh = || Register::holding(start);
                    for (node, op) in &ended.maybe {
                        self.registers.entry(*node).or_insert_with(fresh).maybe(*op);
                    }
                    if let Some((node, op, _)) = ended.did {
                        let register = self.registers.entry(node).or_insert_with(fresh);
                        register.alone = register.under_way.is_empty().then_some(operation);
                        let ticket = register.search.as_mut().map(|search| search.call(op));
                        register.under_way.push((operation, ticket));
                    }
                }
                Event::Returned(operation, at) => {
                    let Some(ended) = self.ended.remove(&operation) else { return };
                    if let Some((node, op, instance)) = ended.did
                        && let Some(register) = self.registers.get_mut(&node)
                    {
                        let names = (self.name.as_str(), node, operation);
                        register.returned(names, op, (at, instance), tally);
                    }
                }
                Event::Maybe(node, op) => {
                    let start = self.start;
                    self.registers
                        .entry(node)
                        .or_insert_with(|| Register::holding(start))
                        .maybe(op);
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

impl Register {
    /// One that nobody has asked for yet.
    fn holding(start: Value) -> Self {
        Register { search: Some(Linearizer::new(start, BUDGET)), ..Register::default() }
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
                    && let Some((node, op, _)) = self.did(*kind, std::iter::once(report))
                {
                    self.events.push_back(Event::Maybe(node, op));
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

    fn looks_at(&self) -> &'static str {
        "answers"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::told::Told;
    use wavetank_vocabulary::Observation::{Read, Wrote};

    const READ_AT: u8 = 0;
    const WRITTEN_AT: u8 = 1;
    const KIND: OperationKind = OperationKind(0);

    fn begun() -> Told<Linearizable> {
        let mut plan = crate::testing::plan();
        plan.graph.properties = vec![("register".into(), 0)];
        let mut check = Linearizable::new(&plan, "register");
        check.places = vec![vec![(READ_AT, false), (WRITTEN_AT, true)]];
        Told::new(check)
    }

    impl Told<Linearizable> {
        fn calls(&mut self, index: u32) {
            self.call(index, KIND);
        }

        fn wrote(&mut self, index: u32, value: i64) {
            self.report(index, Wrote, WRITTEN_AT, value);
        }

        fn ends(&mut self, index: u32, outcome: OperationOutcome) {
            self.end(index, KIND, outcome);
        }

        fn whole(&mut self, index: u32, wrote: bool, value: i64) {
            self.calls(index);
            match wrote {
                true => self.wrote(index, value),
                false => self.report(index, Read, READ_AT, value),
            }
            self.ends(index, OperationOutcome::Ok);
        }
    }

    #[test]
    fn a_read_of_what_was_overwritten_is_told() {
        let mut told = begun();
        told.whole(1, true, 5);
        told.whole(2, true, 6);
        told.whole(3, false, 6);
        assert_eq!(told.counts(), (3, 0));
        told.whole(4, false, 5);
        assert_eq!(told.tally.found, 1);
        let story = told.story();
        assert!(story.contains("read 5 in `register` of node 7 at instance 1"), "{story}");
        assert!(story.ends_with("before it there could be 6."), "{story}");
    }

    #[test]
    fn what_is_under_way_may_have_happened_or_not() {
        let mut told = begun();
        told.calls(1);
        told.wrote(1, 5);
        told.whole(2, false, 0);
        told.whole(3, false, 5);
        told.ends(1, OperationOutcome::Ok);
        assert_eq!(told.counts(), (3, 0));
    }

    #[test]
    fn an_unknown_write_explains_what_is_read_later() {
        let mut told = begun();
        told.calls(1);
        told.wrote(1, 5);
        told.ends(1, OperationOutcome::Unknown);
        told.whole(2, false, 0);
        told.whole(3, false, 5);
        told.whole(4, false, 0);
        assert_eq!(told.counts(), (3, 1), "it does not go away again");
    }

    #[test]
    fn a_write_that_reports_after_its_client_gave_up_explains_the_first_read() {
        let mut told = begun();
        told.calls(1);
        told.ends(1, OperationOutcome::Unknown);
        told.wrote(1, 5);
        told.whole(2, false, 5);
        assert_eq!(told.counts(), (1, 0));
    }

    #[test]
    fn after_a_failover_a_register_may_have_lost_what_it_held() {
        let mut told = begun();
        told.whole(1, true, 5);
        told.epoch();
        told.whole(2, false, 0);
        told.whole(3, false, 0);
        assert_eq!(told.counts(), (2, 0));
        told.whole(4, false, 5);
        assert_eq!(told.tally.found, 1);
    }
}
