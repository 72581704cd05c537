//! `wavetank sweep`: parameters against outcomes.

use std::path::PathBuf;

use clap::Args;
use wavetank_reports::Ended;

use super::campaign_progress::CampaignProgress;
use super::{Failure, find, say, tell, warn};
use crate::campaign::Seeds;
use crate::campaign::seeds::{SeedRange, parse_seeds};
use crate::exit::Exit;
use crate::interrupt;
use crate::sweep::{Sweep, SweepError, Varied, parse_vary};
use crate::words::quoted;

/// Seeds of each point where nobody says how many.
const DEFAULT_SEEDS: u64 = 20;

#[derive(Args, Debug)]
pub(super) struct SweepArgs {
    /// The scenario: a file, or a name of the library.
    #[arg(value_name = "SCENARIO")]
    file: PathBuf,
    /// A value to vary, e.g. ha.pull_interval=100ms,500ms,2s. Given again, all combinations are
    /// played. Without it, what the scenario's [sweep] table says.
    #[arg(long, value_name = "KEY=A,B,..", value_parser = parse_vary)]
    vary: Vec<Varied>,
    /// The seeds of each point, from A up to but not including B, or A..+N for N of them
    /// [default: those of the [sweep] table, else 0..20].
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Option<SeedRange>,
    /// Changes one value at every point.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Worker threads [default: one per processor]. Results do not depend on it.
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroU16>,
    /// Keeps every result, tables and a page; a second start with the same folder goes on.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        Failure { exit: error.exit(), message: error.to_string() }
    }
}

pub(super) fn sweep(args: &SweepArgs) -> Result<Exit, Failure> {
    let (vary, range) = asked(args)?;
    let seeds = Seeds::new(range, None);
    let out = args.out.as_deref();
    let sweep = Sweep::new(&args.file, &args.set, vary.clone(), seeds, out)?;
    warn(sweep.first());
    interrupt::watch();
    let progress = CampaignProgress::new(sweep.runs(), 0, args.json);
    let jobs = args.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        |jobs| usize::from(jobs.get()),
    );
    let played = sweep.play(jobs, |run| progress.over(run.error.is_none()));
    progress.finish();
    let result = played?;
    let page = sweep.conclude(&result, &command(args, &vary, range))?;
    if args.json {
        say(&result.to_json());
    } else {
        say(&result.to_text());
        if let Some(page) = page {
            say(&format!("report: {}", page.display()));
        }
    }
    let wrong: Vec<_> = result.runs.iter().filter(|run| run.error.is_some()).collect();
    for run in &wrong {
        let error = run.error.as_deref().unwrap_or_default();
        tell(&format!("{}, seed {}: {error}", result.point_name(run.point), run.seed));
    }
    let exit = if wrong.is_empty() { Exit::Held } else { Exit::Internal };
    Ok(match result.ended {
        Ended::Whole => exit,
        _ => {
            tell("interrupted: the runs that were over are counted");
            exit.worst(Exit::Surroundings)
        }
    })
}

/// What is varied, and with which seeds: what the command says comes before the scenario's table.
fn asked(args: &SweepArgs) -> Result<(Vec<Varied>, SeedRange), Failure> {
    let scenario = find::one(&args.file, &args.set)?;
    let table = scenario.sweep();
    let default = table.map_or(DEFAULT_SEEDS, |table| table.seeds);
    let seeds = args.seeds.unwrap_or((0..default).into());
    if !args.vary.is_empty() {
        return Ok((args.vary.clone(), seeds));
    }
    let Some(table) = table else {
        let text = format!(
            "nothing is varied: {} has no [sweep] table, and there is no --vary KEY=A,B,..",
            args.file.display()
        );
        return Err(Failure::input(text));
    };
    Ok((table.vary.clone(), seeds))
}

/// What plays the sweep again.
fn command(args: &SweepArgs, vary: &[Varied], seeds: SeedRange) -> String {
    let mut text = format!("wavetank sweep {}", quoted(&args.file.to_string_lossy()));
    for (key, values) in vary {
        text += &format!(" --vary {}", quoted(&format!("{key}={}", values.join(","))));
    }
    text += &format!(" --seeds {seeds}");
    for set in &args.set {
        text += &format!(" --set {}", quoted(set));
    }
    text
}
