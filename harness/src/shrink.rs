//! Shrinking: from a seed that fails to the smallest Plan that was found to fail for the same
//! reason.
//!
//! Everything that a Plan says is tried: expectations, duration, faults and whom they hit,
//! clients, instances, single operations (by delta debugging over their indexes; each operation
//! draws from a stream of its own, so leaving one out changes no other), times and settings. A
//! step counts when the Plan breaks the same expectation in the same way and can be written as
//! a scenario. The order of the steps is fixed: without a time limit the same seed gives the
//! same Plan.

mod ddmin;
mod operations;
mod passes;
mod reason;
mod trial;

use std::time::Instant;

use wavetank_vocabulary::{Span, Time};
use wavetank_world::Plan;

pub use ddmin::{descend, minimise};
pub use reason::Reason;
pub use trial::{Failed, Trials};

use trial::is_sound;

/// A Plan that was shrunk.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest Plan that was found.
    pub plan: Plan,
    /// Why it, and the one that it came from, fails.
    pub reason: Reason,
    /// Why it fails, in the words of the check.
    pub why: String,
    /// How many client operations it has.
    pub operations: usize,
    /// How many Plans were played.
    pub runs: u64,
    /// Whether nothing more was left to try: else the time was over.
    pub whole: bool,
}

/// Rounds of all steps: what one makes possible for another is found in the second.
const ROUNDS: u32 = 4;

/// Shrinks a Plan until nothing can be left out, or until that moment. `progress` is told what
/// is tried, and the smallest Plan so far. None when the Plan does not fail, or only by what
/// was not exercised.
pub fn shrink(
    plan: &Plan,
    until: Option<Instant>,
    progress: impl FnMut(&str, &Plan, u64),
) -> Option<Shrunk> {
    let mut trials = Trials::new(until);
    let failed = trials.play(plan)?;
    let mut shrinker =
        Shrinker { reason: failed.reason.clone(), best: plan.clone(), failed, trials, progress };
    let mut whole = false;
    for _ in 0..ROUNDS {
        let before = shrinker.best.clone();
        shrinker.round();
        whole = !shrinker.trials.over();
        if !whole || shrinker.best == before {
            break;
        }
    }
    let Shrinker { reason, best, failed, trials, .. } = shrinker;
    let operations = failed.observed.operations.len();
    Some(Shrunk { plan: best, reason, why: failed.why, operations, runs: trials.runs(), whole })
}

/// The smallest Plan so far, and how it failed.
struct Shrinker<P> {
    reason: Reason,
    best: Plan,
    failed: Failed,
    trials: Trials,
    progress: P,
}

const SECOND: u64 = 1_000_000_000;

impl<P: FnMut(&str, &Plan, u64)> Shrinker<P> {
    /// Takes the Plan if it fails for the same reason.
    fn take(&mut self, plan: Plan) -> bool {
        if plan == self.best {
            return false;
        }
        let Some(failed) = self.trials.play(&plan) else { return false };
        if failed.reason != self.reason || !is_sound(&plan) {
            return false;
        }
        self.best = plan;
        self.failed = failed;
        true
    }

    /// Says what is tried next.
    fn tell(&mut self, what: &str) {
        (self.progress)(what, &self.best, self.trials.runs());
    }

    fn round(&mut self) {
        self.tell("expectations");
        self.take(passes::only_expectation(&self.best, self.failed.index));
        self.tell("duration");
        self.take(Plan { warm_up: Span::ZERO, ..self.best.clone() });
        self.duration();
        self.tell("operations");
        self.guess_operations();
        self.tell("faults");
        self.faults();
        self.earlier();
        self.duration();
        self.tell("clients and instances");
        self.clients();
        self.instances();
        self.tell("operations");
        self.thresholds();
        self.guess_operations();
        self.operations();
        self.tell("times");
        self.earlier();
        self.duration();
        self.times();
        self.tell("settings");
        self.settings();
    }

    fn duration(&mut self) {
        let from = self.best.duration.as_nanos();
        descend(from, SECOND, SECOND, |to| {
            self.take(passes::shortened(&self.best, Span::from_nanos(to)))
        });
        // Whole seconds, as people write them.
        let whole = self.best.duration.as_nanos() / SECOND * SECOND;
        if whole > 0 && whole != self.best.duration.as_nanos() {
            self.take(passes::shortened(&self.best, Span::from_nanos(whole)));
        }
    }

    fn faults(&mut self) {
        let faults = self.best.faults.clone();
        minimise(faults, |faults| self.keeps(passes::with_faults(&self.best, faults)));
        for fault in self.best.faults.clone() {
            if let Some(plan) = passes::pinned(&self.best, fault.id, &self.failed.observed.hit) {
                self.take(plan);
            }
        }
    }

    /// Takes the Plan if it fails; one that is the best already fails.
    fn keeps(&mut self, plan: Plan) -> bool {
        plan == self.best || self.take(plan)
    }

    /// Moves everything towards the start.
    fn earlier(&mut self) {
        let lead = passes::first_fault(&self.best).as_nanos();
        let start = self.best.clone();
        if lead > 0 {
            descend(lead, 0, SECOND, |left| {
                self.take(passes::earlier(&start, Span::from_nanos(lead - left)))
            });
        }
    }

    /// Lowers what takes many operations to reach. What that does not help to leave operations out
    /// goes back to its default with the other settings.
    fn thresholds(&mut self) {
        for step in passes::LOWER {
            let mut plan = self.best.clone();
            step(&mut plan);
            self.take(plan);
        }
    }

    fn clients(&mut self) {
        let mut index = self.best.clients.len();
        while index > 0 && self.best.clients.len() > 1 {
            index -= 1;
            self.take(passes::without_client(&self.best, index));
        }
    }

    /// From the last one on: without it, nobody else changes its id.
    fn instances(&mut self) {
        let mut index = self.best.instances.len();
        while index > 0 {
            index -= 1;
            if let Some(plan) = passes::without_instance(&self.best, index) {
                self.take(plan);
            }
        }
    }

    /// Begins and lengths of faults: shorter, and round.
    fn times(&mut self) {
        for index in 0..self.best.faults.len() {
            if let Some(lasts) = self.best.faults[index].lasts {
                descend(lasts.as_nanos(), SECOND, SECOND, |to| {
                    let to = Some(Span::from_nanos(to));
                    passes::with_fault(&self.best, index, |fault| fault.lasts = to)
                        .is_some_and(|plan| self.take(plan))
                });
            }
            for grain in [10 * SECOND, SECOND, SECOND / 10] {
                let round =
                    |span: Span| Span::from_nanos((span.as_nanos() + grain / 2) / grain * grain);
                let begin = |at: Time| Time::ZERO + round(at.since(Time::ZERO));
                let at = passes::with_fault(&self.best, index, |fault| fault.at = begin(fault.at));
                let taken = at.is_some_and(|plan| self.take(plan));
                let lasts = passes::with_fault(&self.best, index, |fault| {
                    fault.lasts = fault.lasts.map(round).filter(|lasts| !lasts.is_zero());
                });
                if lasts.is_some_and(|plan| self.take(plan)) && taken {
                    break;
                }
            }
        }
    }

    fn settings(&mut self) {
        for step in passes::PLAINER {
            let mut plan = self.best.clone();
            step(&mut plan);
            self.take(plan);
        }
        for setting in wavetank_scenario::SETTINGS {
            let mut plan = self.best.clone();
            setting.reset(&mut plan.settings);
            self.take(plan);
        }
    }
}
