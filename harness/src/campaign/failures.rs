//! What is kept of a seed that failed: the folder of its run, as `wavetank run` leaves it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use wavetank_reports::SeedResult;
use wavetank_scenario::to_text;
use wavetank_world::{BaseGraph, Plan};

use super::folder::write_whole;
use crate::output::{Background, Output, OutputError, at};
use crate::play::play;

/// Failures of one scenario beyond these are counted and listed, but not kept.
pub const MOST_KEPT: usize = 10;

/// Plays a failed seed again for its report, and leaves everything at `place`.
///
/// # Errors
/// When the file system refuses, or something else is there.
pub fn keep(
    place: &Path,
    plan: &Arc<Plan>,
    base: &Arc<BaseGraph>,
    background: &Background,
) -> Result<(), OutputError> {
    let output = Output::prepare(place)?;
    let mut played = play(plan, base, |_, _| true);
    played.result.set_settings(&background.provenance);
    output.commit(plan, &played, background)?;
    Ok(())
}

/// Leaves the Plan and the message of a run that ended in an error of ours.
///
/// # Errors
/// When the file system refuses.
pub fn keep_error(
    place: &Path,
    plan: &Plan,
    result: &SeedResult,
    command: &str,
) -> Result<(), OutputError> {
    at(place, fs::create_dir_all(place))?;
    write_whole(&place.join("plan.toml"), &to_text(plan))?;
    let json = serde_json::to_string_pretty(result).expect("keys are text, floats finite");
    write_whole(&place.join("result.json"), &(json + "\n"))?;
    let error = result.error.as_deref().unwrap_or_default();
    write_whole(&place.join("failure.txt"), &format!("{error}\n\nTo see it again:\n  {command}\n"))
}
