//! What the patterns of an operation do when many clients play them at once.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::plan;
use fault::fault;
use wavetank_kernel::Distribution;
use wavetank_scenario::OPERATIONS;
use wavetank_vocabulary::{
    Classes, Fact, FaultKind, NodeId, Observation, Observer, OperationId, OperationKind,
    OperationOutcome, Rate, SecondWrite, Seq, Span, Status, Time,
};
use wavetank_world::operation::TokenKind;
use wavetank_world::{
    BaseGraph, Deployment, GraphModel, GraphSource, Plan, Program, Routing, Target, UsersPlan,
    World,
};

#[derive(Clone, Default)]
struct Facts(Vec<(Time, Fact)>);

impl Observer for Facts {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::VALUES | Classes::SESSIONS | Classes::TRANSACTIONS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        self.0.push((at, *fact));
    }
}

impl Facts {
    /// The operations of a kind that ended well.
    fn ok(&self, wanted: u16) -> usize {
        self.ended(wanted).filter(|(_, status)| *status == Status::Ok).count()
    }

    fn ended(&self, wanted: u16) -> impl Iterator<Item = (OperationId, Status)> {
        self.0.iter().filter_map(move |(_, fact)| match fact {
            Fact::Completed { operation, kind, status, .. } if kind.0 == wanted => {
                Some((*operation, *status))
            }
            _ => None,
        })
    }

    /// What operations that ended well have observed, in order.
    fn observed(&self, wanted: Observation) -> Vec<(OperationId, NodeId, u8, Option<i64>)> {
        let well: BTreeMap<OperationId, u16> = self
            .0
            .iter()
            .filter_map(|(_, fact)| match fact {
                Fact::Completed { operation, outcome: OperationOutcome::Ok, attempts, .. } => {
                    Some((*operation, *attempts))
                }
                _ => None,
            })
            .collect();
        self.0
            .iter()
            .filter_map(|(_, fact)| match fact {
                Fact::Observed { operation, attempt, what, node, place, value, .. }
                    if *what == wanted && well.get(operation) == Some(attempt) =>
                {
                    Some((*operation, *node, *place, *value))
                }
                _ => None,
            })
            .collect()
    }
}

fn operation(name: &str, pattern: Option<&str>, model: GraphModel) -> Program {
    let fits = |known: &&wavetank_scenario::Operation| {
        known.program.name == name
            && (pattern.is_none() || known.pattern.as_deref() == pattern)
            && known.model.unwrap_or(model) == model
    };
    let fitting: Vec<_> = OPERATIONS.iter().filter(fits).collect();
    // One that was written for the model comes first.
    let own = fitting.iter().find(|known| known.model == Some(model));
    own.or(fitting.first()).unwrap_or_else(|| panic!("{name} {pattern:?}")).program.clone()
}

/// Few users under a heavy load of these operations, in equal parts.
fn crowded(operations: Vec<Program>, properties: &[(&str, i64)], users: u32) -> Plan {
    let mut plan = plan(20, 3);
    plan.graph.source =
        GraphSource::Social { users, mean_follows: wavetank_vocabulary::Ratio::ZERO };
    plan.graph.properties =
        properties.iter().map(|(key, number)| (String::from(*key), *number)).collect();
    plan.graph.names = operations.iter().flat_map(|program| program.names.clone()).collect();
    plan.clients[0].mix =
        (0..operations.len() as u16).map(|kind| (OperationKind(kind), 1)).collect();
    plan.clients[0].rate = Rate::per_second(200);
    plan.operations = operations;
    plan
}

fn play(plan: Plan) -> Facts {
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let mut world = World::new(Arc::new(plan), base, Facts::default());
    while world.advance(u64::MAX) {}
    assert!(world.converged(), "{:?}", world.waits_for());
    world.into_observer()
}

/// Increments acknowledged, and how many of them the counters lack.
fn increments(pattern: &str) -> (usize, i64) {
    let operation = operation("counter_increment", Some(pattern), GraphModel::MonolithicNode);
    let facts = play(crowded(vec![operation], &[("counter", 0)], 4));
    let mut highest: BTreeMap<NodeId, i64> = BTreeMap::new();
    for (_, node, _, value) in facts.observed(Observation::Wrote) {
        let highest = highest.entry(node).or_default();
        *highest = (*highest).max(value.unwrap_or_default());
    }
    let done = facts.ok(0);
    (done, done as i64 - highest.values().sum::<i64>())
}

#[test]
fn counters_lose_increments_unless_they_are_locked() {
    let (done, lost) = increments("locked");
    assert!(done > 1_000, "{done}");
    assert_eq!(lost, 0);
    let (done, lost) = increments("naive");
    assert!(lost > 10, "{lost} of {done}");
}

/// The highest number of links that a reader at the master saw between two nodes.
fn links(pattern: &str) -> i64 {
    let one = GraphModel::MonolithicNode;
    let operations =
        vec![operation("pair_link", Some(pattern), one), operation("pair_count", None, one)];
    let mut plan = crowded(operations, &[], 40);
    plan.duration = Span::from_secs(8);
    plan.clients[0].routing = Routing::AllToMaster;
    plan.clients[0].deployment = Deployment::Server;
    plan.clients[0].rate = Rate::per_second(3_000);
    for instance in &mut plan.instances {
        instance.cores = 32;
    }
    let facts = play(plan);
    assert!(facts.ok(0) > 500);
    let counts = facts.observed(Observation::Read);
    counts.iter().filter_map(|(_, _, _, value)| *value).max().unwrap_or_default()
}

#[test]
fn pairs_are_linked_twice_unless_what_was_seen_is_verified_under_locks() {
    assert_eq!(links("double-checked"), 1);
    assert_eq!(links("merge"), 1);
    assert!(links("naive") > 1);
    assert!(links("merge-unlocked") > 1);
}

/// How much money there is after transfers between few accounts, against the beginning.
fn gained(pattern: &str) -> i64 {
    let operation = operation("transfer", Some(pattern), GraphModel::MonolithicNode);
    let facts = play(crowded(vec![operation], &[("balance", 1_000)], 6));
    // The last value written to each account: a lock is held until its transaction's end, and
    // the observation is told while it is.
    let mut last: BTreeMap<NodeId, i64> = BTreeMap::new();
    for (_, node, _, value) in facts.observed(Observation::Wrote) {
        last.insert(node, value.unwrap_or_default());
    }
    assert!(facts.ok(0) > 500);
    last.values().map(|balance| balance - 1_000).sum()
}

#[test]
fn a_bank_keeps_its_money_only_under_locks() {
    assert_eq!(gained("locked-both-ends"), 0);
    assert_ne!(gained("naive"), 0);
}

#[test]
fn a_list_is_read_as_it_was_appended_to() {
    let one = GraphModel::MonolithicNode;
    let operations =
        vec![operation("list_append", Some("locked"), one), operation("list_read", None, one)];
    let mut plan = crowded(operations, &[], 5);
    plan.clients[0].routing = Routing::AllToMaster;
    let facts = play(plan);
    let ends = facts.observed(Observation::End);
    let elements = facts.observed(Observation::Listed);
    let appended = facts.observed(Observation::Wrote);
    assert!(ends.len() > 500 && !elements.is_empty());
    // Every element that was read was appended to that very list.
    for (_, list, _, element) in &elements {
        assert!(appended.iter().any(|(_, of, _, value)| of == list && value == element));
    }
}

#[test]
fn deadlocks_arise_and_the_retry_loop_rides_them_out() {
    // It locks the two accounts in the order in which it writes them.
    let program = operation("transfer", Some("naive"), GraphModel::MonolithicNode);
    let facts = play(crowded(vec![program], &[("balance", 1_000)], 3));
    let retried = facts
        .0
        .iter()
        .filter(|(_, fact)| matches!(fact, Fact::Retried { status: Status::DeadlockDetected, .. }));
    assert!(retried.count() > 5);
    let ended: Vec<Status> = facts.ended(0).map(|(_, status)| status).collect();
    let failed = ended.iter().filter(|status| **status == Status::DeadlockDetected).count();
    assert!(failed * 20 < ended.len(), "{failed} of {}", ended.len());
}

/// The social operations that change most, in one model.
fn social(model: GraphModel, deployment: Deployment) -> Facts {
    let operations = [
        ("follow", Some("double-checked")),
        ("unfollow", Some("double-checked")),
        ("post", None),
        ("star", None),
        ("auth", None),
        ("read_stream", None),
        ("delete_user", None),
        ("change_email", None),
    ];
    let of = |(name, pattern): (&str, Option<&str>)| operation(name, pattern, model);
    let properties =
        ["followers", "following", "notifications", "posts", "last_write", "password", "email"];
    let properties = properties.map(|key| (key, 0));
    let mut plan = crowded(operations.map(of).to_vec(), &properties, 60);
    let mean_follows = wavetank_vocabulary::Ratio::new(20, 1);
    plan.graph.source = GraphSource::Social { users: 60, mean_follows };
    plan.graph.model = model;
    plan.clients[0].deployment = deployment;
    plan.clients[0].rate = Rate::per_second(100);
    for (kind, weight) in &mut plan.clients[0].mix {
        *weight = if kind.0 == 6 { 1 } else { 20 };
    }
    play(plan)
}

#[test]
fn every_deployment_plays_the_social_operations() {
    for deployment in Deployment::ALL {
        let facts = social(GraphModel::MonolithicNode, deployment);
        for kind in 0..8 {
            let ended: Vec<Status> = facts.ended(kind).map(|(_, status)| status).collect();
            let well = facts.ok(kind);
            assert!(well * 10 > ended.len(), "{deployment:?} {kind}: {well} of {}", ended.len());
            // What fails is the operation's own decision, or somebody was quicker.
            let known = |status: &Status| {
                matches!(
                    status,
                    Status::Ok
                        | Status::Aborted
                        | Status::EntityNotFound
                        | Status::DeadlockDetected
                ) || match deployment {
                    // Before there is a master.
                    Deployment::Embedded => *status == Status::ConnectionRefused,
                    Deployment::Server | Deployment::Extension => *status == Status::NoServer,
                }
            };
            let strange: Vec<_> = ended.iter().filter(|status| !known(status)).collect();
            assert!(strange.is_empty(), "{deployment:?} {kind}: {strange:?}");
        }
    }
    let facts = social(GraphModel::SplitNodes, Deployment::Extension);
    for kind in 0..8 {
        let (well, ended) = (facts.ok(kind), facts.ended(kind).count());
        assert!(well * 10 > ended, "{kind}: {well} of {ended}");
    }
}

/// The median latency of operations of six statements.
fn median(deployment: Deployment) -> Span {
    let operation = operation("follow", Some("double-checked"), GraphModel::MonolithicNode);
    let properties = ["followers", "following", "last_write"].map(|key| (key, 0));
    let mut plan = crowded(vec![operation], &properties, 2_000);
    plan.clients[0].deployment = deployment;
    plan.clients[0].rate = Rate::per_second(20);
    let facts = play(plan);
    let mut latencies: Vec<u64> = facts
        .0
        .iter()
        .filter_map(|(at, fact)| match fact {
            Fact::Completed { intended, status: Status::Ok, .. } => {
                Some(at.since(*intended).as_nanos())
            }
            _ => None,
        })
        .collect();
    latencies.sort_unstable();
    Span::from_nanos(latencies[latencies.len() / 2])
}

#[test]
fn each_statement_of_a_server_is_a_round_trip() {
    let [embedded, server, extension] = Deployment::ALL.map(median);
    // Four ways of 150 us each make a round trip over the balancer.
    let trip = Span::from_micros(600);
    assert!(extension.saturating_sub(embedded) > Span::from_micros(400), "{embedded} {extension}");
    assert!(server.saturating_sub(extension) > trip * 3, "{extension} {server}");
}

#[test]
fn an_open_transaction_dies_with_its_instance() {
    let operation = operation("follow", Some("double-checked"), GraphModel::MonolithicNode);
    let properties = ["followers", "following", "last_write"].map(|key| (key, 0));
    let mut plan = crowded(vec![operation], &properties, 2_000);
    plan.duration = Span::from_secs(60);
    plan.clients[0].deployment = Deployment::Server;
    plan.clients[0].retry = wavetank_world::RetryPlan::NONE;
    plan.faults = vec![fault(FaultKind::Crash, Target::Master, 15, 2)];
    let facts = play(plan);
    let ended: Vec<Status> = facts.ended(0).map(|(_, status)| status).collect();
    // The connections broke, and before the balancer noticed, nobody listened there.
    let broke = |status: &Status| {
        matches!(status, Status::ConnectionReset | Status::NoServer | Status::UnknownId)
    };
    let kinds: std::collections::BTreeSet<Status> = ended.iter().copied().collect();
    assert!(ended.iter().filter(|status| broke(status)).count() > 10, "{kinds:?}");
    assert!(facts.ok(0) > 1_000);
}

#[test]
fn what_committed_a_part_and_then_broke_off_has_not_failed_for_certain() {
    let operation = operation("delete_user", None, GraphModel::MonolithicNode);
    let properties = ["followers", "following", "last_write"].map(|key| (key, 0));
    let mut plan = crowded(vec![operation], &properties, 8_000);
    plan.duration = Span::from_secs(40);
    plan.clients[0].deployment = Deployment::Server;
    plan.clients[0].retry = wavetank_world::RetryPlan::NONE;
    // Much is between two statements when the machine is gone.
    let local = wavetank_world::Distribution::Constant(Span::from_millis(20));
    plan.network.local = local;
    plan.faults = vec![fault(FaultKind::Crash, Target::Master, 15, 1)];
    let facts = play(plan);
    let mut softly = std::collections::BTreeSet::new();
    let mut unknown = 0;
    for (_, fact) in &facts.0 {
        match fact {
            Fact::Committed { operation: Some(operation), .. } => {
                softly.insert(*operation);
            }
            Fact::Completed { operation, outcome, .. } if softly.contains(operation) => {
                assert_ne!(*outcome, OperationOutcome::Failed, "{operation}");
                unknown += u32::from(*outcome == OperationOutcome::Unknown);
            }
            _ => {}
        }
    }
    assert!(unknown > 0);
}

#[test]
fn what_is_tried_again_tells_whether_a_part_was_committed() {
    let operation = operation("delete_user", None, GraphModel::MonolithicNode);
    let properties = ["followers", "following", "last_write"].map(|key| (key, 0));
    let mut plan = crowded(vec![operation], &properties, 400);
    let mean_follows = wavetank_vocabulary::Ratio::new(20, 1);
    plan.graph.source = GraphSource::Social { users: 400, mean_follows };
    for deployment in [Deployment::Server, Deployment::Extension] {
        plan.clients[0].deployment = deployment;
        // Who is committed in a part, in the present attempt.
        let mut committed = std::collections::BTreeSet::new();
        let mut told = [0, 0];
        for (_, fact) in &play(plan.clone()).0 {
            match *fact {
                Fact::Committed { operation: Some(operation), .. } => {
                    committed.insert(operation);
                }
                Fact::Retried { operation, status, may_have_done, .. } => {
                    let part = committed.remove(&operation);
                    assert_eq!(may_have_done, part || status.is_ambiguous(), "{operation}");
                    told[usize::from(may_have_done)] += 1;
                }
                _ => {}
            }
        }
        assert!(told[1] > 0, "{deployment:?}: {told:?}");
    }
}

#[test]
fn users_wait_and_think_and_do_one_thing_at_a_time() {
    let mut plan = crowded(
        vec![
            operation("profile", None, GraphModel::MonolithicNode),
            operation("status", None, GraphModel::MonolithicNode),
        ],
        &[],
        400,
    );
    plan.clients[0].users = Some(UsersPlan {
        count: 40,
        think: Distribution::Exponential { mean: Span::from_millis(500) },
    });
    let facts = play(plan);
    let mut under_way: BTreeMap<u32, OperationId> = BTreeMap::new();
    let mut done = 0;
    for (_, fact) in &facts.0 {
        match fact {
            Fact::Invoked { operation, .. } => {
                assert_eq!(under_way.insert(operation.index % 40, *operation), None);
            }
            Fact::Completed { operation, .. } => {
                assert_eq!(under_way.remove(&(operation.index % 40)), Some(*operation));
                done += 1;
            }
            Fact::Session { operation, user, .. } => {
                assert_eq!(user.0, u64::from(operation.index % 40));
            }
            _ => {}
        }
    }
    // 40 users who think half a second, for 20 s, less what the cluster needs to form.
    assert!((1_200..1_600).contains(&done), "{done}");
}

#[test]
fn time_goes_on_for_users_who_never_think() {
    let mut plan = crowded(vec![operation("profile", None, GraphModel::MonolithicNode)], &[], 10);
    let think = Distribution::Exponential { mean: Span::ZERO };
    plan.clients[0].users = Some(UsersPlan { count: 1, think });
    plan.clients[0].deployment = Deployment::Embedded;
    plan.clients[0].retry = wavetank_world::RetryPlan::NONE;
    // Nobody is master yet: every answer is there at once.
    plan.duration = Span::from_millis(20);
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let mut world = World::new(Arc::new(plan), base, Facts::default());
    world.advance(100_000);
    assert!(world.now() >= Time::ZERO + Span::from_millis(20));
}

#[test]
fn the_second_store_is_put_right_before_another_attempt() {
    let program = operation("change_email", None, GraphModel::MonolithicNode);
    let facts = play(crowded(vec![program], &[("email", 0), ("last_write", 0)], 40));
    let mut there: BTreeMap<NodeId, Option<i64>> = BTreeMap::new();
    let mut written = 0;
    for (_, fact) in &facts.0 {
        if let Fact::SecondStore { node, value, what, .. } = fact {
            there.insert(*node, *value);
            written += usize::from(*what == SecondWrite::Written);
        }
    }
    assert!(written >= facts.ok(0) && facts.ok(0) > 500);
    // The graph and the store beside it agree on what was written last, as the lock is held
    // while the store is called.
    for (operation, node, _, value) in facts.observed(Observation::Wrote).into_iter().rev() {
        if let Some(last) = there.remove(&node) {
            assert_eq!(last, value, "{operation} {node}");
        }
    }
}

#[test]
fn names_are_there_from_the_start() {
    let plan = crowded(vec![operation("post", None, GraphModel::MonolithicNode)], &[], 10);
    assert!(plan.graph.names.contains(&(TokenKind::Label, "Post".into())));
}
