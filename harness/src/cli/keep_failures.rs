//! After a campaign: the seeds that failed are played once more for what people need to see
//! why, in the order of scenarios and seeds, so that the same folders appear each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_reports::CampaignResult;

use super::play_once::provenance;
use super::{Failure, find, tell};
use crate::campaign::failures::{MOST_KEPT, keep, keep_error};
use crate::campaign::folder::Folder;
use crate::campaign::{Bases, Entry};
use crate::interrupt;
use crate::load::Load;
use crate::output::Background;

/// Leaves a folder for each failure, up to [`MOST_KEPT`] of a scenario; those of an earlier
/// start are left as they are.
pub(super) fn keep_failures(
    folder: &Folder,
    entries: &[Entry],
    result: &mut CampaignResult,
) -> Result<(), Failure> {
    let mut bases = Bases::default();
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    for failed in &mut result.failures {
        let name = &failed.result.scenario;
        let count = kept.entry(name.clone()).or_default();
        let Some(entry) = entries.iter().find(|entry| entry.name == *name) else { continue };
        if *count == MOST_KEPT || interrupt::asked() {
            continue;
        }
        *count += 1;
        let place = folder.failure(&failed.result);
        failed.folder = Some(place.display().to_string());
        if place.join("result.json").exists() {
            continue;
        }
        tell(&format!("keeping {}", place.display()));
        let plan = Arc::new(find::draw(&entry.scenario, failed.result.seed)?);
        if failed.result.error.is_some() {
            keep_error(&place, &plan, &failed.result, &failed.command)?;
            continue;
        }
        let base = bases.of(&plan.graph);
        let provenance = provenance(&entry.scenario, &Load::of(&plan, &base));
        let background = Background { command: failed.command.clone(), provenance };
        keep(&place, &plan, &base, &background)?;
    }
    Ok(())
}
