//! How the operations of clients end, what they leave behind, and what they read and write.

use crate::ids::NodeId;

/// How an operation ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationOutcome {
    /// Answered with success: for a write, the acknowledgement.
    Ok,
    /// Certainly not done.
    Failed,
    /// The connection broke or time ran out: it may or may not have been done.
    Unknown,
}

/// What an operation left behind that can be looked for afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Nothing: a read, or an effect that leaves no mark of its own.
    #[default]
    Nothing,
    /// A node or relationship that carries the operation's identifier for good.
    Created,
    /// A property of this node, holding the identifier of the last writer.
    Property(NodeId),
}

/// What an observation of an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observation {
    /// A value that was read.
    Read,
    /// A value that was written; it stands once the operation has ended well.
    Wrote,
    /// The element of a list that was read.
    Listed,
    /// The end of that list: `index` is its length.
    End,
}

/// What happened to the second store beside the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecondWrite {
    /// An operation wrote into it.
    Written,
    /// The client took it back, before another attempt or because the last one failed.
    TakenBack,
}
