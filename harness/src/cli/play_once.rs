//! `wavetank run`: one scenario, one seed, a report.

use std::sync::Arc;

use wavetank_world::{BaseGraph, World};

use super::leave::leave;
use super::{Failure, RunArgs, find, tell, trail, warn};
use crate::determinism::{Comparison, Nobody, compare, disturbed};
use crate::exit::Exit;
use crate::interrupt;
use crate::load::Load;
use crate::output::{Background, Output, default_place};
use crate::play::{UNLAWFUL, play};
use crate::progress::Progress;
use crate::provenance::provenance;
use crate::words::quoted;

pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let scenario = args.subject.scenario()?;
    warn(&scenario);
    let seed = args.subject.seed(&scenario)?;
    interrupt::watch();
    if scenario.copies() > 1 {
        return super::copies::run(args, &scenario, seed, &command(args, seed));
    }
    let plan = Arc::new(find::draw(&scenario, seed)?);
    let place = args.out.clone().unwrap_or_else(|| default_place(&plan));
    let output = Output::prepare(&place)
        .map_err(|error| Failure { exit: error.exit(), message: error.to_string() })?;
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let load = Load::of(&plan, &base);
    if !args.json {
        tell(&load_text(&load));
    }

    if args.check_determinism {
        let compared = match &args.against {
            Some(command) => trail::compare_with(command, &args.subject, &plan, &base)?,
            None => {
                let make = || World::new(disturbed(&plan), base.clone(), Nobody);
                compare(make, || !interrupt::asked())
            }
        };
        let Some(compared) = compared else {
            let message = "interrupted before anything was played".to_owned();
            return Err(Failure { exit: Exit::Surroundings, message });
        };
        match compared {
            Comparison::Same { digest, events } => {
                tell(&format!("deterministic: two runs of {events} events, digest {digest:032x}"));
            }
            Comparison::Parted(parting) => {
                return Err(Failure { exit: Exit::Internal, message: parting.to_string() });
            }
        }
    }

    let mut progress = Progress::new(plan.duration, args.json);
    let mut played = play(&plan, &base, |at, events| {
        progress.update(at, events);
        !interrupt::asked()
    });
    progress.finish();
    let provenance = provenance(&scenario, &load);
    played.result.set_settings(&provenance);
    let background = Background { command: command(args, seed), provenance, notes: Vec::new() };
    leave(output, &plan, &played, &background, args.json)?;
    if played.exit == Exit::Internal {
        tell(&format!("internal error: {UNLAWFUL}"));
    }
    Ok(played.exit)
}

/// What the scenario amounts to, in lines of a terminal.
pub(super) fn load_text(load: &Load) -> String {
    let lines = load.lines().into_iter().map(|(what, value, note)| {
        // Three columns while they fit 80 characters.
        let line = format!("  {what:<9} {value:>9}  ");
        let room = 80usize.saturating_sub(line.len());
        let mut text = line;
        let mut used = 0;
        for (n, word) in note.split(' ').enumerate() {
            if n > 0 && used + 1 + word.len() > room {
                text.push_str(&format!("\n{:23}", ""));
                used = 0;
            } else if n > 0 {
                text.push(' ');
                used += 1;
            }
            text.push_str(word);
            used += word.len();
        }
        text
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The command that plays the same run again.
fn command(args: &RunArgs, seed: u64) -> String {
    let file = args.subject.file.to_string_lossy();
    let mut command = format!("wavetank run {} --seed {seed}", quoted(&file));
    for assignment in &args.subject.set {
        command.push_str(&format!(" --set {}", quoted(assignment)));
    }
    command
}
