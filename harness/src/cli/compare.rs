//! `wavetank compare`: real runs beside simulated ones.

use std::path::PathBuf;

use clap::Args;
use wavetank_reports::{Comparison, RunResult};

use super::{Failure, diff, say, tell};
use crate::exit::Exit;

#[derive(Args, Debug)]
pub(super) struct CompareArgs {
    /// Results of real runs: each a result.json, or the folder of a run.
    #[arg(required = true, value_name = "REAL")]
    real: Vec<PathBuf>,
    /// Results of simulated runs of the same scenario.
    #[arg(long, required = true, num_args = 1.., value_name = "SIMULATED")]
    with: Vec<PathBuf>,
    /// Fails (exit 1) if an error is beyond its goal: 10 % at the median, 20 % at the 99th
    /// percentile and for the times of checks; or if there is none to judge, or only one side has
    /// a quantity with a goal.
    #[arg(long)]
    goals: bool,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Writes a page with figures, too; never over a file that is there.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn compare(args: &CompareArgs) -> Result<Exit, Failure> {
    let read = |paths: &[PathBuf]| -> Result<(Vec<RunResult>, Vec<bool>), Failure> {
        let all: Result<Vec<_>, _> = paths.iter().map(|path| diff::read_marked(path)).collect();
        Ok(all?.into_iter().unzip())
    };
    let ((real, of_real), (simulated, of_simulated)) = (read(&args.real)?, read(&args.with)?);
    let mut found = Comparison::new(&real, &simulated);
    for (paths, marked, expected, what) in [
        (&args.real, of_real, true, "is given as real, and is not"),
        (&args.with, of_simulated, false, "is given as simulated, and is real"),
    ] {
        let wrong = paths.iter().zip(marked).filter(|(_, real)| *real != expected);
        found.caveats.extend(wrong.map(|(path, _)| format!("{} {what}", path.display())));
    }
    if let Some(path) = &args.html {
        diff::write_page(path, &found.to_html())?;
    }
    say(&if args.json { found.to_json() } else { found.to_text() });
    if args.goals && !found.goals_met() {
        let beyond = found.rows.iter().filter(|row| row.met() == Some(false));
        let beyond: Vec<&str> = beyond.map(|row| row.quantity.as_str()).collect();
        if !beyond.is_empty() {
            tell(&format!("beyond the goals: {}", beyond.join(", ")));
        }
        if !found.unjudged.is_empty() {
            tell(&format!("with a goal, and no error: {}", found.unjudged.join(", ")));
        }
        if found.rows.iter().all(|row| row.met().is_none()) {
            tell("no quantity with a goal is on both sides");
        }
        return Ok(Exit::Broke);
    }
    Ok(Exit::Held)
}
