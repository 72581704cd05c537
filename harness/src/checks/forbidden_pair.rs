//! `forbidden-pair`: is there a relationship where something else excludes it?
//!
//! A relationship the other way, such as a block of the follower, is looked for in the master's
//! store at the end; who created the two, and when, operations have told. With a label, such as
//! that of a deleted user, what counts is the order of the transactions: which one gave a node the
//! label, and which one led a relationship there, is read from what the operations report. When a
//! new master begins its reign, what lies beyond its log is gone. What looks wrong of a node that may have become another one between the two
//! (`ids_again`) is left undecided.
//!
//! Exercised: operations created such relationships, and something could exclude one. Memory: the
//! relationships of both types at the end, and one entry for each operation that could create one;
//! with a label, one entry for each node that was led to or given the label.

use std::collections::BTreeMap;

use wavetank_vocabulary::{Classes, Fact, InstanceId, NodeId, OperationId, Time, TxId};
use wavetank_world::{Forbidden, Plan};

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
        /// For each kind of operation, the return steps that report a node that a relationship
        /// was led to, and those that report one that was given the label. Where only merges lead
        /// there, with their bits: if all of them found theirs, none was led there.
        leads: Vec<Vec<(u8, u32)>>,
        gives: Vec<Vec<u8>>,
        reports: Reports,
        /// The last transaction that led a relationship there.
        led: BTreeMap<NodeId, Deed>,
        /// The one that gave the label.
        given: BTreeMap<NodeId, Deed>,
        ids_again: IdsAgain,
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
                let leads = plan.operations.iter().map(|program| {
                    let to = |of| program.leads_to(kind).any(|slot| slot == of);
                    let merges = |of| program.merges_to(kind, of).unwrap_or(0);
                    let led = program.returned().filter(|step| to(step.of));
                    led.map(|step| (step.place, merges(step.of))).collect()
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
                    ids_again: IdsAgain::new(plan),
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
                let own = Classes::OPERATIONS | Classes::VALUES | Classes::CLUSTER;
                own | ids_again.interests()
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
            By::Label { leads, gives, reports, led, given, ids_again } => {
                ids_again.observe(at, fact);
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
                    let led_there = |(place, merges): &(u8, u32)| {
                        *place == report.place && (*merges == 0 || report.found & merges != *merges)
                    };
                    if leads[kind.index()].iter().any(led_there) {
                        tally.looked += 1;
                        if let Some(given) = given.get(&node) {
                            find(names, node, (&deed, given), ids_again, tally);
                        }
                        if led.get(&node).is_none_or(|last| last.tx < tx) {
                            led.insert(node, deed);
                        }
                    }
                    if gives[kind.index()].contains(&report.place) {
                        if let Some(led) = led.get(&node) {
                            find(names, node, (led, &deed), ids_again, tally);
                        }
                        given.insert(node, deed);
                    }
                }
            }
        }
    }

    fn close(&self, tally: &mut Tally) {
        let By::Type { excluded, there, deeds, .. } = &self.by else { return };
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
mod tests {
    use super::*;
    use wavetank_vocabulary::{OperationKind, OperationOutcome, Span, Status, Subject};

    #[test]
    fn a_merge_that_found_its_relationship_has_led_nobody_there() {
        let plan = crate::testing::plan_with(
            "[[operation]]\nname = \"befriend\"\nsteps = [\"match a(id = $me); match b(id = $other); \
             merge (a)-[:FOLLOWS]->(b); set a.n = $fresh; return b.n\"]\n\
             [[operation]]\nname = \"retire\"\nsteps = [\"match u(id = $me); add u:Gone; return u.n\"]\n\
             [[clients]]\nname = \"rest\"\narrivals = { poisson = \"1/s\" }\n\
             workload = \"social\"\nmix = { befriend = 1, retire = 1 }\n",
        );
        let kind = |name: &str| {
            let place = plan.operations.iter().position(|program| program.name == name);
            OperationKind(place.expect("it is there") as u16)
        };
        let program = &plan.operations[kind("befriend").index()];
        let end = program.leads_to("FOLLOWS").next().expect("it merges");
        let bits = program.merges_to("FOLLOWS", end).expect("it does nothing else");
        assert!(bits.is_power_of_two());
        for (found, broken) in [(bits, 0), (0, 1), (!bits, 1)] {
            let by = Forbidden::Label("Gone".into());
            let (mut check, mut tally) =
                (ForbiddenPair::new(&plan, "FOLLOWS", &by, |_| 0), Tally::default());
            for (number, name, found) in [(1, "retire", 0), (2, "befriend", found)] {
                let operation = OperationId { index: number, ..OperationId::default() };
                let at = Time::ZERO + Span::from_secs(u64::from(number));
                let observed = Fact::Observed {
                    operation,
                    attempt: 1,
                    instance: InstanceId(1),
                    what: wavetank_vocabulary::Observation::Read,
                    place: 0,
                    index: found,
                    node: NodeId(7),
                    value: None,
                };
                let ended = Fact::Completed {
                    operation,
                    kind: kind(name),
                    outcome: OperationOutcome::Ok,
                    status: Status::Ok,
                    attempts: 1,
                    instance: Some(InstanceId(1)),
                    tx: TxId(u64::from(number) + 10),
                    subject: Subject::Nothing,
                    intended: Time::ZERO,
                };
                let begun = Fact::Invoked { operation, kind: kind(name) };
                [begun, observed, ended]
                    .iter()
                    .for_each(|fact| check.observe(at, fact, &mut tally));
            }
            assert_eq!((tally.looked, tally.found), (broken, broken), "{found:b} of {bits:b}");
        }
    }

    #[test]
    fn who_created_the_two_is_told() {
        let plan = crate::testing::plan();
        let by = Forbidden::Type("BLOCKS".into());
        let place = |name: &str| u8::from(name == "BLOCKS");
        let (mut check, mut tally) =
            (ForbiddenPair::new(&plan, "FOLLOWS", &by, place), Tally::default());
        let follow = plan.operations.iter().position(|program| program.name == "follow");
        let operation = |index| OperationId { index, ..OperationId::default() };
        for (index, tx) in [(1, 11), (2, 12)] {
            let ended = Fact::Completed {
                operation: operation(index),
                kind: OperationKind(follow.expect("it is there") as u16),
                outcome: OperationOutcome::Ok,
                status: Status::Ok,
                attempts: 1,
                instance: Some(InstanceId(3)),
                tx: TxId(tx),
                subject: Subject::Created,
                intended: Time::ZERO,
            };
            check.observe(Time::ZERO + Span::from_secs(tx), &ended, &mut tally);
        }
        let (from, to) = (NodeId(5), NodeId(6));
        let first = Fact::FinalRelationship { kind: 0, from, to, operation: Some(operation(1)) };
        let second = |operation| Fact::FinalRelationship { kind: 1, from: to, to: from, operation };
        check.observe(Time::ZERO, &first, &mut tally);
        for (by, ends) in [
            (Some(operation(2)), "c0#2 (from 0.000s to 12.000s, instance 3, transaction 12)."),
            (Some(operation(4)), "the second was created by c0#4."),
            (None, "the second was there at the start or does not say by whom."),
        ] {
            check.observe(Time::ZERO, &second(by), &mut tally);
            let mut tally = Tally::default();
            check.close(&mut tally);
            assert_eq!((tally.looked, tally.found), (1, 1));
            let (story, _) = tally.first.expect("a story");
            assert!(
                story.contains("by c0#1 (from 0.000s to 11.000s, instance 3, transaction 11)"),
                "{story}"
            );
            assert!(story.ends_with(ends), "{story}");
        }
    }
}
