//! Who belongs to the cluster and who leads it: joining, leaving, denial, arbiters,
//! slave-only instances, and what each version does when members are lost.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::sync::Arc;

use common::plan;
use fault::fault;
use wavetank_vocabulary::{
    Classes, Fact, FaultKind, InstanceId, Observer, Ratio, Role, Seq, Span, Time,
};
use wavetank_world::{BaseGraph, Compat, GraphSource, InstancePlan, Plan, Settings, Target, World};

/// What happened in the cluster.
#[derive(Clone, Debug)]
struct Log(Vec<(Time, Fact)>);

impl Observer for Log {
    fn interests(&self) -> Classes {
        Classes::CLUSTER
    }
    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        self.0.push((at, *fact));
    }
}

/// That many instances of that version which only watch each other.
fn quiet(compat: Compat, seconds: u64, instances: u16) -> Plan {
    let mut plan = plan(seconds, 1);
    plan.clients.clear();
    plan.settings = Settings::defaults(compat);
    plan.settings.pull_interval = Span::from_millis(500);
    plan.graph.source = GraphSource::Social { users: 2, mean_follows: Ratio::new(1, 1) };
    let first = plan.instances[0].clone();
    plan.instances =
        (1..=instances).map(|id| InstancePlan { id: InstanceId(id), ..first.clone() }).collect();
    plan
}

fn world(plan: Plan) -> World<Log> {
    let base = Arc::new(BaseGraph::build(&plan.graph));
    World::new(Arc::new(plan), base, Log(Vec::new()))
}

fn play_until(world: &mut World<Log>, second: u64) {
    while world.now() < Time::ZERO + Span::from_secs(second) && world.advance(1) {}
}

fn on(id: u16) -> Target {
    Target::Instance(InstanceId(id))
}

/// The roles of all instances now, by what was told.
fn roles(world: &World<Log>) -> Vec<Role> {
    let last = |id: InstanceId| {
        let mut role = Role::Down;
        for (_, fact) in &world.observer().0 {
            if let Fact::RoleChanged { instance, to, .. } = fact
                && *instance == id
            {
                role = *to;
            }
        }
        role
    };
    world.plan().instances.iter().map(|one| last(one.id)).collect()
}

/// The roles at that second of a run with these faults.
fn roles_at(mut plan: Plan, second: u64, faults: &[(FaultKind, u16, u64)]) -> Vec<Role> {
    let left = plan.duration.as_nanos() / 1_000_000_000;
    plan.faults = faults
        .iter()
        .enumerate()
        .map(|(index, (kind, id, at))| wavetank_world::FaultPlan {
            id: wavetank_vocabulary::FaultId(index as u16 + 1),
            ..fault(*kind, on(*id), *at, left)
        })
        .collect();
    let mut world = world(plan);
    play_until(&mut world, second);
    roles(&world)
}

fn happened(world: &World<Log>, wanted: impl Fn(&Fact) -> bool) -> bool {
    world.observer().0.iter().any(|(_, fact)| wanted(fact))
}

#[test]
fn who_leaves_is_no_member_and_counts_for_no_quorum() {
    let lost = |stop: bool| {
        let mut plan = quiet(Compat::V2_3_6, 200, 5);
        plan.faults = vec![fault(FaultKind::PowerLoss, on(3), 100, 100)];
        let mut world = world(plan);
        play_until(&mut world, 30);
        assert_eq!(roles(&world)[0], Role::Master);
        if stop {
            world.stop(InstanceId(5));
            play_until(&mut world, 40);
            world.stop(InstanceId(4));
        }
        play_until(&mut world, 60);
        if stop {
            assert_eq!(roles(&world)[3..], [Role::Down, Role::Down]);
            for id in [4, 5].map(InstanceId) {
                assert!(happened(&world, |fact| *fact == Fact::Left { instance: id }));
                assert!(!happened(
                    &world,
                    |f| matches!(f, Fact::Suspected { whom, .. } if *whom == id)
                ));
            }
        }
        play_until(&mut world, 150);
        roles(&world)[0]
    };
    // Of five, two left and one crashed: two of three are a majority.
    assert_eq!(lost(true), Role::Master);
    // Of five, three crashed, and they stay members: two of five are none.
    let crashed = [3, 4, 5].map(|id| (FaultKind::PowerLoss, id, 30));
    let roles = roles_at(quiet(Compat::V2_3_6, 200, 5), 150, &crashed);
    assert_eq!(roles[..2], [Role::Detached, Role::Detached]);
}

#[test]
fn a_master_that_leaves_is_followed_by_another_at_once() {
    let mut world = world(quiet(Compat::V2_3_6, 100, 3));
    play_until(&mut world, 30);
    world.stop(InstanceId(1));
    world.stop(InstanceId(1));
    play_until(&mut world, 32);
    assert_eq!(roles(&world)[0], Role::Down);
    assert_eq!(roles(&world)[1..], [Role::Master, Role::Slave]);
    // Everything starts again when the clients have stopped: it joins as a stranger.
    while world.advance(u64::MAX) {}
    assert!(world.converged(), "{:?}", world.waits_for());
}

#[test]
fn one_that_cannot_tell_the_others_leaves_after_the_timeout() {
    let mut plan = quiet(Compat::V2_3_6, 200, 3);
    plan.faults = vec![fault(FaultKind::Partition, on(3), 30, 160)];
    let mut world = world(plan);
    play_until(&mut world, 31);
    world.stop(InstanceId(3));
    play_until(&mut world, 60);
    assert_ne!(roles(&world)[2], Role::Down, "30 s are not over");
    play_until(&mut world, 62);
    assert_eq!(roles(&world)[2], Role::Down);
    play_until(&mut world, 100);
    let suspected = |f: &Fact| matches!(f, Fact::MemberFailed { whom: InstanceId(3), .. });
    assert!(happened(&world, suspected), "for the others it is a member that fell silent");
}

#[test]
fn an_arbiter_makes_the_majority_and_nothing_else() {
    let with = |arbiter: bool| {
        let mut plan = quiet(Compat::V2_3_6, 120, if arbiter { 3 } else { 2 });
        if arbiter {
            plan.instances[2].arbiter = true;
        }
        roles_at(plan, 90, &[(FaultKind::PowerLoss, 1, 30)])
    };
    assert_eq!(with(true), [Role::Down, Role::Master, Role::Arbiter]);
    assert_eq!(with(false), [Role::Down, Role::Detached]);
}

#[test]
fn an_arbiter_that_starts_the_cluster_leads_nobody() {
    let mut plan = quiet(Compat::V2_3_6, 60, 3);
    plan.instances[0].arbiter = true;
    let mut world = world(plan);
    while world.advance(u64::MAX) {}
    assert!(world.converged(), "{:?}", world.waits_for());
    let end = roles(&world);
    assert_eq!(end[0], Role::Arbiter);
    assert_eq!(end[1..].iter().filter(|role| **role == Role::Master).count(), 1);
}

#[test]
fn slave_only_instances_never_lead() {
    let mut plan = quiet(Compat::V2_3_6, 120, 3);
    plan.instances[1].slave_only = true;
    plan.instances[2].slave_only = true;
    let master_lost = roles_at(plan.clone(), 100, &[(FaultKind::PowerLoss, 1, 30)]);
    assert!(!master_lost.contains(&Role::Master), "{master_lost:?}");
    // A cluster without a candidate starts, elects nobody and serves nobody.
    plan.instances[0].slave_only = true;
    let mut world = world(plan);
    while world.advance(u64::MAX) {}
    assert!(!world.converged());
    assert!(roles(&world).iter().all(|role| *role == Role::Pending), "{:?}", roles(&world));
}

#[test]
fn a_process_that_returns_from_another_address_is_denied_while_it_counts_as_alive() {
    for (seconds, denied) in [(3, true), (40, false)] {
        let mut plan = quiet(Compat::V2_3_6, 120, 3);
        plan.instances[2].new_address = true;
        plan.faults = vec![fault(FaultKind::Crash, on(3), 30, seconds)];
        let mut world = world(plan);
        play_until(&mut world, 110);
        let told = Fact::JoinFailed { instance: InstanceId(3), denied: true };
        assert_eq!(happened(&world, |fact| *fact == told), denied, "down for {seconds} s");
        let role = if denied { Role::Down } else { Role::Slave };
        assert_eq!(roles(&world)[2], role, "down for {seconds} s");
        assert_eq!(roles(&world)[..2], [Role::Master, Role::Slave]);
    }
}

#[test]
fn a_cold_start_waits_for_every_initial_host() {
    let mut plan = quiet(Compat::V2_3_6, 100, 3);
    plan.settings.cluster.initial_hosts = [1, 2, 3, 4].map(InstanceId).into();
    let mut absent = world(plan.clone());
    while absent.advance(u64::MAX) {}
    assert!(roles(&absent).iter().all(|role| *role == Role::Pending), "no host 4, no cluster");

    plan.settings.cluster.initial_hosts = [1].map(InstanceId).into();
    let mut one = world(plan.clone());
    play_until(&mut one, 20);
    assert_eq!(roles(&one), [Role::Master, Role::Slave, Role::Slave], "one is enough to ask");

    plan.settings.cluster.allow_init_cluster = false;
    let mut forbidden = world(plan);
    play_until(&mut forbidden, 90);
    assert!(roles(&forbidden).iter().all(|role| *role == Role::Pending));
}

#[test]
fn lists_that_do_not_overlap_make_two_clusters() {
    let mut plan = quiet(Compat::V2_3_6, 60, 4);
    for (index, hosts) in [[1, 2], [1, 2], [3, 4], [3, 4]].iter().enumerate() {
        let mut settings = plan.settings.clone();
        settings.cluster.initial_hosts = hosts.map(InstanceId).into();
        plan.instances[index].settings = Some(Arc::new(settings));
    }
    let mut world = world(plan);
    play_until(&mut world, 50);
    assert_eq!(roles(&world), [Role::Master, Role::Slave, Role::Master, Role::Slave]);
}

#[test]
fn an_isolated_master_goes_on_in_2_3_0_and_detaches_later() {
    let cut = [(FaultKind::Partition, 1, 30)];
    for (compat, old) in [
        (Compat::V2_2, Role::Master),
        (Compat::V2_3_0, Role::Master),
        (Compat::V2_3_6, Role::Detached),
        (Compat::V3_2, Role::Detached),
    ] {
        let roles = roles_at(quiet(compat, 200, 3), 150, &cut);
        assert_eq!(roles[0], old, "{compat:?}");
        assert_eq!(roles[1..], [Role::Master, Role::Slave], "{compat:?}");
    }
}

#[test]
fn without_a_majority_2_3_0_serves_nobody_and_2_3_6_still_reads() {
    let lost = [(FaultKind::PowerLoss, 2, 30), (FaultKind::PowerLoss, 3, 30)];
    for (compat, role) in [(Compat::V2_3_0, Role::Master), (Compat::V2_3_6, Role::Detached)] {
        // In 2.3.0 one that suspects alone never has a quorum of suspicions: of three it
        // stays what it was.
        assert_eq!(roles_at(quiet(compat, 200, 3), 100, &lost)[0], role, "{compat:?}");
    }
    let of_five = [3, 4, 5].map(|id| (FaultKind::PowerLoss, id, 30));
    for (compat, role) in [(Compat::V2_3_0, Role::Pending), (Compat::V2_3_6, Role::Detached)] {
        let mut plan = quiet(compat, 300, 4);
        plan.instances.truncate(4);
        let roles = roles_at(plan, 200, &of_five[..2]);
        assert_eq!(roles[..2], [role, role], "{compat:?}");
    }
}

#[test]
fn of_two_the_master_keeps_its_writes_from_3_2_on() {
    let lost = [(FaultKind::PowerLoss, 2, 60)];
    for (compat, role) in [(Compat::V2_3_6, Role::Detached), (Compat::V3_2, Role::Master)] {
        assert_eq!(roles_at(quiet(compat, 250, 2), 200, &lost)[0], role, "{compat:?}");
    }
}

#[test]
fn a_timeout_below_the_interval_suspects_everybody_all_the_time() {
    let mut plan = quiet(Compat::V2_3_6, 60, 3);
    plan.settings.cluster.heartbeat_timeout = Span::from_secs(2);
    let mut world = world(plan);
    play_until(&mut world, 60);
    let suspicions =
        world.observer().0.iter().filter(|(_, f)| matches!(f, Fact::Suspected { .. })).count();
    assert!(suspicions > 10, "{suspicions} suspicions without any fault");
}

/// The defaults of the versions, as HA specification 1.1 and 1.2 give them.
#[test]
fn defaults_differ_by_version() {
    let of = Settings::defaults;
    let timeouts = Compat::ALL.map(|c| of(c).cluster.heartbeat_timeout.as_nanos() / 1_000_000_000);
    assert_eq!(timeouts, [11, 11, 11, 40]);
    let waits = Compat::ALL.map(|c| of(c).internal_state_switch_timeout.as_nanos() / 1_000_000_000);
    assert_eq!(waits, [120, 120, 10, 10]);
    let strategies = Compat::ALL.map(|c| of(c).tx_push_strategy.name());
    let descending = "fixed_descending";
    assert_eq!(strategies, [descending, descending, descending, "fixed_ascending"]);
}
