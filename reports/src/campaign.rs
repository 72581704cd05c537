//! What a campaign comes to: many seeds of many scenarios, for programs (`--json`), for CI
//! servers (JUnit) and for people (Markdown).
//!
//! A campaign is a set of [`SeedResult`]s; everything else is counted from them, so that parts
//! played elsewhere can be put together afterwards.

mod junit;
mod markdown;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use wavetank_vocabulary::Ratio;
use wavetank_world::SeedRule;

use crate::coverage::Coverage;
use crate::verdict::{ExpectationResult, Verdict};

/// The version of the form of a campaign's results.
pub const CAMPAIGN_SCHEMA: u32 = 1;

/// The JSON Schema of a campaign's result (draft 2020-12), for this [`CAMPAIGN_SCHEMA`].
pub const CAMPAIGN_RESULT_SCHEMA: &str = include_str!("../campaign.schema.json");

/// How often faults of a kind came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCount {
    /// Faults that were in a Plan.
    pub planned: u64,
    /// Those of them that took effect.
    pub took_effect: u64,
}

impl FaultCount {
    fn add(&mut self, other: FaultCount) {
        self.planned += other.planned;
        self.took_effect += other.took_effect;
    }
}

/// For how many seeds an expectation must hold, and whether it did for this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVerdict {
    /// The check.
    pub check: String,
    /// The rule, as a scenario writes it: `any`, or a part such as `>= 95%`.
    pub seeds: String,
    /// The part of the seeds as numerator and denominator; null is any seed.
    pub part: Option<(u32, u32)>,
    /// What became of it.
    pub verdict: Verdict,
    /// Of a scenario of several clusters: the seed of the first copy in which it did not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_seed: Option<u64>,
}

/// One seed of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedResult {
    /// [`CAMPAIGN_SCHEMA`].
    pub schema: u32,
    /// The version of wavetank that played it.
    pub version: String,
    /// The scenario, as the user named it.
    pub scenario: String,
    /// A digest of the scenario's text and of what was set over it.
    pub scenario_digest: String,
    /// The seed.
    pub seed: u64,
    /// Of a scenario of several clusters: the seed of the first copy that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_seed: Option<u64>,
    /// The digest of the run; of an internal error, zeros.
    pub digest: String,
    /// Exit code of `wavetank run` with that scenario and seed, but for expectations that need
    /// not hold for every seed.
    pub exit: u8,
    /// Expectations that did not hold.
    pub failures: Vec<ExpectationResult>,
    /// What the cluster was waiting for, if it did not recover.
    pub waiting: Option<String>,
    /// What went wrong inside wavetank, if something did.
    pub error: Option<String>,
    /// Expectations that need not hold for every seed.
    pub rules: Vec<RuleVerdict>,
    /// By check, how many anomalies those found that count them.
    #[serde(default)]
    pub found: BTreeMap<String, u64>,
    /// By kind, the faults of the Plan.
    pub faults: BTreeMap<String, FaultCount>,
    /// What the run has covered; nothing when it ended with an internal error.
    pub coverage: Coverage,
    /// Virtual time played.
    pub simulated_seconds: f64,
    /// Events delivered.
    pub events: u64,
    /// Real time it took. The only figure that differs between equal runs.
    pub wall_seconds: f64,
    /// Whether it was played again and compared, for determinism.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub twice: bool,
}

impl SeedResult {
    /// Whether everything held that must hold for every seed.
    pub fn held(&self) -> bool {
        self.exit == 0
    }

    /// What broke, in a line.
    pub fn headline(&self) -> String {
        if let Some(error) = &self.error {
            return error.clone();
        }
        if let Some(waiting) = &self.waiting {
            return format!("did not recover: {waiting}");
        }
        self.failures.first().map_or_else(String::new, |first| {
            format!("{} {}: {}", first.check, first.verdict.name(), first.why)
        })
    }
}

/// The smallest Plan that was found to fail in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Smallest {
    /// Its file.
    pub file: String,
    /// Faults left.
    pub faults: u64,
    /// Instances left.
    pub instances: u64,
    /// Client operations left.
    pub operations: u64,
    /// Virtual seconds left.
    pub seconds: f64,
}

/// A seed that failed, with what a person needs to see it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedSeed {
    /// What became of it.
    #[serde(flatten)]
    pub result: SeedResult,
    /// What plays it again.
    pub command: String,
    /// Where its Plan, result, report and story are, if they were kept.
    pub folder: Option<String>,
    /// What it was shrunk to, if it was.
    pub smallest: Option<Smallest>,
}

/// An expectation that need not hold for every seed, judged over all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleResult {
    /// The scenario's file.
    pub scenario: String,
    /// The check.
    pub check: String,
    /// For how many seeds it must hold: `any`, or a part such as `>= 95%`.
    pub seeds: String,
    /// For how many it held.
    pub held: u64,
    /// Of how many.
    pub runs: u64,
    /// Whether that is enough.
    pub satisfied: bool,
    /// If not, the first seed for which it did not hold.
    #[serde(default)]
    pub failing: Option<FailingSeed>,
}

/// A seed for which an expectation did not hold that was to hold for more seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingSeed {
    /// The seed.
    pub seed: u64,
    /// Of a scenario of several clusters: the seed of the first copy in which it did not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_seed: Option<u64>,
    /// What plays it again.
    pub command: String,
    /// Where its Plan, result, report and story are, if they were kept.
    pub folder: Option<String>,
}

/// What a check that counts anomalies found over all seeds of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundResult {
    /// The scenario, as the user named it.
    pub scenario: String,
    /// The check.
    pub check: String,
    /// Seeds played.
    pub runs: u64,
    /// Those of them in which it found any.
    pub runs_with: u64,
    /// How many it found in all.
    pub total: u64,
    /// The most that it found in one run.
    pub most: u64,
}

/// What became of the seeds of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioTally {
    /// The scenario, as the user named it.
    pub scenario: String,
    /// A digest of its text and of what was set over it.
    pub scenario_digest: String,
    /// Seeds played.
    pub runs: u64,
    /// Seeds for which everything held that must.
    pub held: u64,
    /// Virtual time played.
    pub simulated_seconds: f64,
    /// Real time it took, summed over workers.
    pub wall_seconds: f64,
    /// By kind, the faults of the Plans.
    pub faults: BTreeMap<String, FaultCount>,
}

/// How a campaign came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Every seed was played.
    Whole,
    /// Its time was over before that.
    TimeLimit,
    /// Somebody interrupted it.
    Interrupted,
    /// Of a merged one: a part of it is missing, or was never played to its end.
    Incomplete,
}

/// What of the Plans came about, and what the runs came across.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CampaignCoverage {
    /// By kind.
    pub faults: BTreeMap<String, FaultCount>,
    /// Kinds that were planned and never took effect.
    pub never: Vec<String>,
    /// What faults struck in the middle of, and the points that were reached.
    pub reached: Coverage,
    /// Points, and cells of kinds that took effect, that no run has reached.
    pub never_reached: Vec<String>,
    /// What was required of the campaign and not covered; none if nothing was required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacking: Option<Vec<String>>,
}

/// A campaign that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CampaignResult {
    /// [`CAMPAIGN_SCHEMA`].
    pub schema: u32,
    /// The version of wavetank.
    pub version: String,
    /// How many runs there were.
    pub runs: u64,
    /// How many of them held.
    pub held: u64,
    /// How it came to its end: if not whole, only the runs that were over are counted.
    pub ended: Ended,
    /// What was asked for and not played, so that what held says too little: a line for each
    /// scenario with too few seeds, for each shard that is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The scenarios, in the order of their names.
    pub scenarios: Vec<ScenarioTally>,
    /// The runs that did not hold, in the order of scenarios and seeds.
    pub failures: Vec<FailedSeed>,
    /// Expectations with a `seeds` of their own.
    pub rules: Vec<RuleResult>,
    /// Whether this is one shard of several: then [`Self::rules`] say how it stands, and are
    /// judged when the shards are merged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_shard: bool,
    /// What the checks found that count anomalies, over all seeds.
    #[serde(default)]
    pub found: Vec<FoundResult>,
    /// What was tested at all.
    pub coverage: CampaignCoverage,
    /// Real time it took.
    pub wall_seconds: f64,
    /// The digests of all runs, hashed, in the order of the names of the scenarios' files, the
    /// digests of their texts, and seeds: the same for any number of workers and shards, from
    /// whatever folder the scenarios are named.
    pub digest: String,
}

impl CampaignResult {
    /// Counts the results of seeds, in whatever order they are. `hash` gives the digest of all,
    /// told in the order of [`Self::digest`]; `command` what plays one of them again.
    pub fn new(
        mut results: Vec<SeedResult>,
        ended: Ended,
        wall_seconds: f64,
        hash: impl FnOnce(&[SeedResult]) -> String,
        command: impl Fn(&SeedResult) -> String,
    ) -> Self {
        results.sort_by(|a, b| identity(a).cmp(&identity(b)));
        let digest = hash(&results);
        results.sort_by(|a, b| (&a.scenario, a.seed).cmp(&(&b.scenario, b.seed)));
        let scenarios: Vec<_> =
            results.chunk_by(|a, b| a.scenario == b.scenario).map(tally).collect();
        let rules = results
            .chunk_by(|a, b| a.scenario == b.scenario)
            .flat_map(|results| rules(results, &command))
            .collect();
        let found = results.chunk_by(|a, b| a.scenario == b.scenario).flat_map(found).collect();
        let mut coverage = CampaignCoverage::default();
        for result in &results {
            coverage.reached.merge(&result.coverage);
        }
        coverage.never_reached = coverage.reached.never_reached();
        for (kind, count) in scenarios.iter().flat_map(|tally| &tally.faults) {
            coverage.faults.entry(kind.clone()).or_default().add(*count);
        }
        let never =
            coverage.faults.iter().filter(|(_, count)| count.planned > 0 && count.took_effect == 0);
        coverage.never = never.map(|(kind, _)| kind.clone()).collect();
        let runs = results.len() as u64;
        let failures: Vec<_> = results
            .into_iter()
            .filter(|result| !result.held())
            .map(|result| FailedSeed {
                command: command(&result),
                result,
                folder: None,
                smallest: None,
            })
            .collect();
        CampaignResult {
            schema: CAMPAIGN_SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            runs,
            held: runs - failures.len() as u64,
            ended,
            missing: Vec::new(),
            scenarios,
            failures,
            rules,
            one_shard: false,
            found,
            coverage,
            wall_seconds,
            digest,
        }
    }

    /// Compares what was covered with what must be.
    pub fn require(&mut self, least: &Coverage) {
        self.coverage.lacking = Some(self.coverage.reached.lacks(least));
    }

    /// What was required of the campaign and not covered.
    pub fn lacking(&self) -> &[String] {
        self.coverage.lacking.as_deref().unwrap_or_default()
    }

    /// The text that `--json` prints.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("keys are text, floats finite");
        text.push('\n');
        text
    }

    /// The results as JUnit XML: a suite for each scenario, a case for each seed that failed
    /// and one for all that held, so that a campaign of thousands stays readable; a suite for what
    /// had to be covered, if anything had; and one for what was not played, if anything was not.
    pub fn to_junit(&self) -> String {
        junit::text(self)
    }

    /// A page of Markdown for a pull request.
    pub fn to_markdown(&self) -> String {
        markdown::text(self)
    }

    /// With how many seeds a scenario was played.
    pub fn seeds_of(&self, scenario: &str) -> u64 {
        let mut all = self.scenarios.iter();
        all.find(|tally| tally.scenario == scenario).map_or(0, |tally| tally.runs)
    }

    /// How many expectations over seeds are not met. Those of one shard are not judged.
    pub fn unmet(&self) -> usize {
        let unmet = |rule: &&RuleResult| !rule.satisfied && !self.one_shard;
        self.rules.iter().filter(unmet).count()
    }
}

/// By what a run is known however the path of its scenario is written. Copies of one file give the
/// same runs.
fn identity(result: &SeedResult) -> (Option<&str>, &str, u64, &str) {
    let file = Path::new(&result.scenario).file_name().and_then(|name| name.to_str());
    // In the library it has no ending.
    let name = file.map(|file| file.strip_suffix(".toml").unwrap_or(file));
    (name, &result.scenario_digest, result.seed, &result.digest)
}

fn tally(results: &[SeedResult]) -> ScenarioTally {
    let mut faults: BTreeMap<String, FaultCount> = BTreeMap::new();
    for (kind, count) in results.iter().flat_map(|result| &result.faults) {
        faults.entry(kind.clone()).or_default().add(*count);
    }
    let first = results.first();
    ScenarioTally {
        scenario: first.map_or_else(String::new, |first| first.scenario.clone()),
        scenario_digest: first.map_or_else(String::new, |first| first.scenario_digest.clone()),
        runs: results.len() as u64,
        held: results.iter().filter(|result| result.held()).count() as u64,
        simulated_seconds: results.iter().map(|result| result.simulated_seconds).sum(),
        wall_seconds: results.iter().map(|result| result.wall_seconds).sum(),
        faults,
    }
}

/// Adds up what the checks of one scenario found.
fn found(results: &[SeedResult]) -> Vec<FoundResult> {
    let mut all: BTreeMap<&str, FoundResult> = BTreeMap::new();
    for result in results {
        for (check, count) in &result.found {
            let entry = all.entry(check).or_insert_with(|| FoundResult {
                scenario: result.scenario.clone(),
                check: check.clone(),
                runs: results.len() as u64,
                runs_with: 0,
                total: 0,
                most: 0,
            });
            entry.runs_with += u64::from(*count > 0);
            entry.total += count;
            entry.most = entry.most.max(*count);
        }
    }
    all.into_values().collect()
}

/// Judges the expectations of one scenario that need not hold for every seed.
fn rules(results: &[SeedResult], command: impl Fn(&SeedResult) -> String) -> Vec<RuleResult> {
    // An internal error leaves no verdict; the checks are those of any other seed.
    let played: Vec<_> = results.iter().filter(|result| result.error.is_none()).collect();
    let Some(first) = played.first() else { return Vec::new() };
    let judge = |(index, rule): (usize, &RuleVerdict)| {
        let holds = |result: &&&SeedResult| {
            result.rules.get(index).is_some_and(|rule| rule.verdict == Verdict::Held)
        };
        let held = played.iter().filter(holds).count() as u64;
        let runs = results.len() as u64;
        let needed = match rule.part {
            Some((numerator, denominator)) => {
                SeedRule::AtLeast(Ratio::new(numerator, denominator.max(1)))
            }
            None => SeedRule::Any,
        };
        let satisfied = needed.satisfied(held, runs);
        let failing = played.iter().find(|result| !satisfied && !holds(result));
        RuleResult {
            scenario: first.scenario.clone(),
            check: rule.check.clone(),
            seeds: rule.seeds.clone(),
            held,
            runs,
            satisfied,
            failing: failing.map(|result| FailingSeed {
                seed: result.seed,
                copy_seed: result.rules.get(index).and_then(|rule| rule.copy_seed),
                command: command(result),
                folder: None,
            }),
        }
    };
    first.rules.iter().enumerate().map(judge).collect()
}

/// Kinds of fault that took effect, in a line.
fn effects(faults: &BTreeMap<String, FaultCount>) -> String {
    let lines: BTreeSet<String> = faults
        .iter()
        .map(|(kind, count)| format!("{kind} {} of {}", count.took_effect, count.planned))
        .collect();
    lines.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
