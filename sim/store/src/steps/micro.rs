//! The steps that there are.

use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::value::{Entity, ExpandCursor, FindCursor, TokenId, TokenKind, Value};

/// Which relationships of a node are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Those that begin at the node.
    Outgoing,
    /// Those that end at the node.
    Incoming,
    /// All of them; loops once.
    Both,
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum MicroStep {
    /// The number of a name, made if it is new: `Value::Token`.
    Token {
        /// What the name stands for.
        kind: TokenKind,
        /// The name, at most 120 bytes.
        name: Arc<str>,
    },
    /// A new node: `Value::Node`.
    CreateNode {
        /// Its labels, in any order.
        labels: Vec<TokenId>,
    },
    /// A new relationship: `Value::Relationship`. Locks both nodes, and shares the schema.
    CreateRelationship {
        /// The node where it begins.
        from: NodeId,
        /// The node where it ends.
        to: NodeId,
        /// Its type.
        kind: TokenId,
    },
    /// Deletes a relationship and its properties. Locks both nodes and the relationship.
    DeleteRelationship {
        /// Which.
        relationship: RelationshipId,
    },
    /// Deletes a node without relationships, and its properties.
    DeleteNode {
        /// Which.
        node: NodeId,
    },
    /// Reads a node: `Value::Node`.
    ReadNode {
        /// Which.
        node: NodeId,
    },
    /// Reads a relationship: `Value::Relationship`. Its ends go to the results: first the
    /// node where it begins, then the one where it ends.
    ReadRelationship {
        /// Which.
        relationship: RelationshipId,
    },
    /// Whether the node has the label: `Value::Bool`.
    HasLabel {
        /// The node.
        node: NodeId,
        /// The label.
        label: TokenId,
    },
    /// Gives the node a label. Locks the node, and shares the schema.
    AddLabel {
        /// The node.
        node: NodeId,
        /// The label.
        label: TokenId,
    },
    /// Takes a label away. Locks the node.
    RemoveLabel {
        /// The node.
        node: NodeId,
        /// The label.
        label: TokenId,
    },
    /// The value of a property; `Value::Null` if it has none.
    ReadProperty {
        /// Whose.
        entity: Entity,
        /// Which.
        key: TokenId,
    },
    /// How many properties there are: `Value::Int`. Reads all their records.
    ReadProperties {
        /// Whose.
        entity: Entity,
    },
    /// Sets a property. Locks the entity, and shares the schema.
    SetProperty {
        /// Whose.
        entity: Entity,
        /// Which.
        key: TokenId,
        /// To what; `Null` removes it.
        value: Value,
    },
    /// Removes a property, if it is there: `Value::Bool`. Locks the entity.
    RemoveProperty {
        /// Whose.
        entity: Entity,
        /// Which.
        key: TokenId,
    },
    /// How many relationships the node has: `Value::Int`. Loops count once.
    Degree {
        /// Whose.
        node: NodeId,
    },
    /// Finds relationships of a node: `Value::Expanded`; they are added to the results.
    /// One step looks at up to 64; go on with the cursor it gives until there is none. A
    /// relationship that another transaction deletes in between ends the expansion.
    Expand {
        /// Whose.
        node: NodeId,
        /// In which direction.
        direction: Direction,
        /// Only of this type.
        kind: Option<TokenId>,
        /// At most this many in all.
        limit: u32,
        /// Where to go on; none begins, and clears the results.
        from: Option<ExpandCursor>,
    },
    /// Finds the nodes with a label: `Value::Found`; they are added to the findings
    /// (`Store::found`). One step looks at up to 64; go on with the cursor it gives.
    ScanLabel {
        /// The label.
        label: TokenId,
        /// Where to go on; none begins, and clears the findings.
        from: Option<FindCursor>,
    },
    /// Finds the nodes with a label that have a value under a key, by an index if there is
    /// one for both, else by looking at all nodes with the label. As `ScanLabel` otherwise.
    FindNodes {
        /// The label.
        label: TokenId,
        /// The property key.
        key: TokenId,
        /// The value. Numbers are equal by value, whatever their types.
        value: Value,
        /// Where to go on; none begins.
        from: Option<FindCursor>,
    },
    /// Makes an index for a label and a key, and fills it, a part in each step: `Value::Bool`,
    /// to be run again until it is true. Locks the schema; the transaction may do no more.
    CreateIndex {
        /// The label.
        label: TokenId,
        /// The property key.
        key: TokenId,
    },
    /// As `CreateIndex`, for values of which each may occur once. Fails if one occurs twice.
    CreateConstraint {
        /// The label.
        label: TokenId,
        /// The property key.
        key: TokenId,
    },
    /// Takes an index or constraint away, as it was made: a part in each step.
    DropIndex {
        /// The label.
        label: TokenId,
        /// The property key.
        key: TokenId,
    },
    /// Locks a node.
    Lock {
        /// Which.
        node: NodeId,
    },
    /// Puts created relationships into their chains and takes deleted ones out, with the
    /// locks that takes, so that the commit needs no further lock.
    Prepare,
}
