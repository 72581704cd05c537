//! Scenarios in the tests of a Rust crate: a campaign in one expression, and the two traits by
//! which a test brings a workload or a check of its own.
//!
//! ```
//! // In the body of a `#[test]`:
//! wavetank::scenario("quick/slave-crash").seeds(0..2).check();
//! ```
//!
//! `WAVETANK_SEEDS` in the environment (as `--seeds` takes it: `7`, `0..5000`, a commit's hash with
//! `..+50`) replaces the seeds of every test, to see one seed again or to play more at night.

mod check;
mod story;

use std::env;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;
use wavetank_reports::{CampaignResult, SeedResult};
use wavetank_scenario::Scenario;
use wavetank_world::{BaseGraph, Plan, Workload, WorkloadError};

use crate::campaign::seeds::{SeedRange, parse_seeds};
use crate::campaign::{
    CampaignError, Deadline, Entry, Seeds, Work, digest_of, play_all, scenario_digest,
};
use crate::find::{self, InputError};
use crate::output::OutputError;
use crate::play::{Own, Played, play_with};
use crate::words::quoted;

pub use check::{Check, CloneCheck, Finding};

/// The environment variable that replaces the seeds of every test.
const SEEDS: &str = "WAVETANK_SEEDS";

/// A scenario of the library (`quick/slave-crash`), or a file: a relative path counts from where
/// `cargo test` runs tests, the folder of the crate's `Cargo.toml`.
pub fn scenario(name: impl AsRef<Path>) -> Suite {
    Suite::new(Source::File(name.as_ref().to_owned()))
}

/// A scenario that is written out in the test.
///
/// ```
/// wavetank::scenario_text(
///     r#"
///     format   = 1
///     duration = "20s"
///     warm_up  = "5s"
///
///     [cluster.settings]
///     "ha.pull_interval" = "500ms"
///
///     [[group]]
///     count   = 3
///     machine = "aws:r3.large"
///
///     [[clients]]
///     name     = "app"
///     arrivals = { poisson = "20/s" }
///
///     [[expect]]
///     check = "replicas-equal"
///     "#,
/// )
/// .seeds(0..2)
/// .check();
/// ```
pub fn scenario_text(text: impl Into<String>) -> Suite {
    Suite::new(Source::Text(text.into()))
}

#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    Text(String),
}

/// A scenario and how it is to be played: a campaign that a test describes step by step.
#[derive(Clone, Debug)]
#[must_use = "nothing is played before `check` or `run`"]
pub struct Suite {
    source: Source,
    /// None: the scenario's own seed, or twenty.
    seeds: Option<Range<u64>>,
    set: Vec<String>,
    jobs: Option<usize>,
    own: Own,
    keep: Option<PathBuf>,
}

/// Why nothing could be played, or the campaign not be finished.
#[derive(Debug, Error)]
pub enum SuiteError {
    /// The scenario is wrong, or is not there.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The seeds in the environment are none.
    #[error("WAVETANK_SEEDS: {0}")]
    Seeds(String),
    /// There is no seed to play.
    #[error("no seed lies in {}..{}: the end is not included", .0.start, .0.end)]
    NoSeeds(Range<u64>),
    /// A workload does not fit the scenario.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// A Plan could not be drawn.
    #[error("{0}")]
    Draw(String),
    /// What is kept of a failure could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Suite {
    fn new(source: Source) -> Self {
        let own = Own::default();
        Suite { source, seeds: None, set: Vec::new(), jobs: None, own, keep: None }
    }

    /// The seeds, without the end of the range. If nothing is said, the one that stands in the
    /// scenario, as in one that was shrunk; or else twenty.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = Some(seeds);
        self
    }

    /// Changes one value of the scenario, as `--set` does: `ha.pull_interval=500ms`.
    pub fn set(mut self, assignment: impl Into<String>) -> Self {
        self.set.push(assignment.into());
        self
    }

    /// Worker threads; one per processor if nothing is said. Results do not depend on it.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = Some(jobs.max(1));
        self
    }

    /// Lets code decide what the clients of that name ask for, in place of their `mix`. Each seed
    /// begins with a clone of it.
    pub fn workload(
        mut self,
        clients: impl Into<String>,
        workload: impl Workload + 'static,
    ) -> Self {
        self.own.workloads.push((clients.into(), Box::new(workload)));
        self
    }

    /// Adds a check to those of the scenario. Each seed begins with a clone of it.
    pub fn expect(mut self, check: impl Check + 'static) -> Self {
        self.own.checks.push(Box::new(check));
        self
    }

    /// Leaves a folder `NAME-SEED` of the first failure there, with Plan, result and report, as
    /// `wavetank run` does.
    pub fn keep(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keep = Some(folder.into());
        self
    }

    /// Plays every seed and says what became of them. Where a workload of one's own plays along,
    /// each seed is played three times: chance from elsewhere than its stream is found out.
    ///
    /// # Errors
    /// When the scenario or something about it is wrong; a broken expectation is no error.
    pub fn run(&self) -> Result<CampaignResult, SuiteError> {
        self.played().map(|(_, result)| result)
    }

    /// Plays every seed: the body of a test.
    ///
    /// # Panics
    /// When a seed fails, with what broke, what happened around then, and what plays it again;
    /// or when the scenario is wrong, with the place and what was expected.
    #[track_caller]
    pub fn check(&self) {
        if let Err(text) = self.verdict() {
            panic!("{text}");
        }
    }

    /// What [`Suite::check`] panics with.
    fn verdict(&self) -> Result<(), String> {
        let told = |error: SuiteError| format!("wavetank: {error}");
        let (entry, result) = self.played().map_err(told)?;
        if result.failures.is_empty() && result.rules.iter().all(|rule| rule.satisfied) {
            return Ok(());
        }
        Err(story::tell(self, &entry, &result).map_err(told)?)
    }

    fn played(&self) -> Result<(Entry, CampaignResult), SuiteError> {
        let entry = self.entry()?;
        let range = self.range(entry.scenario.seed())?;
        let first = find::draw(&entry.scenario, range.first)?;
        self.own.driven(&first)?;
        let digests = [scenario_digest(&entry.scenario, &first)];
        let work = Work {
            entries: std::slice::from_ref(&entry),
            digests: &digests,
            seeds: vec![Seeds::new(range, None)],
            jobs: self.jobs.unwrap_or_else(processors),
            until: Deadline::none(),
            twice: !self.own.workloads.is_empty(),
            own: self.own.clone(),
            known: Default::default(),
        };
        let draw =
            |scenario: &Scenario, seed| find::draw(scenario, seed).map_err(|error| error.message);
        let started = Instant::now();
        let (results, ended) = play_all(work, draw, |_| Ok(())).map_err(|error| match error {
            CampaignError::Input(text) => SuiteError::Draw(text),
            CampaignError::Output(error) => SuiteError::Output(error),
        })?;
        let wall = started.elapsed().as_secs_f64();
        let command = |result: &SeedResult| self.again(result.seed);
        Ok((entry, CampaignResult::new(results, ended, wall, digest_of, command)))
    }

    fn entry(&self) -> Result<Entry, InputError> {
        Ok(match &self.source {
            Source::File(path) => {
                Entry { name: path.display().to_string(), scenario: find::one(path, &self.set)? }
            }
            Source::Text(text) => Entry {
                name: "scenario".to_owned(),
                scenario: find::parse("scenario.toml", text.as_bytes(), &self.set)?,
            },
        })
    }

    /// The seeds that are played: the environment's before the test's own before the scenario's.
    fn range(&self, own: Option<u64>) -> Result<SeedRange, SuiteError> {
        if let Ok(text) = env::var(SEEDS) {
            return parse_seeds(&text).map_err(SuiteError::Seeds);
        }
        match (&self.seeds, own) {
            (Some(seeds), _) if seeds.is_empty() => Err(SuiteError::NoSeeds(seeds.clone())),
            (Some(seeds), _) => Ok(seeds.clone().into()),
            (None, Some(own)) => Ok(SeedRange::one(own)),
            (None, None) => Ok((0..20).into()),
        }
    }

    /// What plays a seed again: the test itself; and the command, where that plays the same.
    fn again(&self, seed: u64) -> String {
        // The test harness names each test's thread after it.
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main");
        let exact = test.map_or_else(String::new, |test| format!(" -- --exact {test}"));
        let mut text = format!("{SEEDS}={seed} cargo test{exact}");
        if let Source::File(path) = &self.source
            && self.own.workloads.is_empty()
            && self.own.checks.is_empty()
        {
            text += &format!("\n  wavetank run {} --seed {seed}", quoted(&path.to_string_lossy()));
            for set in &self.set {
                text += &format!(" --set {}", quoted(set));
            }
        }
        text
    }

    /// Plays one seed for its report.
    fn play(&self, plan: &Arc<Plan>, base: &Arc<BaseGraph>) -> Result<Played, SuiteError> {
        Ok(play_with(plan, base, &self.own, |_, _| true)?)
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests;
