//! From facts and verdicts to what people look at: the result file, the summary on the
//! terminal, the HTML report and the series behind its figures.
//!
//! A [`Recorder`] reads the stream of facts while a run is played. Afterwards
//! [`RunResult::new`] puts its counts together with the verdicts of the checks, which are
//! made elsewhere. Nothing here reads a clock, a file or the environment: the same run gives
//! the same bytes.

mod axis;
mod bands;
mod campaign;
mod capsule;
mod chart;
mod compare;
mod coverage;
mod coverage_picture;
mod csv;
mod curves;
mod diff;
mod diff_text;
mod export;
mod figures;
mod hdr_log;
mod html;
mod ink;
mod instance_result;
mod instance_stats;
mod kept;
mod lock_result;
mod locks;
mod metrics;
mod notable;
mod operations;
mod page;
mod page_data;
mod percentiles;
mod processes;
mod provenance;
mod recorder;
#[cfg(test)]
mod report_tests;
mod result;
mod series;
mod setup;
mod slowest;
mod spent;
mod student;
mod summary;
mod sweep;
#[cfg(test)]
mod synthetic;
mod tables;
mod user_log;
mod verdict;
mod visibility;
mod visibility_chart;
#[cfg(test)]
mod visibility_tests;
mod words;

pub use campaign::{
    CAMPAIGN_RESULT_SCHEMA, CAMPAIGN_SCHEMA, CampaignCoverage, CampaignResult, Ended, FailedSeed,
    FailingSeed, FaultCount, FoundResult, RuleResult, RuleVerdict, ScenarioTally, SeedResult,
    Smallest,
};
pub use capsule::Capsule;
pub use compare::{Comparison, Row, Spread};
pub use coverage::{Coverage, NotUnderstood, Point};
pub use csv::series_csv;
pub use diff::{CounterChange, Diff, ExpectationChange, FigureChange, SettingChange, Side};
pub use export::data_files;
pub use html::report_html;
pub use instance_result::InstanceResult;
pub use instance_stats::{FinalState, InstanceStats};
pub use kept::Event;
pub use lock_result::{LockResult, LocksResult, PairResult, VictimResult, WaitsResult};
pub use locks::{LockBook, LockStats, Pair, Victim, Waits};
pub use metrics::{Readings, neo4j_name};
pub use operations::{OperationStats, samples_needed};
pub use provenance::{LoadLine, Provenance, SettingRow};
pub use recorder::{FaultMiss, FaultSpan, Recorder};
pub use result::{
    Ending, FaultEffect, FaultResult, GraphResult, OperationResult, ProcessSize, QueueResult,
    RESULT_SCHEMA, RunResult, SCHEMA, VisibilityResult,
};
pub use series::{Bucket, Extent, InstanceBucket, Series};
pub use setup::CALIBRATED;
pub use slowest::{Breakdown, SlowOperation};
pub use summary::summary;
pub use sweep::{SWEEP_SCHEMA, SweepResult, SweepRun};
pub use user_log::{user_log, user_logs};
pub use verdict::{ExpectationResult, Overall, STAYS_BROKEN, Verdict};
pub use visibility::{AgeBin, Curve, Visibility};
pub use words::{grouped, sentence, verdict_sentence};
