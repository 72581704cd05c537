//! `wavetank test`: many seeds of many scenarios.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use wavetank_reports::{CampaignResult, Ended, SeedResult};
use wavetank_scenario::Plan;

use super::campaign_progress::CampaignProgress;
use super::forms::{Forms, conclude, required};
use super::keep_failures::{Shrinking, keep_failures};
use super::{Failure, find, tell, warn};
use crate::campaign::build;
use crate::campaign::folder::{Folder, FolderError};
use crate::campaign::names::Known;
use crate::campaign::parts::Asked;
use crate::campaign::scenario_digest;
use crate::campaign::seeds::{SeedRange, parse_seeds, parse_shard};
use crate::campaign::{CampaignError, Deadline, Entry, Seeds, Shard, Work, digest_of, play_all};
use crate::exit::Exit;
use crate::interrupt;
use crate::output::OutputError;
use crate::play::Own;
use crate::words::quoted;

#[derive(Args, Debug)]
pub(super) struct TestArgs {
    /// Scenarios: files, folders of them, or names of the library.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(super) paths: Vec<PathBuf>,
    /// Seeds from A up to but not including B, or A..+N for N of them; a seed may be a git
    /// commit hash [default: the seed that stands in a scenario, or else 0..20].
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Option<SeedRange>,
    /// Plays one of N equal parts of the seeds, e.g. 2/8; `wavetank merge` puts them together.
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    shard: Option<Shard>,
    /// Worker threads [default: one per processor]. Results do not depend on it.
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroU16>,
    /// Ends after so long, e.g. 5m, with the seeds that were played by then. With --out, a part of
    /// it (a fifth, or --shrink-limit if that is less) is left for shrinking once a seed has failed.
    #[arg(long, value_name = "TIME", value_parser = wall_time)]
    time_limit: Option<Duration>,
    /// Fewer seeds than this of any scenario are too few (exit 75), but for one that is played with
    /// its own seed; so is no run at all.
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_seeds: u64,
    /// Changes one value of every scenario.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Keeps every result, and what is needed to see a failure again; a second start with the
    /// same folder goes on.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Plays each run three times and names the first event that differs. With --out, what an
    /// earlier start played once is played again.
    #[arg(long)]
    check_determinism: bool,
    /// Leaves failures as they are. Without it, and with --out, the first failure of each kind is
    /// shrunk to the smallest scenario that fails for the same reason.
    #[arg(long)]
    no_shrink: bool,
    /// How long each failure is shrunk at the most.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = wall_time)]
    shrink_limit: Duration,
    #[command(flatten)]
    forms: Forms,
}

/// Real time as people write it, with its unit.
pub(super) fn wall_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: expected a number with ms, s, m or h, such as 5m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        Failure { exit: error.exit(), message: error.to_string() }
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        Failure { exit: error.exit(), message: error.to_string() }
    }
}

pub(super) fn test(args: &TestArgs) -> Result<Exit, Failure> {
    let (entries, left_out) = find::without_soaks(&args.paths, &args.set)?;
    tell_left_out(&left_out);
    for entry in &entries {
        warn(&entry.scenario);
    }
    let least = args.forms.require_coverage.as_deref().map(required).transpose()?;
    let seeds: Vec<Seeds> =
        entries.iter().map(|entry| Seeds::new(range_of(args, entry), args.shard)).collect();
    let known = identities(&entries, args)?;
    let mut folder = match &args.out {
        Some(path) => Some(Folder::open(path, &known, &args.set, build::of_folder(path)?)?),
        None => None,
    };
    // Some may go into the folder that was just made.
    args.forms.check_places()?;
    if let Some(folder) = &mut folder {
        folder.record(&known, asked(args, &entries, None))?;
    }
    interrupt::watch();
    let started = Instant::now();
    let results = earlier(folder.as_ref(), &known, &seeds, args.check_determinism)?;
    let total: u64 = seeds.iter().map(Seeds::len).sum();
    let progress = CampaignProgress::new(total, results.len() as u64, args.forms.json);
    progress.there_before(results.values());
    let digests: Vec<String> = known.iter().map(|known| known.digest.clone()).collect();
    let work = Work {
        entries: &entries,
        digests: &digests,
        seeds: seeds.clone(),
        jobs: args.jobs.map_or_else(processors, |jobs| usize::from(jobs.get())),
        until: deadline(args, started),
        twice: args.check_determinism,
        own: Own::default(),
        known: results,
    };
    let draw = |scenario: &_, seed| find::draw(scenario, seed).map_err(|failure| failure.message);
    let keep = |result: &SeedResult| {
        progress.played(result);
        folder.as_ref().map_or(Ok(()), |folder| folder.keep(result))
    };
    let played = play_all(work, draw, keep);
    progress.finish();
    let (results, ended) = played.map_err(|error| match error {
        CampaignError::Input(message) => Failure::input(message),
        CampaignError::Output(error) => error.into(),
    })?;
    let wall = started.elapsed().as_secs_f64();
    let mut result =
        CampaignResult::new(results, ended, wall, digest_of, |result| command(result, &args.set));
    result.one_shard = args.shard.is_some_and(|shard| shard.of > 1);
    least.iter().for_each(|least| result.require(least));
    result.missing = missing(args, &entries, &seeds, &result);
    if let Some(folder) = &mut folder {
        folder.record(&known, asked(args, &entries, Some(ended)))?;
        let shrinking = (!args.no_shrink).then(|| Shrinking {
            each: args.shrink_limit,
            until: args.time_limit.map(|limit| started + limit),
        });
        let kept = keep_failures(folder, &entries, &mut result, shrinking)?;
        if !kept && ended != Ended::Interrupted {
            tell(
                "interrupted: not every failure is kept yet; a second start with this --out goes on",
            );
        }
        folder.conclude(&result)?;
    }
    let exit = conclude(&result, &args.forms)?;
    if result.ended == Ended::TimeLimit {
        let left = total.saturating_sub(result.runs);
        tell(&format!("the time was over: {left} of {total} runs were not played"));
    }
    Ok(exit)
}

/// What was asked for at the least and not played, be it for want of time or of seeds.
fn missing(
    args: &TestArgs,
    entries: &[Entry],
    seeds: &[Seeds],
    result: &CampaignResult,
) -> Vec<String> {
    let mut missing = Vec::new();
    let total: u64 = seeds.iter().map(Seeds::len).sum();
    if result.ended == Ended::Interrupted {
        missing.push(format!("interrupted after {} of {total} runs", result.runs));
    }
    for (entry, seeds) in entries.iter().zip(seeds) {
        let (runs, total) = (result.seeds_of(&entry.name), seeds.len());
        let own = args.seeds.is_none() && entry.scenario.seed().is_some();
        let needed = if own { total } else { args.min_seeds.max(1) };
        if runs < needed {
            missing.push(format!(
                "{}: {runs} of {total} seeds were played, at least {needed} were asked for",
                entry.name
            ));
        }
    }
    if result.runs == 0 && missing.is_empty() {
        missing.push("no seed of any scenario lies in this shard".to_owned());
    }
    missing
}

/// When runs end. Of a time limit, a fifth is left for shrinking if something fails.
fn deadline(args: &TestArgs, started: Instant) -> Deadline {
    let Some(limit) = args.time_limit else { return Deadline::none() };
    let shrinks = args.out.is_some() && !args.no_shrink;
    let reserve = if shrinks { args.shrink_limit.min(limit / 5) } else { Duration::ZERO };
    Deadline::at(started + limit).with_reserve(reserve)
}

/// With which seeds a scenario is played: those that were asked for, or its own, or twenty.
fn range_of(args: &TestArgs, entry: &Entry) -> SeedRange {
    match (args.seeds, entry.scenario.seed()) {
        (Some(asked), _) => asked,
        (None, Some(own)) => SeedRange::one(own),
        (None, None) => (0..20).into(),
    }
}

/// What this start is asked for, for those who put it together with others: once for each range
/// of seeds.
fn asked(args: &TestArgs, entries: &[Entry], ended: Option<Ended>) -> Vec<Asked> {
    let shard = args.shard.unwrap_or(Shard { number: 1, of: 1 });
    let mut ranges: BTreeMap<(u64, u64), Vec<String>> = BTreeMap::new();
    for entry in entries {
        let range = range_of(args, entry);
        ranges.entry((range.first, range.to())).or_default().push(entry.name.clone());
    }
    let asked = ranges.into_iter().map(|((from, to), scenarios)| Asked {
        scenarios,
        from,
        to,
        shard: shard.number,
        of: shard.of,
        min_seeds: args.min_seeds,
        ended,
    });
    asked.collect()
}

/// Names the scenarios that nobody asked for by name and that would take hours.
pub(super) fn tell_left_out(names: &[String]) {
    if !names.is_empty() {
        let names = names.join(" and ");
        tell(&format!("left out, for they play for hours: {names}; name one to play it"));
    }
}

/// By what the results of each scenario are known; draws one Plan of each, so that what cannot
/// be played is told before anything is.
fn identities(entries: &[Entry], args: &TestArgs) -> Result<Vec<Known>, Failure> {
    let (mut known, mut wrong) = (Vec::new(), Vec::new());
    for entry in entries {
        match find::draw(&entry.scenario, range_of(args, entry).first) {
            Ok(plan) => known.push(identity(entry, &plan)),
            Err(failure) => wrong.push(failure.message),
        }
    }
    if wrong.is_empty() { Ok(known) } else { Err(Failure::input(wrong.join("\n"))) }
}

fn identity(entry: &Entry, plan: &Plan) -> Known {
    Known { scenario: entry.name.clone(), digest: scenario_digest(&entry.scenario, plan) }
}

/// The results that a campaign started earlier has left; if each is to be played `twice`, those
/// that were.
fn earlier(
    folder: Option<&Folder>,
    known: &[Known],
    seeds: &[Seeds],
    twice: bool,
) -> Result<BTreeMap<(usize, u64), SeedResult>, Failure> {
    let mut found = BTreeMap::new();
    let Some(folder) = folder else { return Ok(found) };
    for (number, (known, seeds)) in known.iter().zip(seeds).enumerate() {
        for seed in seeds.iter() {
            let there = folder.find(known, seed)?;
            if let Some(result) = there.filter(|result| result.twice || !twice) {
                found.insert((number, seed), result);
            }
        }
    }
    if !found.is_empty() {
        tell(&format!("{} results are there already: the rest is played", found.len()));
    }
    Ok(found)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What plays a seed again.
pub(super) fn command(result: &SeedResult, set: &[String]) -> String {
    let set: String = set.iter().map(|a| format!(" --set {}", quoted(a))).collect();
    format!("wavetank run {} --seed {}{set}", quoted(&result.scenario), result.seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_has_a_unit() {
        assert_eq!(wall_time("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(wall_time("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "5", "m", "5 m", "-1s", "1d", "99999999999999999999s"] {
            assert!(wall_time(wrong).is_err(), "{wrong}");
        }
    }
}
