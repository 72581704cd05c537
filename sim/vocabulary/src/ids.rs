//! Identifiers, each a type of its own.

use core::fmt;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number as an index.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

identifier! {
    /// `ha.server_id`: the number of a cluster member, from 1.
    InstanceId(u16), "i"
}
identifier! {
    /// A machine, from 0.
    MachineId(u16), "m"
}
identifier! {
    /// A load balancer of the scenario, from 0.
    BalancerId(u16), "b"
}
identifier! {
    /// A `[[clients]]` table of the scenario, from 0.
    ClientId(u16), "c"
}
identifier! {
    /// A kind of client operation: its place in the Plan's list of operations.
    OperationKind(u16), "k"
}
identifier! {
    /// A fault of the Plan. Stable: deleting another fault does not renumber it.
    FaultId(u16), "f"
}
identifier! {
    /// A node record.
    NodeId(u64), "n"
}
identifier! {
    /// A relationship record.
    RelationshipId(u64), "r"
}
identifier! {
    /// A transaction. The first real one is 2: ids start after BASE = 1.
    TxId(u64), "tx"
}
identifier! {
    /// A master's reign (`serverId << 48 | wall-clock milliseconds`).
    Epoch(u64), "e"
}

impl InstanceId {
    /// No instance: what the facts of a fault name that hits none, but a load balancer.
    pub const NOBODY: InstanceId = InstanceId(0);
}

impl TxId {
    /// The id before the first transaction of a new store.
    pub const BASE: TxId = TxId(1);

    /// The id that follows.
    pub const fn next(self) -> TxId {
        TxId(self.0 + 1)
    }
}

/// One client operation: the `index`-th that this client started, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId {
    /// Who asked.
    pub client: ClientId,
    /// Its place in the client's order of intended starts.
    pub index: u32,
}

impl OperationId {
    /// The identifier as one word, as transactions carry it.
    pub const fn to_word(self) -> u64 {
        (self.client.0 as u64 + 1) << 32 | self.index as u64
    }

    /// The operation that [`Self::to_word`] came from; none for 0, which marks
    /// transactions that no client asked for.
    pub const fn from_word(word: u64) -> Option<Self> {
        if word >> 32 == 0 || word >> 32 > 0x1_0000 {
            return None;
        }
        Some(OperationId { client: ClientId(((word >> 32) - 1) as u16), index: word as u32 })
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.client, self.index)
    }
}

/// A place in a transaction log: the last transaction and the checksum of the chain that
/// ends with it. Because each entry's checksum covers the one before, two logs that agree
/// on a mark agree on everything up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogMark {
    /// The last transaction.
    pub tx: TxId,
    /// Checksum of the chain up to and with it.
    pub checksum: u64,
}

impl LogMark {
    /// Where every new store begins.
    pub const BASE: LogMark = LogMark { tx: TxId::BASE, checksum: 0 };
}

impl Default for LogMark {
    fn default() -> Self {
        LogMark::BASE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_ids_survive_the_round_trip() {
        for (client, index) in [(0, 0), (3, 17), (u16::MAX, u32::MAX)] {
            let id = OperationId { client: ClientId(client), index };
            assert_eq!(OperationId::from_word(id.to_word()), Some(id));
        }
        assert_eq!(OperationId::from_word(0), None);
        assert_eq!(OperationId::from_word(u64::MAX), None);
    }
}
