//! Explaining: the story around a failure in order, one column for each instance, and only what
//! matters to it.
//!
//! The Plan is played twice. The first time the checks say what broke, and which operations and
//! instances prove it ([`Evidence`]). The second time everything is written down that may have
//! to do with it, with what each member was and believed at that moment; then it is read
//! backwards from the violation, and what touches nobody involved is left out.

mod beans;
mod evidence;
mod moment;
mod slice;
mod story;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_vocabulary::Time;
use wavetank_world::{BaseGraph, Plan, World};

pub use beans::beans;
pub use evidence::Evidence;
pub use moment::moment;

use crate::interrupt;
use crate::play::{Checks, first_with};
use story::{Witness, render};

/// Events between two looks at whether somebody wants an end.
const STRIDE: u64 = 50_000;

/// What broke in a run, as far as the checks know.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The first expectation that broke, or else was not exercised; of those that must hold for
    /// every seed, if one of them did.
    pub result: Option<ExpectationResult>,
    /// What the cluster was waiting for, if it did not recover.
    pub waiting: Option<String>,
    /// What proves it.
    pub evidence: Evidence,
    /// When the run ended.
    pub ended: Time,
}

/// Plays a Plan for what broke in it; none when somebody asked for an end.
pub fn find(plan: &Arc<Plan>, base: &Arc<BaseGraph>) -> Option<Finding> {
    let mut world = World::new(plan.clone(), base.clone(), Checks::new(plan));
    while world.advance(STRIDE) {
        if interrupt::asked() {
            return None;
        }
    }
    let waiting = if world.converged() { None } else { world.waits_for() };
    let ended = world.now();
    let checks = world.into_observer();
    let results = checks.finish();
    let first = |verdict| first_with(plan, &results, verdict);
    let index = first(Verdict::Broke).or_else(|| first(Verdict::NotExercised));
    let evidence = index.and_then(|index| checks.iter().nth(index));
    let evidence = evidence.map(|check| check.evidence()).unwrap_or_default();
    let result = index.map(|index| results[index].clone());
    Some(Finding { result, waiting, evidence, ended })
}

/// The story of a run as text; none when somebody asked for an end.
pub fn explain(plan: &Arc<Plan>, base: &Arc<BaseGraph>) -> Option<String> {
    let finding = find(plan, base)?;
    let witness = Witness::new(plan, &finding.evidence);
    let mut world = World::new(plan.clone(), base.clone(), witness);
    let mut events = 0u64;
    let mut seen = 0;
    while world.advance(1) {
        events += 1;
        if world.observer().len() > seen {
            let members = world.members();
            world.observer_mut().believe(&members);
            seen = world.observer().len();
        }
        if events.is_multiple_of(STRIDE) && interrupt::asked() {
            return None;
        }
    }
    let members = world.members();
    world.observer_mut().believe(&members);
    let rows = slice::matters(plan, &finding, world.into_observer().into_rows());
    Some(render(plan, &finding, &rows))
}
