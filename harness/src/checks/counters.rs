//! `counter-equals-count`: does a number on a node say how many relationships the node has?
//!
//! Both are read from the master's store at the end. A node without the number counts as 0. In a
//! graph of split nodes, the number stands on a node of its own, and counts the relationships of
//! the user that leads there.
//!
//! Exercised: operations wrote, and nodes have the number. Memory: one entry for each such node,
//! and one for each operation that created a relationship.

use std::collections::BTreeMap;

use wavetank_vocabulary::{Classes, Fact, NodeId, OperationId, Time, TxId};
use wavetank_world::Plan;

use super::anomalies::{Tally, Watch};
use super::deeds::Deeds;
use super::observed::{Reports, Writes};

#[derive(Clone, Debug)]
pub(super) struct Counters {
    name: String,
    property: u8,
    kind: String,
    place: u8,
    incoming: bool,
    /// The type that leads from a user to the node that has its number, if that is another.
    part: Option<u8>,
    writes: u64,
    /// The number of each node that has one.
    numbers: BTreeMap<NodeId, i64>,
    /// The count of each node that has relationships, and who of the creators ended last.
    counts: BTreeMap<NodeId, (i64, Option<OperationId>)>,
    /// Whose number it is, where that is another node's.
    owners: BTreeMap<NodeId, NodeId>,
    /// The return steps of each kind of operation that report the number as written.
    places: Vec<Vec<u8>>,
    reports: Reports,
    written: BTreeMap<NodeId, Writes>,
    deeds: Deeds,
}

impl Counters {
    pub(super) fn new(
        plan: &Plan,
        (name, property): (&str, u8),
        (kind, place, incoming): (&str, u8, bool),
    ) -> Self {
        let part = plan.graph.model.part(name);
        let places = plan.operations.iter().map(|program| {
            let wrote = program.returned().filter(|step| step.wrote && step.key == Some(name));
            wrote.map(|step| step.place).collect()
        });
        Counters {
            name: name.to_owned(),
            property,
            kind: kind.to_owned(),
            place,
            incoming,
            part: part.and_then(|part| plan.audited().kind(part)),
            writes: 0,
            numbers: BTreeMap::new(),
            counts: BTreeMap::new(),
            owners: BTreeMap::new(),
            places: places.collect(),
            reports: Reports::default(),
            written: BTreeMap::new(),
            deeds: Deeds::new(plan, |program| program.leads_to(kind).next().is_some()),
        }
    }

    /// Who is known to have had part in a wrong number, in words.
    fn who(&self, number_at: NodeId, creator: Option<OperationId>) -> String {
        let wrote = self.written.get(&number_at).map_or_else(String::new, Writes::story);
        match creator {
            Some(creator) => format!(
                "{wrote} The last {} was created by {}.",
                self.kind,
                self.deeds.told(creator)
            ),
            None => wrote,
        }
    }
}

impl Watch for Counters {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::VALUES | Classes::AUDIT
    }

    fn observe(&mut self, at: Time, fact: &Fact, _tally: &mut Tally) {
        self.deeds.read(at, fact);
        match *fact {
            Fact::Completed { tx, .. } => self.writes += u64::from(tx != TxId(0)),
            Fact::FinalValue { property, node, value } if property == self.property => {
                self.numbers.insert(node, value);
            }
            Fact::FinalRelationship { kind, from, to, operation } if kind == self.place => {
                let node = if self.incoming { to } else { from };
                let (count, last) = self.counts.entry(node).or_default();
                *count += 1;
                let ended = |operation: OperationId| self.deeds.of(operation).map(|deed| deed.to);
                if operation.and_then(ended) > last.and_then(ended) {
                    *last = operation;
                }
            }
            Fact::FinalRelationship { kind, from, to, .. } if Some(kind) == self.part => {
                self.owners.insert(to, from);
            }
            _ => {}
        }
        let Some(reports) = self.reports.read(at, fact) else { return };
        let Fact::Completed { operation, kind, .. } = *fact else { return };
        for report in reports.iter().filter(|report| report.wrote) {
            if self.places[kind.index()].contains(&report.place) {
                self.written.entry(report.node).or_default().add(operation, report);
            }
        }
    }

    fn close(&self, tally: &mut Tally) {
        if self.writes == 0 {
            return;
        }
        // By whose number it is: the number, where it stands, the count, and who created last.
        let mut nodes: BTreeMap<NodeId, (i64, NodeId, i64, Option<OperationId>)> = BTreeMap::new();
        for (node, number) in &self.numbers {
            let owner = *self.owners.get(node).unwrap_or(node);
            nodes.insert(owner, (*number, *node, 0, None));
        }
        for (node, (count, last)) in &self.counts {
            let entry = nodes.entry(*node).or_insert((0, *node, 0, None));
            (entry.2, entry.3) = (*count, *last);
        }
        tally.looked += nodes.len() as u64;
        for (node, (number, stands_at, count, creator)) in &nodes {
            if number == count {
                continue;
            }
            let (mut at, mut operations, mut instances) =
                self.written.get(stands_at).map(Writes::proof).unwrap_or_default();
            if let Some(creator) = creator.filter(|creator| !operations.contains(creator)) {
                operations.push(creator);
                let deed = self.deeds.of(creator);
                instances.extend(deed.and_then(|deed| deed.instance));
                at = at.max(deed.map(|deed| deed.to));
            }
            tally.find(1, at, operations, instances, || {
                let way = if self.incoming { "end at it" } else { "begin at it" };
                format!(
                    "`{}` of node {} is {number}, and {count} {} {way}.{}",
                    self.name,
                    node.0,
                    self.kind,
                    self.who(*stands_at, *creator)
                )
            });
        }
    }

    fn looks_at(&self) -> &'static str {
        "nodes that count"
    }
}

#[cfg(test)]
mod tests {
    use wavetank_vocabulary::{
        ClientId, InstanceId, Observation, OperationKind, OperationOutcome, Span, Status, Subject,
    };

    use super::*;

    fn followed(index: u32, value: i64) -> [Fact; 3] {
        let operation = OperationId { client: ClientId(0), index };
        let (kind, instance) = (OperationKind(0), InstanceId(1));
        [
            Fact::Invoked { operation, kind },
            Fact::Observed {
                operation,
                attempt: 1,
                instance,
                what: Observation::Wrote,
                place: 0,
                index: 0,
                node: NodeId(3),
                value: Some(value),
            },
            Fact::Completed {
                operation,
                kind,
                outcome: OperationOutcome::Ok,
                status: Status::Ok,
                attempts: 1,
                instance: Some(instance),
                tx: TxId(u64::from(index) + 5),
                subject: Subject::Created,
                intended: Time::ZERO + Span::from_millis(u64::from(index)),
            },
        ]
    }

    fn check(part: Option<u8>) -> (Counters, Tally) {
        let plan = crate::testing::plan();
        let mut check = Counters::new(&plan, ("followers", 0), ("FOLLOWS", 0, true));
        (check.places, check.part) = (vec![vec![0]], part);
        check.deeds = Deeds::new(&plan, |_| true);
        (check, Tally::default())
    }

    fn relationship(kind: u8, from: u64, to: u64, by: Option<u32>) -> Fact {
        let operation = by.map(|index| OperationId { client: ClientId(0), index });
        Fact::FinalRelationship { kind, from: NodeId(from), to: NodeId(to), operation }
    }

    #[test]
    fn a_wrong_number_names_who_wrote_it_when_and_where() {
        let (mut check, mut tally) = check(None);
        let mut told = Vec::from(followed(1, 1));
        told.extend(followed(2, 1));
        told.push(Fact::FinalValue { property: 0, node: NodeId(3), value: 1 });
        told.extend([relationship(0, 1, 3, Some(1)), relationship(0, 2, 3, Some(2))]);
        for (ms, fact) in told.iter().enumerate() {
            check.observe(Time::ZERO + Span::from_millis(10 * ms as u64), fact, &mut tally);
        }
        check.close(&mut tally);
        let (story, evidence) = tally.first.expect("found");
        assert!(
            story.starts_with("`followers` of node 3 is 1, and 2 FOLLOWS end at it."),
            "{story}"
        );
        assert!(story.contains("both wrote 1. The last FOLLOWS was created by"), "{story}");
        assert!(story.ends_with("instance 1, transaction 7)."), "{story}");
        assert_eq!(evidence.operations.len(), 2);
        assert_eq!(evidence.at, Some(Time::ZERO + Span::from_millis(40)));
    }

    #[test]
    fn a_number_on_a_node_of_its_own_counts_for_the_user_that_leads_there() {
        for (number, found) in [(1, 0), (2, 1)] {
            let (mut check, mut tally) = check(Some(1));
            let mut told = Vec::from(followed(1, number));
            told.push(Fact::FinalValue { property: 0, node: NodeId(30), value: number });
            told.extend([relationship(0, 1, 3, Some(1)), relationship(1, 3, 30, None)]);
            for fact in &told {
                check.observe(Time::ZERO, fact, &mut tally);
            }
            check.close(&mut tally);
            assert_eq!((tally.looked, tally.found), (1, found));
        }
    }
}
