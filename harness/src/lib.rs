//! wavetank: a deterministic simulator and soak-test harness for master/slave graph-database
//! clusters of the Neo4j HA kind.
//!
//! This crate is the command and its library: it reads a scenario, plays it, lets the checks
//! judge the facts, and leaves the results.

pub mod cache_trace;
pub mod calibrate;
pub mod campaign;
pub mod checks;
pub mod cli;
pub mod copies;
pub mod determinism;
pub mod exit;
pub mod explain;
pub mod find;
mod flatness;
pub mod haproxy;
pub mod histories;
#[cfg(feature = "planted-bugs")]
pub mod hunt;
pub mod interrupt;
pub mod load;
pub mod output;
pub mod play;
pub mod predict;
pub mod progress;
mod provenance;
pub mod shrink;
pub mod suite;
pub mod sweep;
mod terminal;
#[cfg(test)]
mod testing;
mod words;
mod workers;

pub use suite::{Check, Finding, Suite, SuiteError, scenario, scenario_text};
// What workloads and checks are written with.
pub use wavetank_kernel::Stream;
pub use wavetank_vocabulary::{
    Classes, Fact, InstanceId, Observer, OperationOutcome, Role, Seq, Span, Status, Time, TxId,
};
pub use wavetank_world::{Call, Ended, Plan, Turn, Workload};
