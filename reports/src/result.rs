//! `result.json`: what a run comes to, for programs and for the summaries made from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wavetank_vocabulary::{InstanceId, Span, Time};
use wavetank_world::{GraphSource, Plan, QueueTotals, Routing};

use crate::instance_result::InstanceResult;
use crate::lock_result::LocksResult;
use crate::operations::OperationStats;
use crate::provenance::Provenance;
use crate::recorder::Recorder;
use crate::verdict::{ExpectationResult, Overall};
use crate::visibility::Curve;

/// The version of the form of `result.json`.
pub const SCHEMA: u32 = 1;

/// The JSON Schema of `result.json` (draft 2020-12), for this [`SCHEMA`].
pub const RESULT_SCHEMA: &str = include_str!("../result.schema.json");

/// What became of one kind of operation, or of all of a client. Latencies count from the
/// intended start, of successful operations that were due within the measured window; a
/// percentile is null when fewer than ten samples lie beyond it (p50 needs 20, p90 100, p99
/// 1,000, p99.9 10,000).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationResult {
    /// Operations that were due.
    pub offered: u64,
    /// Answered with success.
    pub ok: u64,
    /// Certainly not done.
    pub failed: u64,
    /// May or may not have been done.
    pub unknown: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Median latency.
    pub p50_ms: Option<f64>,
    /// 90th percentile.
    pub p90_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// 99.9th percentile.
    pub p999_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
    /// 95 % confidence interval of the median, by order statistics.
    #[serde(default)]
    pub p50_ci_ms: Option<[f64; 2]>,
    /// The same of the 90th percentile.
    #[serde(default)]
    pub p90_ci_ms: Option<[f64; 2]>,
    /// The same of the 99th percentile.
    #[serde(default)]
    pub p99_ci_ms: Option<[f64; 2]>,
    /// The same of the 99.9th percentile.
    #[serde(default)]
    pub p999_ci_ms: Option<[f64; 2]>,
}

/// A setting of Neo4j's, as the run had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingResult {
    /// Its value, with its unit.
    pub value: String,
    /// Where that came from.
    pub origin: String,
}

/// Milliseconds, to the nanosecond: no more digits than were measured.
fn millis(span: Span) -> f64 {
    span.as_nanos() as f64 / 1e6
}

/// A part of 1, to a millionth.
pub(crate) fn six_digits(part: f64) -> f64 {
    (part * 1e6).round() / 1e6
}

fn seconds(at: Time) -> f64 {
    at.as_secs_f64()
}

impl From<&OperationStats> for OperationResult {
    fn from(stats: &OperationStats) -> Self {
        let percentile = |thousandths| stats.percentile(thousandths).map(millis);
        let interval = |thousandths| stats.interval(thousandths).map(|ends| ends.map(millis));
        OperationResult {
            offered: stats.offered,
            ok: stats.ok,
            failed: stats.failed,
            unknown: stats.unknown,
            retries: stats.retries,
            p50_ms: percentile(50_000),
            p90_ms: percentile(90_000),
            p99_ms: percentile(99_000),
            p999_ms: percentile(99_900),
            max_ms: stats.longest().map(millis),
            p50_ci_ms: interval(50_000),
            p90_ci_ms: interval(90_000),
            p99_ci_ms: interval(99_000),
            p999_ci_ms: interval(99_900),
        }
    }
}

/// Whether a fault of the Plan came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultEffect {
    /// It took effect.
    TookEffect,
    /// It found nobody to hit.
    Skipped,
    /// The run ended before it was due.
    NotReached,
}

/// One fault, once per instance or link that it hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultResult {
    /// Its number in the Plan.
    pub fault: u16,
    /// Its kind, as scenarios name it.
    pub kind: String,
    /// Whether it came about.
    pub effect: FaultEffect,
    /// Who was hit.
    pub on: Option<u16>,
    /// The other end of a link.
    pub peer: Option<u16>,
    /// When it began, or should have, in seconds from the start.
    pub began_s: f64,
    /// When it was healed; null if it never was, or never began.
    pub ended_s: Option<f64>,
}

/// The graph that every instance started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphResult {
    /// Nodes.
    pub nodes: u64,
    /// Relationships.
    pub relationships: u64,
    /// Where it came from, in words.
    pub source: String,
}

impl GraphResult {
    /// The counts of the graph that was built from the Plan's source.
    pub fn new(plan: &Plan, nodes: u64, relationships: u64) -> Self {
        let source = match &plan.graph.source {
            GraphSource::Social { users, mean_follows } => format!(
                "generated social network, {users} users, {} follows each on average, seed {}",
                mean_follows.as_f64(),
                plan.graph.seed
            ),
            GraphSource::Edges { path, .. } => format!("edge list {path}"),
        };
        GraphResult { nodes, relationships, source }
    }
}

/// How stale the reads of a client's users were after their own last writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VisibilityResult {
    /// How its operations are routed.
    pub routing: String,
    /// Reads of users that had written before.
    pub reads: u64,
    /// Those that did not see what the user wrote last.
    pub stale: u64,
    /// The age from which on 99 % of the reads see it, in milliseconds: to the 6 % of a bin.
    /// Null when fewer than 300 reads are older, or at no age enough of them do.
    pub window_99_ms: Option<f64>,
    /// The same for 99.9 %, from 3,000 reads on.
    pub window_999_ms: Option<f64>,
    /// The same for 99.99 %, from 30,000 reads on.
    pub window_9999_ms: Option<f64>,
}

impl VisibilityResult {
    fn new(routing: Routing, curve: &Curve) -> Self {
        let (reads, stale) = curve.totals();
        let window = |limit| curve.window(limit).map(|ms| (ms * 1e3).round() / 1e3);
        VisibilityResult {
            routing: routing.name().to_owned(),
            reads,
            stale,
            window_99_ms: window(0.01),
            window_999_ms: window(0.001),
            window_9999_ms: window(0.000_1),
        }
    }
}

/// One queue over the whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueResult {
    /// `ha.server_id` of the machine.
    pub instance: u16,
    /// `cores`, `disk`, `locks` or `links`.
    pub queue: String,
    /// What came.
    pub arrivals: u64,
    /// L: how many were there, waiting or served, on average over time.
    pub mean_inside: f64,
    /// T: how long each was there, on average; null when nothing came.
    pub mean_stay_ms: Option<f64>,
    /// Whether L is the rate of arrivals times T (Little's law). If not, wavetank lost work.
    pub little_holds: bool,
}

impl QueueResult {
    /// The totals over a run of that length.
    pub fn new(totals: &QueueTotals, run: Span) -> Self {
        QueueResult {
            instance: totals.instance.0,
            queue: totals.queue.name().to_owned(),
            arrivals: totals.arrivals,
            mean_inside: six_digits(totals.mean_inside(run)),
            mean_stay_ms: totals.mean_stay().map(millis),
            little_holds: totals.little_holds(),
        }
    }
}

/// What a run came to, beside what the recorder saw.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The digest of the run.
    pub digest: u128,
    /// The checks' verdicts, in the order of the scenario.
    pub expectations: Vec<ExpectationResult>,
    /// The graph at the start.
    pub graph: GraphResult,
    /// What went through the queues.
    pub queues: Vec<QueueResult>,
    /// Where the virtual clock stopped.
    pub simulated: Time,
    /// How long it took, in seconds of the real clock.
    pub wall_seconds: f64,
    /// Whether the cluster recovered once everything was healed.
    pub recovered: bool,
    /// What it was still waiting for, if it did not.
    pub waiting: Option<String>,
    /// Events delivered.
    pub events: u64,
}

/// `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of wavetank.
    pub version: String,
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The digest of the run, 32 hexadecimal digits: equal digests mean equal runs.
    pub digest: String,
    /// The verdict on the run.
    pub verdict: Overall,
    /// Whether the run was broken off before its end: everything here is about the part up to
    /// `simulated_seconds`.
    #[serde(default)]
    pub partial: bool,
    /// What the cluster was still waiting for when its time was over; null when it recovered.
    pub waiting: Option<String>,
    /// The verdicts on its expectations, in the order of the scenario.
    pub expectations: Vec<ExpectationResult>,
    /// By `client.operation`, and all of a client by `client`.
    pub operations: BTreeMap<String, OperationResult>,
    /// The instances, in the order of the Plan.
    pub instances: Vec<InstanceResult>,
    /// The faults: those that took effect in the order in which they did, then the rest.
    pub faults: Vec<FaultResult>,
    /// The settings of the cluster by Neo4j's names.
    #[serde(default)]
    pub settings: BTreeMap<String, SettingResult>,
    /// The graph at the start.
    pub graph: GraphResult,
    /// By client, of those whose users read after they had written.
    #[serde(default)]
    pub visibility: BTreeMap<String, VisibilityResult>,
    /// Of each machine: its cores, its disk, the locks of its database and its links.
    #[serde(default)]
    pub queues: Vec<QueueResult>,
    /// What was waited for at the locks.
    #[serde(default)]
    pub locks: LocksResult,
    /// Which cost table turned work into time.
    pub costs: String,
    /// Elections that ended with a winner.
    pub elections: u64,
    /// Virtual time played.
    pub simulated_seconds: f64,
    /// Real time it took. The only figure that differs between equal runs.
    pub wall_seconds: f64,
    /// Events delivered.
    pub events: u64,
    /// Whether it was played on real processes, in real time, and not simulated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub real: bool,
    /// How many times faster than the real clock that of a real run was: all times are those
    /// of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_scale: Option<f64>,
    /// What is to be known of a real run beside its figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How large the processes of a real run were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessSize>,
    /// Real runs, this one among them, beside simulated ones of the same scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<crate::Comparison>,
}

/// How large the process of an instance was, at a time of a real run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessSize {
    /// When, in seconds of the run.
    pub at: f64,
    /// Which instance.
    pub instance: u16,
    /// Its resident memory in MiB.
    pub memory_mib: u64,
    /// Of these, pages in its page cache.
    #[serde(default)]
    pub page_cache_mib: u64,
    /// Its open files and sockets.
    pub open_files: u64,
}

impl RunResult {
    /// Takes the settings and where they came from.
    pub fn set_settings(&mut self, provenance: &Provenance) {
        let entry = |row: &crate::provenance::SettingRow| {
            let result = SettingResult { value: row.value.clone(), origin: row.origin.clone() };
            (row.name.clone(), result)
        };
        self.settings = provenance.settings.iter().map(entry).collect();
    }

    /// The result of a run of `plan`.
    pub fn new(plan: &Plan, recorder: &Recorder, ending: Ending) -> Self {
        let series = recorder.series();
        let lag = |slot: usize| {
            let buckets = || series.buckets().iter().map(|bucket| &bucket.instances[slot]);
            [buckets().filter_map(|i| i.lag).max(), buckets().filter_map(|i| i.monitored_lag).max()]
        };
        let instances = recorder.instances().iter().enumerate();
        RunResult {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: plan.name.clone(),
            seed: plan.seed,
            digest: format!("{:032x}", ending.digest),
            verdict: Overall::of(ending.recovered, &ending.expectations),
            partial: false,
            waiting: ending.waiting,
            expectations: ending.expectations,
            operations: operations(plan, recorder),
            instances: instances.map(|(i, stats)| InstanceResult::new(stats, lag(i))).collect(),
            faults: faults(plan, recorder),
            settings: BTreeMap::new(),
            graph: ending.graph,
            visibility: visibility(plan, recorder),
            queues: ending.queues,
            locks: LocksResult::new(plan, recorder.locks()),
            costs: plan.costs.name.clone(),
            elections: recorder.elections(),
            simulated_seconds: seconds(ending.simulated),
            wall_seconds: ending.wall_seconds,
            events: ending.events,
            real: false,
            time_scale: None,
            notes: Vec::new(),
            processes: Vec::new(),
            comparison: None,
        }
    }

    /// The result of a run that was broken off: it says so wherever it is shown.
    #[must_use]
    pub fn interrupted(mut self) -> Self {
        self.partial = true;
        self
    }

    /// The text of `result.json`.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("keys are text, floats finite");
        text.push('\n');
        text
    }
}

fn visibility(plan: &Plan, recorder: &Recorder) -> BTreeMap<String, VisibilityResult> {
    let curves = plan.clients.iter().zip(recorder.visibility().curves());
    curves
        .filter(|(_, curve)| curve.totals().0 > 0)
        .map(|(client, curve)| (client.name.clone(), VisibilityResult::new(client.routing, curve)))
        .collect()
}

fn operations(plan: &Plan, recorder: &Recorder) -> BTreeMap<String, OperationResult> {
    let none = OperationStats::default();
    let mut all = BTreeMap::new();
    for (index, client) in plan.clients.iter().enumerate() {
        all.insert(client.name.clone(), recorder.client(index).unwrap_or(&none).into());
        for &(kind, _) in &client.mix {
            let Some(program) = plan.operations.get(kind.index()) else { continue };
            let stats = recorder.operation(index, kind).unwrap_or(&none);
            all.insert(format!("{}.{}", client.name, program.name), stats.into());
        }
    }
    all
}

fn faults(plan: &Plan, recorder: &Recorder) -> Vec<FaultResult> {
    let mut all = Vec::new();
    for span in recorder.faults() {
        all.push(FaultResult {
            fault: span.fault.0,
            kind: span.kind.name().to_owned(),
            effect: FaultEffect::TookEffect,
            on: (span.on != InstanceId::NOBODY).then_some(span.on.0),
            peer: span.peer.map(|peer| peer.0),
            began_s: seconds(span.began),
            ended_s: span.ended.map(seconds),
        });
    }
    let without_effect = |fault: u16, kind: &str, effect, at| FaultResult {
        fault,
        kind: kind.to_owned(),
        effect,
        on: None,
        peer: None,
        began_s: seconds(at),
        ended_s: None,
    };
    for miss in recorder.missed_faults() {
        all.push(without_effect(miss.fault.0, miss.kind.name(), FaultEffect::Skipped, miss.at));
    }
    for planned in &plan.faults {
        if !all.iter().any(|result| result.fault == planned.id.0) {
            let kind = planned.kind.name();
            all.push(without_effect(planned.id.0, kind, FaultEffect::NotReached, planned.at));
        }
    }
    all
}
