//! Shrinking: from a seed that fails to the smallest Plan that was found to fail for the same
//! reason.
//!
//! Everything that a Plan says is tried: expectations, duration, faults and whom they hit,
//! clients, instances, single operations (by delta debugging over their indexes; each operation
//! draws from a stream of its own, so leaving one out changes no other), times and settings. A
//! step counts when the Plan breaks the same expectation in the same way, holds without what is
//! to blame (`control`) and can be written as a scenario. The order of the steps is fixed: without
//! a time limit the same seed gives the same Plan.

mod control;
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

use control::{control, needs_operations, needs_warm_up};
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
    let mut shrinker = Shrinker::new(plan, until, progress)?;
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
    /// The last control that held; none if that of the Plan that was given does not, which then
    /// says nothing about smaller ones.
    control: Option<Plan>,
    /// No Plan is measured from sooner on, where no control tells what that does.
    warm_up: Span,
    /// Whether operations may be left out.
    drops: bool,
}

const SECOND: u64 = 1_000_000_000;

impl<P: FnMut(&str, &Plan, u64)> Shrinker<P> {
    /// Begins with a Plan; none when it does not fail.
    fn new(plan: &Plan, until: Option<Instant>, progress: P) -> Option<Self> {
        let mut trials = Trials::new(until);
        let failed = trials.play(plan)?;
        let broke = failed.index.and_then(|index| plan.expectations.get(index));
        let broke = broke.map(|expected| &expected.check);
        let control = control(&passes::only_expectation(plan, failed.index));
        let control = trials.holds(&control, &failed.reason).then_some(control);
        let early = control.is_some() || !broke.is_some_and(needs_warm_up);
        Some(Shrinker {
            reason: failed.reason.clone(),
            best: plan.clone(),
            failed,
            trials,
            progress,
            control,
            warm_up: if early { Span::ZERO } else { plan.warm_up },
            drops: !broke.is_some_and(needs_operations),
        })
    }

    /// Takes the Plan if it fails for the same reason, and holds without what is to blame.
    fn take(&mut self, plan: Plan) -> bool {
        if plan == self.best || plan.warm_up < self.warm_up {
            return false;
        }
        let control = self.control.is_some().then(|| control(&plan));
        if control.as_ref() == Some(&plan) {
            return false;
        }
        let Some(failed) = self.trials.play(&plan) else { return false };
        if failed.reason != self.reason || !is_sound(&plan) {
            return false;
        }
        if control.is_some() && control != self.control {
            if !control.as_ref().is_some_and(|control| self.trials.holds(control, &self.reason)) {
                return false;
            }
            self.control = control;
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
        self.expectations();
        self.tell("duration");
        self.take(Plan { warm_up: Span::ZERO, ..self.best.clone() });
        self.duration();
        if self.drops {
            self.tell("operations");
            self.guess_operations();
        }
        self.tell("faults");
        self.faults();
        self.earlier();
        self.duration();
        self.tell("clients and instances");
        self.clients();
        self.instances();
        if self.drops {
            self.tell("operations");
            let before = (self.best.clone(), self.failed.clone());
            self.thresholds();
            self.guess_operations();
            self.operations();
            self.usual_thresholds(before);
        }
        self.tell("times");
        self.earlier();
        self.duration();
        self.times();
        self.tell("settings");
        self.settings();
    }

    fn expectations(&mut self) {
        if self.take(passes::only_expectation(&self.best, self.failed.index)) {
            return;
        }
        // One of the others may be needed: how long it waits is how long recovery may take.
        let mut at = self.best.expectations.len();
        while at > 0 {
            at -= 1;
            if self.failed.index != Some(at) {
                self.take(passes::without_expectation(&self.best, at));
            }
        }
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

    /// Lowers what takes many operations to reach.
    fn thresholds(&mut self) {
        for step in passes::LOWER {
            let mut plan = self.best.clone();
            step(&mut plan);
            self.take(plan);
        }
    }

    /// Takes back what [`Self::thresholds`] lowered since then, unless half of the operations could
    /// be left out for it: fewer than that go without, too, and are not worth an odd setting.
    fn usual_thresholds(&mut self, before: (Plan, Failed)) {
        let (plan, failed) = before;
        let usual = Plan {
            settings: plan.settings.clone(),
            instances: plan.instances.clone(),
            ..self.best.clone()
        };
        if usual == self.best {
            return;
        }
        // Tried even when the time is over, as it often is after the operations.
        let until = self.trials.limit(None);
        let taken = self.take(usual);
        self.trials.limit(until);
        let count = |failed: &Failed| failed.observed.operations.len();
        if !taken && count(&self.failed) * 2 >= count(&failed) {
            (self.best, self.failed) = (plan, failed);
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

#[cfg(test)]
mod tests;
