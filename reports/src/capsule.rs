//! A failure as a capsule: what a person needs to see it again, and to see why.

use serde::{Deserialize, Serialize};
use wavetank_vocabulary::Time;

use crate::recorder::Recorder;
use crate::result::RunResult;
use crate::verdict::{ExpectationResult, Verdict};
use crate::words;

/// How many facts before and after the moment of the failure are told.
const BEFORE: usize = 20;
const AFTER: usize = 5;

/// A run that failed, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capsule {
    /// The scenario's name.
    pub scenario: String,
    /// A digest of its text, as the caller computes it.
    pub scenario_digest: String,
    /// The seed.
    pub seed: u64,
    /// The version of wavetank; the same run is promised within it only.
    pub version: String,
    /// The digest of the run.
    pub digest: String,
    /// The first expectation that broke, or else was not exercised.
    pub expectation: ExpectationResult,
    /// When it broke, in seconds; null when that is not one moment.
    pub at_s: Option<f64>,
    /// What happened around that moment, or at the end, one line each.
    pub facts: Vec<String>,
    /// The faults active at that moment, or at any time when it is not known.
    pub faults: Vec<String>,
    /// What plays it again.
    pub command: String,
}

impl Capsule {
    /// The capsule of a failed run; none when every expectation held. `at` is when the
    /// first broken expectation broke, where there is such a moment.
    pub fn new(
        result: &RunResult,
        recorder: &Recorder,
        at: Option<Time>,
        scenario_digest: String,
        command: String,
    ) -> Option<Self> {
        let first = |verdict| result.expectations.iter().find(move |e| e.verdict == verdict);
        let expectation = first(Verdict::Broke).or_else(|| first(Verdict::NotExercised))?;
        let at_s = at.map(Time::as_secs_f64);
        let active = |fault: &&crate::result::FaultResult| {
            at_s.is_none_or(|at| fault.began_s <= at && fault.ended_s.is_none_or(|end| at <= end))
        };
        Some(Capsule {
            scenario: result.scenario.clone(),
            scenario_digest,
            seed: result.seed,
            version: result.version.clone(),
            digest: result.digest.clone(),
            expectation: expectation.clone(),
            at_s,
            facts: around(recorder, at),
            faults: result.faults.iter().filter(active).map(words::fault).collect(),
            command,
        })
    }

    /// The same about another of the run's expectations: which one a seed fails by, the caller
    /// knows.
    #[must_use]
    pub fn about(self, expectation: ExpectationResult) -> Self {
        Capsule { expectation, ..self }
    }

    /// The capsule as a page of text.
    pub fn to_text(&self) -> String {
        let Capsule { scenario, seed, version, digest, expectation, .. } = self;
        let mut text = format!(
            "{check}: {verdict}\n  measured  {measured}\n  limit     {limit}\n  {why}\n\n\
             scenario {scenario} ({scenario_digest}), seed {seed}, version {version}\n\
             digest {digest}\n\n",
            check = expectation.check,
            verdict = expectation.verdict.name(),
            measured = words::value(&expectation.measured),
            limit = words::value(&expectation.limit),
            why = expectation.why,
            scenario_digest = self.scenario_digest,
        );
        let mut section = |title: &str, lines: &[String]| {
            text += title;
            text += "\n";
            for line in lines {
                text += &format!("  {line}\n");
            }
            if lines.is_empty() {
                text += "  none\n";
            }
            text += "\n";
        };
        match self.at_s {
            Some(at) => {
                section(&format!("Faults active at {at:.3} s:"), &self.faults);
                section("What happened around then:", &self.facts);
            }
            None => {
                section("Faults:", &self.faults);
                section("What happened last:", &self.facts);
            }
        }
        text += &format!("To see it again:\n  {}\n", self.command);
        text
    }
}

/// The facts around a moment, or the last ones.
fn around(recorder: &Recorder, at: Option<Time>) -> Vec<String> {
    let events: Vec<_> = recorder.events().collect();
    let middle = at.map_or(events.len(), |at| events.partition_point(|event| event.at <= at));
    let range = middle.saturating_sub(BEFORE)..(middle + AFTER).min(events.len());
    events[range]
        .iter()
        .map(|event| format!("{:>11}  {}", event.at.to_string(), words::sentence(&event.fact)))
        .collect()
}
