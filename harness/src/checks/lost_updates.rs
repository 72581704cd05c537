//! `lost-updates`: is what operations added to a number, and were told to have, in it at the end?
//!
//! Which operations add, and how much, is read from their programs; which node, from what they
//! report. The number at the end must be the sum of the additions, whatever took some of them:
//! two that read the same value before they wrote, or a branch that was discarded. What was
//! added by attempts whose outcome is unknown, or that failed after one of several transactions,
//! may be in it, too, on any node: so far the number may be above the sum, and for what takes
//! away, below.
//!
//! Nothing is said of a node that is gone at the end, if some operation deletes nodes; nor at
//! all, if some operation writes the number without reporting what it added. What looks wrong of a
//! node that may have become another one by the end (`ids_again`) is left undecided.
//!
//! Exercised: something was added. Memory: one entry for each node that was added to, and for
//! each operation under way.

use std::collections::BTreeMap;

use wavetank_vocabulary::{
    Classes, Fact, NodeId, OperationId, OperationKind, OperationOutcome, Time,
};
use wavetank_world::Plan;

use super::anomalies::{Tally, Watch};
use super::ids_again::IdsAgain;
use super::observed::{Reports, Writes, adds, silent};

#[derive(Clone, Debug, Default)]
struct Sum {
    added: i128,
    writes: Writes,
    finally: Option<i64>,
}

/// What attempts of unknown outcome may have added in all, and taken away: at least 0 each.
#[derive(Clone, Copy, Debug, Default)]
struct Doubt {
    up: i128,
    down: i128,
}

#[derive(Clone, Debug)]
pub(super) struct LostUpdates {
    name: String,
    property: u8,
    start: i64,
    /// For each kind of operation, the return steps that report an addition, and how much.
    adds: Vec<Vec<(u8, i64)>>,
    /// An operation that changes the number and does not say so.
    silent: Option<String>,
    deletes_nodes: bool,
    ids_again: IdsAgain,
    /// When the last fact was told.
    now: Time,
    reports: Reports,
    /// Operations that add and have not ended, with how many attempts of unknown outcome.
    open: BTreeMap<OperationId, (OperationKind, u32)>,
    doubt: Doubt,
    sums: BTreeMap<NodeId, Sum>,
}

impl LostUpdates {
    pub(super) fn new(plan: &Plan, name: &str, property: u8) -> Self {
        let start = plan.graph.properties.iter().find(|(key, _)| key == name);
        LostUpdates {
            name: name.to_owned(),
            property,
            start: start.map_or(0, |(_, value)| *value),
            adds: plan.operations.iter().map(|program| adds(program, name)).collect(),
            silent: silent(plan, name).map(str::to_owned),
            deletes_nodes: plan.operations.iter().any(|program| program.deletes_nodes()),
            ids_again: IdsAgain::new(plan),
            now: Time::ZERO,
            reports: Reports::default(),
            open: BTreeMap::new(),
            doubt: Doubt::default(),
            sums: BTreeMap::new(),
        }
    }

    /// That many attempts of a kind of operation may have been done, or not.
    fn may_have(&self, doubt: &mut Doubt, kind: OperationKind, attempts: u32) {
        for (_, added) in self.adds.get(kind.index()).into_iter().flatten() {
            let side = if *added > 0 { &mut doubt.up } else { &mut doubt.down };
            *side += i128::from(added.unsigned_abs()) * i128::from(attempts);
        }
    }

    /// Counts the attempts of which nobody knows whether they were done.
    fn attempts(&mut self, fact: &Fact) {
        match *fact {
            Fact::Invoked { operation, kind }
                if self.adds.get(kind.index()).is_some_and(|adds| !adds.is_empty()) =>
            {
                self.open.insert(operation, (kind, 0));
            }
            Fact::Retried { operation, may_have_done: true, .. } => {
                if let Some((_, unknown)) = self.open.get_mut(&operation) {
                    *unknown += 1;
                }
            }
            Fact::Completed { operation, outcome, status, .. } => {
                let Some((kind, unknown)) = self.open.remove(&operation) else { return };
                let ended = outcome == OperationOutcome::Unknown || status.is_ambiguous();
                let mut doubt = self.doubt;
                self.may_have(&mut doubt, kind, unknown + u32::from(ended));
                self.doubt = doubt;
            }
            _ => {}
        }
    }
}

impl Watch for LostUpdates {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::VALUES | Classes::AUDIT | self.ids_again.interests()
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        self.now = at;
        self.ids_again.observe(at, fact);
        if let Fact::FinalValue { property, node, value } = *fact
            && property == self.property
            && let Some(sum) = self.sums.get_mut(&node)
        {
            sum.finally = Some(value);
        }
        self.attempts(fact);
        let Some(reports) = self.reports.read(at, fact) else { return };
        let Fact::Completed { operation, kind, .. } = *fact else { return };
        for report in reports.iter().filter(|report| report.wrote) {
            let adds = self.adds[kind.index()].iter();
            let Some((_, added)) = adds.clone().find(|(place, _)| *place == report.place) else {
                continue;
            };
            tally.looked += 1;
            let sum = self.sums.entry(report.node).or_default();
            sum.added += i128::from(*added);
            sum.writes.add(operation, report);
        }
    }

    fn close(&self, tally: &mut Tally) {
        if let Some(name) = &self.silent {
            let property = &self.name;
            let why = format!("`{name}` writes `{property}` and does not report what it added.");
            tally.undecided = Some(why);
            return;
        }
        let mut doubt = self.doubt;
        for (kind, unknown) in self.open.values() {
            self.may_have(&mut doubt, *kind, unknown + 1);
        }
        for (node, sum) in &self.sums {
            if sum.finally.is_none() && self.deletes_nodes {
                continue;
            }
            let expected = i128::from(self.start) + sum.added;
            let there = i128::from(sum.finally.unwrap_or(0));
            let (least, most) = (expected - doubt.down, expected + doubt.up);
            let off = (least - there).max(there - most);
            if off <= 0 {
                continue;
            }
            if let Some(why) = self.ids_again.doubt(*node, self.now) {
                tally.undecided.get_or_insert_with(|| why.to_owned());
                continue;
            }
            let (name, node) = (&self.name, node.0);
            let (at, operations, instances) = sum.writes.proof();
            let off = u64::try_from(off).unwrap_or(u64::MAX);
            tally.find(off, at, operations, instances, || {
                let how = sum.writes.story();
                format!("`{name}` of node {node} should be {expected}, and is {there}.{how}")
            });
        }
    }

    fn looks_at(&self) -> &'static str {
        "additions"
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::Told;
    use super::*;
    use wavetank_vocabulary::{
        InstanceId, Observation, OperationId, OperationKind, OperationOutcome, Span, Status,
        Subject, TxId,
    };

    fn told(writes: &[(OperationOutcome, i64)], finally: i64) -> Tally {
        let writes: Vec<_> = writes.iter().map(|(outcome, value)| (*outcome, 0, *value)).collect();
        told_of(&writes, Some(finally), false)
    }

    /// Operations add 1 or, of the second kind, take 1 away.
    fn told_of(
        writes: &[(OperationOutcome, u16, i64)],
        finally: Option<i64>,
        deletes_nodes: bool,
    ) -> Tally {
        let plan = crate::testing::plan();
        let (mut check, mut tally) = (LostUpdates::new(&plan, "count", 0), Tally::default());
        check.adds = vec![vec![(0, 1)], vec![(0, -1)]];
        check.deletes_nodes = deletes_nodes;
        let mut tell = |secs: usize, fact: Fact| {
            check.observe(Time::ZERO + Span::from_secs(secs as u64), &fact, &mut tally);
        };
        for (index, (outcome, kind, value)) in writes.iter().enumerate() {
            let operation = OperationId { index: index as u32, ..OperationId::default() };
            let (kind, attempt, instance, node) =
                (OperationKind(*kind), 1, InstanceId(1), NodeId(3));
            tell(index, Fact::Invoked { operation, kind });
            tell(
                index,
                Fact::Observed {
                    operation,
                    attempt,
                    instance,
                    what: Observation::Wrote,
                    place: 0,
                    index: 0,
                    node,
                    value: Some(*value),
                },
            );
            tell(
                index,
                Fact::Completed {
                    operation,
                    kind,
                    outcome: *outcome,
                    status: Status::Ok,
                    attempts: 1,
                    instance: Some(instance),
                    tx: TxId(1),
                    subject: Subject::Nothing,
                    intended: Time::ZERO,
                },
            );
        }
        if let Some(value) = finally {
            tell(99, Fact::FinalValue { property: 0, node: NodeId(3), value });
        }
        check.close(&mut tally);
        tally
    }

    #[test]
    fn two_that_write_the_same_number_are_told() {
        use OperationOutcome::Ok;
        assert_eq!(told(&[(Ok, 1), (Ok, 2)], 2).found, 0);
        let lost = told(&[(Ok, 1), (Ok, 1), (Ok, 2)], 2);
        assert_eq!((lost.looked, lost.found), (3, 1));
        let story = lost.first.expect("a story").0;
        assert!(story.starts_with("`count` of node 3 should be 3, and is 2."), "{story}");
        assert!(story.ends_with("both wrote 1."), "{story}");
    }

    #[test]
    fn a_loss_against_the_sign_of_the_sum_is_told() {
        use OperationOutcome::{Ok, Unknown};
        let mut writes = vec![(Ok, 0, 1), (Ok, 0, 2), (Ok, 0, 3), (Ok, 1, 2), (Ok, 1, 2)];
        assert_eq!(told_of(&writes, Some(2), false).found, 1, "3 up, 2 down");
        assert_eq!(told_of(&writes, Some(1), false).found, 0);
        writes.push((Unknown, 0, 3));
        assert_eq!(told_of(&writes, Some(2), false).found, 0, "may have been added");
        assert_eq!(told_of(&writes, Some(0), false).found, 1, "but not taken away");
        writes.push((Unknown, 1, 3));
        assert_eq!(told_of(&writes, Some(0), false).found, 0);
    }

    #[test]
    fn an_attempt_that_committed_a_part_may_have_added() {
        let plan = crate::testing::plan();
        for (may_have_done, found) in [(true, 0), (false, 1)] {
            let mut check = LostUpdates::new(&plan, "count", 0);
            check.adds = vec![vec![(0, 1)]];
            let kind = OperationKind(0);
            let mut told = Told::new(check);
            told.call(1, kind);
            told.report(1, Observation::Wrote, 0, 1);
            told.retried(1, may_have_done);
            told.report(1, Observation::Wrote, 0, 2);
            told.end(1, kind, OperationOutcome::Ok);
            told.finally(2);
            let Told { check, mut tally, .. } = told;
            check.close(&mut tally);
            assert_eq!((tally.looked, tally.found), (1, found));
        }
    }

    #[test]
    fn a_node_that_is_gone_has_lost_nothing() {
        let writes = [(OperationOutcome::Ok, 0, 1)];
        assert_eq!(told_of(&writes, None, true).found, 0);
        assert_eq!(told_of(&writes, None, false).found, 1, "nobody deletes: it never was there");
    }

    #[test]
    fn a_number_that_may_be_another_nodes_is_undecided() {
        let judged = |deletes: &str, finally: i64| {
            let plan = crate::testing::plan_with(&format!(
                "[[operation]]\nname = \"gone\"\nsteps = [\"{deletes}\"]\n\
                 [[clients]]\nname = \"rest\"\narrivals = {{ poisson = \"1/s\" }}\n\
                 workload = \"social\"\nmix = {{ gone = 1, sign_up = 1 }}\n"
            ));
            let gone = plan.operations.iter().position(|program| program.name == "gone");
            let kind = OperationKind(gone.expect("it is there") as u16);
            let (mut check, mut tally) = (LostUpdates::new(&plan, "count", 0), Tally::default());
            check.sums.insert(NodeId(3), Sum { added: 1, ..Sum::default() });
            let at = |secs| Time::ZERO + Span::from_secs(secs);
            let operation = OperationId::default();
            check.observe(at(1), &Fact::Invoked { operation, kind }, &mut tally);
            let (instance, log) = (InstanceId(1), wavetank_vocabulary::LogMark::BASE);
            let again = Fact::Recovered { instance, log, replayed: 0, cut: 0 };
            check.observe(at(2), &again, &mut tally);
            let end = Fact::FinalValue { property: 0, node: NodeId(3), value: finally };
            check.observe(at(3), &end, &mut tally);
            check.close(&mut tally);
            (tally.found, tally.undecided.is_some())
        };
        let (silent, tells, sometimes) = (
            "match me(id = $me); detach delete me",
            "match me(id = $me); return me.posts; detach delete me",
            "match me(id = $me); if me:User then return me.posts; detach delete me",
        );
        assert_eq!(judged(silent, 1), (0, false), "it is right");
        assert_eq!(judged(silent, 0), (0, true));
        assert_eq!(judged(sometimes, 0), (0, true));
        assert_eq!(judged(tells, 0), (1, false), "another was deleted, if any");
    }

    #[test]
    fn nothing_is_said_if_somebody_adds_unseen() {
        let (mut check, mut tally) =
            (LostUpdates::new(&crate::testing::plan(), "count", 0), Tally::default());
        assert_eq!(check.silent, None);
        check.silent = Some("star".into());
        check.close(&mut tally);
        let why = tally.undecided.expect("a reason");
        assert_eq!(why, "`star` writes `count` and does not report what it added.");
    }

    #[test]
    fn what_failed_or_is_unknown_is_not_asked_for() {
        use OperationOutcome::{Failed, Ok, Unknown};
        assert_eq!(told(&[(Ok, 1), (Failed, 2)], 1).found, 0);
        assert_eq!(told(&[(Ok, 1), (Unknown, 2)], 1).found, 0);
        assert_eq!(told(&[(Ok, 1), (Unknown, 2)], 2).found, 0);
    }
}
