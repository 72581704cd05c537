//! How a store is set up.

use wavetank_vocabulary::{Bytes, PlantedBugs};

use crate::cache::policy::CachePolicy;
use crate::retention::LogRetention;

/// How a store is set up.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Frames of the page cache, 8 KiB each. May be millions: tables grow as they are used.
    pub frames: usize,
    /// Which page the cache gives up.
    pub cache_policy: CachePolicy,
    /// A log file is closed once it is this long (`dbms.logs... rotation`, 250 MB in Neo4j).
    pub log_rotation_threshold: Bytes,
    /// A checkpoint is due after this many transactions.
    pub checkpoint_interval_tx: u64,
    /// How many recent transactions are kept in memory for slaves that pull.
    pub tail_transactions: usize,
    /// A checkpoint is due so long after the last one if there is a new transaction, in
    /// milliseconds of the clock (see [`crate::Store::set_clock`]); none: only when asked.
    pub checkpoint_interval_ms: Option<u64>,
    /// Which log files are kept behind the checkpoint (`keep_logical_logs`).
    pub log_retention: LogRetention,
    /// How many frames background eviction keeps free (at most half of all).
    pub free_frames: usize,
    /// Pages of the double-write area: the most that are written in place at once.
    pub double_write_pages: u32,
    /// From how many relationships on a node is dense (`dense_node_threshold`).
    pub dense_node_threshold: u32,
    /// How long a freed id is not used again, in milliseconds (`id_reuse_safe_zone`): so
    /// long may a slave that lags still read the old record.
    pub id_reuse_safe_zone_ms: u64,
    /// This server's number, written into transactions as master and author.
    pub server_id: u32,
    /// The identity that `create` gives a new store.
    pub store_id: u64,
    /// Bugs to have, for testing the checks; normally none.
    pub bugs: PlantedBugs,
}

impl Default for StoreConfig {
    /// Neo4j 2.3's settings where it has them (HA specification, section 6).
    fn default() -> StoreConfig {
        StoreConfig {
            frames: 4096,
            cache_policy: CachePolicy::ClockSweep,
            log_rotation_threshold: Bytes::mib(250),
            checkpoint_interval_tx: 100_000,
            tail_transactions: 4096,
            checkpoint_interval_ms: None,
            log_retention: LogRetention::Age(7 * 86_400_000),
            free_frames: 30,
            double_write_pages: 256,
            dense_node_threshold: 50,
            id_reuse_safe_zone_ms: 3_600_000,
            server_id: 1,
            store_id: 1,
            bugs: PlantedBugs::NONE,
        }
    }
}
