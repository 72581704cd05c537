//! A World whose instances are elsewhere: what it orders, and what it makes of the answers.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::sync::Arc;

use common::plan;
use fault::fault;
use wavetank_instance::{Asked, Reply};
use wavetank_vocabulary::{
    Classes, Fact, FaultId, FaultKind, HaRole, InstanceId, LogMark, Monitored, Observer,
    OperationOutcome, Ratio, Role, Seq, ServerTime, Span, Status, Time, TxId,
};
use wavetank_world::{
    BaseGraph, DiskState, LinkState, Order, Phase, Roles, Standing, Strength, Surroundings, Target,
    World,
};

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

fn seconds(n: u64) -> Time {
    Time::ZERO + Span::from_secs(n)
}

/// An instance that stands so, and has nothing to do.
fn standing(role: Role) -> Standing {
    let log = LogMark { tx: TxId(7), checksum: 8 };
    let bean = Monitored { available: true, role: HaRole::from(role), last_committed: TxId(7) };
    Standing { role, log, idle: true, waits_for: None, bean: Some(bean) }
}

/// Plays with instances that answer everything at once, the first of them as master; gives
/// the orders with their times.
fn played(kind: FaultKind) -> (World<Log>, Vec<(Time, Order)>) {
    played_late(kind, Span::ZERO)
}

/// The same, when it takes that long until it is known how they stand.
fn played_late(kind: FaultKind, late: Span) -> (World<Log>, Vec<(Time, Order)>) {
    let mut plan = plan(30, 1);
    plan.faults = vec![fault(kind, Target::Master, 10, 5)];
    let base = BaseGraph::build(&plan.graph);
    let ids: Vec<InstanceId> = plan.instances.iter().map(|instance| instance.id).collect();
    let role = |id: InstanceId| if id == ids[0] { Role::Master } else { Role::Slave };
    let mut world = World::outside(Arc::new(plan), Arc::new(base), Log::default());
    let mut orders = Vec::new();
    for step in 0..10_000 {
        let now = Time::ZERO + Span::from_millis(10) * step;
        world.advance_to(now);
        if world.phase() == Phase::Done {
            break;
        }
        while let Some(order) = world.next_order() {
            match &order {
                Order::Ask(id, request) => {
                    let (status, reply) = (Status::Ok, Reply { tx: TxId(7), ..Reply::default() });
                    let asked = Asked::of(request);
                    world.outside_answered(*id, asked, status, reply, ServerTime::default());
                }
                Order::Poll { balancer, instance } => {
                    let up = world.outside_runs(*instance);
                    let master = up && role(*instance) == Role::Master;
                    let says = Roles { master, slave: up && !master, available: up };
                    world.outside_polled(*balancer, *instance, says);
                }
                _ => orders.push((now, order.clone())),
            }
        }
        for id in &ids {
            let then = now.as_nanos().saturating_sub(late.as_nanos());
            world.outside_stands(*id, Time::from_nanos(then), standing(role(*id)));
        }
    }
    (world, orders)
}

#[test]
fn a_run_ends_on_how_instances_stand_after_it_seems_over() {
    for late in [Span::from_millis(20), Span::from_secs(1)] {
        let (world, _) = played_late(FaultKind::Pause, late);
        let log = world.into_observer().0;
        let at = |what| log.iter().find(|(_, fact)| *fact == what).expect("it is told").0;
        let took = at(Fact::Converged).since(at(Fact::Healed));
        assert!(took > late, "after {took:?}, when news are {late:?} old");
    }
}

#[test]
fn processes_are_started_killed_and_started_again() {
    let (world, orders) = played(FaultKind::Crash);
    assert!(world.converged(), "{:?}", world.waits_for());
    let first = InstanceId(1);
    let of_first: Vec<_> = orders
        .iter()
        .filter(|(_, order)| matches!(order, Order::Start(id) | Order::Kill(id) if *id == first))
        .collect();
    let expected = [
        &(Time::ZERO, Order::Start(first)),
        &(seconds(10), Order::Kill(first)),
        &(seconds(15), Order::Start(first)),
    ];
    assert_eq!(of_first, expected);
    let log = world.into_observer().0;
    let went_down = Fact::RoleChanged {
        instance: first,
        from: Role::Master,
        to: Role::Down,
        log: standing(Role::Master).log,
    };
    assert!(log.iter().any(|(at, fact)| *at == seconds(10) && *fact == went_down));
    let ended = |outcome| {
        let is = |(_, fact): &&(Time, Fact)| matches!(fact, Fact::Completed { outcome: of, .. } if *of == outcome);
        log.iter().filter(is).count()
    };
    assert!(ended(OperationOutcome::Ok) > 100);
    assert!(ended(OperationOutcome::Failed) > 0, "nobody takes writes for a while");
}

#[test]
fn a_pause_is_ordered_and_ended() {
    let (world, orders) = played(FaultKind::Pause);
    assert!(world.converged());
    let first = InstanceId(1);
    assert!(orders.contains(&(seconds(10), Order::Pause(first))), "{orders:?}");
    assert!(orders.contains(&(seconds(15), Order::Resume(first))), "{orders:?}");
}

#[test]
fn a_process_that_is_started_on_a_paused_machine_stands_still() {
    let mut plan = plan(60, 1);
    let first = Target::Instance(InstanceId(1));
    plan.faults =
        vec![fault(FaultKind::Pause, first, 10, 10), fault(FaultKind::Crash, first, 12, 3)];
    let base = BaseGraph::build(&plan.graph);
    let mut world = World::outside(Arc::new(plan), Arc::new(base), Log::default());
    let mut of_first = Vec::new();
    for second in 0..30 {
        world.advance_to(seconds(second));
        while let Some(order) = world.next_order() {
            if let Order::Start(id) | Order::Kill(id) | Order::Pause(id) | Order::Resume(id) = order
                && id == InstanceId(1)
            {
                of_first.push((second, order));
            }
        }
    }
    let id = InstanceId(1);
    let last: Vec<_> = of_first.into_iter().filter(|(second, _)| *second > 12).collect();
    let wanted = [(15, Order::Start(id)), (15, Order::Pause(id)), (20, Order::Resume(id))];
    assert_eq!(last, wanted);
}

#[test]
fn links_say_whether_they_are_cut() {
    let mut plan = plan(30, 1);
    plan.faults = vec![fault(FaultKind::Partition, Target::Instance(InstanceId(2)), 10, 5)];
    let base = BaseGraph::build(&plan.graph);
    let mut world = World::outside(Arc::new(plan), Arc::new(base), Log::default());
    for (second, whole) in [(9, true), (11, false), (16, true)] {
        world.advance_to(seconds(second));
        let cut = LinkState { whole, ..LinkState::default() };
        assert_eq!((world.link(0, 1), world.link(1, 2)), (cut, cut), "{second} s");
        assert_eq!(world.link(0, 2), LinkState::default(), "{second} s");
    }
}

#[test]
fn surroundings_say_what_faults_make_of_them() {
    let mut plan = plan(60, 1);
    let second = Target::Instance(InstanceId(2));
    let mut add = |kind, at, change: fn(&mut Strength)| {
        let mut fault = fault(kind, second, at, 5);
        change(&mut fault.strength);
        plan.faults.push(fault);
    };
    add(FaultKind::SlowDisk, 10, |it| it.factor = Some(Ratio::new(3, 1)));
    add(FaultKind::FullDisk, 12, |_| {});
    add(FaultKind::ClockOffset, 20, |it| {
        it.by = Some(Span::from_secs(7));
        it.backwards = Some(true);
    });
    add(FaultKind::Loss, 30, |it| it.part = Some(Ratio::new(1, 4)));
    add(FaultKind::SyncError, 40, |_| {});
    for (number, fault) in (1..).zip(&mut plan.faults) {
        fault.id = FaultId(number);
    }
    let base = BaseGraph::build(&plan.graph);
    let mut world = World::outside(Arc::new(plan), Arc::new(base), Log::default());
    let healthy = world.surroundings(InstanceId(2)).expect("a member");
    let mut after = |at| {
        world.advance_to(seconds(at));
        let link = world.link(0, 1);
        (world.surroundings(InstanceId(2)).expect("a member"), link)
    };
    assert_eq!(after(9).0, healthy);
    assert_eq!(after(11).0.disk, DiskState { slower: 2_000, ..DiskState::default() });
    let full = after(13).0.disk;
    assert_eq!((full.slower, full.full), (2_000, Some(1)));
    assert_eq!(after(21).0, Surroundings { wall_ahead_ms: -7_000, ..healthy });
    assert_eq!(after(31).1, LinkState { lost_ppm: 250_000, ..LinkState::default() });
    assert_eq!(after(41).0.disk.sync_error, Some(4));
    // It strikes where it is noticed, and then no more.
    let began = |world: &World<Log>| {
        let is = |fact: &Fact| matches!(fact, Fact::FaultBegan { kind: FaultKind::SyncError, .. });
        world.observer().0.iter().filter(|(_, fact)| is(fact)).count()
    };
    assert_eq!(began(&world), 0);
    world.outside_struck(InstanceId(2), 4);
    assert_eq!(began(&world), 1);
    let surroundings = world.surroundings(InstanceId(2)).expect("a member");
    assert_eq!(surroundings.disk.sync_error, None);
    world.advance_to(seconds(50));
    assert_eq!(world.surroundings(InstanceId(2)), Some(healthy));
}

#[test]
fn what_damages_bytes_cannot_be_played_elsewhere() {
    use FaultKind::{BitFlip, Grey, LogDamage, LostWrite, ReadError, SlowCpu, TornWrite};
    for kind in [BitFlip, Grey, LogDamage, LostWrite, ReadError, SlowCpu, TornWrite] {
        assert!(!World::<Log>::plays_outside(kind), "{kind:?}");
    }
}
