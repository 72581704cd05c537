//! What changed between two results: `wavetank diff`.
//!
//! A percentile counts as changed when the two 95 % confidence intervals (order statistics)
//! do not overlap; a part of the operations offered (ok, failed, unknown, retries) when it
//! differs by more than two standard deviations of the difference of two such parts. What lies
//! within is printed, and called noise.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::result::{OperationResult, RunResult};
use crate::verdict::{Overall, Verdict};
use crate::words;

/// What changed from a result to another.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// The first result.
    pub base: Side,
    /// The second.
    pub new: Side,
    /// Whether both are the same run, to the last bit.
    pub same_run: bool,
    /// What keeps the two from being compared fairly; empty if nothing does.
    pub caveats: Vec<String>,
    /// Verdicts that differ, and measured values of those that do not hold.
    pub expectations: Vec<ExpectationChange>,
    /// Latencies and outcomes that differ.
    pub figures: Vec<FigureChange>,
    /// Counters that differ.
    pub counters: Vec<CounterChange>,
    /// Settings that differ.
    pub settings: Vec<SettingChange>,
    /// The largest relative change for the worse beyond noise; infinite when a verdict is
    /// worse (in JSON: null).
    pub worst: f64,
    /// What that was.
    pub worst_of: Option<String>,
}

/// Which run a result is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The version of wavetank.
    pub version: String,
    /// The verdict.
    pub verdict: Overall,
    /// The digest.
    pub digest: String,
}

/// An expectation whose verdict or measured value differs.
#[derive(Clone, Debug, Serialize)]
pub struct ExpectationChange {
    /// The check.
    pub check: String,
    /// Its verdict in the base; none where it was not expected.
    pub base: Option<Verdict>,
    /// Its verdict in the new result.
    pub new: Option<Verdict>,
    /// What was measured, in words.
    pub measured: [String; 2],
}

/// A figure of an operation that differs.
#[derive(Clone, Debug, Serialize)]
pub struct FigureChange {
    /// `client.operation`, or a client.
    pub operation: String,
    /// Such as `p99_ms` or `failed`.
    pub figure: &'static str,
    /// In the base.
    pub base: Option<f64>,
    /// In the new result.
    pub new: Option<f64>,
    /// New over base, less one; of counts, the change of their part of what was offered. None
    /// where one of them is missing or the base is zero.
    pub change: Option<f64>,
    /// The 95 % confidence intervals, where there are any.
    pub intervals: [Option<[f64; 2]>; 2],
    /// Whether the difference may be chance.
    pub noise: bool,
    /// Whether it is for the worse.
    pub worse: bool,
}

/// A counter that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CounterChange {
    /// Whose and which.
    pub counter: String,
    /// In the base.
    pub base: u64,
    /// In the new result.
    pub new: u64,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingChange {
    /// Its name.
    pub name: String,
    /// Its value in the base; none where it was not known.
    pub base: Option<String>,
    /// Its value in the new result.
    pub new: Option<String>,
}

impl Side {
    fn of(result: &RunResult) -> Side {
        Side {
            scenario: result.scenario.clone(),
            seed: result.seed,
            version: result.version.clone(),
            verdict: result.verdict,
            digest: result.digest.clone(),
        }
    }
}

impl Diff {
    /// What changed from `base` to `new`.
    pub fn new(base: &RunResult, new: &RunResult) -> Diff {
        let mut diff = Diff {
            base: Side::of(base),
            new: Side::of(new),
            same_run: base.digest == new.digest,
            caveats: caveats(base, new),
            expectations: expectations(base, new),
            figures: figures(base, new),
            counters: counters(base, new),
            settings: settings(base, new),
            worst: 0.0,
            worst_of: None,
        };
        diff.judge();
        diff
    }

    fn judge(&mut self) {
        for figure in self.figures.iter().filter(|figure| figure.worse && !figure.noise) {
            // From nothing to something has no ratio, and is worse than any.
            let part = figure.change.map_or(f64::INFINITY, f64::abs);
            if part > self.worst {
                self.worst = part;
                self.worst_of = Some(format!("{} {}", figure.operation, figure.figure));
            }
        }
        let rank = |verdict: Overall| match verdict {
            Overall::Held => 0,
            Overall::Broke => 1,
            Overall::NotRecovered => 2,
        };
        let broken = self
            .expectations
            .iter()
            .find(|change| change.base == Some(Verdict::Held) && change.new != Some(Verdict::Held));
        if let Some(change) = broken {
            self.worst = f64::INFINITY;
            self.worst_of = Some(match change.new {
                Some(_) => format!("{} held, and does not any more", change.check),
                None => format!("{} held, and is not expected any more", change.check),
            });
        } else if rank(self.new.verdict) > rank(self.base.verdict) {
            self.worst = f64::INFINITY;
            self.worst_of = Some("the verdict".into());
        }
    }

    /// Whether something is worse by more than this part.
    pub fn exceeds(&self, gate: f64) -> bool {
        self.worst > gate
    }

    /// The diff as JSON.
    ///
    /// # Panics
    /// Never: every field can be written.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a diff holds nothing that JSON cannot")
    }
}

fn caveats(base: &RunResult, new: &RunResult) -> Vec<String> {
    let mut caveats = Vec::new();
    if base.scenario != new.scenario {
        caveats.push(format!("two scenarios: {} and {}", base.scenario, new.scenario));
    }
    if base.seed != new.seed {
        caveats.push(format!("two seeds: {} and {}", base.seed, new.seed));
    }
    if base.version != new.version {
        caveats.push(format!("two versions: {} and {}", base.version, new.version));
    }
    for (side, name) in [(base, "base"), (new, "new")] {
        if side.partial {
            caveats.push(format!("the {name} run was interrupted"));
        }
    }
    caveats
}

/// A length of time as a check measured it, in seconds.
fn seconds(measured: &str) -> Option<f64> {
    measured.strip_suffix('s')?.parse().ok()
}

fn expectations(base: &RunResult, new: &RunResult) -> Vec<ExpectationChange> {
    let by_check = |result: &RunResult| -> BTreeMap<String, (Verdict, String)> {
        let entry = |e: &crate::verdict::ExpectationResult| {
            (e.check.clone(), (e.verdict, words::value(&e.measured)))
        };
        result.expectations.iter().map(entry).collect()
    };
    let (old, now) = (by_check(base), by_check(new));
    let checks: BTreeSet<&String> = old.keys().chain(now.keys()).collect();
    checks
        .into_iter()
        .filter(|check| old.get(*check) != now.get(*check))
        .map(|check| {
            let (a, b) = (old.get(check), now.get(check));
            let measured = |side: Option<&(Verdict, String)>| {
                side.map_or_else(String::new, |(_, measured)| measured.clone())
            };
            ExpectationChange {
                check: check.clone(),
                base: a.map(|(verdict, _)| *verdict),
                new: b.map(|(verdict, _)| *verdict),
                measured: [measured(a), measured(b)],
            }
        })
        .collect()
}

/// A percentile of a result, with its confidence interval.
type Percentile = fn(&OperationResult) -> (Option<f64>, Option<[f64; 2]>);
const PERCENTILES: [(&str, Percentile); 4] = [
    ("p50_ms", |o| (o.p50_ms, o.p50_ci_ms)),
    ("p90_ms", |o| (o.p90_ms, o.p90_ci_ms)),
    ("p99_ms", |o| (o.p99_ms, o.p99_ci_ms)),
    ("p999_ms", |o| (o.p999_ms, o.p999_ci_ms)),
];

/// A count of a result, and whether more of it is worse.
type Count = (&'static str, fn(&OperationResult) -> u64, bool);
const COUNTS: [Count; 5] = [
    ("offered", |o| o.offered, false),
    ("ok", |o| o.ok, false),
    ("failed", |o| o.failed, true),
    ("unknown", |o| o.unknown, true),
    ("retries", |o| o.retries, true),
];

fn figures(base: &RunResult, new: &RunResult) -> Vec<FigureChange> {
    let names: BTreeSet<&String> = base.operations.keys().chain(new.operations.keys()).collect();
    let mut changes = Vec::new();
    for change in expectations(base, new) {
        // What is measured once has no interval: any difference is one.
        let [Some(old), Some(now)] = change.measured.each_ref().map(|text| seconds(text)) else {
            continue;
        };
        changes.push(FigureChange {
            operation: change.check,
            figure: "seconds",
            base: Some(old),
            new: Some(now),
            change: relative(Some(old), Some(now)),
            intervals: [None, None],
            noise: false,
            worse: now > old,
        });
    }
    for name in names {
        let (a, b) = (base.operations.get(name), new.operations.get(name));
        for (figure, read) in PERCENTILES {
            let [(old, old_interval), (now, now_interval)] =
                [a, b].map(|side| side.map_or((None, None), read));
            if old == now {
                continue;
            }
            let apart = match (old_interval, now_interval) {
                (Some(x), Some(y)) => x[1] < y[0] || y[1] < x[0],
                _ => false,
            };
            changes.push(FigureChange {
                operation: name.clone(),
                figure,
                base: old,
                new: now,
                change: relative(old, now),
                intervals: [old_interval, now_interval],
                noise: !apart && old.is_some() && now.is_some(),
                worse: matches!((old, now), (Some(old), Some(now)) if now > old),
            });
        }
        let Some((a, b)) = a.zip(b) else { continue };
        for (figure, read, more_is_worse) in COUNTS {
            let (x, y) = (read(a) as f64, read(b) as f64);
            if x == y {
                continue;
            }
            let (n, m) = (a.offered.max(1) as f64, b.offered.max(1) as f64);
            let (p, q) = if figure == "offered" { (x, y) } else { (x / n, y / m) };
            let deviation = match figure {
                "offered" => (x + y).sqrt(),
                // Of retries there can be more than operations: Poisson.
                "retries" => (x / (n * n) + y / (m * m)).sqrt(),
                _ => (p * (1.0 - p) / n + q * (1.0 - q) / m).sqrt(),
            };
            changes.push(FigureChange {
                operation: name.clone(),
                figure,
                base: Some(x),
                new: Some(y),
                change: relative(Some(p), Some(q)),
                intervals: [None, None],
                noise: (p - q).abs() <= 2.0 * deviation,
                // Another load is another load, not a worse cluster.
                worse: figure != "offered" && (if more_is_worse { q > p } else { q < p }),
            });
        }
    }
    changes
}

fn relative(old: Option<f64>, now: Option<f64>) -> Option<f64> {
    let (old, now) = (old?, now?);
    (old != 0.0).then(|| now / old - 1.0)
}

fn counters(base: &RunResult, new: &RunResult) -> Vec<CounterChange> {
    let read = |result: &RunResult| -> BTreeMap<String, u64> {
        let mut counters = BTreeMap::from([
            ("elections".to_owned(), result.elections),
            ("events".to_owned(), result.events),
        ]);
        for instance in &result.instances {
            // Whatever whole numbers the result holds of an instance.
            let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(instance) else {
                continue;
            };
            for (key, value) in fields {
                if let Some(count) = value.as_u64().filter(|_| key != "instance") {
                    counters.insert(format!("instance {} {key}", instance.instance), count);
                }
            }
        }
        counters
    };
    let (old, now) = (read(base), read(new));
    let names: BTreeSet<&String> = old.keys().chain(now.keys()).collect();
    let value = |side: &BTreeMap<String, u64>, name: &str| side.get(name).copied().unwrap_or(0);
    names
        .into_iter()
        .map(|name| CounterChange {
            counter: name.clone(),
            base: value(&old, name),
            new: value(&now, name),
        })
        .filter(|change| change.base != change.new)
        .collect()
}

fn settings(base: &RunResult, new: &RunResult) -> Vec<SettingChange> {
    let names: BTreeSet<&String> = base.settings.keys().chain(new.settings.keys()).collect();
    let value = |side: &RunResult, name: &str| side.settings.get(name).map(|s| s.value.clone());
    names
        .into_iter()
        .map(|name| SettingChange {
            name: name.clone(),
            base: value(base, name),
            new: value(new, name),
        })
        .filter(|change| change.base != change.new)
        .collect()
}
