//! The end of a run that is reported: its folder, and what is said of it.

use std::io::IsTerminal;

use wavetank_world::Plan;

use super::{Failure, colour, say, tell};
use crate::exit::Exit;
use crate::output::{Background, Output};
use crate::play::Played;

/// Puts the folder of a run in its place, and says what came of it: as `result.json`, or in words.
pub(super) fn leave(
    output: Output,
    plan: &Plan,
    played: &Played,
    background: &Background,
    json: bool,
) -> Result<(), Failure> {
    let place = output
        .commit(plan, played, background)
        .map_err(|error| Failure { exit: error.exit(), message: error.to_string() })?;
    if json {
        say(&played.result.to_json());
    } else {
        let coloured = colour(std::io::stdout().is_terminal());
        say(&wavetank_reports::summary(&played.result, coloured));
        say(&format!("report: {}", place.join("report.html").display()));
        if played.exit != Exit::Held {
            say(&format!("again:  {}", background.command));
        }
    }
    if played.exit == Exit::Surroundings {
        tell("interrupted: the result and the report say how far it came");
    }
    Ok(())
}
