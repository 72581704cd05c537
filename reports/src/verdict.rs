//! What became of a run's expectations, and of the run.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What became of one expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It held.
    Held,
    /// It broke.
    Broke,
    /// Nothing happened that could have broken it.
    NotExercised,
}

impl Verdict {
    /// The word that results and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::Broke => "broke",
            Verdict::NotExercised => "not-exercised",
        }
    }
}

/// What became of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overall {
    /// Every expectation held.
    Held,
    /// At least one broke or was not exercised.
    Broke,
    /// The cluster did not recover after everything was healed, whatever else broke.
    NotRecovered,
}

impl Overall {
    /// The verdict in a word or three.
    pub const fn name(self) -> &'static str {
        match self {
            Overall::Held => "held",
            Overall::Broke => "broke",
            Overall::NotRecovered => "did not recover",
        }
    }

    /// The verdict on the run that follows from those on its expectations, and from whether
    /// the cluster recovered once everything was healed. An expectation that was not
    /// exercised counts as broken.
    /// A cluster that was expected to stay broken and did is as expected.
    pub fn of(recovered: bool, expectations: &[ExpectationResult]) -> Self {
        let as_expected = |result: &ExpectationResult| {
            result.check == STAYS_BROKEN && result.verdict == Verdict::Held
        };
        if !recovered && !expectations.iter().any(as_expected) {
            Overall::NotRecovered
        } else if expectations.iter().all(|result| result.verdict == Verdict::Held) {
            Overall::Held
        } else {
            Overall::Broke
        }
    }
}

/// The check that expects the cluster not to recover by itself.
pub const STAYS_BROKEN: &str = "does-not-recover";

/// One expectation: what was measured, against which limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectationResult {
    /// The check's name, with what it is about where there can be several:
    /// `latency`, `recovers`, `acknowledged-writes-lost`, ...
    pub check: String,
    /// Whether it held.
    pub verdict: Verdict,
    /// What was measured: a bare count as a number, a quantity with its unit as text
    /// (`"12.4ms"`), several as an object of these; null when there was nothing to measure.
    pub measured: Value,
    /// The limit, in the same form.
    pub limit: Value,
    /// In a sentence, with the facts that prove it.
    pub why: String,
}
