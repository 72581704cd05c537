//! How fast whole worlds play: a day of heartbeats in a cluster of ten, five minutes of
//! three instances under 200 requests a second, thirty clusters of ten that pull, and client
//! operations as fast as they go. A plain program, so that what it prints is the figure that
//! the documentation quotes: `cargo bench -p wavetank-world`. Figures are per second of
//! processor time, so that what else a machine does moves them less.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/fault.rs"]
mod fault;

use std::sync::Arc;
use std::time::Instant;

use common::plan;
use wavetank_vocabulary::{
    Bytes, Classes, Fact, FaultKind, InstanceId, Observer, OperationKind, Rate, Seq, Span, Status,
    Time,
};
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
    plan.faults = vec![fault::fault(FaultKind::PowerLoss, Target::Master, 120, 60)];
    plan
}

/// Client operations and little else: the mix of the scenario language's example, all data in
/// the page caches, no faults.
fn operations(names: &[&str], weights: &[u32]) -> Plan {
    let mut plan = plan(16, 1);
    plan.operations = common::operations(names);
    plan.clients[0].mix = weights
        .iter()
        .enumerate()
        .map(|(kind, weight)| (OperationKind(kind as u16), *weight))
        .collect();
    plan.clients[0].rate = Rate::per_second(20_000);
    for instance in &mut plan.instances {
        instance.cores = 32;
        instance.volume.iops = 1_000_000;
        instance.volume.throughput = Bytes::gib(1);
    }
    if let GraphSource::Social { users, .. } = &mut plan.graph.source {
        *users = 4000;
    }
    plan
}

/// Processor time of this thread so far in seconds, as Linux tells it; elsewhere wall time.
fn cpu_seconds(since: Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse::<u64>().ok());
    nanos.map_or_else(|| since.elapsed().as_secs_f64(), |nanos| nanos as f64 / 1e9)
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn play(name: &str, plan: Plan) {
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let plan = Arc::new(plan);
    let mut seconds = Vec::new();
    let mut events = 0;
    let (mut virtual_seconds, mut messages) = (0.0, 0);
    for _ in 0..5 {
        let clock = Instant::now();
        let started = cpu_seconds(clock);
        let mut world = World::new(plan.clone(), base.clone(), Nobody);
        while world.advance(u64::MAX) {}
        seconds.push(cpu_seconds(clock) - started);
        assert!(world.converged(), "{:?}", world.waits_for());
        (events, messages) = (world.events(), world.messages());
        virtual_seconds = world.now().as_secs_f64();
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[2];
    println!(
        "{name:<12} {median:.3} s (of 5: {:.3} to {:.3}), {events} events, {:.2} M events/s, \
         {:.2} M messages/s, {:.0} times life",
        seconds[0],
        seconds[4],
        events as f64 / median / 1e6,
        messages as f64 / median / 1e6,
        virtual_seconds / median
    );
}

/// Thirty clusters of ten instances that pull every 500 ms, on two cores, for an hour.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn clusters() {
    let mut plan = heartbeats();
    plan.duration = Span::from_secs(3600);
    plan.settings.pull_interval = Span::from_millis(500);
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let started = Instant::now();
    let (events, messages, busy) = std::thread::scope(|scope| {
        let half = |first: u64| {
            let (plan, base) = (plan.clone(), base.clone());
            scope.spawn(move || {
                let worlds = (first..30).step_by(2).map(|seed| {
                    let plan = Plan { seed, ..plan.clone() };
                    World::new(Arc::new(plan), base.clone(), Nobody)
                });
                let mut worlds: Vec<_> = worlds.collect();
                let (mut sums, clock) = ((0, 0), Instant::now());
                for world in &mut worlds {
                    while world.advance(u64::MAX) {}
                    assert!(world.converged(), "{:?}", world.waits_for());
                    sums = (sums.0 + world.events(), sums.1 + world.messages());
                }
                (sums.0, sums.1, cpu_seconds(clock))
            })
        };
        let halves = [half(0), half(1)];
        halves.into_iter().fold((0, 0, 0.0_f64), |sums, half| {
            let (events, messages, busy) = half.join().expect("a world panicked");
            (sums.0 + events, sums.1 + messages, sums.2.max(busy))
        })
    });
    let seconds = started.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("no peak known");
    println!(
        "clusters     {seconds:.3} s, {events} events, {messages} messages, {:.0} times life \
         ({busy:.3} s of processor time of the busier core: {:.0} times), {}",
        3600.0 / seconds,
        3600.0 / busy,
        peak.split_whitespace().collect::<Vec<_>>().join(" ")
    );
}

/// Counts operations that ended well.
#[derive(Clone, Default)]
struct Done(u64);

impl Observer for Done {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS
    }

    fn observe(&mut self, _at: Time, _seq: Seq, fact: &Fact) {
        if let Fact::Completed { status: Status::Ok, .. } = fact {
            self.0 += 1;
        }
    }
}

/// Client operations per second of wall time, from when the cluster has formed on.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn serve(name: &str, plan: Plan) {
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let plan = Arc::new(plan);
    let mut figures = Vec::new();
    for _ in 0..5 {
        let mut world = World::new(plan.clone(), base.clone(), Done::default());
        while world.now() < Time::ZERO + Span::from_secs(8) && world.advance(1000) {}
        let (before, events) = (world.observer().0, world.events());
        let clock = Instant::now();
        let started = cpu_seconds(clock);
        while world.now() < Time::ZERO + plan.duration && world.advance(1000) {}
        let seconds = cpu_seconds(clock) - started;
        let done = (world.observer().0 - before) as f64;
        figures.push((done / seconds, (world.events() - events) as f64 / done));
    }
    figures.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!(
        "{name:<12} {:.0} operations/s (of 5: {:.0} to {:.0}), {:.1} events each, {:.2} us each",
        figures[2].0,
        figures[0].0,
        figures[4].0,
        figures[2].1,
        1e6 / figures[2].0
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
    for (name, plan) in [
        ("mixed", operations(&["home_stream", "follow", "sign_up"], &[80, 15, 5])),
        ("profile", operations(&["profile"], &[1])),
        ("home_stream", operations(&["home_stream"], &[1])),
        ("follow", operations(&["follow"], &[1])),
        ("status", operations(&["status"], &[1])),
    ] {
        if chosen.is_empty() || chosen.iter().any(|c| c == name) {
            serve(name, plan);
        }
    }
    if chosen.is_empty() || chosen.iter().any(|c| c == "clusters") {
        clusters();
    }
}
