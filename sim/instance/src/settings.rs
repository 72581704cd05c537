//! The settings of one instance, by Neo4j's names, with the defaults of each version.

use wavetank_cluster::{Compat, PushStrategy};
use wavetank_store::{BranchedDataPolicy, LogRetention};
use wavetank_vocabulary::{Bytes, Span};

/// What an instance reads of its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Heartbeats and elections.
    pub cluster: wavetank_cluster::Settings,
    /// `ha.pull_interval`: how often a slave pulls; zero is off.
    pub pull_interval: Span,
    /// `ha.pull_apply_batch_size`: transactions appended and forced at once.
    pub pull_apply_batch_size: u32,
    /// `ha.tx_push_factor`: to how many slaves a commit is pushed before it is answered.
    pub tx_push_factor: u32,
    /// `ha.tx_push_strategy`: in which order slaves are chosen.
    pub tx_push_strategy: PushStrategy,
    /// `ha.read_timeout`: how long a member waits for another's answer.
    pub read_timeout: Span,
    /// `ha.lock_read_timeout`: how long a slave waits for a lock at the master.
    pub lock_read_timeout: Span,
    /// `ha.max_concurrent_channels_per_slave`: requests of one slave under way at a time.
    pub max_concurrent_channels_per_slave: u32,
    /// `unsupported.dbms.id_reuse_safe_zone`: how long a freed id rests; zero is no rest,
    /// as before 2.3.6.
    pub id_reuse_safe_zone: Span,
    /// `ha.state_switch_timeout`: how long a request waits for MASTER or SLAVE.
    pub state_switch_timeout: Span,
    /// `org.neo4j.server.transaction.timeout`: how long an open transaction waits for its client's
    /// next statement.
    pub transaction_timeout: Span,
    /// `ha.internal_state_switch_timeout`: how long a switch to slave waits for open
    /// transactions.
    pub internal_state_switch_timeout: Span,
    /// `ha.branched_data_policy`: what is kept of a store that differs from the master's.
    pub branched_data_policy: BranchedDataPolicy,
    /// `dbms.security.ha_status_auth_enabled`: whether the HA endpoints want credentials.
    pub ha_status_auth_enabled: bool,
    /// `ha.com_chunk_size`: the most a store copy sends at once.
    pub com_chunk_size: Bytes,
    /// `logical_log_rotation_threshold`: log size at which a new file is begun.
    pub log_rotation_threshold: Bytes,
    /// `keep_logical_logs`: which log files are kept behind the last checkpoint.
    pub keep_logical_logs: LogRetention,
    /// `dbms.checkpoint.interval.tx`: transactions after which a checkpoint is due.
    pub checkpoint_interval_tx: u64,
    /// `dbms.checkpoint.interval.time`: time after which one is due if anything changed.
    pub checkpoint_interval_time: Span,
}

impl Settings {
    /// The defaults of that version (HA specification 1.1 to 1.3).
    pub fn defaults(compat: Compat) -> Self {
        Settings {
            cluster: wavetank_cluster::Settings::defaults(compat),
            pull_interval: Span::ZERO,
            pull_apply_batch_size: 100,
            tx_push_factor: 1,
            tx_push_strategy: if compat == Compat::V3_2 {
                PushStrategy::FixedAscending
            } else {
                PushStrategy::FixedDescending
            },
            read_timeout: Span::from_secs(20),
            lock_read_timeout: Span::from_secs(20),
            max_concurrent_channels_per_slave: 20,
            id_reuse_safe_zone: match compat {
                Compat::V2_2 | Compat::V2_3_0 => Span::ZERO,
                Compat::V2_3_6 | Compat::V3_2 => Span::from_secs(3_600),
            },
            state_switch_timeout: Span::from_secs(120),
            transaction_timeout: Span::from_secs(60),
            // 2.3.0 knows the wait for the state alone, and waits that long here, too.
            internal_state_switch_timeout: Span::from_secs(match compat {
                Compat::V2_2 | Compat::V2_3_0 => 120,
                Compat::V2_3_6 | Compat::V3_2 => 10,
            }),
            branched_data_policy: BranchedDataPolicy::KeepAll,
            ha_status_auth_enabled: true,
            com_chunk_size: Bytes::mib(2),
            log_rotation_threshold: Bytes::mib(250),
            keep_logical_logs: LogRetention::Age(7 * 86_400_000),
            checkpoint_interval_tx: 100_000,
            checkpoint_interval_time: if compat == Compat::V3_2 {
                Span::from_secs(15 * 60)
            } else {
                Span::from_secs(5 * 60)
            },
        }
    }

    /// Which version is modelled.
    pub fn compat(&self) -> Compat {
        self.cluster.compat
    }
}
