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

/// Leaves a folder for each failure, up to [`MOST_KEPT`] of a scenario; those of an earlier
/// start are left as they are. With a `limit`, the first failure of each kind is shrunk for so
/// long.
pub(super) fn keep_failures(
    folder: &Folder,
    entries: &[Entry],
    result: &mut CampaignResult,
    limit: Option<Duration>,
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
        let place = folder.failure(&failed.result);
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
            && let Some(limit) = limit
            && let Some(shrunk) = shrunk(&plan, limit)
        {
            tell(&format!("{name} seed {} shrunk to {}", plan.seed, figures(&shrunk)));
            notes.push((SMALLEST, small_text(&shrunk, name, Path::new(name).parent())));
            failed.smallest = Some(smallest(&shrunk, &place));
        }
        let base = bases.of(&plan.graph);
        notes.extend(explain(&plan, &base).map(|story| (STORY, story)));
        let provenance = provenance(&entry.scenario, &Load::of(&plan, &base));
        let background = Background { command: failed.command.clone(), provenance, notes };
        keep(&place, &plan, &base, &background)?;
    }
    Ok(())
}

/// Why a seed failed, as far as its result says.
fn kind(result: &SeedResult) -> Option<Reason> {
    Reason::of(&result.failures, result.waiting.as_deref()).map(|(_, reason)| reason)
}

fn shrunk(plan: &Plan, limit: Duration) -> Option<Shrunk> {
    shrink(plan, Some(Instant::now() + limit), |_, _, _| {})
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
