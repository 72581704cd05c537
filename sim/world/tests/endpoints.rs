//! What load balancers and monitoring are told while a cluster runs.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::plan;
use fault::fault;
use wavetank_instance::Endpoint;
use wavetank_vocabulary::{
    Classes, Fact, FaultKind, HaRole, InstanceId, Monitored, Observer, OperationOutcome, Role, Seq,
    Span, Time,
};
use wavetank_world::{BaseGraph, Plan, Target, World};

/// What monitoring read, how operations ended, and the roles that there were.
#[derive(Clone, Debug, Default)]
struct Seen {
    read: Vec<(Time, InstanceId, Option<Monitored>)>,
    ok: u64,
    ended: u64,
    roles: BTreeMap<InstanceId, Vec<(Time, Role)>>,
}

impl Observer for Seen {
    fn interests(&self) -> Classes {
        Classes::ALL
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::Monitored { instance, bean } => self.read.push((at, instance, bean)),
            Fact::Completed { outcome, .. } => {
                self.ended += 1;
                self.ok += u64::from(outcome == OperationOutcome::Ok);
            }
            Fact::RoleChanged { instance, to, .. } => {
                self.roles.entry(instance).or_default().push((at, to));
            }
            _ => {}
        }
    }
}

impl Seen {
    fn role(&self, instance: InstanceId, at: Time) -> Role {
        let known = self.roles.get(&instance).into_iter().flatten();
        known.take_while(|(since, _)| *since <= at).last().map_or(Role::Down, |(_, role)| *role)
    }
}

fn world(plan: Plan) -> World<Seen> {
    let base = BaseGraph::build(&plan.graph);
    World::new(Arc::new(plan), Arc::new(base), Seen::default())
}

fn played(plan: Plan) -> World<Seen> {
    let mut world = world(plan);
    while world.advance(u64::MAX) {}
    world
}

#[test]
fn a_balancer_that_does_not_log_in_finds_nobody() {
    for (credentials, auth, serves) in
        [(true, true, true), (true, false, true), (false, false, true), (false, true, false)]
    {
        let mut plan = plan(20, 1);
        plan.balancers[0].credentials = credentials;
        plan.settings.ha_status_auth_enabled = auth;
        let end = played(plan);
        let seen = end.observer();
        assert_eq!(seen.ok > 0, serves, "credentials {credentials}, auth {auth}: {}", seen.ok);
        assert!(seen.ended > 1000);
    }
}

#[test]
fn monitoring_reads_roles_and_logs_and_gets_no_answer_from_who_is_down() {
    let mut plan = plan(60, 3);
    plan.monitor_every = Span::from_secs(5);
    plan.faults = vec![fault(FaultKind::Crash, Target::Slave, 20, 20)];
    let end = played(plan);
    let seen = end.observer();
    let times = seen.read.iter().map(|(at, ..)| at.as_nanos() / 1_000_000_000);
    assert!(times.clone().all(|second| second % 5 == 0));
    assert_eq!(seen.read.len() % 3, 0, "all are asked each time");
    for (at, instance, bean) in &seen.read {
        match seen.role(*instance, *at) {
            Role::Down | Role::Starting => assert_eq!(*bean, None),
            role => {
                let bean = bean.expect("who runs answers");
                assert_eq!(bean.role, HaRole::from(role));
                assert_eq!(bean.available, matches!(role, Role::Master | Role::Slave));
            }
        }
    }
    let silent = seen.read.iter().filter(|(_, _, bean)| bean.is_none()).count();
    assert!((4..=6).contains(&silent), "{silent} of the questions came while it was down");
    let last = seen.read.iter().rev().filter_map(|(_, _, bean)| *bean).take(3);
    let ends: Vec<u64> = last.map(|bean| bean.last_committed.0).collect();
    assert!(ends.iter().max().unwrap() - ends.iter().min().unwrap() < 100, "{ends:?}");
}

#[test]
fn an_arbiter_has_no_bean() {
    let mut plan = plan(20, 5);
    plan.instances[2].arbiter = true;
    let mut world = world(plan);
    while world.now() < Time::ZERO + Span::from_secs(15) && world.advance(100) {}
    let beans = [1, 2, 3].map(|id| {
        let instance = world.instance(InstanceId(id)).unwrap();
        (instance.monitored().is_some(), instance.management_bean().is_some())
    });
    assert_eq!(beans, [(true, true), (true, true), (false, false)]);
}

#[test]
fn the_bean_tells_what_each_instance_believes_of_the_others() {
    let mut plan = plan(60, 5);
    plan.faults = vec![fault(FaultKind::PowerLoss, Target::Instance(InstanceId(3)), 20, 30)];
    let mut world = world(plan);
    let until = |world: &mut World<Seen>, second: u64| {
        while world.now() < Time::ZERO + Span::from_secs(second) && world.advance(100) {}
    };
    until(&mut world, 15);
    let beans: Vec<_> = (1..=3)
        .map(|id| world.instance(InstanceId(id)).unwrap().management_bean().unwrap())
        .collect();
    assert_eq!(beans.iter().filter(|bean| bean.role == HaRole::Master).count(), 1);
    for bean in &beans {
        assert!(bean.available && bean.alive);
        assert_eq!(bean.members.len(), 3);
        for (member, own) in bean.members.iter().zip(&beans) {
            assert_eq!((member.alive, member.role), (true, own.role), "{bean:?}");
        }
        // Only slaves ask for updates.
        assert_eq!(bean.last_update.is_some(), bean.role == HaRole::Slave);
    }
    until(&mut world, 45);
    let first = world.instance(InstanceId(1)).unwrap();
    let bean = first.management_bean().unwrap();
    let lost = bean.members.iter().find(|member| member.instance == InstanceId(3)).unwrap();
    assert!(!lost.alive && !lost.available, "{bean:?}");
    assert!(bean.to_json().contains("\"InstancesInCluster\""));
    assert_eq!(world.instance(InstanceId(3)).map(|i| i.http(Endpoint::Available, true)), None);
    let answer = first.http(Endpoint::Available, true).expect("it runs");
    assert_eq!((answer.status, &*answer.body), (200, bean.role.name()));
    for endpoint in Endpoint::ALL {
        assert_eq!(first.http(endpoint, false).map(|answer| answer.status), Some(401));
    }
}
