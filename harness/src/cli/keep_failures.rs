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
use crate::campaign::folder::Folder;
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
/// `shrinking`, the first failure of each kind is shrunk.
pub(super) fn keep_failures(
    folder: &Folder,
    entries: &[Entry],
    result: &mut CampaignResult,
    shrinking: Option<Shrinking>,
) -> Result<(), Failure> {
    let mut bases = Bases::default();
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    let mut kinds: Vec<(String, Reason)> = Vec::new();
    for failed in &mut result.failures {
        let name = &failed.result.scenario;
        let count = kept.entry(name.clone()).or_default();
        let Some(entry) = entries.iter().find(|entry| entry.name == *name) else { continue };
        let kind = kind(&failed.result).map(|reason| (name.clone(), reason));
        let first = kind.filter(|kind| !kinds.contains(kind));
        if *count == MOST_KEPT || interrupt::asked() {
            continue;
        }
        *count += 1;
        let of = &failed.result;
        let place = folder.failure(&of.scenario, &of.scenario_digest, of.seed);
        failed.folder = Some(place.display().to_string());
        let is_first = first.is_some();
        kinds.extend(first);
        if place.join("result.json").exists() {
            failed.smallest = folder.smallest(&failed.result);
            continue;
        }
        let plan = Arc::new(find::draw(
            &entry.scenario,
            failed.result.copy_seed.unwrap_or(failed.result.seed),
        )?);
        if failed.result.error.is_some() {
            keep_error(&place, &plan, &failed.result, &failed.command)?;
            continue;
        }
        let mut notes = Vec::new();
        if is_first
            && let Some(shrinking) = shrinking
            && let Some(shrunk) = shrunk(&plan, shrinking)
        {
            tell(&format!("{name} seed {} shrunk to {}", plan.seed, figures(&shrunk)));
            let beside = Path::new(name).parent();
            notes.push((SMALLEST, small_text(&shrunk, name, beside, Some(&place))));
            failed.smallest = Some(smallest(&shrunk, &place));
        }
        let base = bases.of(&plan.graph);
        notes.extend(explain(&plan, &base).map(|story| (STORY, story)));
        let provenance = provenance(&entry.scenario, &Load::of(&plan, &base));
        let background = Background { command: failed.command.clone(), provenance, notes };
        keep(&place, &plan, &base, &background)?;
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
) -> Result<(), Failure> {
    let digests: BTreeMap<&str, &str> =
        result.scenarios.iter().map(|s| (&*s.scenario, &*s.scenario_digest)).collect();
    for rule in &mut result.rules {
        let Some(one) = &mut rule.failing else { continue };
        let Some(entry) = entries.iter().find(|entry| entry.name == rule.scenario) else {
            continue;
        };
        if interrupt::asked() {
            return Ok(());
        }
        let digest = digests.get(&*rule.scenario).copied().unwrap_or_default();
        let place = folder.failure(&rule.scenario, digest, one.seed);
        one.folder = Some(place.display().to_string());
        if place.join("result.json").exists() {
            continue;
        }
        // Of several clusters, that of the scenario's own seed stands for all.
        let plan = Arc::new(find::draw(&entry.scenario, one.seed)?);
        let base = bases.of(&plan.graph);
        let notes = explain(&plan, &base).map(|story| (STORY, story)).into_iter().collect();
        let provenance = provenance(&entry.scenario, &Load::of(&plan, &base));
        keep(
            &place,
            &plan,
            &base,
            &Background { command: one.command.clone(), provenance, notes },
        )?;
    }
    Ok(())
}

/// Why a seed failed, as far as its result says.
fn kind(result: &SeedResult) -> Option<Reason> {
    Reason::of(&result.failures, result.waiting.as_deref()).map(|(_, reason)| reason)
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
