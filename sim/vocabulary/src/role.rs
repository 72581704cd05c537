//! What an instance is: to the cluster, to the HA endpoints, to a monitoring system.

use crate::ids::TxId;

/// What a member is, as the cluster sees it: the states of the HA member state machine,
/// and the two before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The process does not run.
    #[default]
    Down,
    /// The process runs; its store is opening or recovering.
    Starting,
    /// PENDING: no master known, no transaction may start.
    Pending,
    /// PENDING after losing sight of the master, still serving reads (2.3.6 and later).
    Detached,
    /// TO_MASTER: elected, switching.
    ToMaster,
    /// MASTER.
    Master,
    /// TO_SLAVE: a master is known, catching up with it.
    ToSlave,
    /// SLAVE.
    Slave,
    /// An arbiter: it takes part in elections and has no store.
    Arbiter,
}

impl Role {
    /// The name that reports print.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Down => "down",
            Role::Starting => "starting",
            Role::Pending => "pending",
            Role::Detached => "detached",
            Role::ToMaster => "to master",
            Role::Master => "master",
            Role::ToSlave => "to slave",
            Role::Slave => "slave",
            Role::Arbiter => "arbiter",
        }
    }
}

/// A role as the HA endpoints and the management bean name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HaRole {
    /// `master`.
    Master,
    /// `slave`.
    Slave,
    /// `UNKNOWN`: pending, or on the way from one role to another.
    #[default]
    Unknown,
}

impl HaRole {
    /// Neo4j's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            HaRole::Master => "master",
            HaRole::Slave => "slave",
            HaRole::Unknown => "UNKNOWN",
        }
    }
}

impl From<Role> for HaRole {
    fn from(role: Role) -> HaRole {
        match role {
            Role::Master => HaRole::Master,
            Role::Slave => HaRole::Slave,
            _ => HaRole::Unknown,
        }
    }
}

/// What a monitoring system read of the bean "High Availability".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Monitored {
    /// `Available`.
    pub available: bool,
    /// `Role`.
    pub role: HaRole,
    /// `LastCommittedTxId`.
    pub last_committed: TxId,
}
