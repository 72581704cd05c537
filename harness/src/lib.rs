//! wavetank: a deterministic simulator and soak-test harness for master/slave graph-database
//! clusters of the Neo4j HA kind.
//!
//! This crate is the command and its library: it reads a scenario, plays it, lets the checks
//! judge the facts, and leaves the results.

pub mod cache_trace;
pub mod campaign;
pub mod checks;
pub mod cli;
pub mod coverage;
pub mod determinism;
pub mod exit;
pub mod explain;
pub mod histories;
pub mod interrupt;
pub mod load;
pub mod output;
pub mod play;
pub mod progress;
pub mod shrink;
#[cfg(test)]
mod testing;
