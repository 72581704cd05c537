//! `wavetank test`: many seeds of many scenarios. `wavetank merge`: campaigns put together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use wavetank_reports::{CampaignResult, Coverage, Ended, NotUnderstood, SeedResult};
use wavetank_scenario::{Plan, nearest};

use super::campaign_progress::CampaignProgress;
use super::keep_failures::{Shrinking, keep_failures};
use super::{Failure, find, say, tell, warn};
use crate::campaign::folder::{Folder, FolderError, Known, write_whole};
use crate::campaign::merge::{merged, name_alike};
use crate::campaign::parts::{Asked, wholeness};
use crate::campaign::scenario_digest;
use crate::campaign::seeds::{parse_seeds, parse_shard};
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
    /// commit hash.
    #[arg(long, value_name = "A..B", default_value = "0..20", value_parser = parse_seeds)]
    seeds: Range<u64>,
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
    /// Fewer seeds than this of any scenario are too few (exit 75); so is no run at all.
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_seeds: u64,
    /// Changes one value of every scenario.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Keeps every result, and what is needed to see a failure again; a second start with the
    /// same folder goes on.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Plays each run three times and names the first event that differs.
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

/// The forms in which a campaign's result is given.
#[derive(Args, Debug)]
struct Forms {
    /// Writes JUnit XML, for CI servers.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes a page of Markdown, for pull requests.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Writes what the campaign has covered: as JSON, or as a picture if FILE ends with .svg.
    #[arg(long, value_name = "FILE")]
    coverage: Option<PathBuf>,
    /// Leaves out of that what was reached less often than N times: it was luck.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "coverage")]
    coverage_least: u64,
    /// Fails (exit 1) when something is not covered that FILE, written by --coverage, has.
    #[arg(long, value_name = "FILE")]
    require_coverage: Option<PathBuf>,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct MergeArgs {
    /// Folders that `wavetank test --out` left.
    #[arg(required = true, value_name = "DIR")]
    parts: Vec<PathBuf>,
    /// Where the campaign of all of them goes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
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
    let seeds = Seeds::new(args.seeds.clone(), args.shard);
    let known = identities(&entries, args.seeds.start)?;
    let mut folder = match &args.out {
        Some(path) => Some(Folder::open(path, &known, &args.set)?),
        None => None,
    };
    if let Some(folder) = &mut folder {
        folder.record(vec![asked(args, &entries, None)])?;
    }
    interrupt::watch();
    let started = Instant::now();
    let results = earlier(folder.as_ref(), &known, &seeds)?;
    let total = seeds.len() * entries.len() as u64;
    let progress = CampaignProgress::new(total, results.len() as u64, args.forms.json);
    progress.covered_before(results.values());
    let digests: Vec<String> = known.iter().map(|known| known.digest.clone()).collect();
    let work = Work {
        entries: &entries,
        digests: &digests,
        seeds,
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
    if let Some(folder) = &mut folder {
        folder.record(vec![asked(args, &entries, Some(ended))])?;
        let shrinking = (!args.no_shrink).then(|| Shrinking {
            each: args.shrink_limit,
            until: args.time_limit.map(|limit| started + limit),
        });
        keep_failures(folder, &entries, &mut result, shrinking)?;
        folder.conclude(&result)?;
    }
    let fewest = if entries.len() > result.scenarios.len() { 0 } else { result.fewest_seeds() };
    let few = fewest < args.min_seeds.max(1);
    let exit = conclude(&result, &args.forms, least.as_ref())?;
    if result.ended == Ended::Interrupted {
        tell("interrupted: the runs that were over are counted, the others were not played");
    } else if few || result.ended == Ended::TimeLimit {
        let total = Seeds::new(args.seeds.clone(), args.shard).len();
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
    let early = few || result.ended == Ended::Interrupted;
    Ok(if early { exit.worst(Exit::Surroundings) } else { exit })
}

/// When runs end. Of a time limit, a fifth is left for shrinking if something fails.
fn deadline(args: &TestArgs, started: Instant) -> Deadline {
    let Some(limit) = args.time_limit else { return Deadline::none() };
    let shrinks = args.out.is_some() && !args.no_shrink;
    let reserve = if shrinks { args.shrink_limit.min(limit / 5) } else { Duration::ZERO };
    Deadline::at(started + limit).with_reserve(reserve)
}

/// What this start is asked for, for those who put it together with others.
fn asked(args: &TestArgs, entries: &[Entry], ended: Option<Ended>) -> Asked {
    let shard = args.shard.unwrap_or(Shard { number: 1, of: 1 });
    Asked {
        scenarios: entries.iter().map(|entry| entry.name.clone()).collect(),
        from: args.seeds.start,
        to: args.seeds.end,
        shard: shard.number,
        of: shard.of,
        min_seeds: args.min_seeds,
        ended,
    }
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
fn identities(entries: &[Entry], seed: u64) -> Result<Vec<Known>, Failure> {
    let (mut known, mut wrong) = (Vec::new(), Vec::new());
    for entry in entries {
        match find::draw(&entry.scenario, seed) {
            Ok(plan) => known.push(identity(entry, &plan)),
            Err(failure) => wrong.push(failure.message),
        }
    }
    if wrong.is_empty() { Ok(known) } else { Err(Failure::input(wrong.join("\n"))) }
}

fn identity(entry: &Entry, plan: &Plan) -> Known {
    Known { scenario: entry.name.clone(), digest: scenario_digest(&entry.scenario, plan) }
}

/// The results that a campaign started earlier has left.
fn earlier(
    folder: Option<&Folder>,
    known: &[Known],
    seeds: &Seeds,
) -> Result<BTreeMap<(usize, u64), SeedResult>, Failure> {
    let mut found = BTreeMap::new();
    let Some(folder) = folder else { return Ok(found) };
    for (number, known) in known.iter().enumerate() {
        for seed in seeds.iter() {
            if let Some(result) = folder.find(known, seed)? {
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
    for path in &args.parts {
        let part = Folder::load(path)?;
        let set = set.get_or_insert_with(|| part.set.clone());
        if *set != part.set {
            let what = "scenarios with other values of --set".to_owned();
            return Err(FolderError::Mixes { path: path.clone(), what }.into());
        }
        parts.push((path.clone(), part));
    }
    name_alike(&mut parts);
    let asked: Vec<Asked> = parts.iter().flat_map(|(_, part)| part.asked.iter().cloned()).collect();
    let set = set.unwrap_or_default();
    let (scenarios, results) = merged(parts)?;
    let mut folder = Folder::open(&args.out, &scenarios, &set)?;
    let names: Vec<String> = scenarios.iter().map(|known| known.scenario.clone()).collect();
    let (ended, lacks) = wholeness(&names, &asked, &results);
    folder.record(asked)?;
    for result in &results {
        folder.keep(result)?;
    }
    let wall = results.iter().map(|result| result.wall_seconds).sum();
    let mut result =
        CampaignResult::new(results, ended, wall, digest_of, |result| command(result, &set));
    for failed in &mut result.failures {
        // What was kept stays where it was kept.
        let of = &failed.result;
        let name = folder.failure(&of.scenario, &of.scenario_digest, of.seed);
        let kept = args.parts.iter().filter_map(|part| {
            let place = part.join("failures").join(name.file_name()?);
            place.join("result.json").exists().then_some(place)
        });
        failed.folder = kept.map(|place| place.display().to_string()).next();
    }
    folder.conclude(&result)?;
    let exit = conclude(&result, &args.forms, least.as_ref())?;
    for lack in &lacks {
        tell(&format!("not whole: {lack}"));
    }
    if result.runs == 0 {
        tell("not whole: no run is in any of the folders");
    }
    let whole = lacks.is_empty() && result.runs > 0;
    Ok(if whole { exit } else { exit.worst(Exit::Surroundings) })
}

/// What plays a seed again.
fn command(result: &SeedResult, set: &[String]) -> String {
    let set: String = set.iter().map(|a| format!(" --set {}", quoted(a))).collect();
    format!("wavetank run {} --seed {}{set}", quoted(&result.scenario), result.seed)
}

/// What a campaign must cover at least.
fn required(path: &Path) -> Result<Coverage, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))?;
    let value: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let read = value.and_then(|value| Some((Coverage::from_json(&value)?, value)));
    let (coverage, value) = read.ok_or_else(|| {
        let what = "is no coverage: expected a file that `wavetank test --coverage` wrote";
        Failure::input(format!("{} {what}", path.display()))
    })?;
    let wrong = Coverage::not_understood(&value);
    let wrong: Vec<String> = wrong.iter().map(|wrong| not_understood(path, wrong)).collect();
    if wrong.is_empty() { Ok(coverage) } else { Err(Failure::input(wrong.join("\n"))) }
}

fn not_understood(path: &Path, wrong: &NotUnderstood) -> String {
    let NotUnderstood { what, name, names } = wrong;
    let place = path.display();
    if names.contains(&name.as_str()) {
        return format!("{place}: the {what} `{name}` has no count: expected a whole number");
    }
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("a similar name is `{near}`"),
        None => format!("known: {}", names.join(", ")),
    };
    format!("{place}: no {what} is called `{name}`: {help}")
}

/// Gives the result in all the forms that were asked for, and compares what it covers with
/// what it must.
fn conclude(
    result: &CampaignResult,
    forms: &Forms,
    required: Option<&Coverage>,
) -> Result<Exit, Failure> {
    write_form(forms.junit.as_deref(), || result.to_junit())?;
    write_form(forms.summary.as_deref(), || result.to_markdown())?;
    let reached = &result.coverage.reached;
    let picture = |path: &Path| path.extension().is_some_and(|ending| ending == "svg");
    write_form(forms.coverage.as_deref(), || {
        let reached = reached.at_least(forms.coverage_least);
        match forms.coverage.as_deref().is_some_and(picture) {
            true => reached.to_svg(),
            false => format!("{:#}\n", reached.to_json()),
        }
    })?;
    if forms.json {
        say(&result.to_json());
    } else {
        say(&campaign_text(result));
    }
    let exits = result.failures.iter().map(|failed| match failed.result.exit {
        4 => Exit::Internal,
        3 => Exit::NotRecovered,
        _ => Exit::Broke,
    });
    let worst = exits.fold(Exit::Held, Exit::worst);
    let unsatisfied = result.rules.iter().any(|rule| !rule.satisfied);
    let lacks = match required {
        Some(required) => reached.lacks(required),
        None => Vec::new(),
    };
    if !lacks.is_empty() {
        tell(&format!("not covered, though required: {}", lacks.join(", ")));
    }
    let broke = unsatisfied || !lacks.is_empty();
    Ok(if broke { worst.worst(Exit::Broke) } else { worst })
}

fn write_form(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    match path {
        Some(path) => Ok(write_whole(path, &text())?),
        None => Ok(()),
    }
}

fn campaign_text(result: &CampaignResult) -> String {
    let mut text = String::new();
    for failure in &result.failures {
        let seed = &failure.result;
        text.push_str(&format!("{} seed {}\n", seed.scenario, seed.seed));
        for expectation in &seed.failures {
            text.push_str(&format!(
                "  {} {}: {}\n",
                expectation.check,
                expectation.verdict.name(),
                expectation.why
            ));
        }
        if let Some(waiting) = &seed.waiting {
            text.push_str(&format!("  did not recover: {waiting}\n"));
        }
        if let Some(error) = &seed.error {
            text.push_str(&format!("  internal error: {error}\n"));
        }
        text.push_str(&format!("  again: {}\n", failure.command));
        if let Some(folder) = &failure.folder {
            text.push_str(&format!("  kept:  {folder}\n"));
        }
        if let Some(small) = &failure.smallest {
            text.push_str(&format!("  small: wavetank run {}\n", quoted(&small.file)));
        }
    }
    for rule in &result.rules {
        text.push_str(&format!(
            "{} {}: held for {} of {} seeds, {} asked for: {}\n",
            rule.scenario,
            rule.check,
            rule.held,
            rule.runs,
            rule.seeds,
            if rule.satisfied { "enough" } else { "not enough" }
        ));
        if let Some(one) = &rule.failing {
            text.push_str(&format!("  again: {}\n", one.command));
            text.extend(one.folder.iter().map(|folder| format!("  kept:  {folder}\n")));
        }
    }
    if !result.coverage.never.is_empty() {
        let never = result.coverage.never.join(", ");
        text.push_str(&format!("planned, but never took effect: {never}\n"));
    }
    text.push_str(&format!("covered: {}\n", result.coverage.reached.headline()));
    let unsatisfied = result.rules.iter().filter(|rule| !rule.satisfied).count();
    let rules = match (result.rules.len(), unsatisfied) {
        (0, _) => String::new(),
        (total, 0) => format!(" All {total} expectations over seeds are met."),
        (total, n) => format!(" {n} of {total} expectations over seeds are not met."),
    };
    text.push_str(&format!(
        "{} of {} runs held{}.{rules} Digest of all: {}\n",
        result.held,
        result.runs,
        if result.rules.is_empty() { "" } else { " what every seed must" },
        result.digest
    ));
    text
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
