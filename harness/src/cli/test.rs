//! `wavetank test`: many seeds of many scenarios. `wavetank merge`: campaigns put together.

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
use crate::campaign::folder::{Folder, FolderError, Shrunk, run_of, shrunk_in};
use crate::campaign::merge::{build_of, merged, name_alike};
use crate::campaign::names::Known;
use crate::campaign::parts::{Asked, wholeness};
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

#[derive(Args, Debug)]
pub(super) struct MergeArgs {
    /// Folders that `wavetank test --out` left.
    #[arg(required = true, value_name = "DIR")]
    parts: Vec<PathBuf>,
    /// Where the campaign of all of them goes; one that is there already is one of them.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Takes what different builds of this version have played for one campaign. A seed that came to
    /// two results is told all the same.
    #[arg(long)]
    mixed_builds: bool,
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
    let total = seeds.iter().map(Seeds::len).sum();
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
    // The scenario that lacks most: (whether it has enough, all of them, how many).
    let counts = entries.iter().zip(&seeds).map(|(entry, seeds)| {
        let (runs, total) = (result.seeds_of(&entry.name), seeds.len());
        let own = args.seeds.is_none() && entry.scenario.seed().is_some();
        let needed = if own { total } else { args.min_seeds.max(1) };
        (runs >= needed, runs >= total, runs, total)
    });
    let (enough, _, fewest, total) = counts.min().unwrap_or_default();
    let few = !enough || result.runs == 0;
    let exit = conclude(&result, &args.forms)?;
    if result.ended == Ended::Interrupted {
        tell("interrupted: the runs that were over are counted, the others were not played");
    } else if few || result.ended == Ended::TimeLimit {
        let over =
            if result.ended == Ended::TimeLimit { "the time was over after" } else { "only" };
        let were = if result.ended == Ended::TimeLimit { "" } else { " were to be played" };
        let least = if few {
            format!(": at least {} were asked for", args.min_seeds.max(1))
        } else {
            String::new()
        };
        tell(&format!("{over} {fewest} of {total} seeds{were}{least}"));
    }
    Ok(if few || result.ended == Ended::Interrupted { too_early(&result, exit) } else { exit })
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

pub(super) fn merge(args: &MergeArgs) -> Result<Exit, Failure> {
    let least = args.forms.require_coverage.as_deref().map(required).transpose()?;
    let mut parts = Vec::new();
    let mut set = None;
    // A campaign that is there already is one more part.
    let there = Folder::is_at(&args.out).then_some(&args.out);
    for path in args.parts.iter().chain(there) {
        let part = Folder::load(path)?;
        let set = set.get_or_insert_with(|| part.set.clone());
        if *set != part.set {
            let what = "scenarios with other values of --set".to_owned();
            return Err(FolderError::Mixes { path: path.clone(), what }.into());
        }
        parts.push((path.clone(), part));
    }
    let build = build_of(&parts, args.mixed_builds)?.to_owned();
    name_alike(&mut parts);
    let asked: Vec<Asked> = parts.iter().flat_map(|(_, part)| part.asked.iter().cloned()).collect();
    let set = set.unwrap_or_default();
    let (scenarios, results) = merged(parts)?;
    let mut folder = Folder::open(&args.out, &scenarios, &set, &build)?;
    args.forms.check_places()?;
    let names: Vec<String> = scenarios.iter().map(|known| known.scenario.clone()).collect();
    let (ended, lacks) = wholeness(&names, &asked, &results);
    folder.record(&scenarios, asked)?;
    for result in &results {
        folder.keep(result)?;
    }
    let wall = results.iter().map(|result| result.wall_seconds).sum();
    let mut result =
        CampaignResult::new(results, ended, wall, digest_of, |result| command(result, &set));
    least.iter().for_each(|least| result.require(least));
    // What was kept stays where it was kept.
    let kept = |scenario: &str, digest: &str, seed, copy| {
        let name = folder.failure(scenario, digest, seed, copy)?;
        let kept = args.parts.iter().chain(there).filter_map(|part| {
            let place = part.join("failures").join(name.file_name()?);
            place.join("result.json").exists().then_some(place)
        });
        kept.map(|place| place.display().to_string()).next()
    };
    let mut shrunk = Shrunk::new();
    for part in args.parts.iter().chain(there) {
        shrunk.extend(shrunk_in(part));
    }
    for failed in &mut result.failures {
        let of = &failed.result;
        failed.folder = kept(&of.scenario, &of.scenario_digest, of.seed, of.copy_seed);
        failed.smallest = shrunk.remove(&run_of(of));
    }
    for rule in &mut result.rules {
        let digest = scenarios.iter().find(|known| known.scenario == rule.scenario);
        if let (Some(one), Some(known)) = (&mut rule.failing, digest) {
            one.folder = kept(&rule.scenario, &known.digest, one.seed, one.copy_seed);
        }
    }
    folder.conclude(&result)?;
    let exit = conclude(&result, &args.forms)?;
    for lack in &lacks {
        tell(&format!("not whole: {lack}"));
    }
    if result.runs == 0 {
        tell("not whole: no run is in any of the folders");
    }
    let whole = lacks.is_empty() && result.runs > 0;
    Ok(if whole { exit } else { too_early(&result, exit) })
}

/// How a campaign ends of which too little was played. A seed that failed has failed however few
/// there were; what all seeds together do not come up to may be for want of them.
fn too_early(result: &CampaignResult, exit: Exit) -> Exit {
    if result.failures.is_empty() { exit.worst(Exit::Surroundings) } else { exit }
}

/// What plays a seed again.
fn command(result: &SeedResult, set: &[String]) -> String {
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
