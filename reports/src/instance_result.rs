//! An instance in `result.json`.

use serde::{Deserialize, Serialize};

use crate::instance_stats::InstanceStats;
use crate::result::six_digits;

/// What was counted at one instance, over the whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceResult {
    /// `ha.server_id`.
    pub instance: u16,
    /// Its role at the end.
    pub role: String,
    /// How often its role changed.
    pub role_changes: u64,
    /// The last transaction in its log.
    pub last_tx: u64,
    /// The largest lag sampled, in transactions; null when it was never sampled.
    pub largest_lag_tx: Option<u64>,
    /// Transactions committed as master.
    pub committed: u64,
    /// Transactions applied as slave.
    pub applied: u64,
    /// Pushes as master that arrived.
    pub pushed: u64,
    /// Pushes as master that were given up.
    pub pushes_failed: u64,
    /// Page pins that found the page resident.
    pub page_cache_hits: u64,
    /// Page pins that had to load it.
    pub page_cache_faults: u64,
    /// The first as a part of both; null when there were none.
    pub hit_rate: Option<f64>,
    /// Pages evicted.
    pub page_cache_evictions: u64,
    /// Pages written back.
    pub page_cache_flushes: u64,
    /// Bytes written to the transaction log.
    pub log_bytes: u64,
    /// Checkpoints taken.
    pub checkpoints: u64,
    /// Times that its store opened.
    pub recoveries: u64,
    /// Transactions replayed at those times.
    pub replayed: u64,
    /// Times that its store stopped itself or refused to open.
    pub store_failures: u64,
    /// Times that its log was found to differ from the master's.
    pub branches: u64,
    /// Copies of the master's store received.
    pub store_copies: u64,
    /// How often the operators' monitoring asked it.
    #[serde(default)]
    pub monitor_asked: u64,
    /// How often it answered that it was available.
    #[serde(default)]
    pub monitor_available: u64,
    /// The most by which the monitoring saw it behind; null when it was never answered.
    #[serde(default)]
    pub largest_monitored_lag_tx: Option<u64>,
    /// Digest of its contents at the end, 32 hexadecimal digits; null when unreadable.
    pub contents: Option<String>,
    /// Transactions open at the end; null when the run was not played to its end.
    pub open_transactions: Option<u32>,
}

impl InstanceResult {
    pub(crate) fn new(
        stats: &InstanceStats,
        [largest_lag, monitored_lag]: [Option<u64>; 2],
    ) -> Self {
        let pins = stats.hits + stats.faults;
        let contents = stats.end.and_then(|end| end.contents);
        InstanceResult {
            instance: stats.id.0,
            role: stats.end.map_or(stats.role, |end| end.role).name().to_owned(),
            role_changes: stats.role_changes,
            last_tx: stats.last_tx,
            largest_lag_tx: largest_lag,
            committed: stats.committed,
            applied: stats.applied,
            pushed: stats.pushed,
            pushes_failed: stats.pushes_failed,
            page_cache_hits: stats.hits,
            page_cache_faults: stats.faults,
            hit_rate: (pins > 0).then(|| six_digits(stats.hits as f64 / pins as f64)),
            page_cache_evictions: stats.evictions,
            page_cache_flushes: stats.flushes,
            log_bytes: stats.log_bytes,
            checkpoints: stats.checkpoints,
            recoveries: stats.recoveries,
            replayed: stats.replayed,
            store_failures: stats.store_failures,
            branches: stats.branches,
            store_copies: stats.store_copies,
            monitor_asked: stats.monitor_asked,
            monitor_available: stats.monitor_available,
            largest_monitored_lag_tx: monitored_lag,
            contents: contents.map(|[high, low]| format!("{high:016x}{low:016x}")),
            open_transactions: stats.end.map(|end| end.open_transactions),
        }
    }
}
