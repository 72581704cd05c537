//! `wavetank hunt`: which planted bugs does a library of scenarios find, and how soon?

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use wavetank_vocabulary::PlantedBugs;

use super::test::{tell_left_out, wall_time};
use super::{Failure, find, say, tell};
use crate::campaign::CampaignError;
use crate::exit::Exit;
use crate::hunt::{Hunt, summary, table};
use crate::interrupt;
use crate::output::OutputError;
use crate::workers::{Turn, in_turn};

#[derive(Args, Debug)]
pub(super) struct HuntArgs {
    /// Scenarios: files, folders of them, or names of the library.
    #[arg(required = true, value_name = "SCENARIO")]
    paths: Vec<PathBuf>,
    /// Only this bug; may be given several times. Without it, all of them.
    #[arg(long, value_name = "NAME", value_parser = bug)]
    bug: Vec<&'static str>,
    /// Gives a bug up after so many runs.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    most_runs: u64,
    /// Gives a bug up after so long.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = wall_time)]
    time_limit: Duration,
    /// How long each finding is shrunk at the most.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = wall_time)]
    shrink_limit: Duration,
    /// Bugs that are hunted at the same time, each on a thread of its own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: u16,
}

fn bug(name: &str) -> Result<&'static str, String> {
    let names = || PlantedBugs::ALL.iter().map(|(_, name)| *name);
    names().find(|known| *known == name).ok_or_else(|| {
        format!("no bug has this name; there are {}", names().collect::<Vec<_>>().join(", "))
    })
}

pub(super) fn hunt(args: &HuntArgs) -> Result<Exit, Failure> {
    let (entries, left_out) = find::without_soaks(&args.paths, &[])?;
    tell_left_out(&left_out);
    let hunt = Hunt {
        entries: &entries,
        most_runs: args.most_runs,
        limit: args.time_limit,
        shrink_limit: args.shrink_limit,
    };
    let bugs: Vec<_> = PlantedBugs::ALL
        .iter()
        .filter(|(_, name)| args.bug.is_empty() || args.bug.contains(name))
        .collect();
    interrupt::watch();
    // A broken invariant is a finding here, told in the table.
    std::panic::set_hook(Box::new(|_| {}));
    let draw = |scenario: &_, seed| find::draw(scenario, seed).map_err(|failure| failure.message);
    let hunted = in_turn(bugs.len() as u64, usize::from(args.jobs), |index| {
        if interrupt::asked() {
            return Ok(Turn::NoTime);
        }
        let (bug, name) = bugs[index as usize];
        let trail = hunt.hunt(*bug, name, &draw)?;
        let done = if trail.found.is_some() { "found" } else { "not found" };
        let seconds = trail.wall.as_secs_f64();
        tell(&format!("{name}: {done} after {} runs, {seconds:.1} s", trail.runs));
        Ok::<_, CampaignError>(Turn::Over(trail))
    });
    let _ = std::panic::take_hook();
    let (all, _) = hunted.map_err(|error| match error {
        CampaignError::Input(message) => Failure::input(message),
        CampaignError::Output(error) => from_output(error),
    })?;
    say(&format!("{}\n{}", table(&all), summary(&all)));
    if interrupt::asked() {
        return Ok(Exit::Surroundings);
    }
    Ok(if all.iter().all(|trail| trail.found.is_some()) { Exit::Held } else { Exit::Broke })
}

fn from_output(error: OutputError) -> Failure {
    error.into()
}
