//! Latency can be believed: the queues of the textbook, played on the World's own cores, take
//! the times of the closed forms.
//!
//! One instance answers one-slice reads that come by a Poisson process. Cost tables are
//! deterministic, so the time of a slice is drawn here ([`CostTable::drawn`]); nothing else
//! takes core time. Agreement asked for: 2 %. `WAVETANK_LONG=1` plays ten times as long, at
//! higher loads.

mod common;

use std::sync::Arc;

use common::plan;
use wavetank_kernel::Distribution;
use wavetank_vocabulary::{Classes, Fact, Observer, OperationKind, Rate, Ratio, Seq, Span, Time};
use wavetank_world::{
    BaseGraph, Deployment, GraphSource, Plan, QueueKind, QueueTotals, UsersPlan, World,
};

/// Wants no facts.
#[derive(Clone, Debug)]
struct Nobody;

impl Observer for Nobody {
    fn interests(&self) -> Classes {
        Classes::NONE
    }
    fn observe(&mut self, _: Time, _: Seq, _: &Fact) {}
}

/// One instance that answers reads of one slice; nothing but `service` takes core time, and
/// nothing is between clients and cores.
fn alone(cores: u32, service: Distribution, seconds: u64) -> Plan {
    let mut plan = plan(seconds, 11);
    plan.warm_up = Span::from_secs(30);
    plan.instances.truncate(1);
    plan.instances[0].cores = cores;
    plan.network.local = Distribution::Constant(Span::ZERO);
    plan.graph.source = GraphSource::Social { users: 40, mean_follows: Ratio::new(1, 1) };
    plan.settings.pull_interval = Span::ZERO;
    plan.sample_every = Span::from_secs(100_000);
    plan.clients[0].deployment = Deployment::Embedded;
    plan.clients[0].mix = vec![(OperationKind(1), 1)];
    plan.clients[0].timeout = Span::from_secs(600);
    plan.costs.step = Span::ZERO;
    plan.costs.record = Span::ZERO;
    plan.costs.hit = Span::ZERO;
    plan.costs.fault = Span::ZERO;
    plan.costs.logged_kib = Span::ZERO;
    plan.costs.drawn = Some(service);
    plan
}

/// What one queue did between warm-up and the end of the load.
struct Watched {
    per_second: f64,
    stay_ms: f64,
    inside: f64,
}

fn watched(plan: Plan) -> Watched {
    let (from, until) = (Time::ZERO + plan.warm_up, Time::ZERO + plan.duration);
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let mut world = World::new(Arc::new(plan), base, Nobody);
    let mut cores_at = |moment: Time| {
        while world.now() < moment && world.advance(1) {}
        let queues = world.queues();
        assert!(queues.iter().all(QueueTotals::little_holds), "{queues:?}");
        let cores = queues.into_iter().find(|queue| queue.queue == QueueKind::Cores);
        (world.now(), cores.expect("there is one"))
    };
    let ((began, before), (ended, after)) = (cores_at(from), cores_at(until));
    let seconds = ended.since(began).as_secs_f64();
    let inside = (after.presence - before.presence) as f64 / 1e9 / seconds;
    let per_second = (after.arrivals - before.arrivals) as f64 / seconds;
    Watched { per_second, stay_ms: inside / per_second * 1e3, inside }
}

fn long() -> bool {
    std::env::var_os("WAVETANK_LONG").is_some()
}

/// Fails when a value is more than 2 % off; prints both.
#[expect(clippy::print_stdout, reason = "the page about truth quotes what was found")]
fn close(what: &str, found: f64, expected: f64) {
    let off = (found / expected - 1.0) * 100.0;
    println!("{what}: {found:.4}, closed form {expected:.4} ({off:+.2} %)");
    assert!(off.abs() < 2.0, "{what}: {found:.4} is not {expected:.4} ({off:+.2} %)");
}

/// An open queue: the time at the cores in milliseconds.
fn open(what: &str, cores: u32, rho: f64, service: Distribution, expected: f64) {
    let per_second = rho * f64::from(cores) * 1_000.0;
    let requests = if long() { 3e6 } else { 3e5 };
    let mut plan = alone(cores, service, 30 + (requests / per_second) as u64);
    plan.clients[0].rate = Rate::per_second(per_second.round() as u64);
    let found = watched(plan);
    // One slice for each request, or it would be another queue.
    close(&format!("{what} at {rho}, slices per second"), found.per_second, per_second);
    close(&format!("{what} at {rho}, T in ms"), found.stay_ms, expected);
}

const MS: Span = Span::from_millis(1);

#[test]
fn one_core_is_m_m_1() {
    let service = Distribution::Exponential { mean: MS };
    open("M/M/1", 1, 0.5, service, 2.0);
    if long() {
        open("M/M/1", 1, 0.8, service, 5.0);
        open("M/M/1", 1, 0.9, service, 10.0);
    }
}

#[test]
fn several_cores_are_m_m_c() {
    let service = Distribution::Exponential { mean: MS };
    open("M/M/4", 4, 0.8, service, 1.745_540_59);
    if long() {
        open("M/M/2", 2, 0.8, service, 2.777_777_78);
        open("M/M/8", 8, 0.9, service, 1.876_916_24);
    }
}

#[test]
fn one_core_with_other_service_times_is_m_g_1() {
    open("M/D/1", 1, 0.8, Distribution::Constant(MS), 3.0);
    let uniform = Distribution::Uniform { low: Span::ZERO, high: MS * 2 };
    open("M/U/1", 1, 0.5, uniform, 1.666_667);
    if long() {
        open("M/U/1", 1, 0.8, uniform, 3.666_667);
        // A squared coefficient of variation of 4: sigma^2 = ln 5, the median e^(-sigma^2/2).
        let sigma = 5f64.ln().sqrt();
        let median = Span::from_secs_f64(1e-3 / 5f64.sqrt());
        let heavy = Distribution::LogNormal { median, sigma };
        open("M/G/1 with cv^2 of 4", 1, 0.5, heavy, 3.5);
    }
}

/// Users who think for 10 ms on average, at one core of 1 ms: mean value analysis.
#[test]
fn users_who_think_are_a_closed_loop() {
    for (users, r, x, q) in [
        (2, 1.090_909, 180.3279, 0.196_721),
        (10, 2.732_079, 785.417_7, 2.145_823),
        (20, 10.037_451, 998.131, 10.018_69),
    ] {
        let service = Distribution::Exponential { mean: MS };
        let seconds = if long() { 3_000 } else { 300 };
        let mut plan = alone(1, service, 30 + seconds);
        let think = Distribution::Exponential { mean: MS * 10 };
        plan.clients[0].users = Some(UsersPlan { count: users, think });
        let found = watched(plan);
        close(&format!("{users} users, R in ms"), found.stay_ms, r);
        close(&format!("{users} users, X per second"), found.per_second, x);
        close(&format!("{users} users, Q"), found.inside, q);
    }
}
