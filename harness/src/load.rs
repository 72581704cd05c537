//! What a scenario amounts to, before it is played: requests for each instance, how busy
//! cores and disks will be, whether the store fits the page cache. So a scenario that is too
//! soft to try what its title says is seen beforehand.
//!
//! What follows from the Plan is computed; what does not is measured in a trial: the same
//! cluster without its faults, for some seconds of virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_vocabulary::{
    Bytes, Classes, Fact, InstanceId, Metric, Observer, OperationOutcome, Role, Seq, Span, Time,
};
use wavetank_world::{BaseGraph, ClientPlan, Plan, Routing, World};

/// What a scenario amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Operations a second that all clients offer.
    pub offered: f64,
    /// Those of them that write.
    pub writes: f64,
    /// Requests a second at the master, retries aside.
    pub at_master: f64,
    /// Requests a second at each slave, retries aside.
    pub at_slave: f64,
    /// The size of the store's pages.
    pub store: Bytes,
    /// The smallest page cache.
    pub page_cache: Bytes,
    /// What the trial measured; none if no cluster formed in it.
    pub trial: Option<Trial>,
}

/// What a trial without faults measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Over how much virtual time.
    pub over: Span,
    /// The part of the master's core time that was used.
    pub master_cores: f64,
    /// The part of the core time that the busiest slave used; none without a slave.
    pub slave_cores: Option<f64>,
    /// The part of the time in which the busiest disk served something.
    pub disk: f64,
    /// Messages a second between instances.
    pub messages: f64,
    /// The part of the operations that came to their end in time and well.
    pub served: f64,
}

impl Trial {
    /// The part of the first bottleneck that is used.
    fn busiest(&self) -> f64 {
        self.slave_cores.unwrap_or(0.0).max(self.master_cores).max(self.disk)
    }
}

/// The longest trial, after the cluster has formed.
const LONGEST: Span = Span::from_secs(10);
/// How long a cluster may take to form.
const FORMING: Span = Span::from_secs(30);
/// Operations are enough for a trial when there were so many.
const OPERATIONS: f64 = 2_000.0;
/// Events that a trial is given; a load that needs more is measured over less time.
const EVENTS: u64 = 400_000;
/// As many while it forms: a cold start takes two seconds of discovery, under full load.
const FORMING_EVENTS: u64 = 4_000_000;
/// Below this part of cores and disks, a scenario tries little.
const SOFT: f64 = 0.05;
/// When fewer than these end well without any fault, something is wrong with the set-up.
const SERVED: f64 = 0.99;
/// Above this part, queues grow long.
const HARD: f64 = 0.8;

impl Load {
    /// What the Plan amounts to; plays a trial of it.
    pub fn of(plan: &Plan, base: &Arc<BaseGraph>) -> Load {
        let mut load = Load {
            offered: 0.0,
            writes: 0.0,
            at_master: 0.0,
            at_slave: 0.0,
            store: base.page_bytes(),
            page_cache: plan.instances.iter().map(|i| i.page_cache).min().unwrap_or_default(),
            trial: trial(plan, base),
        };
        for client in &plan.clients {
            load.add(plan, client);
        }
        load
    }

    fn add(&mut self, plan: &Plan, client: &ClientPlan) {
        let rate = client.offered();
        let weight = |writing: Option<bool>| -> f64 {
            let counted = client.mix.iter().filter(|(kind, _)| {
                writing.is_none_or(|writing| plan.operations[kind.index()].writes() == writing)
            });
            counted.map(|(_, weight)| f64::from(*weight)).sum()
        };
        let writes = rate * weight(Some(true)) / weight(None).max(1.0);
        let reads = rate - writes;
        let slaves = plan.total().saturating_sub(1) as f64;
        let over_all = 1.0 / (slaves + 1.0);
        let (reads_at_master, at_slave) = match client.routing {
            Routing::AllToMaster => (reads, 0.0),
            // Of `consistency` this leaves out what is read at the master after a write.
            Routing::Split
            | Routing::Consistency(_)
            | Routing::Sticky
            | Routing::RangeSharding
            | Routing::HashSharding
                if slaves > 0.0 =>
            {
                (0.0, reads / slaves)
            }
            Routing::AllToSlaves if slaves > 0.0 => (0.0, rate / slaves),
            Routing::Split
            | Routing::Consistency(_)
            | Routing::Sticky
            | Routing::RangeSharding
            | Routing::HashSharding
            | Routing::AllToSlaves => (reads, 0.0),
            Routing::SplitOverAll => (reads * over_all, reads * over_all),
            Routing::Anywhere => (reads * over_all, rate * over_all),
        };
        self.offered += rate;
        self.writes += writes;
        // Whoever forwards a write, locks and commit are the master's.
        self.at_master += writes + reads_at_master;
        self.at_slave += at_slave;
    }

    /// The lines that people read: what, how much, and what to think of it.
    pub fn lines(&self) -> Vec<(&'static str, String, String)> {
        let percent = |part: f64| format!("{:.1} %", part * 100.0);
        let mut lines = vec![
            (
                "requests",
                format!("{:.0}/s", self.offered),
                format!(
                    "{:.0}/s of them write; {:.0}/s at the master, {:.0}/s at each slave",
                    self.writes, self.at_master, self.at_slave
                ),
            ),
            (
                "store",
                self.store.to_string(),
                if self.store <= self.page_cache {
                    format!("fits the page cache of {}", self.page_cache)
                } else {
                    format!(
                        "does not fit the page cache of {}: reads will wait for disks",
                        self.page_cache
                    )
                },
            ),
        ];
        let Some(trial) = &self.trial else {
            let never = format!("none was whole within {FORMING} of a trial without faults");
            lines.push(("cluster", "did not form".into(), never));
            return lines;
        };
        let slave = trial
            .slave_cores
            .map_or_else(String::new, |part| format!("; {} of the busiest slave's", percent(part)));
        let judged = |part: f64| match part {
            part if part > HARD => ": queues will be long",
            _ => "",
        };
        lines.push((
            "cores",
            percent(trial.master_cores),
            format!("of the master's{}{slave}", judged(trial.master_cores)),
        ));
        lines.push((
            "disk",
            percent(trial.disk),
            format!("of the time of the busiest one{}", judged(trial.disk)),
        ));
        lines.push((
            "messages",
            format!("{:.0}/s", trial.messages),
            "between instances, heartbeats included".into(),
        ));
        if trial.served < SERVED && self.offered > 0.0 {
            lines.push((
                "served",
                percent(trial.served),
                format!(
                    "of the operations of a trial without faults{}",
                    if trial.busiest() > HARD {
                        ": it is overloaded"
                    } else {
                        ", and nothing is busy: look at time-outs, balancers and heartbeats"
                    }
                ),
            ));
        }
        if let Some(soft) = self.soft() {
            lines.push(("soft", "yes".into(), soft));
        }
        lines
    }

    /// What to say of a load that tries nothing but the faults.
    fn soft(&self) -> Option<String> {
        let trial = self.trial.as_ref().filter(|trial| trial.served >= SERVED)?;
        let busiest = trial.busiest();
        (busiest < SOFT && self.offered > 0.0).then(|| {
            let times = 0.5 / busiest.max(1e-4);
            format!(
                "nothing is busy: {:.0} times the load would take half of the first bottleneck",
                times
            )
        })
    }
}

/// The last reading of each quantity of each instance.
type Readings = BTreeMap<(InstanceId, Metric), u64>;

/// Reads busy times while a trial goes on.
#[derive(Clone, Debug, Default)]
struct Meter {
    roles: BTreeMap<InstanceId, Role>,
    /// Last readings, and those of the moment at which the cluster was whole.
    last: Readings,
    start: Option<(Time, Readings)>,
    sampled: Time,
    invoked: u64,
    ok: u64,
    failed: u64,
}

impl Meter {
    fn whole(&self, total: usize) -> bool {
        let in_role = |role| self.roles.values().filter(|known| **known == role).count();
        let serving = in_role(Role::Master) + in_role(Role::Slave);
        in_role(Role::Master) == 1 && serving + in_role(Role::Arbiter) == total
    }

    /// Growth of a quantity since the cluster was whole, in seconds.
    fn grown(&self, instance: InstanceId, metric: Metric) -> f64 {
        let key = (instance, metric);
        let before = self.start.as_ref().and_then(|(_, start)| start.get(&key));
        let now = self.last.get(&key).copied().unwrap_or(0);
        now.saturating_sub(before.copied().unwrap_or(0)) as f64 / 1e9
    }
}

impl Observer for Meter {
    fn interests(&self) -> Classes {
        Classes::CLUSTER | Classes::SAMPLES | Classes::OPERATIONS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::RoleChanged { instance, to, .. } => {
                self.roles.insert(instance, to);
            }
            Fact::Sample { instance, metric, value } => {
                self.sampled = at;
                self.last.insert((instance, metric), value);
            }
            Fact::Invoked { .. } => self.invoked += 1,
            Fact::Completed { outcome: OperationOutcome::Ok, .. } => self.ok += 1,
            Fact::Completed { .. } => self.failed += 1,
            _ => {}
        }
    }
}

fn trial(plan: &Plan, base: &Arc<BaseGraph>) -> Option<Trial> {
    let mut plan = plan.clone();
    plan.faults.clear();
    plan.expectations.clear();
    plan.sample_every = Span::from_millis(100);
    plan.duration = Span::from_secs(86_400);
    plan.warm_up = Span::ZERO;
    let rate: f64 = plan.clients.iter().map(ClientPlan::offered).sum();
    let enough = (OPERATIONS / rate.max(1e-9)).clamp(0.5, LONGEST.as_secs_f64());
    let mut world = World::new(Arc::new(plan.clone()), base.clone(), Meter::default());
    let mut started = None;
    let mut left = FORMING_EVENTS;
    // Balancers have to notice that there is a master, and clients to catch up.
    let noticed = plan.balancers.iter().map(|b| b.poll.as_nanos() * (u64::from(b.rise) + 1)).max();
    let settling = Span::from_nanos(noticed.unwrap_or(0)) + Span::from_secs(1);
    let mut whole = None;
    while left > 0 && world.advance(200) {
        left = left.saturating_sub(200);
        let now = world.now();
        if whole.is_none() && world.observer().whole(plan.total()) {
            whole = Some(now);
            left = EVENTS;
        }
        match started {
            None if whole.is_none() && now > Time::ZERO + FORMING => return None,
            None if whole.is_some_and(|at| left == 0 || now.since(at) >= settling) => {
                let meter = world.observer_mut();
                meter.start = Some((now, meter.last.clone()));
                (meter.invoked, meter.ok, meter.failed) = (0, 0, 0);
                started = Some((now, world.messages()));
                left = EVENTS;
            }
            Some((from, _)) if now.since(from).as_secs_f64() >= enough => break,
            _ => {}
        }
    }
    let (from, messages) = started?;
    let meter = world.observer();
    let over = world.now().since(from);
    let sampled = meter.sampled.since(from).as_secs_f64();
    if sampled <= 0.0 {
        return None;
    }
    let part = |metric: Metric, wanted: Role| {
        let instances = plan
            .instances
            .iter()
            .filter(|instance| meter.roles.get(&instance.id).is_some_and(|role| *role == wanted));
        instances
            .map(|instance| {
                let capacity = match metric {
                    Metric::CoreBusy => f64::from(instance.cores),
                    _ => 1.0,
                };
                meter.grown(instance.id, metric) / (sampled * capacity)
            })
            .max_by(f64::total_cmp)
    };
    let disk =
        [Role::Master, Role::Slave].into_iter().filter_map(|role| part(Metric::DiskBusy, role));
    Some(Trial {
        over,
        master_cores: part(Metric::CoreBusy, Role::Master).unwrap_or(0.0),
        slave_cores: part(Metric::CoreBusy, Role::Slave),
        disk: disk.max_by(f64::total_cmp).unwrap_or(0.0),
        messages: (world.messages() - messages) as f64 / over.as_secs_f64().max(1e-9),
        // Of those that came to an end, and of those that were due only when next to none did.
        served: match (meter.ok + meter.failed, meter.invoked) {
            (_, 0) => 1.0,
            (ended, invoked) if ended * 2 < invoked => meter.ok as f64 / invoked as f64,
            (ended, _) => meter.ok as f64 / ended as f64,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::Rate;

    fn load_of(rate: Rate, routing: Routing) -> Load {
        let mut plan = crate::testing::plan();
        plan.clients[0].rate = rate;
        plan.clients[0].routing = routing;
        let base = Arc::new(BaseGraph::build(&plan.graph));
        Load::of(&plan, &base)
    }

    #[test]
    fn utilisation_grows_with_the_load() {
        let [one, four] = [100, 400].map(|rate| {
            let load = load_of(Rate::per_second(rate), Routing::AllToMaster);
            assert_eq!(load.offered, f64::from(rate as u32));
            assert_eq!(load.at_slave, 0.0);
            load.trial.expect("a cluster forms")
        });
        let ratio = four.master_cores / one.master_cores;
        assert!(
            (3.0..5.0).contains(&ratio),
            "{} is {ratio} times {}",
            four.master_cores,
            one.master_cores
        );
        assert!(one.served > 0.98 && four.served > 0.98, "{one:?} {four:?}");
        assert!(one.messages > 1.0);
    }

    #[test]
    fn reads_are_spread_as_routed() {
        let load = load_of(Rate::per_second(100), Routing::Split);
        let slaves = crate::testing::plan().total() as f64 - 1.0;
        assert!((load.at_master - load.writes).abs() < 1e-9);
        assert!((load.at_slave * slaves + load.at_master - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_load_far_beyond_is_said_to_be_so() {
        let load = load_of(Rate::per_second(200_000), Routing::AllToMaster);
        let lines = load.lines();
        assert!(lines.iter().any(|(what, ..)| *what == "served"), "{lines:?}");
    }

    #[test]
    fn a_soft_load_is_said_to_be_soft() {
        let load = load_of(Rate::per_second(1), Routing::AllToMaster);
        assert!(load.lines().iter().any(|(what, ..)| *what == "soft"), "{load:?}");
    }
}
