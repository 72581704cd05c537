//! Truth in numbers: what the simulated cluster does agrees with the closed forms.
//!
//! Each test configures the model so that the formula's assumptions hold, and says how. The
//! agreement asked for is 2 %, over so many observations that chance stays below 1 %.

mod common;
#[path = "common/fault.rs"]
mod fault;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::plan;
use fault::fault;
use wavetank_kernel::Distribution;
use wavetank_vocabulary::{
    Classes, Fact, FaultId, FaultKind, InstanceId, Observer, Ratio, Seq, Span, Time, TxId,
};
use wavetank_world::{BaseGraph, GraphSource, Plan, Target, World};

/// Everything of some classes.
#[derive(Clone, Debug)]
struct Log(Classes, Vec<(Time, Fact)>);

impl Observer for Log {
    fn interests(&self) -> Classes {
        self.0
    }
    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        self.1.push((at, *fact));
    }
}

fn played(plan: Plan, base: &Arc<BaseGraph>, classes: Classes) -> Vec<(Time, Fact)> {
    let mut world = World::new(Arc::new(plan), base.clone(), Log(classes, Vec::new()));
    while world.advance(u64::MAX) {}
    world.into_observer().1
}

/// A cluster that only watches itself: no clients, a graph of next to nothing, links that take
/// exactly half a millisecond.
fn quiet(seconds: u64, instances: u16, interval: Span, timeout: Span) -> Plan {
    let mut plan = plan(seconds, 1);
    plan.clients.clear();
    plan.graph.source = GraphSource::Social { users: 2, mean_follows: Ratio::new(1, 1) };
    plan.network.local = Distribution::Constant(Span::from_micros(500));
    plan.settings.pull_interval = Span::ZERO;
    plan.settings.cluster.heartbeat_interval = interval;
    plan.settings.cluster.heartbeat_timeout = timeout;
    plan.sample_every = Span::from_secs(1_000);
    let first = plan.instances[0].clone();
    plan.instances = (1..=instances)
        .map(|id| wavetank_world::InstancePlan { id: InstanceId(id), ..first.clone() })
        .collect();
    plan
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

#[expect(clippy::print_stdout, reason = "the page about truth quotes what was found")]
fn close(what: &str, simulated: f64, expected: f64, part: f64) {
    let off = (simulated / expected - 1.0) * 100.0;
    println!("{what}: {simulated:.4}, closed form {expected:.4} ({off:+.2} %)");
    assert!(off.abs() <= part * 100.0, "{what}: {simulated:.4} is not {expected:.4} ({off:+.2} %)");
}

/// Times from a power loss of instance 2 until each of the others suspected it, one list for
/// each loss.
fn detections(instances: u16, interval: Span, timeout: Span, runs: u64) -> Vec<Vec<f64>> {
    let base = Arc::new(BaseGraph::build(&quiet(60, 3, interval, timeout).graph));
    (0..runs)
        .map(|seed| {
            let mut plan = quiet(90, instances, interval, timeout);
            plan.seed = seed;
            // Power is lost at moments that are spread evenly over whole periods of the
            // heartbeats: each is the golden part of 20 s after the one before.
            let at = 20_000_000 + seed * 12_360_680 % 20_000_000;
            let mut loss = fault(FaultKind::PowerLoss, Target::Instance(InstanceId(2)), 0, 60);
            loss.at = Time::ZERO + Span::from_micros(at);
            loss.lasts = None;
            let began = loss.at;
            plan.faults = vec![loss];
            let facts = played(plan, &base, Classes::CLUSTER);
            let mut times: Vec<f64> = facts
                .iter()
                .filter_map(|(at, fact)| match fact {
                    Fact::Suspected { whom: InstanceId(2), .. } if *at > began => {
                        Some(at.since(began).as_secs_f64())
                    }
                    _ => None,
                })
                .collect();
            times.sort_by(f64::total_cmp);
            times.truncate(usize::from(instances) - 1);
            assert_eq!(times.len(), usize::from(instances) - 1, "seed {seed}: all suspect it");
            times
        })
        .collect()
}

/// Detection is uniform on [T+d-h, T+d] after the crash: the last heartbeat came up to h before
/// it, and every arrival starts the timeout anew.
#[test]
fn a_crash_is_detected_when_the_closed_form_says() {
    for (h, t) in [(1.0, 3.0), (5.0, 11.0)] {
        let span = |s: f64| Span::from_millis((s * 1e3) as u64);
        let found: Vec<f64> = detections(3, span(h), span(t), 500).concat();
        let d = 0.0005;
        close(&format!("h {h} s, T {t} s: mean"), mean(&found), t + d - h / 2.0, 0.02);
        close(
            &format!("h {h} s, T {t} s: standard deviation"),
            deviation(&found),
            h / 12f64.sqrt(),
            0.02,
        );
        let (low, high) = (t + d - h - 0.02, t + d + 0.02);
        assert!(found.iter().all(|v| (low..=high).contains(v)), "none outside [{low}, {high}]");
    }
}

/// The mean of a time that a Plan draws, in seconds.
fn mean_of(time: Distribution) -> f64 {
    match time {
        Distribution::Constant(span) => span.as_secs_f64(),
        Distribution::LogNormal { median, sigma } => {
            median.as_secs_f64() * (sigma * sigma / 2.0).exp()
        }
        other => panic!("no closed form is written down for {other:?}"),
    }
}

/// The L of the closed forms: an answer to a pull is under way, is appended and made durable.
fn latency(plan: &Plan) -> f64 {
    let volume = &plan.instances[0].volume;
    [plan.network.local, volume.access, volume.sync].map(mean_of).iter().sum()
}

/// Writes alone, so many that the time between two of them does not matter, and slaves that pull
/// every ten seconds.
fn written(seconds: u64, seed: u64, rate: u64, push: u32) -> Plan {
    let mut plan = plan(seconds, seed);
    plan.graph.source = GraphSource::Social { users: 400, mean_follows: Ratio::new(5, 1) };
    plan.settings.pull_interval = Span::from_secs(10);
    plan.settings.tx_push_factor = push;
    plan.settings.cluster.heartbeat_interval = Span::from_secs(60);
    plan.settings.cluster.heartbeat_timeout = Span::from_secs(200);
    plan.sample_every = Span::from_secs(10_000);
    plan.clients[0].rate = wavetank_vocabulary::Rate::per_second(rate);
    plan.clients[0].mix = vec![(wavetank_vocabulary::OperationKind(3), 1)];
    plan
}

/// What was seen of one slave at moments that have nothing to do with its pulls.
#[derive(Default)]
struct Staleness {
    /// How old its state was, in seconds.
    ages: Vec<f64>,
    /// Whether it lacked what was written a second before.
    misses: Vec<f64>,
    /// For each number of [`KEYS`], which part of the keys was stale.
    stale: [Vec<f64>; KEYS.len()],
}

/// Writes are dealt to so many keys: each is then written at Poisson times, too.
const KEYS: [u64; 3] = [4, 40, 400];

impl Staleness {
    fn look(&mut self, facts: &[(Time, Fact)]) {
        // When each transaction was committed, and up to which one a slave had them when.
        let mut committed: Vec<(TxId, Time)> = Vec::new();
        let mut applied: Vec<(Time, TxId)> = Vec::new();
        let mut slave = None;
        for (at, fact) in facts {
            match fact {
                Fact::Committed { log, .. } => committed.push((log.tx, *at)),
                Fact::Applied { instance, log, .. } if slave.is_none_or(|s| s == *instance) => {
                    slave = Some(*instance);
                    applied.push((*at, log.tx));
                }
                _ => {}
            }
        }
        // At a random moment the slave's state is that of the master just before the first
        // transaction that it lacks was committed.
        let (mut next, mut had) = (0, 0);
        for moment in 0..50_000u64 {
            let later = Span::from_micros(moment * 18_500 + moment % 997);
            let now = Time::ZERO + Span::from_secs(60) + later;
            while applied.get(next).is_some_and(|(at, _)| *at <= now) {
                let tx = applied[next].1;
                while committed.get(had).is_some_and(|(known, _)| *known <= tx) {
                    had += 1;
                }
                next += 1;
            }
            let lacks = committed.get(had).filter(|(_, at)| *at <= now);
            self.ages.push(lacks.map_or(0.0, |(_, at)| now.since(*at).as_secs_f64()));
            let tau = Span::from_secs(1);
            let written = committed.partition_point(|(_, at)| *at + tau <= now);
            self.misses.push(f64::from(u8::from(had < written)));
            if moment % 20 == 0 {
                let until = committed.partition_point(|(_, at)| *at <= now);
                let lacked = committed.get(had..until).unwrap_or_default();
                for (keys, stale) in KEYS.into_iter().zip(&mut self.stale) {
                    let key = |(tx, _): &(TxId, Time)| (part(tx.0, 7) * keys as f64) as u64;
                    let touched: BTreeSet<u64> = lacked.iter().map(key).collect();
                    stale.push(touched.len() as f64 / keys as f64);
                }
            }
        }
    }
}

/// A slave that pulls at a fixed rate P over a way that takes L all in all sees the master as
/// it was L + U(0, P) ago. A key that is written at Poisson rate lambda is stale there with
/// probability 1 - e^(-lambda L) (1 - e^(-lambda P)) / (lambda P).
#[test]
fn a_slave_is_as_old_as_its_pulls_say() {
    let rate = 40;
    let mut seen = Staleness::default();
    let plans: Vec<Plan> = (1..=4).map(|seed| written(1_000, seed, rate, 0)).collect();
    let base = Arc::new(BaseGraph::build(&plans[0].graph));
    let (l, p) = (latency(&plans[0]), plans[0].settings.pull_interval.as_secs_f64());
    for plan in plans {
        seen.look(&played(plan, &base, Classes::TRANSACTIONS | Classes::CLUSTER));
    }
    let Staleness { mut ages, misses, stale } = seen;
    close("mean age", mean(&ages), p / 2.0 + l, 0.02);
    ages.sort_by(f64::total_cmp);
    close("median age", ages[ages.len() / 2], p / 2.0 + l, 0.02);
    close("p99 age", ages[ages.len() * 99 / 100], 0.99 * p + l, 0.02);
    // Read-your-writes misses on that slave, tau after the write: 1 - (tau - L)/P.
    close("misses a second after", mean(&misses), 1.0 - (1.0 - l) / p, 0.02);
    for (keys, stale) in KEYS.into_iter().zip(stale) {
        let lambda = rate as f64 / keys as f64;
        let fresh = (-lambda * l).exp() * (1.0 - (-lambda * p).exp()) / (lambda * p);
        let what = format!("stale when written {lambda} times a second");
        close(&what, mean(&stale), 1.0 - fresh, 0.02);
    }
}

/// Evenly spread numbers below one, different for each seed and place (splitmix64).
fn part(seed: u64, place: u64) -> f64 {
    let mut z = (seed << 8 | place).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64
}

/// The q-th of m independent observers suspects after T+d - h(m+1-q)/(m+1) on average. What
/// makes the observers independent here: each was restarted at a moment of its own, and with
/// it the rhythm in which it gets heartbeats. Instance 1 counts votes and is no observer.
#[test]
fn the_nth_observer_suspects_when_the_closed_form_says() {
    let (h, t, d) = (1.0, 3.0, 0.0005);
    let span = |s: f64| Span::from_micros((s * 1e6) as u64);
    let base = Arc::new(BaseGraph::build(&quiet(60, 3, span(h), span(t)).graph));
    let mut sums = [0.0; 3];
    let runs = 1_500;
    for seed in 0..runs {
        let mut plan = quiet(60, 5, span(h), span(t));
        plan.seed = seed;
        let mut faults: Vec<_> = (3..=5u16)
            .map(|id| {
                let mut crash = fault(FaultKind::Crash, Target::Instance(InstanceId(id)), 0, 1);
                crash.id = FaultId(id);
                let at = 6.0 * f64::from(id) - 8.0 + 2.0 * part(seed, u64::from(id));
                crash.at = Time::ZERO + span(at);
                crash
            })
            .collect();
        let mut loss = fault(FaultKind::PowerLoss, Target::Instance(InstanceId(2)), 0, 60);
        loss.at = Time::ZERO + span(40.0 + part(seed, 9));
        loss.lasts = None;
        let began = loss.at;
        faults.push(loss);
        plan.faults = faults;
        let mut times: Vec<f64> = Vec::new();
        for (at, fact) in played(plan, &base, Classes::CLUSTER) {
            if let Fact::Suspected { by: InstanceId(3..=5), whom: InstanceId(2) } = fact
                && at > began
                && times.len() < 3
            {
                times.push(at.since(began).as_secs_f64());
            }
        }
        assert_eq!(times.len(), 3, "seed {seed}: all suspect it");
        for (sum, time) in sums.iter_mut().zip(times) {
            *sum += time / runs as f64;
        }
    }
    for (q, mean) in sums.into_iter().enumerate() {
        let expected = t + d - h * (3.0 - q as f64) / 4.0;
        close(&format!("observer {} of 3", q + 1), mean, expected, 0.02);
    }
}

/// Of m slaves k get each write pushed: a read on any of them tau after the write misses it
/// with (1 - k/m)(1 - (tau - L)/P).
#[test]
fn a_push_saves_its_part_of_the_reads() {
    let plans: Vec<Plan> = (1..=4).map(|seed| written(500, seed, 20, 1)).collect();
    let base = Arc::new(BaseGraph::build(&plans[0].graph));
    let (l, p) = (latency(&plans[0]), plans[0].settings.pull_interval.as_secs_f64());
    let (tau, mut missed, mut reads) = (Span::from_secs(1), 0u32, 0u32);
    for plan in plans {
        let facts = played(plan, &base, Classes::TRANSACTIONS);
        let mut committed: Vec<(Time, TxId)> = Vec::new();
        let mut applied: BTreeMap<InstanceId, Vec<(Time, TxId)>> = BTreeMap::new();
        for (at, fact) in &facts {
            match fact {
                Fact::Committed { log, .. } => committed.push((*at, log.tx)),
                Fact::Applied { instance, log, .. } => {
                    applied.entry(*instance).or_default().push((*at, log.tx));
                }
                _ => {}
            }
        }
        assert_eq!(applied.len(), 2, "two slaves");
        let had = |history: &[(Time, TxId)], now: Time| {
            let before = history.partition_point(|(at, _)| *at <= now);
            before.checked_sub(1).map_or(TxId(0), |last| history[last].1)
        };
        for (at, tx) in committed.iter().filter(|(at, _)| *at > Time::ZERO + Span::from_secs(60)) {
            for history in applied.values() {
                reads += 1;
                missed += u32::from(had(history, *at + tau) < *tx);
            }
        }
    }
    let expected = 0.5 * (1.0 - (1.0 - l) / p);
    close("misses", f64::from(missed) / f64::from(reads), expected, 0.02);
}
