//! How fast whole worlds play: a day of heartbeats in a cluster of ten, and five minutes of
//! three instances under 200 requests a second. A plain program, so that what it prints is
//! the figure that the documentation quotes: `cargo bench -p wavetank-world`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Instant;

use common::plan;
use wavetank_vocabulary::{Classes, Fact, FaultKind, InstanceId, Observer, Rate, Seq, Span, Time};
use wavetank_world::{BaseGraph, GraphSource, Plan, Target, World};

#[derive(Clone)]
struct Nobody;

impl Observer for Nobody {
    fn interests(&self) -> Classes {
        Classes::NONE
    }

    fn observe(&mut self, _at: Time, _seq: Seq, _fact: &Fact) {}
}

/// Ten instances that do nothing but watch each other for a day.
fn heartbeats() -> Plan {
    let mut plan = plan(86_400, 1);
    let first = plan.instances[0].clone();
    plan.instances = (1..=10)
        .map(|id| {
            let mut instance = first.clone();
            instance.id = InstanceId(id);
            instance
        })
        .collect();
    plan.settings.pull_interval = Span::ZERO;
    plan.clients.clear();
    plan.balancers.clear();
    plan.sample_every = Span::from_secs(3600);
    plan.graph.source = GraphSource::Edges { path: "none".into(), edges: Arc::default() };
    plan
}

/// The load of the quickstart, its failover included.
fn quickstart() -> Plan {
    let mut plan = plan(300, 1);
    plan.clients[0].rate = Rate::per_second(200);
    if let GraphSource::Social { users, .. } = &mut plan.graph.source {
        *users = 4000;
    }
    plan.faults = vec![common::fault(FaultKind::PowerLoss, Target::Master, 120, 60)];
    plan
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn play(name: &str, plan: Plan) {
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let plan = Arc::new(plan);
    let mut seconds = Vec::new();
    let mut events = 0;
    let mut virtual_seconds = 0.0;
    for _ in 0..5 {
        let started = Instant::now();
        let mut world = World::new(plan.clone(), base.clone(), Nobody);
        while world.advance(u64::MAX) {}
        seconds.push(started.elapsed().as_secs_f64());
        assert!(world.converged(), "{:?}", world.waits_for());
        events = world.events();
        virtual_seconds = world.now().as_secs_f64();
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[2];
    println!(
        "{name:<12} {median:.3} s (of 5: {:.3} to {:.3}), {events} events, {:.2} M events/s, \
         {:.0} times life",
        seconds[0],
        seconds[4],
        events as f64 / median / 1e6,
        virtual_seconds / median
    );
}

fn main() {
    // Arguments choose: `cargo bench -p wavetank-world -- heartbeats`.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    for (name, plan) in [("heartbeats", heartbeats()), ("quickstart", quickstart())] {
        if chosen.is_empty() || chosen.iter().any(|c| c == name) {
            play(name, plan);
        }
    }
}
