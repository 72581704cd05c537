//! Every kind of fault: it takes effect, what it does can be measured, and the cluster heals.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::plan;
use fault::fault;
use wavetank_vocabulary::{
    Bytes, Classes, Fact, FaultFamily, FaultId, FaultKind, InstanceId, Metric, Observer,
    OperationOutcome, Ratio, Role, Seq, Span, Status, Time,
};
use wavetank_world::{BaseGraph, FaultPlan, Members, Plan, Target, World};

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

/// Plays to the end, which must find the cluster whole.
fn whole(plan: Plan) -> Vec<(Time, Fact)> {
    let what: Vec<_> = plan.faults.iter().map(|fault| fault.kind.name()).collect();
    let end = play(plan);
    assert!(end.converged(), "{what:?}: {:?}", end.waits_for());
    let log = end.into_observer().0;
    let contents: BTreeSet<_> = log
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::Final { contents, .. } => Some(contents.expect("every store can be read")),
            _ => None,
        })
        .collect();
    assert_eq!(contents.len(), 1, "{what:?}: replicas differ");
    log
}

fn target(kind: FaultKind, usual: Target) -> Target {
    match kind.family() {
        FaultFamily::Balancer => Target::Balancer(0),
        _ if kind == FaultKind::Ring => Target::All,
        _ => usual,
    }
}

fn began(log: &[(Time, Fact)], of: FaultKind) -> usize {
    let is =
        |(_, fact): &&(Time, Fact)| matches!(fact, Fact::FaultBegan { kind, .. } if *kind == of);
    log.iter().filter(is).count()
}

/// A Plan of five instances with page caches that do not hold the graph.
fn small(seconds: u64, seed: u64) -> Plan {
    let mut plan = plan(seconds, seed);
    let one = plan.instances[0].clone();
    plan.instances = (1..=5)
        .map(|id| wavetank_world::InstancePlan { id: InstanceId(id), ..one.clone() })
        .collect();
    for instance in &mut plan.instances {
        instance.page_cache = Bytes::kib(8 * 40);
    }
    plan
}

fn with(mut plan: Plan, change: impl FnOnce(&mut FaultPlan), kind: FaultKind, on: Target) -> Plan {
    let mut one = fault(kind, on, 15, 20);
    if kind == FaultKind::WrongHosts {
        one.strength.hosts = Some(Members::default().with(InstanceId(1)));
    }
    change(&mut one);
    plan.faults = vec![one];
    plan
}

#[test]
fn every_kind_strikes_master_and_slave_and_heals() {
    for kind in FaultKind::ALL {
        for (seed, usual) in [(1, Target::Slave), (2, Target::Master)] {
            let log = whole(with(small(60, seed), |_| {}, *kind, target(*kind, usual)));
            let skipped = log.iter().any(|(_, fact)| matches!(fact, Fact::FaultSkipped { .. }));
            assert!(began(&log, *kind) > 0 || kind.lies_in_wait() && skipped, "{kind:?}");
        }
    }
}

#[test]
fn two_of_a_kind_overlap() {
    for kind in FaultKind::ALL {
        let mut plan = small(70, 3);
        let on = target(*kind, Target::Instance(InstanceId(2)));
        let mut first = fault(*kind, on, 15, 15);
        let mut second = fault(*kind, on, 20, 25);
        second.id = FaultId(2);
        if *kind == FaultKind::WrongHosts {
            let hosts = Some(Members::default().with(InstanceId(1)));
            (first.strength.hosts, second.strength.hosts) = (hosts, hosts);
        }
        plan.faults = vec![first, second];
        whole(plan);
    }
}

/// Requests that were completed while the fault was at work: how many went well, and how long
/// the slowest of those took.
fn served(log: &[(Time, Fact)]) -> (usize, Span) {
    let (from, to) = (Time::ZERO + Span::from_secs(16), Time::ZERO + Span::from_secs(34));
    let during = log.iter().filter_map(|(at, fact)| match fact {
        Fact::Completed { outcome: OperationOutcome::Ok, intended, .. }
            if *at > from && *at < to =>
        {
            Some(at.since(*intended))
        }
        _ => None,
    });
    (during.clone().count(), during.max().unwrap_or(Span::ZERO))
}

fn committed(log: &[(Time, Fact)], from: u64, to: u64) -> usize {
    let (from, to) = (Time::ZERO + Span::from_secs(from), Time::ZERO + Span::from_secs(to));
    let is = |(at, fact): &&(Time, Fact)| {
        *at > from && *at < to && matches!(fact, Fact::Committed { .. })
    };
    log.iter().filter(is).count()
}

fn at_master(kind: FaultKind, change: impl FnOnce(&mut FaultPlan)) -> Vec<(Time, Fact)> {
    whole(with(plan(60, 5), change, kind, target(kind, Target::Master)))
}

#[test]
fn slow_machines_and_links_are_slow() {
    let healthy = whole(plan(60, 5));
    let (count, slowest) = served(&healthy);
    assert!(count > 1_500 && slowest < Span::from_millis(200), "{count} {slowest}");
    for (kind, at_least) in [
        (FaultKind::SlowDisk, Span::from_millis(20)),
        (FaultKind::Delay, Span::from_millis(200)),
        (FaultKind::Loss, Span::from_millis(200)),
        (FaultKind::Grey, Span::from_secs(2)),
        (FaultKind::IopsCap, Span::from_millis(20)),
    ] {
        let (_, slowest) = served(&at_master(kind, |_| {}));
        assert!(slowest >= at_least, "{kind:?}: {slowest}");
    }
    let stalled = at_master(FaultKind::StallDisk, |_| {});
    assert!(committed(&healthy, 17, 34) > 100 && committed(&stalled, 17, 34) == 0);
    let busy = |log: &[(Time, Fact)]| -> u64 {
        let core = |(_, fact): &(Time, Fact)| match fact {
            Fact::Sample { metric: Metric::CoreBusy, value, .. } => Some(*value),
            _ => None,
        };
        log.iter().filter_map(core).max().unwrap_or(0)
    };
    let slow = at_master(FaultKind::SlowCpu, |_| {});
    assert!(busy(&slow) > 3 * busy(&healthy));
}

#[test]
fn a_small_page_cache_faults_more() {
    let faults = |change: bool| -> u64 {
        let mut plan = plan(60, 5);
        for instance in &mut plan.instances {
            instance.page_cache = Bytes::kib(8 * 4_000);
        }
        if change {
            let little = |fault: &mut FaultPlan| {
                fault.strength.part = Some(Ratio::new(1, 200));
            };
            plan = with(plan, little, FaultKind::ShrinkCache, Target::All);
        }
        let evictions = |(_, fact): &(Time, Fact)| match fact {
            Fact::Sample { metric: Metric::PageCacheEvictions, value, .. } => Some(*value),
            _ => None,
        };
        whole(plan).iter().filter_map(evictions).max().unwrap_or(0)
    };
    assert_eq!(faults(false), 0);
    assert!(faults(true) > 100);
}

#[test]
fn a_wiped_instance_copies_the_store() {
    let log = at_master(FaultKind::Wipe, |_| {});
    assert!(log.iter().any(|(_, fact)| matches!(fact, Fact::StoreCopy { done: true, .. })));
}

#[test]
fn an_orderly_stop_answers_what_it_was_asked() {
    let reset = |kind| {
        let mut plan = plan(60, 5);
        plan.clients[0].retry.attempts = 1;
        let log = whole(with(plan, |_| {}, kind, Target::Master));
        let is = |(_, fact): &&(Time, Fact)| {
            matches!(fact, Fact::Completed { status: Status::ConnectionReset, .. })
        };
        log.iter().filter(is).count()
    };
    assert!(reset(FaultKind::Crash) + reset(FaultKind::Reset) >= reset(FaultKind::Stop));
    assert_eq!(reset(FaultKind::Stop), 0);
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    let log = at_master(FaultKind::FullDisk, |_| {});
    assert!(began(&log, FaultKind::FullDisk) > 0);
    assert_eq!(committed(&log, 17, 34), 0);
    assert!(committed(&log, 40, 60) > 50, "{}", committed(&log, 40, 60));
}

#[test]
fn a_rolling_restart_takes_everyone_once() {
    let log = whole(with(
        small(150, 5),
        |fault| fault.lasts = None,
        FaultKind::RollingRestart,
        Target::All,
    ));
    let downs = |id| {
        let is = |(at, fact): &&(Time, Fact)| {
            *at > Time::ZERO + Span::from_secs(10)
                && matches!(fact, Fact::RoleChanged { instance, to: Role::Down, .. }
                    if *instance == InstanceId(id))
        };
        log.iter().filter(is).count()
    };
    assert_eq!([downs(1), downs(2), downs(3), downs(4), downs(5)], [1; 5]);
    let ends = |(_, fact): &&(Time, Fact)| matches!(fact, Fact::FaultEnded { .. });
    assert!(log.iter().filter(ends).count() >= 5);
}

#[test]
fn a_restart_waits_for_the_process_to_leave() {
    let down = |cut: Span| {
        let mut plan = small(90, 5);
        let on = Target::Instance(InstanceId(2));
        plan.faults = alone(
            &[(FaultKind::Partition, 15, cut), (FaultKind::Restart, 20, Span::from_secs(2))],
            on,
        );
        let log = whole(plan);
        let after = Time::ZERO + Span::from_secs(20);
        let became = |role: Role| {
            log.iter().find_map(|(at, fact)| match fact {
                Fact::RoleChanged { instance: InstanceId(2), to, .. }
                    if *to == role && *at > after =>
                {
                    Some(at.since(after))
                }
                _ => None,
            })
        };
        (became(Role::Down).expect("it stops"), became(Role::Starting).expect("it starts"))
    };
    // It leaves at once, and is away for two seconds.
    let (gone, back) = down(Span::from_secs(1));
    assert!(gone < Span::from_secs(2) && back >= Span::from_secs(2), "{gone} {back}");
    // Nobody hears it: it waits for the cut to end, and starts as soon as it is gone.
    let (gone, back) = down(Span::from_secs(30));
    assert!(gone > Span::from_secs(20) && gone < Span::from_secs(60), "{gone}");
    assert!(back.saturating_sub(gone) < Span::from_secs(1), "{gone} {back}");
}

/// Faults on one instance: what, from which second on, how long.
fn alone(faults: &[(FaultKind, u64, Span)], on: Target) -> Vec<FaultPlan> {
    let numbered = faults.iter().zip(1..);
    let made = numbered.map(|((kind, at, lasts), id)| FaultPlan {
        id: FaultId(id),
        lasts: Some(*lasts),
        ..fault(*kind, on, *at, 1)
    });
    made.collect()
}

#[test]
fn a_stale_balancer_sends_to_the_dead_and_a_dead_one_refuses() {
    let ended = |wanted: Status, kinds: &[FaultKind]| {
        let mut plan = plan(60, 5);
        plan.clients[0].retry.attempts = 1;
        plan.faults = kinds
            .iter()
            .zip(1..)
            .map(|(kind, id)| FaultPlan {
                id: FaultId(id),
                ..fault(*kind, target(*kind, Target::Slave), 14 + u64::from(id), 20)
            })
            .collect();
        let log = whole(plan);
        let is = |(_, fact): &&(Time, Fact)| matches!(fact, Fact::Completed { status, .. } if *status == wanted);
        log.iter().filter(is).count()
    };
    // Before the balancer has polled, its pools are empty.
    let beginning = ended(Status::NoServer, &[]);
    let noticed = ended(Status::NoServer, &[FaultKind::Crash]) - beginning;
    let stale = ended(Status::NoServer, &[FaultKind::BalancerStale, FaultKind::Crash]) - beginning;
    assert!(noticed > 0 && stale > 2 * noticed.max(50), "{beginning} {noticed} {stale}");
    assert!(ended(Status::ConnectionRefused, &[FaultKind::BalancerDown]) > 1_000);
}

#[test]
fn the_budget_keeps_a_good_copy() {
    // All of three are to be wiped at once: the budget lets one go at the most.
    let mut plan = plan(60, 5);
    plan.faults = (1..=3)
        .map(|id| {
            let mut wipe = fault(FaultKind::Wipe, Target::Instance(InstanceId(id)), 20, 10);
            (wipe.id, wipe.spares_copy) = (FaultId(id), true);
            wipe
        })
        .collect();
    let log = whole(plan);
    assert!(began(&log, FaultKind::Wipe) <= 1);
    let contents = |(_, fact): &(Time, Fact)| match fact {
        Fact::Final { log, .. } => Some(log.tx.0),
        _ => None,
    };
    assert!(log.iter().filter_map(contents).all(|tx| tx > 100));
}

#[test]
fn what_faults_strike_in_the_middle_of_is_told() {
    let log = at_master(FaultKind::Crash, |_| {});
    let struck = |(_, fact): &&(Time, Fact)| matches!(fact, Fact::StruckIn { states, .. } if states.iter().count() > 0);
    assert_eq!(log.iter().filter(struck).count(), 1);
}

#[test]
fn a_wrong_clock_shows_in_the_epoch() {
    let epoch = |kinds: bool| {
        let mut plan = plan(60, 5);
        if kinds {
            let mut crash = fault(FaultKind::Crash, Target::Master, 20, 10);
            crash.id = FaultId(2);
            plan.faults = vec![fault(FaultKind::ClockOffset, Target::All, 15, 40), crash];
        }
        let last = whole(plan).iter().rev().find_map(|(_, fact)| match fact {
            Fact::EpochBegan { epoch, .. } => Some(epoch.0 & ((1 << 48) - 1)),
            _ => None,
        });
        last.expect("somebody reigns")
    };
    assert!(epoch(true) > epoch(false) + 3_600_000);
}
