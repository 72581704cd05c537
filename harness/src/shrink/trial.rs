//! Trying smaller Plans: is it a sound scenario, and does it fail for the same reason?

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use wavetank_scenario::{parse_with, to_text};
use wavetank_vocabulary::{Classes, Fact, FaultId, InstanceId, Observer, OperationId, Seq, Time};
use wavetank_world::{GraphSource, Plan, Popularity, World};

use super::reason::Reason;
use crate::campaign::Bases;
use crate::checks::Check;
use crate::explain::Evidence;
use crate::interrupt;
use crate::play::{Checks, must_hold};

/// Events between two looks at the wall clock.
const STRIDE: u64 = 20_000;
/// A Plan that takes so many times the events of the one that was to be shrunk is no smaller one,
/// whatever it lacks: it is given up. Counted in events, so that equal trials end equally.
const LONGER: u64 = 4;
/// Strides that every Plan may take.
const SHORT: u64 = 8;

/// What a run was seen to consist of.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The client operations that were due, and when, in this order.
    pub operations: Vec<(Time, OperationId)>,
    /// When faults began and ended.
    pub struck: Vec<Time>,
    /// Whom each fault hit.
    pub hit: BTreeMap<FaultId, BTreeSet<InstanceId>>,
}

#[derive(Clone, Debug)]
struct Watcher {
    checks: Checks,
    observed: Observed,
}

impl Observer for Watcher {
    fn interests(&self) -> Classes {
        self.checks.interests() | Classes::OPERATIONS | Classes::FAULTS
    }

    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact) {
        match *fact {
            Fact::Invoked { operation, .. } => self.observed.operations.push((at, operation)),
            Fact::FaultBegan { fault, on, .. } => {
                self.observed.hit.entry(fault).or_default().insert(on);
                self.observed.struck.push(at);
            }
            Fact::FaultEnded { .. } => self.observed.struck.push(at),
            _ => {}
        }
        self.checks.observe(at, seq, fact);
    }
}

/// Plays Plans until there is no time left.
#[derive(Debug)]
pub struct Trials {
    bases: Bases,
    until: Option<Instant>,
    runs: u64,
    /// Strides after which a Plan is given up; the first that failed says how many.
    most: Option<u64>,
}

/// A run to its end.
#[derive(Debug)]
struct Played {
    waiting: Option<String>,
    watcher: Watcher,
    strides: u64,
}

/// A run that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The place of the expectation that broke; none when the cluster just did not recover.
    pub index: Option<usize>,
    /// Why it failed.
    pub reason: Reason,
    /// In the words of the check, or what the cluster was waiting for.
    pub why: String,
    /// What proves it.
    pub evidence: Evidence,
    /// What the run consisted of.
    pub observed: Observed,
}

impl Trials {
    /// Trials that end at that moment, if there is one.
    pub fn new(until: Option<Instant>) -> Self {
        Trials { bases: Bases::default(), until, runs: 0, most: None }
    }

    /// How many Plans were played.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Whether the time is over.
    pub fn over(&self) -> bool {
        interrupt::asked() || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Sets when the trials end, and gives when they would have.
    pub fn limit(&mut self, until: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut self.until, until)
    }

    /// Plays a Plan; none when it held, there was no time, or it went on for much longer than the
    /// first that failed.
    pub fn play(&mut self, plan: &Plan) -> Option<Failed> {
        let Played { waiting, watcher, strides } = self.run(plan)?;
        let results = watcher.checks.finish();
        let (index, reason) = Reason::of(&results, |at| must_hold(plan, at), waiting.as_deref())?;
        self.most.get_or_insert(strides * LONGER + SHORT);
        let (why, evidence) = match index {
            Some(index) => {
                let evidence = watcher.checks.iter().nth(index).map(Check::evidence);
                (results[index].why.clone(), evidence.unwrap_or_default())
            }
            None => {
                let why = waiting.unwrap_or_default();
                (format!("The cluster did not recover: {why}."), Evidence::default())
            }
        };
        Some(Failed { index, reason, why, evidence, observed: watcher.observed })
    }

    /// Plays a Plan; whether the check of that reason holds in it, or without one, whether the
    /// cluster recovers. Not when it was not played to its end, as above.
    pub fn holds(&mut self, plan: &Plan, reason: &Reason) -> bool {
        self.run(plan).is_some_and(|Played { waiting, watcher, .. }| {
            let results = watcher.checks.finish();
            let found = Reason::of(&results, |at| must_hold(plan, at), waiting.as_deref());
            found.is_none_or(|(_, found)| found.check != reason.check)
        })
    }

    /// What a Plan consists of, whether it fails or not; none as above.
    pub fn observe(&mut self, plan: &Plan) -> Option<Observed> {
        self.run(plan).map(|played| played.watcher.observed)
    }

    fn run(&mut self, plan: &Plan) -> Option<Played> {
        if self.over() {
            return None;
        }
        self.runs += 1;
        let base = self.bases.of(&plan.graph);
        let watcher = Watcher { checks: Checks::new(plan), observed: Observed::default() };
        // A Plan that no seed would draw may find a broken invariant: another reason than ours.
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(Arc::new(plan.clone()), base, watcher);
            let mut strides = 1;
            while world.advance(STRIDE) {
                strides += 1;
                if self.over() || self.most.is_some_and(|most| strides > most) {
                    return None;
                }
            }
            let waiting = if world.converged() { None } else { world.waits_for() };
            Some(Played { waiting, watcher: world.into_observer(), strides })
        }));
        played.ok().flatten()
    }
}

/// Whether the Plan can be written as a scenario that gives it again.
pub(super) fn is_sound(plan: &Plan) -> bool {
    if !asks_for_somebody(plan) {
        return false;
    }
    let mut plan = plan.clone();
    if let GraphSource::Edges { .. } = plan.graph.source {
        // No step here changes the graph to one, and reading it each time takes long.
        let mean_follows = wavetank_vocabulary::Ratio::new(1, 1);
        plan.graph.source = GraphSource::Social { users: 2, mean_follows };
    }
    for client in &mut plan.clients {
        // The same goes for what clients read from files.
        if client.recorded.take().is_some() {
            client.rate = wavetank_vocabulary::Rate::per_second(1);
        }
        if let Popularity::Table(_) = client.popularity {
            client.popularity = Popularity::Degree;
        }
    }
    let none = |_: &Path| -> io::Result<Vec<u8>> { Err(io::ErrorKind::NotFound.into()) };
    let text = to_text(&plan);
    let scenario = parse_with(&format!("{}.toml", plan.name), text.as_bytes(), &[], &mut { none });
    scenario
        .and_then(|scenario| scenario.draw(plan.seed, &mut { none }))
        .is_ok_and(|drawn| drawn == plan)
}

/// Whether there are nodes for all whom clients ask for according to files.
fn asks_for_somebody(plan: &Plan) -> bool {
    let GraphSource::Social { users, .. } = plan.graph.source else { return true };
    plan.clients.iter().all(|client| {
        let asked = match &client.popularity {
            Popularity::Table(table) => table.most(u64::from(users)) > 0,
            Popularity::Zipf(_) | Popularity::Degree => true,
        };
        asked && client.recorded.as_ref().is_none_or(|recorded| recorded.users() <= users)
    })
}

#[cfg(test)]
mod tests {
    use wavetank_vocabulary::Span;

    use super::*;
    use crate::testing::plan_with;

    #[test]
    fn a_trial_that_goes_on_for_much_longer_is_given_up() {
        let too_slow = "[[expect]]\ncheck = \"latency\"\nof = \"app\"\np50 = { max = \"1us\" }\n";
        let plan = plan_with(too_slow);
        let longer = Plan { duration: Span::from_secs(5_000), ..plan.clone() };
        assert!(Trials::new(None).play(&longer).is_some(), "alone it fails, too");
        let mut trials = Trials::new(None);
        assert!(trials.play(&plan).is_some());
        assert!(trials.play(&longer).is_none());
        assert!(trials.play(&plan).is_some());
    }
}
