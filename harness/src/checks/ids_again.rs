//! May a node have become another one? Where some operations delete nodes and others create them,
//! the id of a deleted node may be given to a new one, and what concerns the one proves nothing
//! about the other.
//!
//! It may once the deleted id has rested for `unsupported.dbms.id_reuse_safe_zone`, or once
//! an instance has opened its store again or received a copy: what it finds unused there it gives
//! at once. An id that nobody was seen to delete is not given again; an operation that returns
//! something of each node before it deletes it is seen to. Attempts count whatever became of them.
//!
//! Memory: one entry for each node that was seen to be deleted, and for each operation that
//! deletes and may still be under way.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_vocabulary::{
    Classes, Fact, NodeId, OperationId, OperationKind, OperationOutcome, Span, Time,
};
use wavetank_world::Plan;

#[derive(Clone, Debug)]
pub(super) struct IdsAgain {
    why: Option<String>,
    /// The shortest that an id rests at any instance; none where it does not rest.
    rests: Option<Span>,
    /// For each kind of operation that deletes nodes: the return steps that tell which; none if
    /// it does not tell of all of them.
    deletes: Vec<Option<Deletes>>,
    open: BTreeMap<OperationId, OperationKind>,
    /// The nodes that were seen to be deleted.
    deleted: BTreeSet<NodeId>,
    /// Others may have been.
    unseen: bool,
    /// When somebody first asked for a deletion.
    first: Option<Time>,
    /// From when on ids may be given again.
    again: Option<Time>,
}

#[derive(Clone, Debug)]
struct Deletes {
    told: Option<Vec<u8>>,
}

impl IdsAgain {
    pub(super) fn new(plan: &Plan) -> Self {
        let deletes = plan.operations.iter().find(|program| program.deletes_nodes());
        let creates = plan.operations.iter().find(|program| program.creates_nodes());
        let why = deletes.zip(creates).map(|(deletes, creates)| {
            format!(
                "`{}` deletes nodes and `{}` creates some, which may get their ids: what concerns \
                 one is no proof about the other.",
                deletes.name, creates.name
            )
        });
        let own = plan.instances.iter().filter_map(|instance| instance.settings.as_deref());
        let later = plan.faults.iter().filter_map(|fault| fault.strength.settings.as_deref());
        let settings = std::iter::once(&plan.settings).chain(own).chain(later);
        let rests = settings.map(|settings| settings.id_reuse_safe_zone).min();
        let of = plan.operations.iter().map(|program| {
            program.deletes_nodes().then(|| Deletes { told: program.returned_before_deleted() })
        });
        IdsAgain {
            why,
            rests: rests.filter(|rests| *rests > Span::ZERO),
            deletes: of.collect(),
            open: BTreeMap::new(),
            deleted: BTreeSet::new(),
            unseen: false,
            first: None,
            again: None,
        }
    }

    /// What it reads; nothing where no node can become another.
    pub(super) fn interests(&self) -> Classes {
        match self.why {
            Some(_) => Classes::OPERATIONS | Classes::VALUES | Classes::CLUSTER | Classes::STORE,
            None => Classes::NONE,
        }
    }

    /// Why no operation's word can be taken for a node, if so, whatever happens.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    pub(super) fn observe(&mut self, at: Time, fact: &Fact) {
        if self.why.is_none() {
            return;
        }
        match *fact {
            Fact::Invoked { operation, kind } => {
                let Some(Some(deletes)) = self.deletes.get(kind.index()) else { return };
                self.unseen |= deletes.told.is_none();
                self.open.insert(operation, kind);
                if self.first.is_none() {
                    self.first = Some(at);
                    self.again = Some(self.rests.map_or(at, |rests| at + rests));
                }
            }
            Fact::Observed { operation, node, place, .. } => {
                let Some(kind) = self.open.get(&operation) else { return };
                let told = self.deletes[kind.index()].as_ref().and_then(|it| it.told.as_ref());
                if told.is_some_and(|places| places.contains(&place)) {
                    self.deleted.insert(node);
                }
            }
            Fact::Completed { operation, outcome, .. } if outcome != OperationOutcome::Unknown => {
                self.open.remove(&operation);
            }
            Fact::Recovered { .. } | Fact::StoreCopy { done: true, .. } if self.first.is_some() => {
                self.again = self.again.map(|again| again.min(at));
            }
            _ => {}
        }
    }

    /// Why what was done to a node until then may have been done to two, if it may.
    pub(super) fn doubt(&self, node: NodeId, until: Time) -> Option<&str> {
        let given = self.again.is_some_and(|again| again <= until);
        let gone = self.unseen || self.deleted.contains(&node);
        self.why.as_deref().filter(|_| given && gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::{InstanceId, LogMark, Observation};

    const DELETES: OperationKind = OperationKind(0);

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::from_secs(secs)
    }

    /// Somebody asks at 10 s to delete node 3, and says so or not.
    fn asked(rests: Option<Span>, tells: bool) -> IdsAgain {
        let mut ids = IdsAgain::new(&crate::testing::plan());
        assert_eq!(ids.why(), None, "nobody deletes");
        ids.why = Some("reason".into());
        ids.rests = rests;
        ids.deletes = vec![Some(Deletes { told: tells.then(|| vec![0]) })];
        let operation = OperationId::default();
        ids.observe(at(10), &Fact::Invoked { operation, kind: DELETES });
        ids.observe(
            at(11),
            &Fact::Observed {
                operation,
                attempt: 1,
                instance: InstanceId(1),
                what: Observation::Read,
                place: 0,
                index: 0,
                node: NodeId(3),
                value: None,
            },
        );
        ids
    }

    #[test]
    fn only_a_node_that_was_deleted_may_be_another() {
        let ids = asked(None, true);
        assert_eq!(ids.doubt(NodeId(3), at(20)), Some("reason"));
        assert_eq!(ids.doubt(NodeId(4), at(20)), None);
        assert_eq!(ids.doubt(NodeId(3), at(9)), None, "nobody had deleted anything yet");
    }

    #[test]
    fn who_does_not_tell_may_have_deleted_any() {
        let ids = asked(None, false);
        assert_eq!(ids.doubt(NodeId(4), at(20)), Some("reason"));
    }

    #[test]
    fn an_id_that_rests_is_not_given_again_before_a_restart() {
        let mut ids = asked(Some(Span::from_secs(3600)), false);
        assert_eq!(ids.doubt(NodeId(3), at(3600)), None);
        assert_eq!(ids.doubt(NodeId(3), at(3610)), Some("reason"));
        let (instance, log) = (InstanceId(2), LogMark::BASE);
        ids.observe(at(30), &Fact::Recovered { instance, log, replayed: 0, cut: 0 });
        assert_eq!(ids.doubt(NodeId(3), at(29)), None);
        assert_eq!(ids.doubt(NodeId(3), at(30)), Some("reason"));
    }
}
