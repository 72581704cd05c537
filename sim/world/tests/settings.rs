//! Settings of propagation do what their names say.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::plan;
use wavetank_vocabulary::{Classes, Fact, InstanceId, Observer, OperationKind, Seq, Span, Time};
use wavetank_world::{BaseGraph, Plan, PushStrategy, World};

/// What became of transactions.
#[derive(Clone, Debug)]
struct Log(Vec<Fact>);

impl Observer for Log {
    fn interests(&self) -> Classes {
        Classes::TRANSACTIONS
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
