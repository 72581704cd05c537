//! After a campaign: the seeds that failed are played once more for what people need to see
//! why, in the order of scenarios and seeds, so that the same folders appear each time. The
//! first failure of each kind is shrunk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wavetank_reports::{CampaignResult, SeedResult, Smallest};
use wavetank_scenario::Plan;

use super::shrink::{figures, small_text};
use super::{Failure, find, tell};
use crate::campaign::failures::{MOST_KEPT, keep, keep_error};
use crate::campaign::folder::{Folder, run_of};
use crate::campaign::{Bases, Entry};
use crate::explain::explain;
use crate::interrupt;
use crate::load::Load;
use crate::output::{Background, SMALLEST, STORY};
use crate::provenance::provenance;
use crate::shrink::{Reason, Shrunk, shrink};

/// For how long what failed is shrunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shrinking {
    /// Each failure, at the most.
    pub(super) each: Duration,
    /// All of them, at the most until then.
    pub(super) until: Option<Instant>,
}

/// Leaves a folder for each failure, up to [`MOST_KEPT`] of a scenario, and for one seed of each
/// expectation over seeds that is not met; those of an earlier start are left as they are. With
/// `shrinking`, the first failure of each kind is shrunk, and kept however many others are. False
/// when somebody asked for an end before all were: what was half looked into is not left, so that a
/// second start looks again.
pub(super) fn keep_failures(
    folder: &Folder,
    entries: &[Entry],
    result: &mut CampaignResult,
    shrinking: Option<Shrinking>,
) -> Result<bool, Failure> {
    let mut bases = Bases::default();
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    let mut kinds: Vec<(String, Kind)> = Vec::new();
    // Those that are kept are told, even if this start is asked to end before it has looked at all.
    let mut earlier = folder.shrunk();
    for failed in &mut result.failures {
        let of = &failed.result;
        let place = folder.failure(&of.scenario, &of.scenario_digest, of.seed, of.copy_seed);
        let Some(place) = place else { continue };
        if place.join("result.json").exists() {
            failed.smallest = earlier.remove(&run_of(of));
            failed.folder = Some(place.display().to_string());
        }
    }
    for failed in &mut result.failures {
        let name = &failed.result.scenario;
        let count = kept.entry(name.clone()).or_default();
        let Some(entry) = entries.iter().find(|entry| entry.name == *name) else { continue };
        let kind = (name.clone(), kind(&failed.result));
        let is_first = !kinds.contains(&kind);
        if *count >= MOST_KEPT && !is_first {
            continue;
        }
        *count += 1;
        kinds.extend(is_first.then_some(kind));
        if failed.folder.is_some() {
            continue;
        }
        let of = &failed.result;
        let place = folder.failure(&of.scenario, &of.scenario_digest, of.seed, of.copy_seed);
        let Some(place) = place else { continue };
        let shown = Some(place.display().to_string());
        if interrupt::asked() {
            return Ok(false);
        }
        let plan = Arc::new(find::draw(
            &entry.scenario,
            failed.result.copy_seed.unwrap_or(failed.result.seed),
        )?);
        if failed.result.error.is_some() {
            keep_error(&place, &plan, &failed.result, &failed.command)?;
            failed.folder = shown;
            continue;
        }
        let mut notes = Vec::new();
        let mut small = None;
        if is_first
            && let Some(shrinking) = shrinking
            && let Some(shrunk) = shrunk(&plan, shrinking)
            && !interrupt::asked()
        {
            tell(&format!("{name} seed {} shrunk to {}", plan.seed, figures(&shrunk)));
            let beside = Path::new(name).parent();
            notes.push((SMALLEST, small_text(&shrunk, name, beside, Some(&place))));
            small = Some(smallest(&shrunk, &place));
        }
        let base = bases.of(&plan.graph);
        notes.extend(explain(&plan, &base).map(|story| (STORY, story)));
        if interrupt::asked() {
            return Ok(false);
        }
        let provenance = provenance(&entry.scenario, &Load::of(&plan, &base));
        let background = Background { command: failed.command.clone(), provenance, notes };
        keep(&place, &plan, &base, &background)?;
        (failed.folder, failed.smallest) = (shown, small);
    }
    keep_unmet(folder, entries, result, &mut bases)
}

/// A seed for which an expectation did not hold that was to hold for more of them: as one run it
/// is no failure, so it has a folder only here.
fn keep_unmet(
    folder: &Folder,
    entries: &[Entry],
    result: &mut CampaignResult,
    bases: &mut Bases,
) -> Result<bool, Failure> {
    let digests: BTreeMap<&str, &str> =
        result.scenarios.iter().map(|s| (&*s.scenario, &*s.scenario_digest)).collect();
    for rule in &mut result.rules {
        let Some(one) = &mut rule.failing else { continue };
        let Some(entry) = entries.iter().find(|entry| entry.name == rule.scenario) else {
            continue;
        };
        let digest = digests.get(&*rule.scenario).copied().unwrap_or_default();
        let place = folder.failure(&rule.scenario, digest, one.seed, one.copy_seed);
        let Some(place) = place else { continue };
        let shown = Some(place.display().to_string());
        if place.join("result.json").exists() {
            one.folder = shown;
            continue;
        }
        // Of several clusters, one in which it did not hold.
        let seed = one.copy_seed.unwrap_or(one.seed);
        let plan = Arc::new(find::draw(&entry.scenario, seed)?);
        let base = bases.of(&plan.graph);
        let notes = explain(&plan, &base).map(|story| (STORY, story)).into_iter().collect();
        if interrupt::asked() {
            return Ok(false);
        }
        let provenance = provenance(&entry.scenario, &Load::of(&plan, &base));
        keep(
            &place,
            &plan,
            &base,
            &Background { command: one.command.clone(), provenance, notes },
        )?;
        one.folder = shown;
    }
    Ok(true)
}

/// By what failures are told apart.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Something broke.
    Broke(Reason),
    /// An error of ours, by the first words of its message.
    Error(String),
    /// These checks were not exercised.
    NotExercised(Vec<String>),
}

/// Why a seed failed, as far as its result says.
fn kind(result: &SeedResult) -> Kind {
    if let Some(error) = &result.error {
        return Kind::Error(error.split(':').next().unwrap_or_default().to_owned());
    }
    // What need not hold for every seed is not among a seed's failures.
    match Reason::of(&result.failures, |_| true, result.waiting.as_deref()) {
        Some((_, reason)) => Kind::Broke(reason),
        None => Kind::NotExercised(result.failures.iter().map(|one| one.check.clone()).collect()),
    }
}

fn shrunk(plan: &Plan, shrinking: Shrinking) -> Option<Shrunk> {
    let until = Instant::now() + shrinking.each;
    let until = shrinking.until.map_or(until, |all| all.min(until));
    shrink(plan, Some(until), |_, _, _| {})
}

fn smallest(shrunk: &Shrunk, place: &Path) -> Smallest {
    Smallest {
        file: place.join(SMALLEST).display().to_string(),
        faults: shrunk.plan.faults.len() as u64,
        instances: shrunk.plan.instances.len() as u64,
        operations: shrunk.operations as u64,
        seconds: shrunk.plan.duration.as_secs_f64(),
    }
}
