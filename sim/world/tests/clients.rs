//! What clients see and do: failures behind the endpoint, requests that block, credentials,
//! look-ups before requests, recorded arrivals, popularity by degree.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{operations, plan};
use fault::fault;
use wavetank_vocabulary::{
    Classes, Fact, FaultId, FaultKind, InstanceId, NodeId, Observer, OperationKind,
    OperationOutcome, Rate, Role, Seq, Span, Status, Time,
};
use wavetank_world::{
    BaseGraph, Compat, Deployment, Distribution, Plan, Popularity, Program, Recorded, RetryPlan,
    Routing, Settings, Target, World,
};

#[derive(Clone, Default)]
struct Facts(Vec<(Time, Fact)>);

impl Observer for Facts {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS
            | Classes::SESSIONS
            | Classes::TIMES
            | Classes::VALUES
            | Classes::CLUSTER
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        self.0.push((at, *fact));
    }
}

impl Facts {
    /// How each operation ended, how long it took, and for how many attempts.
    fn ends(&self) -> impl Iterator<Item = (Status, Span)> {
        self.0.iter().filter_map(|(at, fact)| match fact {
            Fact::Completed { status, intended, .. } => Some((*status, at.since(*intended))),
            _ => None,
        })
    }

    fn ended_with(&self, wanted: Status) -> usize {
        self.ends().filter(|(status, _)| *status == wanted).count()
    }
}

fn play(plan: Plan) -> Facts {
    let (facts, waits_for) = play_on(plan);
    assert_eq!(waits_for, None);
    facts
}

/// The same, and what it waits for in the end if it has not recovered.
fn play_on(plan: Plan) -> (Facts, Option<String>) {
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let mut world = World::new(Arc::new(plan), base, Facts::default());
    while world.advance(u64::MAX) {}
    let waits_for = if world.converged() { None } else { world.waits_for() };
    (world.into_observer(), waits_for)
}

/// Only these operations, in equal parts.
fn with(mut plan: Plan, programs: Vec<Program>) -> Plan {
    plan.clients[0].mix = (0..programs.len() as u16).map(|kind| (OperationKind(kind), 1)).collect();
    plan.graph.names = programs.iter().flat_map(|program| program.names.clone()).collect();
    plan.operations = programs;
    plan
}

/// Writes at slaves that lose their master.
fn without_master(deployment: Deployment, retry: RetryPlan) -> Plan {
    let mut plan = with(plan(90, 3), operations(&["status"]));
    plan.clients[0].rate = Rate::per_second(10);
    plan.clients[0].deployment = deployment;
    plan.clients[0].routing = Routing::AllToSlaves;
    plan.clients[0].retry = retry;
    plan.clients[0].timeout = Span::from_secs(40);
    plan.faults = vec![fault(FaultKind::PowerLoss, Target::Master, 30, 20)];
    plan
}

#[test]
fn what_brings_no_status_looks_like_a_failure_of_the_database_behind_the_endpoint() {
    let hidden = [Status::NoMaster, Status::CommitInterrupted];
    let shown = [Status::ExecutionFailure, Status::ExecutionInterrupted];
    let count = |facts: &Facts, of: [Status; 2]| of.map(|s| facts.ended_with(s)).iter().sum();
    let facts = play(without_master(Deployment::Extension, RetryPlan::NONE));
    let (as_thrown, as_database): (usize, usize) = (count(&facts, hidden), count(&facts, shown));
    assert!(as_thrown > 0 && as_database == 0, "{as_thrown} {as_database}");
    let facts = play(without_master(Deployment::Server, RetryPlan::NONE));
    let (as_thrown, as_database): (usize, usize) = (count(&facts, hidden), count(&facts, shown));
    assert!(as_thrown == 0 && as_database > 0, "{as_thrown} {as_database}");
    // Seen from inside, nothing has changed.
    let inside = facts
        .0
        .iter()
        .any(|(_, fact)| matches!(fact, Fact::Served { status, .. } if hidden.contains(status)));
    assert!(inside);
    // Later versions are not known to do so.
    let mut later = without_master(Deployment::Server, RetryPlan::NONE);
    later.settings =
        Settings { pull_interval: Span::from_millis(500), ..Settings::defaults(Compat::V3_2) };
    later.faults[0].lasts = Some(Span::from_secs(60));
    later.duration = Span::from_secs(120);
    later.clients[0].timeout = Span::from_secs(90);
    let as_database: usize = count(&play(later), shown);
    assert_eq!(as_database, 0);
}

#[test]
fn a_retry_loop_that_trusts_the_classification_gives_up_behind_the_endpoint() {
    let again =
        RetryPlan { transient: true, attempts: 20, backoff: Span::from_secs(1), ..RetryPlan::NONE };
    let mut by_code = again;
    by_code.codes.insert(Status::ExecutionFailure);
    let failed = |deployment, retry: RetryPlan| {
        let facts = play(without_master(deployment, retry));
        facts.ended_with(Status::ExecutionFailure) + facts.ended_with(Status::NoMaster)
    };
    let by_class = failed(Deployment::Server, again);
    let others = [failed(Deployment::Extension, again), failed(Deployment::Server, by_code)];
    assert!(by_class > 20 && others == [0, 0], "{others:?} {by_class}");
}

#[test]
fn a_request_blocks_for_as_long_as_a_role_switch_may_take() {
    for (deployment, status) in [
        (Deployment::Extension, Status::AccessTimeout),
        (Deployment::Server, Status::ExecutionFailure),
    ] {
        let mut plan = with(plan(240, 5), operations(&["profile"]));
        plan.settings = Settings {
            pull_interval: Span::from_millis(500),
            ..Settings::defaults(Compat::V2_3_0)
        };
        plan.clients[0].rate = Rate::per_second(2);
        plan.clients[0].deployment = deployment;
        plan.clients[0].retry = RetryPlan::NONE;
        plan.clients[0].timeout = Span::from_secs(300);
        // It does not notice that they are down.
        plan.balancers[0].fall = 10_000;
        // One comes back while the others are down: it can neither join nor be elected.
        plan.faults = (1..=3)
            .map(|id| {
                let lasts = if id == 3 { 10 } else { 190 };
                let on = Target::Instance(InstanceId(id));
                let mut fault = fault(FaultKind::PowerLoss, on, 40, lasts);
                fault.id = FaultId(id);
                fault
            })
            .collect();
        // Who asks a dead one waits for longer than the run.
        let (facts, _) = play_on(plan);
        let blocked: Vec<Span> =
            facts.ends().filter(|(ended, _)| *ended == status).map(|(_, took)| took).collect();
        let (low, high) = (Span::from_secs(120), Span::from_millis(120_100));
        let whole = blocked.iter().filter(|took| (low..high).contains(took)).count();
        assert!(whole > 5, "{deployment:?}: {blocked:?}");
    }
}

#[test]
fn without_credentials_the_server_answers_401_and_the_own_process_does_not_ask() {
    for (deployment, status) in [
        (Deployment::Extension, Status::Unauthorized),
        (Deployment::Server, Status::Unauthorized),
        (Deployment::Embedded, Status::Ok),
    ] {
        let mut plan = plan(20, 1);
        plan.clients[0].credentials = false;
        plan.clients[0].deployment = deployment;
        let facts = play(plan);
        let ended = facts.ended_with(status);
        let never = facts.ended_with(Status::Ok) + facts.ended_with(Status::Unauthorized);
        // The first ones find no server yet.
        assert!(ended > 1_000 && ended == never, "{deployment:?}: {ended} of {never}");
    }
}

/// Users who change their password and look at their profile.
fn users(lookup: bool) -> Plan {
    let programs = operations(&["profile", "change_password", "auth"]);
    let mut plan = with(plan(40, 9), programs);
    plan.clients[0].mix = vec![(OperationKind(0), 20), (OperationKind(1), 1)];
    plan.graph.properties = vec![("last_write".into(), 0)];
    plan.graph.source = wavetank_world::GraphSource::Social {
        users: 20,
        mean_follows: wavetank_vocabulary::Ratio::new(2, 1),
    };
    plan.clients[0].routing = Routing::Consistency(Span::from_secs(2));
    plan.clients[0].auth_lookup = lookup;
    plan.clients[0].clock_ahead_ms = -120_000;
    plan
}

fn sessions(lookup: bool) -> (Facts, u16) {
    (play(users(lookup)), 2)
}

#[test]
fn a_look_up_that_is_not_answered_leaves_no_doubt_about_the_request() {
    // Whoever sends the request itself needs the way four times: none gets that far.
    let mut plan = users(true);
    plan.network.local = Distribution::Constant(Span::from_millis(4));
    plan.clients[0].timeout = Span::from_millis(6);
    plan.clients[0].retry.attempts = 1;
    let facts = play(plan);
    let mut ended = 0;
    for (_, fact) in &facts.0 {
        if let Fact::Completed { outcome, .. } = fact {
            assert_eq!(*outcome, OperationOutcome::Failed);
            ended += 1;
        }
    }
    assert!(ended > 1_000, "{ended}");
}

#[test]
fn a_look_up_of_several_statements_is_over_before_the_request_begins() {
    let mut plan = users(true);
    plan.clients[0].deployment = Deployment::Server;
    plan.operations[2].steps.insert(1, wavetank_world::operation::OperationStep::Statement);
    assert!(play(plan).ended_with(Status::Ok) > 1_000);
}

#[test]
fn nobody_is_looked_up_for_who_signs_up() {
    let mut plan = users(true);
    plan.operations.push(operations(&["sign_up"])[0].clone());
    plan.clients[0].mix = vec![(OperationKind(3), 1)];
    let facts = play(plan);
    let auth = OperationKind(2);
    let asked =
        facts.0.iter().any(|(_, fact)| matches!(fact, Fact::Served { kind, .. } if *kind == auth));
    assert!(!asked && facts.ended_with(Status::Ok) > 1_000);
}

#[test]
fn each_request_begins_with_a_look_up_at_the_master_and_is_routed_by_what_it_says() {
    let (facts, auth) = sessions(true);
    let mut master = InstanceId::NOBODY;
    let mut written: BTreeMap<NodeId, Time> = BTreeMap::new();
    let (mut looked_up, mut at_master, mut at_slaves) = (0, 0, 0);
    for (at, fact) in &facts.0 {
        match *fact {
            Fact::RoleChanged { instance, to: Role::Master, .. } => master = instance,
            Fact::Served { kind, instance, status: Status::Ok, .. } if kind.0 == auth => {
                assert_eq!(instance, master);
                looked_up += 1;
            }
            Fact::Session { user, wrote, instance, intended, .. } => {
                if wrote.0 > 0 {
                    written.insert(user, *at);
                } else {
                    let fresh = written.get(&user).is_some_and(|known| {
                        intended > *known && intended.since(*known) < Span::from_millis(1_900)
                    });
                    assert!(!fresh || instance == master, "{user:?} at {at}");
                    at_master += u32::from(instance == master);
                    at_slaves += u32::from(instance != master);
                }
            }
            // What the look-up returns is no observation of the operation.
            Fact::Observed { place, .. } => assert_eq!(place, 0),
            _ => {}
        }
    }
    let done = facts.ended_with(Status::Ok);
    assert!(looked_up >= done && done > 3_000, "{looked_up} look-ups for {done}");
    assert!(at_master > 300 && at_slaves > 300, "{at_master} {at_slaves}");
    // It costs a round trip to the master each time.
    let mean = |facts: &Facts| {
        let took: Vec<f64> = facts.ends().map(|(_, took)| took.as_millis_f64()).collect();
        took.iter().sum::<f64>() / took.len() as f64
    };
    let (without, _) = sessions(false);
    assert!(
        without
            .0
            .iter()
            .all(|(_, fact)| !matches!(fact, Fact::Served { kind, .. } if kind.0 == auth))
    );
    assert!(mean(&facts) > mean(&without) + 0.3, "{} {}", mean(&facts), mean(&without));
}

#[test]
fn whatever_the_rule_a_look_up_at_the_master_comes_first() {
    let auth = OperationKind(2);
    for routing in [
        Routing::AllToMaster,
        Routing::Split,
        Routing::SplitOverAll,
        Routing::Sticky,
        Routing::RangeSharding,
        Routing::HashSharding,
        Routing::AllToSlaves,
        Routing::Anywhere,
    ] {
        let mut plan = users(true);
        plan.clients[0].routing = routing;
        // Some requests are look-ups themselves.
        plan.clients[0].mix.push((auth, 2));
        let facts = play(plan);
        let mut master = InstanceId::NOBODY;
        let (mut looked_up, mut own, mut at_slaves) = (BTreeSet::new(), 0, 0);
        for (at, fact) in &facts.0 {
            match *fact {
                Fact::RoleChanged { instance, to: Role::Master, .. } => master = instance,
                Fact::Served { operation, kind, instance, status: Status::Ok, .. } => {
                    if kind == auth {
                        assert_eq!(instance, master, "{routing:?} at {at}");
                        looked_up.insert(operation);
                    } else {
                        assert!(looked_up.contains(&operation), "{routing:?} at {at}");
                        at_slaves += u32::from(instance != master);
                    }
                }
                Fact::Completed { kind, .. } if kind == auth => own += 1,
                _ => {}
            }
        }
        assert!(own > 100, "{routing:?}: {own}");
        assert_eq!(at_slaves == 0, routing == Routing::AllToMaster, "{routing:?}: {at_slaves}");
    }
}

#[test]
fn recorded_operations_are_due_when_they_were_and_for_whom() {
    let mut plan = with(plan(30, 1), operations(&["profile"]));
    let ms = Span::from_millis;
    let arrivals = vec![(ms(0), 3, 4), (ms(10), 5, 6), (ms(10), 405, 2), (ms(900), 1, 0)];
    plan.clients[0].recorded =
        Some(Arc::new(Recorded { path: "x".into(), speed: 7, start: ms(20_000), arrivals }));
    let facts = play(plan);
    let due: Vec<u64> = facts
        .0
        .iter()
        .filter(|(_, fact)| matches!(fact, Fact::Invoked { .. }))
        .map(|(at, _)| at.as_nanos() / 1_000_000)
        .collect();
    assert_eq!(due, [20_000, 20_010, 20_010, 20_900]);
    let mut users: Vec<u64> = facts
        .0
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::Session { user, .. } => Some(user.0),
            _ => None,
        })
        .collect();
    users.sort_unstable();
    // The graph has 400 users.
    assert_eq!(users, [1, 3, 5, 5]);
}

#[test]
fn by_degree_the_well_connected_are_asked_for_as_often_as_they_are_connected() {
    let mut plan = with(plan(30, 1), operations(&["profile"]));
    plan.clients[0].popularity = Popularity::Degree;
    plan.clients[0].rate = Rate::per_second(1_000);
    let base = BaseGraph::build(&plan.graph);
    let mut degrees = vec![0u64; base.nodes as usize];
    for (from, to) in &base.edges.edges {
        degrees[*from as usize] += 1;
        degrees[*to as usize] += 1;
    }
    let median = {
        let mut sorted = degrees.clone();
        sorted.sort_unstable();
        sorted[sorted.len() * 9 / 10]
    };
    let connected = |user: usize| degrees[user] >= median;
    let (mut hits, mut all) = (0.0, 0.0);
    for (_, fact) in &play(plan).0 {
        if let Fact::Session { user, .. } = fact {
            all += 1.0;
            hits += f64::from(u8::from(connected(user.0 as usize)));
        }
    }
    let total: u64 = degrees.iter().sum();
    let top: u64 = degrees.iter().filter(|degree| **degree >= median).sum();
    let expected = top as f64 / total as f64;
    assert!(all > 20_000.0 && expected > 0.2);
    assert!((hits / all - expected).abs() < 0.015, "{} of {expected}", hits / all);
}
