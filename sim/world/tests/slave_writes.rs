//! Writes at slaves: locks and commit at the master, the transaction pulled back before the
//! client is told, and what becomes of them when something breaks in between.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::plan;
use fault::fault;
use proptest::prelude::*;
use wavetank_vocabulary::{
    Bytes, Classes, Fact, FaultId, FaultKind, InstanceId, Observer, OperationId, OperationKind,
    OperationOutcome, PlantedBugs, Rate, Role, Seq, ServerPhase, Span, Status, Time, TxId,
};
use wavetank_world::{BaseGraph, FaultPlan, GraphSource, Plan, RetryPlan, Routing, Target, World};

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

fn play(plan: Plan) -> World<Log> {
    let base = BaseGraph::build(&plan.graph);
    let mut world = World::new(Arc::new(plan), Arc::new(base), Log::default());
    while world.advance(u64::MAX) {}
    world
}

/// Plays to the end and checks what every voyage must leave.
fn whole(plan: Plan) -> World<Log> {
    let end = play(plan);
    assert!(end.converged(), "{:?}", end.waits_for());
    let contents: BTreeSet<_> = end
        .observer()
        .0
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::Final { contents, .. } => Some(contents.expect("every store can be read")),
            _ => None,
        })
        .collect();
    assert_eq!(contents.len(), 1, "replicas differ");
    end
}

/// Writes only, through slaves only, without a second attempt.
fn at_slaves(seconds: u64, seed: u64) -> Plan {
    let mut plan = plan(seconds, seed);
    plan.clients[0].routing = Routing::AllToSlaves;
    plan.clients[0].mix =
        [(2, 30), (3, 50), (4, 20)].map(|(kind, weight)| (OperationKind(kind), weight)).to_vec();
    plan.clients[0].retry = RetryPlan::NONE;
    plan
}

/// Operations that ended, in order: when, where, how, with which transaction.
fn ended(log: &Log) -> Vec<(Time, OperationId, Option<InstanceId>, Status, TxId)> {
    let ended = log.0.iter().filter_map(|(at, fact)| match *fact {
        Fact::Completed { operation, instance, status, tx, .. } => {
            Some((*at, operation, instance, status, tx))
        }
        _ => None,
    });
    ended.collect()
}

/// How often each operation's mark is in the final store.
fn found(log: &Log) -> BTreeMap<OperationId, u32> {
    let mut found = BTreeMap::new();
    for (_, fact) in &log.0 {
        if let Fact::Found { operation, .. } = fact {
            *found.entry(*operation).or_default() += 1;
        }
    }
    found
}

#[test]
fn a_write_is_acknowledged_when_master_and_author_have_it() {
    let end = whole(at_slaves(30, 1));
    let log = end.observer();
    let master = log.0.iter().find_map(|(_, fact)| match fact {
        Fact::RoleChanged { instance, to: Role::Master, .. } => Some(*instance),
        _ => None,
    });
    let mut committed: BTreeMap<TxId, Time> = BTreeMap::new();
    let mut applied: BTreeMap<InstanceId, Vec<(Time, TxId)>> = BTreeMap::new();
    for (at, fact) in &log.0 {
        match *fact {
            Fact::Committed { instance, log, .. } => {
                assert_eq!(Some(instance), master, "the master commits, and nobody else");
                committed.insert(log.tx, *at);
            }
            Fact::Applied { instance, log, .. } => {
                applied.entry(instance).or_default().push((*at, log.tx));
            }
            _ => {}
        }
    }
    let mut acknowledged = 0;
    for (at, operation, instance, status, tx) in ended(log) {
        if status != Status::Ok {
            continue;
        }
        acknowledged += 1;
        let author = instance.expect("who succeeded was answered");
        assert_ne!(Some(author), master, "{operation}");
        assert!(committed[&tx] < at, "{operation}");
        let here = applied[&author].iter().find(|(_, applied)| *applied >= tx);
        assert!(here.is_some_and(|(when, _)| *when < at), "{operation} is not at its author");
    }
    assert!(acknowledged > 1500, "{acknowledged}");
    // Without a fault every operation that had a server succeeds.
    let late = Time::ZERO + Span::from_secs(8);
    let failed = ended(log).into_iter().filter(|(at, _, _, status, _)| {
        *at > late && !matches!(status, Status::Ok | Status::DeadlockDetected)
    });
    assert_eq!(failed.count(), 0);
}

#[test]
fn where_the_time_of_a_forwarded_write_goes_is_known() {
    let end = play(at_slaves(20, 3));
    let mut spent = [Span::ZERO; 2];
    for (_, fact) in &end.observer().0 {
        if let Fact::Served { time, status: Status::Ok, .. } = fact {
            spent[0] += time.of(ServerPhase::MasterLock);
            spent[1] += time.of(ServerPhase::MasterCommit);
        }
    }
    // A round trip and a sync at least, for each of some thousand.
    assert!(spent[0] > Span::from_millis(300), "{spent:?}");
    assert!(spent[1] > Span::from_secs(2), "{spent:?}");
}

#[test]
fn the_master_dies_with_commits_under_way() {
    let mut unknown = 0;
    for seed in 0..6 {
        let mut plan = at_slaves(60, seed);
        plan.settings.tx_push_factor = 0;
        plan.clients[0].rate = Rate::per_second(200);
        let kind = if seed % 2 == 0 { FaultKind::Crash } else { FaultKind::PowerLoss };
        plan.faults = vec![fault(kind, Target::Master, 20, 15)];
        let end = whole(plan);
        let log = end.observer();
        let found = found(log);
        assert!(found.values().all(|times| *times == 1), "an operation was done twice");
        for (_, operation, instance, status, tx) in ended(log) {
            unknown += u32::from(status == Status::CommitInterrupted);
            if status != Status::Ok || instance.is_none() || tx == TxId(0) {
                continue;
            }
            // Its author has it, and the longest log is elected: nothing is lost.
            let created = operation_created(log, operation);
            assert!(!created || found.contains_key(&operation), "seed {seed}: {operation} is lost");
        }
    }
    assert!(unknown > 0, "no commit was ever under way");
}

/// Whether the operation leaves something that is there for good.
fn operation_created(log: &Log, of: OperationId) -> bool {
    log.0.iter().any(|(_, fact)| {
        matches!(fact, Fact::Completed { operation, subject: wavetank_vocabulary::Subject::Created, .. }
            if *operation == of)
    })
}

#[test]
fn locks_of_a_dead_author_are_released_after_a_while() {
    let mut reaped = 0;
    for seed in 0..8 {
        let mut plan = at_slaves(50, seed);
        plan.settings.lock_read_timeout = Span::from_secs(2);
        plan.clients[0].rate = Rate::per_second(400);
        plan.faults = vec![fault(FaultKind::PowerLoss, Target::Slave, 20, 20)];
        let end = whole(plan);
        for (at, fact) in &end.observer().0 {
            if let Fact::LockSessionReaped { .. } = fact {
                reaped += 1;
                let after = at.since(Time::ZERO + Span::from_secs(20));
                assert!(after >= Span::from_millis(6_900), "{after}");
                assert!(after <= Span::from_millis(9_000), "{after}");
            }
        }
    }
    assert!(reaped > 0, "no session was ever open");
}

#[test]
fn two_slaves_wait_for_each_others_locks_at_the_master() {
    let mut plan = at_slaves(30, 5);
    // Few users, so that writers meet.
    let GraphSource::Social { users, .. } = &mut plan.graph.source else { panic!("generated") };
    *users = 50;
    plan.clients[0].rate = Rate::per_second(300);
    plan.clients[0].mix = vec![(OperationKind(3), 50), (OperationKind(2), 50)];
    plan.clients[0].popularity =
        wavetank_world::Popularity::Zipf(wavetank_vocabulary::Ratio::new(12, 10));
    let end = whole(plan);
    let log = end.observer();
    let statuses: BTreeSet<Status> = ended(log)
        .into_iter()
        .filter(|(at, ..)| *at > Time::ZERO + Span::from_secs(8))
        .map(|(_, _, _, status, _)| status)
        .collect();
    assert!(statuses.contains(&Status::Ok));
    let expected = [Status::Ok, Status::DeadlockDetected, Status::ClientTimeout];
    assert!(statuses.iter().all(|status| expected.contains(status)), "{statuses:?}");
    // Whoever came second waited for the first to end.
    let waited = log.0.iter().filter_map(|(_, fact)| match fact {
        Fact::Served { time, .. } => Some(time.of(ServerPhase::MasterLock)),
        _ => None,
    });
    assert!(waited.max().unwrap_or_default() > Span::from_millis(8));
}

#[test]
fn few_channels_make_writes_queue() {
    let p99 = |channels| {
        let mut plan = at_slaves(20, 7);
        plan.clients[0].rate = Rate::per_second(500);
        plan.settings.max_concurrent_channels_per_slave = channels;
        let end = play(plan);
        let mut times: Vec<Span> = end
            .observer()
            .0
            .iter()
            .filter_map(|(_, fact)| match fact {
                Fact::Served { time, status: Status::Ok, .. } => Some(time.total()),
                _ => None,
            })
            .collect();
        times.sort_unstable();
        times[times.len() * 99 / 100]
    };
    assert!(p99(1) > p99(20));
}

/// All channels are held by requests that wait for locks: who holds the locks gets through all
/// the same, and commits.
#[test]
fn who_holds_locks_waits_for_no_channel() {
    let mut plan = at_slaves(30, 6);
    let GraphSource::Social { users, .. } = &mut plan.graph.source else { panic!("generated") };
    *users = 10;
    plan.clients[0].rate = Rate::per_second(300);
    plan.settings.max_concurrent_channels_per_slave = 2;
    let end = whole(plan);
    let waited = end.observer().0.iter().filter_map(|(_, fact)| match fact {
        Fact::Served { time, .. } => Some(time.of(ServerPhase::MasterLock)),
        _ => None,
    });
    let longest = waited.max().unwrap_or_default();
    // ha.lock_read_timeout is 20 s.
    assert!(longest > Span::from_millis(10) && longest < Span::from_secs(10), "{longest}");
}

#[test]
fn readers_whose_state_is_too_old_are_ended_before_a_batch_is_applied() {
    let outdated = |zone, seed| {
        let mut plan = plan(40, seed);
        plan.settings.pull_interval = Span::from_secs(5);
        plan.settings.tx_push_factor = 0;
        plan.settings.id_reuse_safe_zone = zone;
        plan.clients[0].rate = Rate::per_second(600);
        plan.clients[0].retry = RetryPlan::NONE;
        // Readers take their time: what they read is on the disk.
        for instance in &mut plan.instances {
            instance.page_cache = Bytes::kib(256);
        }
        let end = whole(plan);
        let all = ended(end.observer());
        all.iter().filter(|(_, _, _, status, _)| *status == Status::Outdated).count()
    };
    // A batch comes every five seconds: few reads are under way then.
    assert!((2..6).any(|seed| outdated(Span::from_secs(1), seed) > 0));
    assert_eq!(outdated(Span::from_secs(3600), 2), 0);
    assert_eq!(outdated(Span::ZERO, 2), 0);
}

#[test]
fn a_slave_with_another_history_is_refused_at_its_request() {
    // Instance 1 commits what nobody has, and dies; the next master commits as much. The
    // planted bug takes the old master's log for the same in handshakes and pulls.
    let mut plan = at_slaves(80, 4);
    plan.bugs = PlantedBugs::BRANCH_RECEIVED;
    plan.settings.pull_interval = Span::ZERO;
    plan.settings.tx_push_factor = 0;
    plan.faults = vec![fault(FaultKind::Crash, Target::Instance(InstanceId(1)), 20, 25)];
    plan.clients[0].rate = Rate::per_second(10);
    plan.clients[0].mix = vec![(OperationKind(3), 1)];
    let (mut before, mut late) = (plan.clients[0].clone(), plan.clients[0].clone());
    (before.name, late.name) = ("before".into(), "late".into());
    before.routing = Routing::AllToMaster;
    before.only = Some((100..103).chain(400..403).collect());
    late.only = Some((600..700).collect());
    plan.clients = vec![before, late];
    let end = play(plan);
    let log = end.observer();
    let branch = log.0.iter().filter_map(|(at, fact)| match *fact {
        Fact::RoleChanged { instance: InstanceId(1), to: Role::Slave, .. } => Some(*at),
        _ => None,
    });
    assert!(branch.count() > 0, "the bug lets it in");
    let all = ended(log);
    let late = |wanted| {
        all.iter().find(move |(at, _, by, _, _)| {
            *at > Time::ZERO + Span::from_secs(55) && *by == Some(InstanceId(wanted))
        })
    };
    // Its next handshake takes it in again, for the bug, and then it pulls what came since.
    assert!(matches!(late(1), Some((_, _, _, Status::NoMaster, _))), "{all:?}");
    assert!(matches!(late(3), Some((_, _, _, Status::Ok, _))), "{all:?}");
}

/// A fault out of a few that slave writes must survive.
fn faults() -> impl Strategy<Value = Vec<FaultPlan>> {
    let kind = prop::sample::select(vec![
        FaultKind::Crash,
        FaultKind::PowerLoss,
        FaultKind::Pause,
        FaultKind::Partition,
    ]);
    let target = prop::sample::select(vec![Target::Master, Target::Slave, Target::Any]);
    let one = (kind, target, 8..30u64, 1..20u64);
    prop::collection::vec(one, 1..4).prop_map(|drawn| {
        let numbered = drawn.into_iter().enumerate();
        numbered
            .map(|(place, (kind, target, at, lasts))| FaultPlan {
                id: FaultId(place as u16 + 1),
                ..fault(kind, target, at, lasts)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_happens_replicas_end_up_equal(
        seed in 0..1_000u64,
        faults in faults(),
        push in 0..3u32,
        anywhere in any::<bool>(),
    ) {
        let mut plan = at_slaves(40, seed);
        plan.settings.tx_push_factor = push;
        plan.clients[0].routing = if anywhere { Routing::Anywhere } else { Routing::AllToSlaves };
        plan.faults = faults;
        let end = whole(plan);
        let twice = found(end.observer()).into_iter().find(|(_, times)| *times > 1);
        prop_assert_eq!(twice, None);
        let outcomes = end.observer().0.iter().filter(|(_, fact)| {
            matches!(fact, Fact::Completed { outcome: OperationOutcome::Ok, .. })
        });
        prop_assert!(outcomes.count() > 100);
    }
}
