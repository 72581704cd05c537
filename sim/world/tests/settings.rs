//! Settings of propagation do what their names say.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::plan;
use fault::fault;
use wavetank_vocabulary::{
    Classes, Fact, FaultKind, InstanceId, Observer, OperationKind, Rate, Seq, Span, Status, Time,
    TxId,
};
use wavetank_world::{BaseGraph, Plan, PushStrategy, Routing, Target, World};

/// What became of transactions.
#[derive(Clone, Debug)]
struct Log(Vec<Fact>);

impl Observer for Log {
    fn interests(&self) -> Classes {
        Classes::TRANSACTIONS | Classes::OPERATIONS
    }
    fn observe(&mut self, _at: Time, _seq: Seq, fact: &Fact) {
        self.0.push(*fact);
    }
}

/// Thirty seconds of writes.
fn played(change: impl Fn(&mut Plan)) -> Vec<Fact> {
    let mut plan = plan(30, 1);
    plan.clients[0].mix = vec![(OperationKind(3), 1)];
    change(&mut plan);
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let mut world = World::new(Arc::new(plan), base, Log(Vec::new()));
    while world.advance(u64::MAX) {}
    assert!(world.converged(), "{:?}", world.waits_for());
    world.into_observer().0
}

#[test]
fn pushes_go_in_the_order_of_the_strategy() {
    for (strategy, slaves) in [
        (PushStrategy::FixedDescending, [3].as_slice()),
        (PushStrategy::FixedAscending, &[2]),
        (PushStrategy::RoundRobin, &[2, 3]),
    ] {
        let facts = played(|plan| plan.settings.tx_push_strategy = strategy);
        let mut pushes: BTreeMap<InstanceId, usize> = BTreeMap::new();
        for fact in &facts {
            if let Fact::Pushed { to, ok: true, .. } = fact {
                *pushes.entry(*to).or_default() += 1;
            }
        }
        let expected: Vec<InstanceId> = slaves.iter().map(|id| InstanceId(*id)).collect();
        assert_eq!(pushes.keys().copied().collect::<Vec<_>>(), expected, "{}", strategy.name());
        // Each in its turn: nobody gets noticeably more.
        let (least, most) = (pushes.values().min(), pushes.values().max());
        assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 2), "{pushes:?}");
    }
}

/// A master and three slaves, which are pushed to in turn.
fn in_turn(plan: &mut Plan) {
    let mut fourth = plan.instances[2].clone();
    fourth.id = InstanceId(4);
    plan.instances.push(fourth);
    plan.settings.tx_push_strategy = PushStrategy::RoundRobin;
}

#[test]
fn the_other_slaves_take_turns_whichever_wrote() {
    let facts = played(|plan| {
        in_turn(plan);
        plan.settings.tx_push_factor = 2;
        plan.clients[0].routing = Routing::AllToSlaves;
        // Reads in between, or the turns of the balancer would go with those of the pushes.
        plan.clients[0].mix = vec![(OperationKind(1), 1), (OperationKind(3), 1)];
        plan.clients[0].rate = Rate::per_second(200);
    });
    let authors: BTreeMap<TxId, InstanceId> = facts
        .iter()
        .filter_map(|fact| match *fact {
            Fact::Completed { status: Status::Ok, instance: Some(author), tx, .. } => {
                Some((tx, author))
            }
            _ => None,
        })
        .collect();
    let mut pushes: BTreeMap<(InstanceId, InstanceId), u32> = BTreeMap::new();
    for fact in &facts {
        if let Fact::Pushed { to, tx, ok: true, .. } = fact
            && let Some(author) = authors.get(tx)
        {
            *pushes.entry((*author, *to)).or_default() += 1;
        }
    }
    assert_eq!(pushes.len(), 6, "each slave's go to both others: {pushes:?}");
    // In the order of the ids, from the highest back to the lowest.
    let next = |author: &InstanceId| InstanceId((author.0 - 1) % 3 + 2);
    let count = |after: bool| -> u32 {
        let of = pushes.iter().filter(|((author, to), _)| (next(author) == *to) == after);
        of.map(|(_, count)| count).sum()
    };
    let (after, other) = (count(true), count(false));
    assert!(after + other > 2000 && after * 4 <= other * 5 && other * 4 <= after * 5, "{pushes:?}");
}

#[test]
fn a_push_that_fails_goes_to_whose_turn_was_next() {
    let facts = played(|plan| {
        in_turn(plan);
        plan.settings.read_timeout = Span::from_millis(500);
        plan.clients[0].routing = Routing::AllToMaster;
        let slow = Target::Instance(InstanceId(3));
        plan.faults = vec![fault(FaultKind::Pause, slow, 10, 5)];
    });
    let mut failed = BTreeSet::new();
    let mut instead: BTreeMap<InstanceId, u32> = BTreeMap::new();
    for fact in &facts {
        match *fact {
            Fact::Pushed { to, tx, ok: false, .. } => {
                assert_eq!(to, InstanceId(3));
                failed.insert(tx);
            }
            Fact::Pushed { to, tx, ok: true, .. } if failed.contains(&tx) => {
                *instead.entry(to).or_default() += 1;
            }
            _ => {}
        }
    }
    assert_eq!(instead.keys().copied().collect::<Vec<_>>(), [InstanceId(4)], "{instead:?}");
    assert!(instead[&InstanceId(4)] > 50, "{instead:?}");
}

#[test]
fn slaves_apply_in_batches_of_the_size_that_is_set() {
    let largest = |size: u32| {
        let facts = played(|plan| {
            plan.settings.pull_interval = Span::from_secs(3);
            plan.settings.tx_push_factor = 0;
            plan.settings.pull_apply_batch_size = size;
        });
        let sizes = facts.iter().filter_map(|fact| match fact {
            Fact::Applied { transactions, .. } => Some(*transactions),
            _ => None,
        });
        sizes.max()
    };
    assert_eq!(largest(7), Some(7));
    assert_eq!(largest(40), Some(40));
}
