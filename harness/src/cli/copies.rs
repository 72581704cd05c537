//! `wavetank run` of a scenario with several copies of its cluster: one verdict on all of them.
//!
//! No report is drawn, which would hold one cluster only; the command of the first copy that failed
//! draws its own.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use wavetank_reports::{ExpectationResult, FaultCount};
use wavetank_scenario::Scenario;
use wavetank_world::BaseGraph;

use super::campaign_progress::CampaignProgress;
use super::{Failure, RunArgs, find, say};
use crate::campaign::folder::write_whole;
use crate::copies::{self, Copy};
use crate::exit::Exit;
use crate::interrupt;
use crate::output::{OutputError, at};
use crate::play::{judge_only, must_hold};

/// The file that such a run leaves.
const FILE: &str = "copies.json";

/// What `copies.json` holds.
#[derive(Serialize)]
struct Clusters<'a> {
    version: &'static str,
    scenario: &'a str,
    seed: u64,
    exit: u8,
    digest: String,
    expectations: &'a [ExpectationResult],
    waiting: Option<&'a str>,
    faults: &'a std::collections::BTreeMap<String, FaultCount>,
    copies: Vec<Cluster<'a>>,
    simulated_seconds: f64,
    events: u64,
    wall_seconds: f64,
}

#[derive(Serialize)]
struct Cluster<'a> {
    seed: u64,
    exit: u8,
    digest: String,
    waiting: Option<&'a str>,
    events: u64,
}

pub(super) fn run(
    args: &RunArgs,
    scenario: &Scenario,
    seed: u64,
    command: &str,
) -> Result<Exit, Failure> {
    if args.check_determinism {
        return Err(Failure::input(
            "several clusters are compared one by one: --set cluster.copies=1, or wavetank test",
        ));
    }
    if let Some(folder) = &args.out {
        refuse_strangers(folder)?;
    }
    let seeds: Vec<u64> = copies::seeds(seed, scenario.copies()).collect();
    // Read before the workers begin: an edge list is loaded once.
    let first = find::draw(scenario, seed)?;
    let base = Arc::new(BaseGraph::build(&first.graph));
    let progress = CampaignProgress::new(seeds.len() as u64, 0, args.json);
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let played = copies::in_parallel(&seeds, jobs, |_, seed| {
        let plan = match find::draw(scenario, seed) {
            Ok(plan) => Arc::new(plan),
            Err(error) => return Some(Err(error)),
        };
        let judged = judge_only(&plan, &base, &[], &[], || !interrupt::asked())?;
        progress.over(judged.exit == Exit::Held);
        Some(Ok(Copy { seed, judged }))
    });
    progress.finish();
    let Some(played) = played else {
        let message = "interrupted before all copies were over".to_owned();
        return Err(Failure { exit: Exit::Surroundings, message });
    };
    let copies = played.into_iter().collect::<Result<Vec<_>, _>>()?;
    let Some(all) = copies::merged(&copies) else { return Ok(Exit::Held) };
    let wall = started.elapsed().as_secs_f64();
    let clusters = Clusters {
        version: env!("CARGO_PKG_VERSION"),
        scenario: scenario.name(),
        seed,
        exit: all.exit.code(),
        digest: format!("{:032x}", all.digest),
        expectations: &all.expectations,
        waiting: all.waiting.as_deref(),
        faults: &all.faults,
        copies: copies.iter().map(cluster).collect(),
        simulated_seconds: all.simulated.as_secs_f64(),
        events: all.events,
        wall_seconds: wall,
    };
    let json =
        serde_json::to_string_pretty(&clusters).expect("keys are text, floats finite") + "\n";
    if let Some(folder) = &args.out {
        write_whole(&folder.join(FILE), &json)?;
    }
    if args.json {
        say(&json);
        return Ok(all.exit);
    }
    for result in &all.expectations {
        say(&format!("  {:13} {}: {}", result.verdict.name(), result.check, result.why));
    }
    if let Some(waiting) = &all.waiting {
        say(&format!("  did not recover: {waiting}"));
    }
    let held = copies.iter().filter(|copy| copy.judged.exit == Exit::Held).count();
    say(&format!(
        "{held} of {} clusters held; {:.0} s of each in {wall:.1} s: {:.0} cluster-seconds a second, \
         {:.1} M events a second. Digest of all: {:032x}",
        copies.len(),
        all.simulated.as_secs_f64() / copies.len() as f64,
        all.simulated.as_secs_f64() / wall.max(1e-9),
        all.events as f64 / wall.max(1e-9) / 1e6,
        all.digest
    ));
    if let Some(failed) = copies::first_failed(&copies, |at| must_hold(&first, at)) {
        let whole = format!(" --seed {seed}");
        let alone = command.replacen(&whole, &format!(" --seed {failed}"), 1);
        say(&format!("again:  {command}\nalone:  {alone} --set cluster.copies=1"));
    }
    Ok(all.exit)
}

fn cluster(copy: &Copy) -> Cluster<'_> {
    Cluster {
        seed: copy.seed,
        exit: copy.judged.exit.code(),
        digest: format!("{:032x}", copy.judged.digest),
        waiting: copy.judged.waiting.as_deref(),
        events: copy.judged.events,
    }
}

/// A folder that holds anything but what an earlier run like this left is not written to.
fn refuse_strangers(folder: &Path) -> Result<(), Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(at(folder, fs::create_dir_all(folder))?);
        }
        Err(source) => return Err(OutputError::Io { path: folder.to_owned(), source }.into()),
    };
    for entry in entries {
        let found = at(folder, entry)?.file_name().to_string_lossy().into_owned();
        if found != FILE {
            return Err(OutputError::NotOurs { path: folder.to_owned(), found }.into());
        }
    }
    Ok(())
}
