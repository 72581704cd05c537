//! What a test that failed says: which seeds, why, the first of them in full, what plays it again.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use wavetank_reports::{CampaignResult, Capsule, FailedSeed};
use wavetank_world::{BaseGraph, Plan};

use super::{Suite, SuiteError};
use crate::campaign::Entry;
use crate::find;
use crate::load::Load;
use crate::output::{Background, Output};
use crate::play::about_first;
use crate::provenance::provenance;

/// Further failures are counted.
const MOST_TOLD: usize = 5;

/// The message of a campaign that failed.
pub(super) fn tell(
    suite: &Suite,
    entry: &Entry,
    result: &CampaignResult,
) -> Result<String, SuiteError> {
    let mut text = String::new();
    let failed = result.failures.len();
    if failed > 0 {
        let _ = writeln!(text, "{failed} of {} seeds of {} failed", result.runs, entry.name);
    }
    for failure in result.failures.iter().take(MOST_TOLD) {
        let _ = writeln!(text, "  seed {}: {}", failure.result.seed, failure.result.headline());
    }
    if failed > MOST_TOLD {
        let _ = writeln!(text, "  and {} more", failed - MOST_TOLD);
    }
    for rule in result.rules.iter().filter(|rule| !rule.satisfied) {
        let _ = writeln!(
            text,
            "{} of {}: held for {} of {} seeds, {} asked for",
            rule.check, entry.name, rule.held, rule.runs, rule.seeds
        );
        if let Some(one) = &rule.failing {
            let _ =
                writeln!(text, "  not for seed {}; to see it again:\n  {}", one.seed, one.command);
        }
    }
    if let Some(first) = result.failures.first() {
        let _ = write!(text, "\n{}", in_full(suite, entry, first)?);
    }
    Ok(text)
}

/// A failure with what happened around it.
fn in_full(suite: &Suite, entry: &Entry, failed: &FailedSeed) -> Result<String, SuiteError> {
    let seed = failed.result.copy_seed.unwrap_or(failed.result.seed);
    if failed.result.error.is_some() {
        return Ok(format!("To see seed {seed} again:\n  {}\n", failed.command));
    }
    let plan = Arc::new(find::draw(&entry.scenario, seed)?);
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let played = suite.play(&plan, &base)?;
    let digest = failed.result.scenario_digest.clone();
    let capsule =
        Capsule::new(&played.result, &played.recorder, None, digest, failed.command.clone());
    let mut text = match capsule {
        Some(capsule) => about_first(capsule, &plan, &played.result).to_text(),
        // Every expectation held, and yet the cluster did not recover.
        None => format!("{}\n\nTo see it again:\n  {}\n", failed.result.headline(), failed.command),
    };
    if let Some(folder) = &suite.keep {
        let place = keep(folder, entry, &plan, &base, played, failed)?;
        let _ = writeln!(text, "kept: {place}");
    }
    Ok(text)
}

fn keep(
    folder: &Path,
    entry: &Entry,
    plan: &Plan,
    base: &Arc<BaseGraph>,
    mut played: crate::play::Played,
    failed: &FailedSeed,
) -> Result<String, SuiteError> {
    let place = folder.join(format!("{}-{}", plan.name, plan.seed));
    let output = Output::prepare(&place)?;
    let provenance = provenance(&entry.scenario, &Load::of(plan, base));
    played.result.set_settings(&provenance);
    let command = failed.command.clone();
    let background = Background { command, provenance, notes: Vec::new() };
    let place = output.commit(plan, &played, &background)?;
    Ok(place.join("report.html").display().to_string())
}
