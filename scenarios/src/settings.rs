//! Neo4j's settings: those that are modelled, by the names of the 2.3 line and of 3.x, and
//! those that are only known: a configuration may hold them, and is told that they do nothing
//! here.

use wavetank_vocabulary::{Bytes, Span};
use wavetank_world::{BranchedDataPolicy, Compat, LogRetention, PushStrategy, Settings};

use crate::units::bytes_text;

/// A setting that is modelled.
pub struct Setting {
    /// The name in the 2.3 line.
    pub name: &'static str,
    /// Its name in other lines.
    pub also: &'static [&'static str],
    /// What it sets.
    pub(crate) field: Field,
    /// One sentence.
    pub about: &'static str,
    /// The first line of Neo4j, from 2.2, that has it.
    pub since: &'static str,
}

/// Where a setting goes, and its range.
pub(crate) enum Field {
    Span(fn(&mut Settings) -> &mut Span, Span, Span),
    /// The same, where zero switches it off.
    SpanOrOff(fn(&mut Settings) -> &mut Span, Span, Span),
    Bytes(fn(&mut Settings) -> &mut Bytes, Bytes, Bytes),
    Count(fn(&mut Settings) -> &mut u32, u32, u32),
    LongCount(fn(&mut Settings) -> &mut u64, u64, u64),
    Flag(fn(&mut Settings) -> &mut bool),
    Strategy(fn(&mut Settings) -> &mut PushStrategy),
    Policy(fn(&mut Settings) -> &mut BranchedDataPolicy),
    Retention(fn(&mut Settings) -> &mut LogRetention),
    /// The initial hosts.
    Hosts,
    /// The heap of every group that does not say; not part of [`Settings`].
    Heap,
    /// The same in MB without a unit, as the service wrapper takes it.
    HeapMegabytes,
    /// The page cache of every group that does not say.
    PageCache,
    /// What other timeouts are where they are not set (HA specification 1.1).
    DefaultTimeout,
    /// What the timeouts of Paxos and elections are where they are not set.
    PaxosTimeout,
}

const SECOND: Span = Span::from_secs(1);
const MILLISECOND: Span = Span::from_millis(1);
const DAY: Span = Span::from_secs(86_400);

impl Setting {
    /// Gives this setting the default of the version that is modelled.
    pub fn reset(&self, settings: &mut Settings) {
        let mut defaults = Settings::defaults(settings.compat());
        match self.field {
            Field::Span(of, ..) | Field::SpanOrOff(of, ..) => *of(settings) = *of(&mut defaults),
            Field::Bytes(of, ..) => *of(settings) = *of(&mut defaults),
            Field::Count(of, ..) => *of(settings) = *of(&mut defaults),
            Field::LongCount(of, ..) => *of(settings) = *of(&mut defaults),
            Field::Strategy(of) => *of(settings) = *of(&mut defaults),
            Field::Flag(of) => *of(settings) = *of(&mut defaults),
            Field::Policy(of) => *of(settings) = *of(&mut defaults),
            Field::Retention(of) => *of(settings) = *of(&mut defaults),
            Field::Hosts => settings.cluster.initial_hosts = defaults.cluster.initial_hosts,
            // These stand for others, or lie outside.
            Field::Heap
            | Field::HeapMegabytes
            | Field::PageCache
            | Field::DefaultTimeout
            | Field::PaxosTimeout => {}
        }
    }
}

/// The settings that are modelled.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "ha.heartbeat_interval",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.heartbeat_interval, MILLISECOND, DAY),
        about: "How often an idle link carries a heartbeat.",
        since: "2.2",
    },
    Setting {
        name: "ha.heartbeat_timeout",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.heartbeat_timeout, MILLISECOND, DAY),
        about: "Silence after which a member is suspected.",
        since: "2.2",
    },
    Setting {
        name: "ha.election_timeout",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.election_timeout, MILLISECOND, DAY),
        about: "How long an election waits for votes before it starts anew.",
        since: "2.2",
    },
    Setting {
        name: "ha.default_timeout",
        also: &[],
        field: Field::DefaultTimeout,
        about: "What ha.heartbeat_interval, ha.paxos_timeout and ha.learn_timeout are where they are not set.",
        since: "2.2",
    },
    Setting {
        name: "ha.paxos_timeout",
        also: &[],
        field: Field::PaxosTimeout,
        about: "What ha.election_timeout, ha.phase1_timeout and ha.phase2_timeout are where they are not set.",
        since: "2.2",
    },
    Setting {
        name: "ha.broadcast_timeout",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.broadcast_timeout, MILLISECOND, DAY),
        about: "After which an instance says again what it has not learned of itself.",
        since: "2.2",
    },
    Setting {
        name: "ha.join_timeout",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.join_timeout, MILLISECOND, DAY),
        about: "How long a joiner waits to be let in before it asks anew.",
        since: "2.2",
    },
    Setting {
        name: "ha.configuration_timeout",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.configuration_timeout, MILLISECOND, DAY),
        about: "How often a joiner asks the initial hosts.",
        since: "2.2",
    },
    Setting {
        name: "ha.leave_timeout",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.leave_timeout, MILLISECOND, DAY),
        about: "How long an instance that is stopped waits for the others to know.",
        since: "2.2",
    },
    Setting {
        name: "ha.phase1_timeout",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.phase1_timeout, MILLISECOND, DAY),
        about: "How long a proposer of Paxos waits for promises.",
        since: "2.2",
    },
    Setting {
        name: "ha.phase2_timeout",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.phase2_timeout, MILLISECOND, DAY),
        about: "How long it waits for acceptances.",
        since: "2.2",
    },
    Setting {
        name: "ha.learn_timeout",
        also: &[],
        field: Field::Span(|s| &mut s.cluster.learn_timeout, MILLISECOND, DAY),
        about: "How long a hole in what was learned stays before all are asked.",
        since: "2.2",
    },
    Setting {
        name: "ha.max_acceptors",
        also: &[],
        field: Field::Count(|s| &mut s.cluster.max_acceptors, 1, 64),
        about: "The most members that decide on a value of Paxos.",
        since: "2.3",
    },
    Setting {
        name: "ha.initial_hosts",
        also: &[],
        field: Field::Hosts,
        about: "Whom a starting instance asks: server ids, or hosts by name, which are the instances in their order.",
        since: "2.2",
    },
    Setting {
        name: "ha.allow_init_cluster",
        also: &[],
        field: Field::Flag(|s| &mut s.cluster.allow_init_cluster),
        about: "Whether an instance that finds no cluster may create one.",
        since: "2.2",
    },
    Setting {
        name: "ha.branched_data_policy",
        also: &[],
        field: Field::Policy(|s| &mut s.branched_data_policy),
        about: "What is kept of a store that differs from the master's.",
        since: "2.2",
    },
    Setting {
        name: "ha.internal_state_switch_timeout",
        also: &["ha.internal_role_switch_timeout"],
        field: Field::Span(|s| &mut s.internal_state_switch_timeout, MILLISECOND, DAY),
        about: "How long a switch to slave waits for open transactions.",
        since: "2.3",
    },
    Setting {
        name: "ha.pull_interval",
        also: &[],
        field: Field::SpanOrOff(|s| &mut s.pull_interval, MILLISECOND, DAY),
        about: "How often a slave pulls; 0 is off.",
        since: "2.2",
    },
    Setting {
        name: "ha.pull_apply_batch_size",
        also: &["ha.pull_batch_size"],
        field: Field::Count(|s| &mut s.pull_apply_batch_size, 1, 1_000_000),
        about: "Transactions that a slave appends and forces at once.",
        since: "2.2",
    },
    Setting {
        name: "ha.tx_push_factor",
        also: &[],
        field: Field::Count(|s| &mut s.tx_push_factor, 0, 63),
        about: "To how many slaves a commit is pushed before it is answered.",
        since: "2.2",
    },
    Setting {
        name: "ha.tx_push_strategy",
        also: &[],
        field: Field::Strategy(|s| &mut s.tx_push_strategy),
        about: "In which order slaves are chosen for a push.",
        since: "2.2",
    },
    Setting {
        name: "ha.read_timeout",
        also: &["ha.slave_read_timeout"],
        field: Field::Span(|s| &mut s.read_timeout, MILLISECOND, DAY),
        about: "How long a member waits for another's answer.",
        since: "2.2",
    },
    Setting {
        name: "ha.lock_read_timeout",
        also: &["ha.slave_lock_timeout"],
        field: Field::Span(|s| &mut s.lock_read_timeout, MILLISECOND, DAY),
        about: "How long a slave waits for a lock at the master; ha.read_timeout where it is not set.",
        since: "2.2",
    },
    Setting {
        name: "ha.max_concurrent_channels_per_slave",
        also: &["ha.max_channels_per_slave"],
        field: Field::Count(|s| &mut s.max_concurrent_channels_per_slave, 1, 100_000),
        about: "Requests for transactions that a slave has under way at the master at a time.",
        since: "2.2",
    },
    Setting {
        name: "unsupported.dbms.id_reuse_safe_zone",
        also: &[],
        field: Field::SpanOrOff(|s| &mut s.id_reuse_safe_zone, MILLISECOND, DAY),
        about: "How long the id of a deleted record rests, and how far back a reader at a slave may be; 0 is off.",
        since: "2.3",
    },
    Setting {
        name: "ha.state_switch_timeout",
        also: &["ha.role_switch_timeout"],
        field: Field::Span(|s| &mut s.state_switch_timeout, Span::ZERO, DAY),
        about: "How long a request waits for the instance to be master or slave.",
        since: "2.2",
    },
    Setting {
        name: "org.neo4j.server.transaction.timeout",
        also: &["dbms.transaction_timeout"],
        field: Field::Span(|s| &mut s.transaction_timeout, MILLISECOND, DAY),
        about: "How long an open transaction waits for its client's next statement before it is rolled back.",
        since: "2.2",
    },
    Setting {
        name: "dbms.security.ha_status_auth_enabled",
        also: &[],
        field: Field::Flag(|s| &mut s.ha_status_auth_enabled),
        about: "Whether the HA endpoints want credentials, as the rest of the server does.",
        since: "2.2",
    },
    Setting {
        name: "ha.com_chunk_size",
        also: &["ha.data_chunk_size"],
        field: Field::Bytes(|s| &mut s.com_chunk_size, Bytes(1024), Bytes::mib(16)),
        about: "The most that a store copy sends at once.",
        since: "2.2",
    },
    Setting {
        name: "logical_log_rotation_threshold",
        also: &["dbms.tx_log.rotation.size"],
        field: Field::Bytes(|s| &mut s.log_rotation_threshold, Bytes::mib(1), Bytes::gib(1024)),
        about: "Size of the transaction log at which a new file is begun.",
        since: "2.2",
    },
    Setting {
        name: "keep_logical_logs",
        also: &["dbms.tx_log.rotation.retention_policy"],
        field: Field::Retention(|s| &mut s.keep_logical_logs),
        about: "Which files of the transaction log are kept behind the last checkpoint.",
        since: "2.2",
    },
    Setting {
        name: "dbms.checkpoint.interval.tx",
        also: &[],
        field: Field::LongCount(|s| &mut s.checkpoint_interval_tx, 1, u64::MAX >> 1),
        about: "Transactions after which a checkpoint is due.",
        since: "2.3",
    },
    Setting {
        name: "dbms.checkpoint.interval.time",
        also: &[],
        field: Field::Span(|s| &mut s.checkpoint_interval_time, SECOND, DAY),
        about: "Time after which a checkpoint is due if anything changed.",
        since: "2.3",
    },
    Setting {
        name: "dbms.pagecache.memory",
        also: &["dbms.memory.pagecache.size"],
        field: Field::PageCache,
        about: "Page cache of each instance.",
        since: "2.2",
    },
    Setting {
        name: "dbms.memory.heap.max_size",
        also: &[],
        field: Field::Heap,
        about: "Heap of each instance.",
        since: "3.0",
    },
    Setting {
        name: "wrapper.java.maxmemory",
        also: &[],
        field: Field::HeapMegabytes,
        about: "Heap of each instance in MB, as the 2.x service wrapper takes it.",
        since: "2.2",
    },
];

/// Settings of Neo4j that are known and have no effect here, with what to write instead if
/// there is something.
pub(crate) const KNOWN: &[(&str, &str)] = &[
    ("ha.server_id", "instances are numbered from 1 in the order of the [[group]] tables"),
    ("ha.slave_only", "write `slave_only = true` in the [[group]]"),
    ("ha.cluster_name", ""),
    ("ha.cluster_server", ""),
    ("ha.server", ""),
    ("ha.branched_data_copying_strategy", ""),
    ("ha.host.coordination", ""),
    ("ha.host.data", ""),
    ("dbms.checkpoint", ""),
    ("dbms.checkpoint.iops.limit", ""),
    ("dbms.lock.acquisition.timeout", ""),
    ("dbms.transaction.timeout", ""),
    ("dbms.memory.heap.initial_size", ""),
    ("wrapper.java.initmemory", ""),
    ("dense_node_threshold", ""),
    ("cache_type", ""),
    ("online_backup_enabled", ""),
    ("online_backup_server", ""),
];

impl Setting {
    /// The setting of that name, in whichever line it is called so.
    pub(crate) fn by_name(name: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|s| s.name == name || s.also.contains(&name))
    }

    /// Every name that is modelled.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        SETTINGS.iter().flat_map(|s| std::iter::once(s.name).chain(s.also.iter().copied()))
    }

    /// The value in these settings, as a scenario writes it; none for heap and page cache,
    /// which each group has.
    pub fn text(&self, settings: &Settings) -> Option<String> {
        let mut settings = settings.clone();
        let quoted = |text: String| Some(format!("\"{text}\""));
        match self.field {
            Field::Span(field, ..) | Field::SpanOrOff(field, ..) => {
                quoted(field(&mut settings).to_string())
            }
            Field::Bytes(field, ..) => quoted(bytes_text(*field(&mut settings))),
            Field::Count(field, ..) => Some(field(&mut settings).to_string()),
            Field::LongCount(field, ..) => Some(field(&mut settings).to_string()),
            Field::Strategy(field) => quoted(field(&mut settings).name().to_string()),
            Field::Policy(field) => quoted(field(&mut settings).name().to_string()),
            Field::Retention(field) => quoted(field(&mut settings).to_string()),
            Field::Flag(field) => Some(field(&mut settings).to_string()),
            Field::Hosts => {
                let hosts = &settings.cluster.initial_hosts;
                let ids: Vec<String> = hosts.iter().map(|id| id.0.to_string()).collect();
                (!ids.is_empty()).then(|| format!("\"{}\"", ids.join(",")))
            }
            Field::Heap
            | Field::HeapMegabytes
            | Field::PageCache
            | Field::DefaultTimeout
            | Field::PaxosTimeout => None,
        }
    }

    /// What it takes, with its range, in words.
    pub fn takes(&self) -> String {
        match &self.field {
            Field::Span(_, low, high) => format!("time, {low} to {high}"),
            Field::SpanOrOff(_, low, high) => format!("time, {low} to {high}, or 0: off"),
            Field::Bytes(_, low, high) => {
                format!("size, {} to {}", bytes_text(*low), bytes_text(*high))
            }
            Field::Count(_, low, high) => format!("number, {low} to {high}"),
            Field::LongCount(_, low, high) => format!("number, {low} to {high}"),
            Field::Strategy(_) => {
                let mut names: Vec<&str> = STRATEGIES.iter().map(|(name, _)| *name).collect();
                names.sort_unstable();
                names.join(", ")
            }
            Field::Flag(_) => "true or false".into(),
            Field::Policy(_) => BranchedDataPolicy::ALL.map(BranchedDataPolicy::name).join(", "),
            Field::Retention(_) => {
                "true, false, or so many files, size, txs, hours or days: 7 days".into()
            }
            Field::Hosts => "list of server ids or of hosts, with commas between".into(),
            Field::Heap | Field::PageCache => "size".into(),
            Field::HeapMegabytes => "number of MB".into(),
            Field::DefaultTimeout | Field::PaxosTimeout => {
                format!("time, {MILLISECOND} to {DAY}")
            }
        }
    }

    /// Its default in that version, without quotes.
    pub fn default(&self, compat: Compat) -> String {
        match self.field {
            Field::Heap | Field::HeapMegabytes => "a quarter of the memory".into(),
            Field::PageCache if compat == Compat::V2_2 => "75 % of what the heap leaves".into(),
            Field::PageCache => "50 % of what the heap leaves".into(),
            Field::Hosts => "all instances".into(),
            Field::DefaultTimeout => "5s".into(),
            Field::PaxosTimeout => "ha.default_timeout".into(),
            _ => {
                let text = self.text(&Settings::defaults(compat)).unwrap_or_default();
                text.trim_matches('"').to_owned()
            }
        }
    }
}

/// The settings of Neo4j that are known and have no effect here.
pub fn without_effect() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, _)| *name)
}

/// The strategies of `ha.tx_push_strategy`, with the short name that 2.3.0 uses.
pub(crate) const STRATEGIES: [(&str, PushStrategy); 4] = [
    ("fixed_descending", PushStrategy::FixedDescending),
    ("fixed_ascending", PushStrategy::FixedAscending),
    ("round_robin", PushStrategy::RoundRobin),
    ("fixed", PushStrategy::FixedDescending),
];

/// The page cache where nobody set it (HA specification 6.3): half of what the heap leaves,
/// three quarters of it in 2.2, between 32 MiB and 1 TiB.
pub(crate) fn default_page_cache(compat: Compat, memory: Bytes, heap: Bytes) -> Bytes {
    let rest = memory.0.saturating_sub(heap.0);
    let part = if compat == Compat::V2_2 { rest / 4 * 3 } else { rest / 2 };
    Bytes(part.clamp(Bytes::mib(32).0, Bytes::gib(1024).0))
}

/// The heap where nobody set it: a quarter of the memory, as Java takes.
pub(crate) fn default_heap(memory: Bytes) -> Bytes {
    Bytes(memory.0 / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_has_two_entries() {
        let mut names: Vec<_> = Setting::names().chain(KNOWN.iter().map(|(n, _)| *n)).collect();
        names.sort_unstable();
        let total = names.len();
        names.dedup();
        assert_eq!(names.len(), total);
    }

    #[test]
    fn memory_is_split_as_neo4j_does() {
        let memory = Bytes::gib(32);
        let heap = default_heap(memory);
        assert_eq!(heap, Bytes::gib(8));
        assert_eq!(default_page_cache(Compat::V2_3_6, memory, heap), Bytes::gib(12));
        assert_eq!(default_page_cache(Compat::V2_2, memory, heap), Bytes::gib(18));
        assert_eq!(
            default_page_cache(Compat::V2_2, Bytes::mib(64), Bytes::mib(60)),
            Bytes::mib(32)
        );
    }
}
