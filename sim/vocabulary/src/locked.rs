//! What a transaction locks: the resource types of the HA specification 4.1.

use core::fmt;

use crate::ids::{NodeId, RelationshipId};

/// What is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locked {
    /// A node.
    Node(NodeId),
    /// A relationship.
    Relationship(RelationshipId),
    /// The right to make new names of labels, types and property keys.
    Tokens,
    /// Indexes and constraints.
    Schema,
    /// A value in an index, by a hash of label, property and value.
    IndexEntry(u64),
}

impl Locked {
    /// The word that results use for its kind.
    pub const fn kind(self) -> &'static str {
        match self {
            Locked::Node(_) => "node",
            Locked::Relationship(_) => "relationship",
            Locked::Tokens => "tokens",
            Locked::Schema => "schema",
            Locked::IndexEntry(_) => "index entry",
        }
    }

    /// Its number; none where there is one only.
    pub const fn id(self) -> Option<u64> {
        match self {
            Locked::Node(node) => Some(node.0),
            Locked::Relationship(relationship) => Some(relationship.0),
            Locked::IndexEntry(hash) => Some(hash),
            Locked::Tokens | Locked::Schema => None,
        }
    }
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.id()) {
            (Locked::IndexEntry(_), Some(hash)) => write!(f, "{} {hash:016x}", self.kind()),
            (_, Some(id)) => write!(f, "{} {id}", self.kind()),
            (_, None) => f.write_str(self.kind()),
        }
    }
}
