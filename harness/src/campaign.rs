//! Many seeds of many scenarios: `wavetank test`.
//!
//! Every seed of a scenario is a piece of work of its own, whose result depends on nothing
//! else; workers take them in order, and what they give is put in order at the end. So the
//! number of workers, the shards and the moment of an interruption change which seeds were
//! played, never what became of one. [`folder`] keeps the results from one start to the next.

pub mod build;
mod deadline;
pub mod failures;
pub mod folder;
pub mod merge;
pub mod names;
pub mod parts;
pub mod seeds;

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use wavetank_kernel::Digest;
use wavetank_reports::{CAMPAIGN_SCHEMA, Coverage, Ended, RuleVerdict, SeedResult, Verdict};
use wavetank_scenario::Scenario;
use wavetank_world::{
    BaseGraph, Driven, Expectation, GraphPlan, GraphSource, Plan, Popularity, SeedRule, World,
};

use crate::copies::{self, Copy};
use crate::determinism::{Comparison, Nobody, compare, disturbed};
use crate::exit::Exit;
use crate::interrupt;
use crate::output::OutputError;
use crate::play::{Judged, Own, UNLAWFUL, judge_only, must_hold};
use crate::workers::{Turn, in_turn, locked};

pub use deadline::Deadline;
pub use seeds::{Seeds, Shard};

/// All scenario files under the given paths, in order of their names.
///
/// # Errors
/// When a path cannot be read, or a folder holds no scenario.
pub fn scenario_files(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            collect(path, &mut files)?;
            files[before..].sort();
            if files.len() == before {
                let text = format!("{}: no scenario (*.toml) in this folder", path.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    // The library of scenarios lies beside the manifest of the crate that reads them, and so do
    // the workloads that they name.
    let library = folder.join("Cargo.toml").is_file();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let workloads = path.file_name().is_some_and(|name| name == "workloads");
        if path.is_dir() {
            if !(library && workloads) {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "toml")
            && path.file_name().is_some_and(|name| name != "Cargo.toml")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// The graphs that were built so far: scenarios with the same graph share its pages.
#[derive(Debug, Default)]
pub struct Bases(Vec<(GraphPlan, Arc<BaseGraph>)>);

impl Bases {
    /// The pages of a graph, built if nobody asked for it before.
    pub fn of(&mut self, graph: &GraphPlan) -> Arc<BaseGraph> {
        if let Some((_, base)) = self.0.iter().find(|(known, _)| known == graph) {
            return base.clone();
        }
        let base = Arc::new(BaseGraph::build(graph));
        self.0.push((graph.clone(), base.clone()));
        base
    }
}

/// A scenario that was read, under the name that messages use.
#[derive(Debug)]
pub struct Entry {
    /// The name of the library, or the file's path from where the command was started.
    pub name: String,
    /// What it says.
    pub scenario: Scenario,
}

/// Why a campaign could not be played.
#[derive(Debug)]
pub enum CampaignError {
    /// A scenario could not be drawn: rendered messages.
    Input(String),
    /// A result could not be kept.
    Output(OutputError),
}

/// What is played, and how.
#[derive(Debug)]
pub struct Work<'a> {
    /// The scenarios.
    pub entries: &'a [Entry],
    /// Their digests, by [`scenario_digest`].
    pub digests: &'a [String],
    /// The seeds of each scenario.
    pub seeds: Vec<Seeds>,
    /// Worker threads.
    pub jobs: usize,
    /// When to stop taking up, and going on with, runs.
    pub until: Deadline,
    /// Whether each run is played again and compared.
    pub twice: bool,
    /// What a caller's code adds to every run.
    pub own: Own,
    /// Results of these seeds that are there already, by the number of the scenario and the seed.
    pub known: BTreeMap<(usize, u64), SeedResult>,
}

/// A digest of everything that a scenario was read from. `plan` is any Plan drawn from it.
pub fn scenario_digest(scenario: &Scenario, plan: &Plan) -> String {
    let mut digest = Digest::new();
    for text in scenario.texts() {
        digest.absorb(&[text.len() as u64]);
        absorb_bytes(&mut digest, text.as_bytes());
    }
    if let GraphSource::Edges { edges, .. } = &plan.graph.source {
        digest.absorb(&[u64::from(edges.nodes), edges.edges.len() as u64]);
        for (from, to) in &edges.edges {
            digest.absorb(&[u64::from(*from) << 32 | u64::from(*to)]);
        }
    }
    for client in &plan.clients {
        if let Some(recorded) = &client.recorded {
            for (at, who, whom) in &recorded.arrivals {
                digest.absorb(&[at.as_nanos(), u64::from(*who) << 32 | u64::from(*whom)]);
            }
        }
        if let Popularity::Table(table) = &client.popularity {
            for (count, part) in &table.steps {
                digest.absorb(&[*count, part.to_bits()]);
            }
        }
    }
    digest.to_string()
}

pub(crate) fn absorb_bytes(digest: &mut Digest, bytes: &[u8]) {
    for eight in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..eight.len()].copy_from_slice(eight);
        digest.absorb(&[u64::from_le_bytes(word)]);
    }
}

/// The digest of a campaign: of the runs in the order of scenarios and seeds.
pub fn digest_of(results: &[SeedResult]) -> String {
    let mut hash = Digest::new();
    for result in results {
        let digest = u128::from_str_radix(&result.digest, 16).unwrap_or_default();
        hash.absorb(&[(digest >> 64) as u64, digest as u64]);
    }
    hash.to_string()
}

fn check_name(check: &Expectation) -> String {
    match check {
        Expectation::AcknowledgedWritesLost { .. } => "acknowledged-writes-lost".into(),
        Expectation::ReplicasEqual => "replicas-equal".into(),
        Expectation::Latency { client, operation: None, .. } => format!("latency {client}"),
        Expectation::Latency { client, operation: Some(operation), .. } => {
            format!("latency {client}.{operation}")
        }
        Expectation::Sessions { guarantee, .. } => guarantee.name().into(),
        Expectation::Recovers { .. } => "recovers".into(),
        Expectation::TwoMasters { .. } => "two-masters".into(),
        Expectation::Happens { event, .. } => format!("happens {}", event.name()),
        Expectation::Availability { client, operation: None, .. } => {
            format!("availability {client}")
        }
        Expectation::Availability { client, operation: Some(operation), .. } => {
            format!("availability {client}.{operation}")
        }
        Expectation::SlaveLag { .. } => "slave-lag".into(),
        Expectation::DoesNotRecover => "does-not-recover".into(),
        Expectation::Anomalies { of, .. } => of.name().into(),
    }
}

/// Plays every seed of every scenario that is not known yet. `done` is told each new result, on
/// the thread of the worker; what it returns ends the campaign if it is an error.
///
/// # Errors
/// When a scenario cannot be drawn for a seed, or `done` says so.
pub fn play_all(
    mut work: Work<'_>,
    draw: impl Fn(&Scenario, u64) -> Result<Plan, String> + Sync,
    done: impl Fn(&SeedResult) -> Result<(), OutputError> + Sync,
) -> Result<(Vec<SeedResult>, Ended), CampaignError> {
    let known = std::mem::take(&mut work.known);
    let rounds = work.seeds.iter().map(Seeds::len).max().unwrap_or(0);
    let total = rounds * work.entries.len() as u64;
    let bases = Mutex::new(Bases::default());
    let (new, whole) = in_turn(total, work.jobs, |index| {
        // Seed by seed, so that a campaign that ends early has tried every scenario.
        let number = (index % work.entries.len() as u64) as usize;
        let (seeds, place) = (&work.seeds[number], index / work.entries.len() as u64);
        if place >= seeds.len() {
            return Ok(Turn::Nothing);
        }
        let seed = seeds.at(place);
        if known.contains_key(&(number, seed)) {
            return Ok(Turn::Nothing);
        }
        let Some(result) = one(&work, number, seed, &bases, &draw)? else {
            return Ok(Turn::NoTime);
        };
        if !result.held() {
            work.until.failed();
        }
        done(&result).map_err(CampaignError::Output)?;
        Ok(Turn::Over(result))
    })?;
    // What is known counts whenever the others end: no worker need come across it.
    let results = known.into_values().chain(new).collect();
    let ended = match (whole, interrupt::asked()) {
        (true, _) => Ended::Whole,
        (false, true) => Ended::Interrupted,
        (false, false) => Ended::TimeLimit,
    };
    Ok((results, ended))
}

/// Plays one seed; none when there is no time left for it.
pub(crate) fn one(
    work: &Work<'_>,
    number: usize,
    seed: u64,
    bases: &Mutex<Bases>,
    draw: &(impl Fn(&Scenario, u64) -> Result<Plan, String> + Sync),
) -> Result<Option<SeedResult>, CampaignError> {
    let go_on = || !interrupt::asked() && !work.until.over();
    if !go_on() {
        return Ok(None);
    }
    let entry = &work.entries[number];
    let mut plans = Vec::new();
    for seed in copies::seeds(seed, entry.scenario.copies()) {
        let plan = Arc::new(draw(&entry.scenario, seed).map_err(CampaignError::Input)?);
        let driven = work.own.driven(&plan);
        plans.push((plan, driven.map_err(|error| CampaignError::Input(error.to_string()))?));
    }
    let Some((plan, _)) = plans.first().cloned() else { return Ok(None) };
    let base = locked(bases).of(&plan.graph);
    let started = Instant::now();
    // A broken invariant is a bug of ours, and a finding like others: the rest is played.
    let played = catch_unwind(AssertUnwindSafe(|| {
        let (mut copies, mut parted) = (Vec::new(), None);
        for (plan, driven) in &plans {
            let judged = judge_only(plan, &base, driven, &work.own.checks, go_on)?;
            if work.twice && parted.is_none() {
                parted = parting(plan, &base, driven, &judged, go_on)?;
            }
            copies.push(Copy { seed: plan.seed, judged });
        }
        let failed = copies::first_failed(&copies, |at| must_hold(&plan, at));
        let places = 0..plan.expectations.len();
        let without = places.map(|at| copies::first_without(&copies, at)).collect();
        Some((copies::merged(&copies)?, CopySeeds { failed, without }, parted))
    }));
    let identity = Identity {
        scenario: &entry.name,
        scenario_digest: &work.digests[number],
        seed,
        wall_seconds: started.elapsed().as_secs_f64(),
        twice: work.twice,
    };
    Ok(match played {
        Ok(None) => None,
        Ok(Some((judged, _, None))) if judged.exit == Exit::Internal => {
            Some(identity.error(UNLAWFUL.to_owned()))
        }
        Ok(Some((judged, seeds, None))) => Some(identity.result(&plan, judged, &seeds)),
        Ok(Some((_, _, Some(parting)))) => Some(identity.error(parting)),
        Err(panic) => Some(identity.error(panic_text(&*panic))),
    })
}

/// How two further runs of the Plan differ from each other or from the first; the outer none is
/// when there was no time left.
fn parting(
    plan: &Arc<Plan>,
    base: &Arc<BaseGraph>,
    driven: &[Driven],
    first: &Judged,
    go_on: impl Fn() -> bool,
) -> Option<Option<String>> {
    let make = || {
        let mut world = World::new(disturbed(plan), base.clone(), Nobody);
        world.drive(driven);
        world
    };
    Some(match compare(make, go_on)? {
        Comparison::Parted(parting) => Some(format!("not deterministic: {parting}")),
        Comparison::Same { digest, .. } if digest != first.digest => Some(format!(
            "not deterministic: digest {:032x} with checks that listen, {digest:032x} without",
            first.digest
        )),
        Comparison::Same { .. } => None,
    })
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// Of several clusters, the seeds of those that are worth a look.
struct CopySeeds {
    /// Of the one that failed.
    failed: Option<u64>,
    /// By place of the expectations: of the one in which it did not hold.
    without: Vec<Option<u64>>,
}

/// By what the result of a seed is known.
struct Identity<'a> {
    scenario: &'a str,
    scenario_digest: &'a str,
    seed: u64,
    wall_seconds: f64,
    twice: bool,
}

impl Identity<'_> {
    fn result(self, plan: &Plan, judged: Judged, copies: &CopySeeds) -> SeedResult {
        let judged_by = |every: bool| {
            let pairs = judged.expectations.iter().zip(&plan.expectations).enumerate();
            pairs.filter(move |(_, (_, expected))| (expected.seeds == SeedRule::Every) == every)
        };
        // What a caller brought comes after the Plan's own, and must hold for every seed.
        let brought = judged.expectations.iter().skip(plan.expectations.len());
        let failures: Vec<_> = judged_by(true)
            .map(|(_, (result, _))| result)
            .chain(brought)
            .filter(|result| result.verdict != Verdict::Held)
            .cloned()
            .collect();
        let rules = judged_by(false)
            .map(|(at, (result, expected))| RuleVerdict {
                check: check_name(&expected.check),
                seeds: wavetank_scenario::seed_rule_text(expected.seeds),
                part: match expected.seeds {
                    SeedRule::AtLeast(part) => Some((part.numerator, part.denominator)),
                    SeedRule::Any | SeedRule::Every => None,
                },
                verdict: result.verdict,
                copy_seed: copies.without.get(at).copied().flatten(),
            })
            .collect();
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for expectation in &judged.expectations {
            let count = ["found", "missed"].iter().find_map(|key| expectation.measured.get(key));
            if let Some(count) = count.and_then(serde_json::Value::as_u64) {
                *found.entry(expectation.check.clone()).or_default() += count;
            }
        }
        // What need not hold for every seed is judged when all are over.
        let exit = match judged.exit {
            Exit::Broke if failures.is_empty() => Exit::Held,
            exit => exit,
        };
        let Judged { waiting, faults, coverage, simulated, events, digest, .. } = judged;
        SeedResult {
            schema: CAMPAIGN_SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: self.scenario.to_owned(),
            scenario_digest: self.scenario_digest.to_owned(),
            seed: self.seed,
            copy_seed: copies.failed.filter(|_| exit != Exit::Held),
            digest: format!("{digest:032x}"),
            exit: exit.code(),
            failures,
            waiting,
            error: None,
            rules,
            found,
            faults,
            coverage,
            simulated_seconds: simulated.as_secs_f64(),
            events,
            wall_seconds: self.wall_seconds,
            twice: self.twice,
        }
    }

    fn error(self, error: String) -> SeedResult {
        SeedResult {
            schema: CAMPAIGN_SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: self.scenario.to_owned(),
            scenario_digest: self.scenario_digest.to_owned(),
            seed: self.seed,
            copy_seed: None,
            digest: format!("{:032x}", 0),
            exit: Exit::Internal.code(),
            failures: Vec::new(),
            waiting: None,
            error: Some(error),
            rules: Vec::new(),
            found: BTreeMap::new(),
            faults: BTreeMap::new(),
            coverage: Coverage::default(),
            simulated_seconds: 0.0,
            events: 0,
            wall_seconds: self.wall_seconds,
            twice: self.twice,
        }
    }
}
