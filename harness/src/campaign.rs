//! Many seeds of many scenarios: `wavetank test`.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::Serialize;
use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_scenario::Scenario;
use wavetank_world::{BaseGraph, Expectation, GraphPlan, Plan, SeedRule};

use crate::exit::Exit;
use crate::interrupt;
use crate::play::play;

/// One seed of one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct SeedResult {
    /// The scenario's file.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The digest of the run.
    pub digest: String,
    /// Exit code of `wavetank run` with that scenario and seed.
    pub exit: u8,
    /// Expectations that did not hold.
    pub failures: Vec<ExpectationResult>,
    /// What the cluster was waiting for, if it did not recover.
    pub waiting: Option<String>,
}

/// An expectation that need not hold for every seed, judged over all of them.
#[derive(Clone, Debug, Serialize)]
pub struct RuleResult {
    /// The scenario's file.
    pub scenario: String,
    /// The check.
    pub check: String,
    /// For how many seeds it must hold: `any`, or a part such as `>= 0.95`.
    pub seeds: String,
    /// For how many it held.
    pub held: u64,
    /// Of how many.
    pub runs: u64,
    /// Whether that is enough.
    pub satisfied: bool,
}

/// A campaign that is over.
#[derive(Clone, Debug, Serialize)]
pub struct CampaignResult {
    /// How many runs there were.
    pub runs: usize,
    /// How many of them held.
    pub held: usize,
    /// The runs that did not, in the order of scenarios and seeds.
    pub failures: Vec<SeedResult>,
    /// Expectations with a `seeds` of their own.
    pub rules: Vec<RuleResult>,
    /// Whether it was interrupted: then only the runs that were over are counted.
    pub interrupted: bool,
    /// The digests of all runs, in order, hashed: the same for any number of workers.
    pub digest: String,
    #[serde(skip)]
    worst: Exit,
}

impl CampaignResult {
    /// How the command ends.
    pub fn exit(&self) -> Exit {
        self.worst
    }
}

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
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "toml")
            // The library of scenarios lies beside the manifest of the crate that reads them.
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
    /// As the user named it.
    pub name: String,
    /// What it says.
    pub scenario: Scenario,
}

/// Why a campaign could not be played.
#[derive(Debug)]
pub enum CampaignError {
    /// A scenario could not be drawn: rendered messages.
    Input(String),
    /// No threads could be had.
    Threads(String),
}

/// One run of a campaign: scenario, seed, Plan and its graph.
type Run = (String, u64, Arc<Plan>, Arc<BaseGraph>);

/// Judges the expectations that need not hold for every seed. The runs of a scenario stand
/// side by side.
fn rules(work: &[Run], results: &[(SeedResult, Exit, Vec<Verdict>)]) -> Vec<RuleResult> {
    let mut rules = Vec::new();
    let mut start = 0;
    for runs in work.chunk_by(|a, b| a.0 == b.0) {
        let results = &results[start..start + runs.len()];
        start += runs.len();
        let Some((scenario, _, plan, _)) = runs.first() else { continue };
        for (index, expected) in plan.expectations.iter().enumerate() {
            if expected.seeds == SeedRule::Every {
                continue;
            }
            let holds = |(_, _, verdicts): &&(SeedResult, Exit, Vec<Verdict>)| {
                verdicts.get(index) == Some(&Verdict::Held)
            };
            let (held, runs) = (results.iter().filter(holds).count() as u64, runs.len() as u64);
            rules.push(RuleResult {
                scenario: scenario.clone(),
                check: check_name(&expected.check),
                seeds: wavetank_scenario::seed_rule_text(expected.seeds),
                held,
                runs,
                satisfied: expected.seeds.satisfied(held, runs),
            });
        }
    }
    rules
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
    }
}

/// Plays every seed of every scenario on `jobs` threads. `done` is told how many runs are
/// over.
///
/// # Errors
/// When a scenario cannot be drawn for a seed, or the threads cannot be started.
pub fn campaign(
    entries: &[Entry],
    seeds: Range<u64>,
    jobs: usize,
    draw: impl Fn(&Scenario, u64) -> Result<Plan, String> + Sync,
    done: impl Fn(u64) + Sync,
) -> Result<CampaignResult, CampaignError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(jobs)
        .build()
        .map_err(|error| CampaignError::Threads(error.to_string()))?;
    let mut bases = Bases::default();
    let mut work: Vec<Run> = Vec::new();
    for entry in entries {
        for seed in seeds.clone() {
            let plan = draw(&entry.scenario, seed).map_err(CampaignError::Input)?;
            let base = bases.of(&plan.graph);
            work.push((entry.name.clone(), seed, Arc::new(plan), base));
        }
    }
    let over = AtomicU64::new(0);
    let results: Vec<Option<(SeedResult, Exit, Vec<Verdict>)>> = pool.install(|| {
        work.par_iter()
            .map(|(scenario, seed, plan, base)| {
                if interrupt::asked() {
                    return None;
                }
                let played = play(plan, base, |_, _| !interrupt::asked());
                if played.result.partial {
                    return None;
                }
                done(over.fetch_add(1, Ordering::Relaxed) + 1);
                let judged = played.result.expectations.iter().zip(&plan.expectations);
                let failures: Vec<_> = judged
                    .filter(|(result, expected)| {
                        expected.seeds == SeedRule::Every && result.verdict != Verdict::Held
                    })
                    .map(|(result, _)| result.clone())
                    .collect();
                // What need not hold for every seed is judged when all are over.
                let exit = match played.exit {
                    Exit::Broke if failures.is_empty() => Exit::Held,
                    exit => exit,
                };
                let verdicts = played.result.expectations.iter().map(|e| e.verdict).collect();
                let result = SeedResult {
                    scenario: scenario.clone(),
                    seed: *seed,
                    digest: played.result.digest.clone(),
                    exit: exit.code(),
                    failures,
                    waiting: played.result.waiting.clone(),
                };
                Some((result, exit, verdicts))
            })
            .collect()
    });
    let interrupted = results.iter().any(Option::is_none);
    // A partial campaign counts the runs that were over.
    let (work, results): (Vec<Run>, Vec<_>) =
        work.into_iter().zip(results).filter_map(|(run, result)| Some((run, result?))).unzip();
    let mut hash = wavetank_kernel::Digest::new();
    for (result, ..) in &results {
        let digest = u128::from_str_radix(&result.digest, 16).unwrap_or_default();
        hash.absorb(&[(digest >> 64) as u64, digest as u64]);
    }
    let rules = rules(&work, &results);
    let worst = results.iter().fold(Exit::Held, |worst, (_, exit, _)| worst.worst(*exit));
    let unsatisfied = rules.iter().any(|rule| !rule.satisfied);
    let worst = if unsatisfied { worst.worst(Exit::Broke) } else { worst };
    let worst = if interrupted { worst.worst(Exit::Surroundings) } else { worst };
    let runs = results.len();
    let failures: Vec<SeedResult> = results
        .into_iter()
        .filter(|(_, exit, _)| *exit != Exit::Held)
        .map(|(result, ..)| result)
        .collect();
    Ok(CampaignResult {
        runs,
        held: runs - failures.len(),
        failures,
        rules,
        interrupted,
        digest: format!("{hash}"),
        worst,
    })
}
