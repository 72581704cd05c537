//! Whole voyages of a small cluster: with and without faults it ends up whole.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::plan;
use fault::fault;
use wavetank_vocabulary::{
    Bytes, Classes, Fact, FaultKind, InstanceId, Metric, Observer, OperationOutcome, ProtocolState,
    Role, Seq, ServerPhase, Span, Status, Time,
};
use wavetank_world::{BaseGraph, CachePolicy, Plan, Target, Trigger, World};

/// Keeps every fact.
#[derive(Clone, Debug, Default)]
struct Log(Vec<(Time, Fact)>);

impl Observer for Log {
    fn interests(&self) -> Classes {
        Classes::ALL
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        self.0.push((at, *fact));
    }
}

/// The world of a Plan at its beginning.
fn world(plan: Plan) -> World<Log> {
    let base = BaseGraph::build(&plan.graph);
    World::new(Arc::new(plan), Arc::new(base), Log::default())
}

/// Plays to the end.
fn finished(mut world: World<Log>) -> World<Log> {
    while world.advance(u64::MAX) {}
    world
}

fn completed(log: &Log) -> (usize, usize) {
    let outcomes = log.0.iter().filter_map(|(_, fact)| match fact {
        Fact::Completed { outcome, .. } => Some(*outcome),
        _ => None,
    });
    let ok = outcomes.clone().filter(|o| *o == OperationOutcome::Ok).count();
    (ok, outcomes.count())
}

fn final_roles(log: &Log) -> Vec<Role> {
    let role = |(_, fact): &(Time, Fact)| match fact {
        Fact::Final { role, .. } => Some(*role),
        _ => None,
    };
    log.0.iter().filter_map(role).collect()
}

fn contents(log: &Log) -> BTreeSet<[u64; 2]> {
    log.0
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::Final { contents, .. } => Some(contents.expect("every store can be read")),
            _ => None,
        })
        .collect()
}

/// Plays to the end and checks what every voyage must leave.
fn whole(plan: Plan) -> World<Log> {
    let end = finished(world(plan));
    assert!(end.converged(), "{:?}", end.waits_for());
    let log = end.observer();
    let mut roles = final_roles(log);
    roles.sort_unstable();
    assert_eq!(roles, [Role::Master, Role::Slave, Role::Slave]);
    assert_eq!(contents(log).len(), 1, "replicas differ");
    end
}

#[test]
fn without_faults_everything_succeeds() {
    let end = whole(plan(30, 1));
    let (ok, all) = completed(end.observer());
    assert!(all > 2500, "{all}");
    // A cold start takes its two seconds of discovery, and until the balancer has seen two
    // good answers there is no server.
    assert!(ok * 100 >= all * 80, "{ok} of {all}");
    let late_failures = end
        .observer()
        .0
        .iter()
        .filter(|(at, fact)| {
            *at > Time::ZERO + Span::from_secs(10)
                && matches!(fact, Fact::Completed { outcome, .. } if *outcome != OperationOutcome::Ok)
        })
        .count();
    assert_eq!(late_failures, 0);
}

#[test]
fn the_master_dies_and_is_replaced() {
    for kind in [FaultKind::Crash, FaultKind::PowerLoss] {
        for seed in 0..4 {
            let mut plan = plan(90, seed);
            plan.faults = vec![fault(kind, Target::Master, 20, 40)];
            let end = whole(plan);
            let masters: BTreeSet<InstanceId> = end
                .observer()
                .0
                .iter()
                .filter_map(|(_, fact)| match fact {
                    Fact::RoleChanged { instance, to: Role::Master, .. } => Some(*instance),
                    _ => None,
                })
                .collect();
            assert!(masters.len() >= 2, "{kind:?}: {masters:?}");
        }
    }
}

#[test]
fn slaves_come_back_from_all_faults() {
    for kind in [
        FaultKind::Crash,
        FaultKind::PowerLoss,
        FaultKind::Pause,
        FaultKind::Partition,
        FaultKind::PartitionOneWay,
    ] {
        let mut plan = plan(80, 7);
        plan.faults = vec![fault(kind, Target::Slave, 15, 30)];
        whole(plan);
    }
}

#[test]
fn an_isolated_or_paused_master_gives_way() {
    for kind in [FaultKind::Pause, FaultKind::Partition, FaultKind::PartitionOneWay] {
        for seed in 0..3 {
            let mut plan = plan(90, seed);
            plan.faults = vec![fault(kind, Target::Master, 15, 30)];
            whole(plan);
        }
    }
}

#[test]
fn a_fault_without_a_target_is_told() {
    let mut plan = plan(20, 1);
    plan.faults = vec![fault(FaultKind::Crash, Target::Master, 0, 1)];
    let end = finished(world(plan));
    let skipped = |fact: &Fact| matches!(fact, Fact::FaultSkipped { .. });
    assert!(end.observer().0.iter().any(|(_, fact)| skipped(fact)));
}

#[test]
fn a_push_factor_above_the_number_of_slaves_asks_for_all_of_them() {
    let mut plan = plan(20, 4);
    plan.settings.tx_push_factor = 5;
    let end = whole(plan);
    let pushed = |(_, fact): &&(Time, Fact)| matches!(fact, Fact::Pushed { ok: true, .. });
    let committed = |(_, fact): &&(Time, Fact)| matches!(fact, Fact::Committed { .. });
    let facts = &end.observer().0;
    let (pushes, commits) =
        (facts.iter().filter(pushed).count(), facts.iter().filter(committed).count());
    assert!(commits > 100 && pushes >= 2 * commits - 2, "{pushes} of {commits}");
    let acknowledged = |(_, fact): &&(Time, Fact)| matches!(fact, Fact::Completed { outcome: OperationOutcome::Ok, tx, .. } if tx.0 > 0);
    assert!(facts.iter().filter(acknowledged).count() + 2 >= commits);
}

#[test]
fn a_clone_plays_on_to_the_same_end() {
    let mut plan = plan(60, 3);
    plan.faults = vec![fault(FaultKind::PowerLoss, Target::Master, 20, 20)];
    let mut original = world(plan);
    // In the middle of the failover.
    while original.now() < Time::ZERO + Span::from_secs(31) {
        assert!(original.advance(100));
    }
    let copy = original.clone();
    let (a, b) = (finished(original), finished(copy));
    assert_eq!(a.digest(), b.digest());
    assert_eq!(a.events(), b.events());
    assert_eq!(a.observer().0, b.observer().0);
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let digest = |seed| finished(world(plan(20, seed))).digest();
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn the_cache_policy_shows_where_the_graph_does_not_fit() {
    let digest = |policy, frames: u64| {
        let mut plan = plan(20, 1);
        for instance in &mut plan.instances {
            instance.cache_policy = policy;
            instance.page_cache = Bytes::kib(8 * frames);
        }
        whole(plan).digest()
    };
    let [sweep, lru] = [CachePolicy::ClockSweep, CachePolicy::Lru];
    assert_ne!(digest(sweep, 30), digest(lru, 30), "other pages leave");
    assert_eq!(digest(sweep, 10_000), digest(lru, 10_000), "none leaves");
}

#[test]
fn who_listens_does_not_matter() {
    #[derive(Clone)]
    struct Nobody;
    impl Observer for Nobody {
        fn interests(&self) -> Classes {
            Classes::NONE
        }
        fn observe(&mut self, _: Time, _: Seq, _: &Fact) {
            panic!("nothing was asked for");
        }
    }
    let deaf = {
        let plan = plan(20, 5);
        let base = BaseGraph::build(&plan.graph);
        let mut world = World::new(plan.into(), base.into(), Nobody);
        while world.advance(u64::MAX) {}
        world.digest()
    };
    assert_eq!(deaf, finished(world(plan(20, 5))).digest());
}

#[test]
fn an_operation_left_out_does_not_shift_the_others() {
    let requests = |skip: Vec<u32>| {
        let mut plan = plan(20, 5);
        plan.clients[0].skip = skip;
        let end = finished(world(plan));
        let asked = |(_, fact): &(Time, Fact)| match fact {
            Fact::Invoked { operation, kind } => Some((operation.index, *kind)),
            _ => None,
        };
        end.observer().0.iter().filter_map(asked).collect::<Vec<_>>()
    };
    let all = requests(Vec::new());
    assert!(all.iter().any(|(index, _)| *index == 17));
    let fewer: Vec<_> = all.into_iter().filter(|(index, _)| *index != 17).collect();
    assert_eq!(requests(vec![17]), fewer);
}

#[test]
fn requests_to_a_dead_process_are_refused_and_to_a_dead_machine_not_answered() {
    let statuses = |kind| {
        let mut plan = plan(40, 2);
        plan.clients[0].retry.attempts = 1;
        plan.faults = vec![fault(kind, Target::Slave, 20, 15)];
        let end = finished(world(plan));
        // Before the balancer has polled, its pools are empty.
        let ended = |(at, fact): &(Time, Fact)| match fact {
            Fact::Completed { status, .. } if *at > Time::ZERO + Span::from_secs(20) => {
                Some(*status)
            }
            _ => None,
        };
        end.observer().0.iter().filter_map(ended).collect::<BTreeSet<_>>()
    };
    assert!(statuses(FaultKind::Crash).contains(&Status::NoServer));
    let dead = statuses(FaultKind::PowerLoss);
    assert!(dead.contains(&Status::ClientTimeout) && !dead.contains(&Status::NoServer));
}

#[test]
fn a_fault_waits_for_its_trigger_and_strikes_where_that_happened() {
    let mut plan = plan(60, 7);
    let mut second = fault(FaultKind::Crash, Target::Trigger, 10, 5);
    second.id = wavetank_vocabulary::FaultId(2);
    second.when = Some((Trigger::ReignBegins, Span::from_millis(250)));
    let mut never = fault(FaultKind::Crash, Target::Trigger, 10, 5);
    never.id = wavetank_vocabulary::FaultId(3);
    never.when = Some((Trigger::StoreCopyEnds, Span::ZERO));
    plan.faults = vec![fault(FaultKind::Crash, Target::Master, 12, 10), second, never];
    let world = finished(world(plan));
    let log = &world.observer().0;
    // The first reign began before the fault waited for one.
    let after = Time::ZERO + Span::from_secs(10);
    let reign = log.iter().find_map(|(at, fact)| match fact {
        Fact::EpochBegan { instance, .. } if *at > after => Some((*at, *instance)),
        _ => None,
    });
    let struck = log.iter().find_map(|(at, fact)| match fact {
        Fact::FaultBegan { fault, on, .. } if fault.0 == 2 => Some((*at, *on)),
        _ => None,
    });
    let (at, new_master) = reign.expect("somebody takes over");
    assert_eq!(struck, Some((at + Span::from_millis(250), new_master)));
    let skipped = log
        .iter()
        .any(|(_, fact)| matches!(fact, Fact::FaultSkipped { fault, .. } if fault.0 == 3));
    assert!(skipped, "a trigger that never came is told");
    assert!(world.converged());
}

#[test]
fn a_fault_strikes_in_the_middle_of_the_state_that_it_waits_for() {
    let states = Trigger::ALL.into_iter().filter_map(|(trigger, _)| match trigger {
        // Somebody has to need a copy.
        Trigger::In(state) if state != ProtocolState::StoreCopyOut => Some(state),
        _ => None,
    });
    for state in states {
        let mut plan = plan(40, 7);
        plan.settings.checkpoint_interval_tx = 50;
        // A commit is applied at once where every page is in the cache.
        plan.instances.iter_mut().for_each(|instance| instance.page_cache = Bytes(64 << 10));
        let mut caught = fault(FaultKind::Pause, Target::Trigger, 10, 2);
        caught.when = Some((Trigger::In(state), Span::ZERO));
        plan.faults = vec![caught];
        if state == ProtocolState::Recovery {
            // Somebody has to start.
            let mut crash = fault(FaultKind::Crash, Target::Master, 12, 2);
            crash.id = wavetank_vocabulary::FaultId(2);
            plan.faults.push(crash);
        }
        let world = finished(world(plan));
        let struck = world.observer().0.iter().find_map(|(_, fact)| match fact {
            Fact::StruckIn { fault, states, .. } if fault.0 == 1 => Some(*states),
            _ => None,
        });
        assert!(struck.is_some_and(|states| states.contains(state)), "{state:?}: {struck:?}");
    }
}

#[test]
fn triggers_are_seen_without_anybody_subscribing() {
    /// Wants nothing.
    #[derive(Clone, Debug)]
    struct Deaf;
    impl Observer for Deaf {
        fn interests(&self) -> Classes {
            Classes::NONE
        }
        fn observe(&mut self, _: Time, _: Seq, fact: &Fact) {
            panic!("nobody asked for {fact:?}");
        }
    }
    let mut plan = plan(40, 7);
    let mut second = fault(FaultKind::Pause, Target::Trigger, 5, 5);
    second.when = Some((Trigger::ReignBegins, Span::ZERO));
    second.id = wavetank_vocabulary::FaultId(2);
    let mut third = fault(FaultKind::Pause, Target::Trigger, 25, 5);
    third.when = Some((Trigger::In(ProtocolState::CommitApply), Span::ZERO));
    third.id = wavetank_vocabulary::FaultId(3);
    plan.faults = vec![fault(FaultKind::Crash, Target::Master, 12, 10), second, third];
    let plan = Arc::new(plan);
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let mut deaf = World::new(plan.clone(), base.clone(), Deaf);
    while deaf.advance(u64::MAX) {}
    let all = finished(World::new(plan, base, Log::default()));
    assert_eq!(deaf.digest(), all.digest());
}

#[test]
fn the_parts_of_an_operations_time_add_up_to_its_latency() {
    let mut plan = plan(30, 1);
    plan.faults = vec![fault(FaultKind::PowerLoss, Target::Master, 10, 10)];
    let world = finished(world(plan));
    let facts = &world.observer().0;
    let (mut retried, mut silent, mut synced) = (0, 0, 0);
    for (at, two) in facts.windows(2).map(|pair| (pair[0].0, [pair[0].1, pair[1].1])) {
        let [Fact::Completed { operation, intended, attempts, .. }, then] = two else { continue };
        let Fact::Spent { operation: same, earlier, server, outside, answered } = then else {
            panic!("{operation}: nothing is said about its time");
        };
        assert_eq!(operation, same);
        let (earlier, outside) = (Span::from(earlier), Span::from(outside));
        let sum = (earlier + outside + server.total()).as_nanos();
        let latency = at.since(intended).as_nanos();
        assert!(sum.abs_diff(latency) < 1_000 * 14, "{operation}: {sum} is not {latency}");
        assert!(attempts > 1 || earlier.is_zero(), "{operation}");
        retried += u32::from(!earlier.is_zero());
        silent += u32::from(!answered && !outside.is_zero());
        synced += u32::from(!server.of(ServerPhase::Sync).is_zero());
    }
    assert!(retried > 0 && silent > 0 && synced > 0, "{retried} {silent} {synced}");
}

#[test]
fn silence_of_a_dead_peer_is_seen_until_it_counts_as_failed() {
    let mut plan = plan(60, 1);
    plan.faults = vec![fault(FaultKind::PowerLoss, Target::Instance(InstanceId(3)), 20, 30)];
    let timeout = plan.settings.cluster.heartbeat_timeout;
    let beat = plan.settings.cluster.heartbeat_interval;
    let world = finished(world(plan));
    let gaps: Vec<(Time, Span)> = world
        .observer()
        .0
        .iter()
        .filter_map(|(at, fact)| match fact {
            Fact::Sample { instance: InstanceId(1), metric: Metric::HeartbeatGap, value } => {
                Some((*at, Span::from_nanos(*value)))
            }
            _ => None,
        })
        .collect();
    let lost = Time::ZERO + Span::from_secs(20);
    let quiet = gaps.iter().filter(|(at, _)| *at > Time::ZERO + Span::from_secs(12) && *at < lost);
    assert!(quiet.clone().count() > 5 && quiet.clone().all(|(_, gap)| *gap <= beat * 2));
    let longest = gaps.iter().map(|(_, gap)| *gap).max();
    assert!(longest.is_some_and(|gap| gap + beat >= timeout && gap <= timeout + beat * 3));
    // Once it counts as failed, its silence is no news.
    let (later, back) = (lost + timeout + Span::from_secs(2), lost + Span::from_secs(30));
    let after = gaps.iter().filter(|(at, _)| *at > later && *at < back);
    assert!(after.clone().count() > 10 && after.clone().all(|(_, gap)| *gap <= beat * 2));
}

#[test]
fn who_waits_for_a_paused_machine_waits_for_the_pause_and_not_the_network() {
    let mut plan = plan(30, 1);
    plan.faults = vec![fault(FaultKind::Pause, Target::Instance(InstanceId(2)), 10, 4)];
    let world = finished(world(plan));
    let spent = world.observer().0.iter().filter_map(|(_, fact)| match fact {
        Fact::Spent { server, outside, answered: true, .. } => {
            Some((server.of(ServerPhase::Paused), Span::from(*outside)))
        }
        _ => None,
    });
    let longest = spent.clone().map(|(paused, _)| paused).max();
    assert!(longest.is_some_and(|span| span > Span::from_secs(3) && span <= Span::from_secs(4)));
    assert!(spent.into_iter().all(|(_, outside)| outside < Span::from_millis(100)));
}

#[test]
fn a_pause_is_measured_while_it_lasts() {
    let mut plan = plan(30, 1);
    plan.faults = vec![fault(FaultKind::Pause, Target::Instance(InstanceId(2)), 10, 4)];
    let world = finished(world(plan));
    let paused: Vec<u64> = world
        .observer()
        .0
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::Sample { instance: InstanceId(2), metric: Metric::Paused, value } => Some(*value),
            _ => None,
        })
        .collect();
    assert_eq!(paused[9], 0);
    assert_eq!(paused[11], Span::from_secs(2).as_nanos());
    assert!(paused[14..].iter().all(|value| *value == Span::from_secs(4).as_nanos()));
}
