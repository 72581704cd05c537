//! Cluster settings, by Neo4j's names, with the defaults of each version.

use alloc::vec::Vec;

use wavetank_vocabulary::{InstanceId, Span};

use crate::flaws::Flaws;

/// Which version's behaviour and defaults are modelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compat {
    /// The 2.2 line.
    V2_2,
    /// 2.3.0 as released: an isolated master never notices that it lost its quorum.
    V2_3_0,
    /// 2.3.6 and later: it detaches and serves reads only.
    #[default]
    V2_3_6,
    /// 3.2 and later: longer heartbeat timeout, two-member clusters keep their master.
    V3_2,
}

impl Compat {
    /// All versions, oldest first.
    pub const ALL: [Compat; 4] = [Compat::V2_2, Compat::V2_3_0, Compat::V2_3_6, Compat::V3_2];

    /// The name that scenarios use.
    pub const fn name(self) -> &'static str {
        match self {
            Compat::V2_2 => "2.2",
            Compat::V2_3_0 => "2.3.0",
            Compat::V2_3_6 => "2.3.6",
            Compat::V3_2 => "3.2",
        }
    }

    /// Whether the failure rules of June 2016 hold: a member that suspects everybody sees
    /// its quorum lost, and losing it still leaves reads (pull requests 7316 and 7423).
    pub const fn detaches(self) -> bool {
        matches!(self, Compat::V2_3_6 | Compat::V3_2)
    }

    /// Whether the master of a two-member cluster keeps accepting writes when the other
    /// member fails (pull request 8986).
    pub const fn lone_master_of_two_keeps_writes(self) -> bool {
        matches!(self, Compat::V3_2)
    }
}

/// `ha.tx_push_strategy`: in which order slaves are pushed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PushStrategy {
    /// Highest server id first (`fixed` in 2.3.0).
    FixedDescending,
    /// Lowest server id first.
    FixedAscending,
    /// Ascending, starting one further at each commit.
    RoundRobin,
}

impl PushStrategy {
    /// The value as configuration files write it.
    pub const fn name(self) -> &'static str {
        match self {
            PushStrategy::FixedDescending => "fixed_descending",
            PushStrategy::FixedAscending => "fixed_ascending",
            PushStrategy::RoundRobin => "round_robin",
        }
    }
}

/// What a restart leaves of an acceptor's promises. No setting of Neo4j's: scenarios and
/// `tests/peers` may set it, to show what the original's agreement lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AcceptorMemory {
    /// Nothing, as in the original.
    #[default]
    Volatile,
    /// Everything: each change goes out as an effect, to be kept before the answer is sent,
    /// and comes back before the start. Values that no learner remembers are asked of the
    /// acceptors.
    Durable,
}

impl AcceptorMemory {
    /// Both, with the names that scenarios use.
    pub const ALL: [(AcceptorMemory, &'static str); 2] =
        [(AcceptorMemory::Volatile, "volatile"), (AcceptorMemory::Durable, "durable")];

    /// The name that scenarios use.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(memory, _)| *memory == self).map_or("", |(_, name)| name)
    }
}

/// Whose majority decides on a value. No setting of Neo4j's either; scenarios may set it, to
/// show that an outage goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quorum {
    /// That of the members which the proposer believes to be alive, as in the original.
    #[default]
    OfTheAlive,
    /// That of all initial hosts.
    OfAllHosts,
}

impl Quorum {
    /// Both, with the names that scenarios use.
    pub const ALL: [(Quorum, &'static str); 2] =
        [(Quorum::OfTheAlive, "alive"), (Quorum::OfAllHosts, "all-hosts")];

    /// The name that scenarios use.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(quorum, _)| *quorum == self).map_or("", |(_, name)| name)
    }
}

/// The settings that this room reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Whose behaviour is modelled.
    pub compat: Compat,
    /// `ha.heartbeat_interval`: how often an idle link carries a heartbeat.
    pub heartbeat_interval: Span,
    /// `ha.heartbeat_timeout`: silence after which a member is suspected.
    pub heartbeat_timeout: Span,
    /// `ha.election_timeout`: how long an election waits for votes before it starts anew.
    pub election_timeout: Span,
    /// `ha.configuration_timeout`: how often a joiner asks the initial hosts.
    pub configuration_timeout: Span,
    /// `ha.join_timeout`: how long a joiner waits to be let in before it asks anew.
    pub join_timeout: Span,
    /// `ha.leave_timeout`: how long a leaver waits for the others to know.
    pub leave_timeout: Span,
    /// `ha.broadcast_timeout`: after which a member says again what it still has not learned
    /// of itself.
    pub broadcast_timeout: Span,
    /// `ha.phase1_timeout`: how long a proposer waits for promises.
    pub phase1_timeout: Span,
    /// `ha.phase2_timeout`: how long it waits for acceptances.
    pub phase2_timeout: Span,
    /// `ha.learn_timeout`: how long a hole in what was learned stays before all are asked.
    pub learn_timeout: Span,
    /// `ha.max_acceptors`: the most members that decide on a value.
    pub max_acceptors: u32,
    /// `ha.initial_hosts`: whom a starting instance asks; all members when it is empty. One
    /// that does not exist counts all the same: as many have to ask as are listed.
    pub initial_hosts: Vec<InstanceId>,
    /// `ha.allow_init_cluster`: whether an instance that finds no cluster may create one.
    pub allow_init_cluster: bool,
    /// Flaws of old releases that are on. No setting of Neo4j's.
    pub flaws: Flaws,
    /// What a restart leaves of the acceptor.
    pub acceptor_memory: AcceptorMemory,
    /// Whose majority decides.
    pub quorum: Quorum,
}

impl Settings {
    /// The defaults of that version (`ClusterSettings`; 40 s from commit 04803d0f).
    pub fn defaults(compat: Compat) -> Self {
        Settings {
            compat,
            heartbeat_interval: Span::from_secs(5),
            heartbeat_timeout: Span::from_secs(if compat == Compat::V3_2 { 40 } else { 11 }),
            election_timeout: Span::from_secs(5),
            configuration_timeout: Span::from_secs(1),
            join_timeout: Span::from_secs(30),
            leave_timeout: Span::from_secs(30),
            broadcast_timeout: Span::from_secs(30),
            phase1_timeout: Span::from_secs(5),
            phase2_timeout: Span::from_secs(5),
            learn_timeout: Span::from_secs(5),
            max_acceptors: 21,
            initial_hosts: Vec::new(),
            allow_init_cluster: true,
            // A RuntimeException before 2.3.1, which is logged (HA specification 2.6).
            flaws: match compat {
                Compat::V2_2 | Compat::V2_3_0 => Flaws::ILLEGAL_TRANSITIONS_IGNORED,
                Compat::V2_3_6 | Compat::V3_2 => Flaws::NONE,
            },
            acceptor_memory: AcceptorMemory::Volatile,
            quorum: Quorum::OfTheAlive,
        }
    }
}
