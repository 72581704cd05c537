//! What an operation does: a program of steps over the graph, compiled from the step language
//! (`docs/operations.md`; the scenario room parses it).
//!
//! Programs are data in the Plan. An instance plays one step at a time; each becomes one or
//! more micro-steps of the store, between which other requests take their turns.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_store::{Direction, TokenKind};
use wavetank_vocabulary::{NodeId, OperationId, OperationKind};

use crate::task::TaskId;

/// How many variables a program can have.
pub const SLOTS: usize = 12;
/// How many nodes one `lock` can name.
pub const LOCKED_AT_ONCE: usize = 4;

/// A variable of a program: its place among the [`SLOTS`].
pub type Slot = u8;

/// A name that a program uses: its place in [`Program::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name(pub u16);

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(Arc<str>),
    /// `$me`: the number of the node that the request is for.
    Me,
    /// `$other`: the number of another node, drawn by the client.
    Other,
    /// `$operation` and `$fresh`: the operation's identifier, which no other has.
    Operation,
    /// `$now`: the application server's clock, in milliseconds since 1970.
    Now,
    /// The value of a variable.
    Variable(Slot),
}

/// One operand, or the sum or difference of two. What is absent counts as 0 in a sum.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expression {
    /// The first operand.
    pub first: Operand,
    /// Whether the second is subtracted, and the second.
    pub second: Option<(bool, Operand)>,
}

impl From<Operand> for Expression {
    fn from(first: Operand) -> Self {
        Expression { first, second: None }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    Different,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Relationships of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The node.
    pub from: Slot,
    /// Seen from it.
    pub direction: Direction,
    /// Only those of this type.
    pub kind: Option<Name>,
    /// Only those that lead to this node.
    pub to: Option<Slot>,
}

/// What a step asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// Nothing: it holds.
    Always,
    /// Whether the node has the label.
    Label(Slot, Name),
    /// Whether there is such a relationship.
    Path(Path),
    /// Whether some node has the label and this value of the property.
    Found(Name, Name, Expression),
    /// Whether the comparison holds. Only numbers are less or greater than others.
    Compare(Expression, Comparison, Expression),
}

/// How a program departs from the order of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Rolled back; the client is told that the operation did not apply.
    Abort,
    /// Committed, as at the last step.
    Done,
    /// Not at all: so many steps that follow are left out.
    Skip(u16),
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OperationStep {
    /// Find a node by its number. Without it, or the label, the operation is aborted.
    Node {
        /// Where to keep it.
        into: Slot,
        /// The label that it must have.
        label: Option<Name>,
        /// Its number.
        id: Expression,
    },
    /// Find a node by label and property: by an index if there is one.
    Find {
        /// Where to keep it.
        into: Slot,
        /// Its label.
        label: Name,
        /// The property.
        key: Name,
        /// Its value.
        value: Expression,
    },
    /// Find the first relationship of a kind.
    Follow {
        /// Which.
        path: Path,
        /// Where to keep it.
        relationship: Option<Slot>,
        /// Where to keep the node at its end.
        node: Option<Slot>,
    },
    /// Read a node or relationship and all its properties.
    Read(Slot),
    /// Read one property.
    Load {
        /// Where to keep the value.
        into: Slot,
        /// Whose.
        of: Slot,
        /// Which.
        key: Name,
    },
    /// Compute a value.
    Let {
        /// Where to keep it.
        into: Slot,
        /// The value.
        value: Expression,
    },
    /// Count relationships.
    Count {
        /// Where to keep the number.
        into: Slot,
        /// Which relationships.
        path: Path,
    },
    /// Set a property; `null` removes it.
    Set {
        /// Whose.
        of: Slot,
        /// Which.
        key: Name,
        /// To what.
        value: Expression,
    },
    /// Remove a property.
    Unset {
        /// Whose.
        of: Slot,
        /// Which.
        key: Name,
    },
    /// Give a label or take it away.
    Label {
        /// Whose.
        of: Slot,
        /// Which.
        label: Name,
        /// Whether it is given.
        given: bool,
    },
    /// Create a node.
    Create {
        /// Where to keep it.
        into: Slot,
        /// Its labels.
        labels: Vec<Name>,
    },
    /// Create a relationship.
    Connect {
        /// Where to keep it.
        into: Slot,
        /// Where it begins.
        from: Slot,
        /// Where it ends.
        to: Slot,
        /// Its type.
        kind: Name,
    },
    /// Find the relationship or create it: looks, and if there is none and `locked`, locks both
    /// nodes in the order of their numbers and looks again, and creates it.
    Merge {
        /// Where to keep it.
        into: Slot,
        /// The relationship; both nodes are bound.
        path: Path,
        /// Whether it locks before it creates.
        locked: bool,
        /// How many of the steps that follow are for a new relationship only.
        new_only: u16,
    },
    /// Delete a node without relationships, or a relationship.
    Delete(Slot),
    /// Delete a node with its relationships: locks all nodes involved, in the order of their
    /// numbers.
    DetachDelete(Slot),
    /// Take 1 from a number of each node at the other ends of relationships: locks them, in the
    /// order of the nodes' numbers, each before it reads.
    Lower {
        /// Which relationships. What leads to one node twice lowers its number twice.
        path: Path,
        /// The number.
        key: Name,
        /// The type that leads on to the nodes that have the number, if these are others.
        through: Option<Name>,
    },
    /// Read the nodes at the other ends of relationships.
    Expand {
        /// Which relationships.
        path: Path,
        /// How many at the most.
        limit: u32,
        /// The property of each that is returned.
        each: Option<Name>,
        /// Which return step this is.
        place: u8,
    },
    /// Read a chain of nodes: the first relationship of each leads to the next.
    Walk {
        /// The relationships.
        path: Path,
        /// How many nodes at the most.
        limit: u32,
        /// The property of each that is returned.
        each: Option<Name>,
        /// Which return step this is.
        place: u8,
    },
    /// Lock nodes, in the order of their numbers.
    Lock([Option<Slot>; LOCKED_AT_ONCE]),
    /// Depart from the order of the steps where a test has this outcome.
    Leave {
        /// The test.
        test: Test,
        /// The outcome.
        when: bool,
        /// What is done then.
        exit: Exit,
    },
    /// Report a value: [`wavetank_vocabulary::Fact::Observed`].
    Return {
        /// The node that it is about.
        of: Slot,
        /// Which return step this is.
        place: u8,
        /// What was read or written.
        value: Expression,
        /// Whether it was written.
        wrote: bool,
    },
    /// Write into the second store beside the graph, under the node's number.
    Call {
        /// Which store.
        store: u8,
        /// The node.
        of: Slot,
        /// The value.
        value: Expression,
    },
    /// Commit; what follows is another transaction.
    Commit,
    /// Here a statement ends: a client of a server is answered and asks again.
    Statement,
}

/// The name of the property that marks what an operation created, for the audit.
pub const OP: &str = "op";
/// The name of the property that marks the last writer of a node's text, for the audit.
pub const STATUS_BY: &str = "status_by";
/// The label of users.
pub const USER: &str = "User";
/// The type of the relationships between users.
pub const FOLLOWS: &str = "FOLLOWS";

/// A kind of operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its name in scenarios and reports.
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// What it does, in the step language: one text for each statement.
    pub source: Vec<String>,
    /// The same, compiled.
    pub steps: Vec<OperationStep>,
    /// The names that it uses.
    pub names: Vec<(TokenKind, String)>,
    /// The second stores that it calls, by number.
    pub stores: Vec<String>,
}

impl Program {
    /// Whether the program changes anything in the graph, and so needs the master.
    pub fn writes(&self) -> bool {
        use OperationStep as Step;
        self.steps.iter().any(|step| {
            matches!(
                step,
                Step::Set { .. }
                    | Step::Unset { .. }
                    | Step::Label { .. }
                    | Step::Create { .. }
                    | Step::Connect { .. }
                    | Step::Merge { .. }
                    | Step::Delete(_)
                    | Step::DetachDelete(_)
                    | Step::Lower { .. }
                    | Step::Lock(_)
            )
        })
    }

    /// Whether it is about the user that the request is for: looks for it by `$me`.
    pub fn names_user(&self) -> bool {
        self.steps.iter().any(|step| match step {
            OperationStep::Node { id: value, .. } | OperationStep::Find { value, .. } => {
                *value == Operand::Me.into()
            }
            _ => false,
        })
    }

    /// The text of a name.
    pub fn name_of(&self, name: Name) -> &str {
        self.names.get(usize::from(name.0)).map_or("", |(_, text)| text.as_str())
    }

    /// Whether a step leaves the operation's mark under this key.
    pub(crate) fn is_mark(&self, key: Name, value: &Expression, mark: &str) -> bool {
        *value == Operand::Operation.into() && self.name_of(key) == mark
    }

    /// Whether it deletes nodes.
    pub fn deletes_nodes(&self) -> bool {
        self.steps.iter().any(|step| match step {
            OperationStep::DetachDelete(_) => true,
            OperationStep::Delete(slot) => self.holds_node(*slot),
            _ => false,
        })
    }

    /// Whether a variable holds a node.
    pub(crate) fn holds_node(&self, slot: Slot) -> bool {
        self.kind_of(slot).is_none()
    }

    /// Whether it creates nodes.
    pub fn creates_nodes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, OperationStep::Create { .. }))
    }

    /// Whether it deletes relationships of this type.
    fn deletes(&self, kind: &str) -> bool {
        self.steps.iter().any(|step| {
            let OperationStep::Delete(slot) = step else { return false };
            matches!(self.kind_of(*slot), Some(Some(deleted)) if deleted == kind)
                || self.kind_of(*slot) == Some(None)
        })
    }

    /// The type of the relationship in a variable: none if it holds a node, and none within
    /// if it may be of any type.
    fn kind_of(&self, slot: Slot) -> Option<Option<&str>> {
        self.steps.iter().find_map(|step| match step {
            OperationStep::Follow { path, relationship: Some(into), .. } if *into == slot => {
                Some(path.kind.map(|kind| self.name_of(kind)))
            }
            OperationStep::Merge { into, path, .. } if *into == slot => {
                Some(path.kind.map(|kind| self.name_of(kind)))
            }
            OperationStep::Connect { into, kind, .. } if *into == slot => {
                Some(Some(self.name_of(*kind)))
            }
            _ => None,
        })
    }

    /// Whether what this program marks stays until the end, whatever these programs do: else
    /// nobody can look for it afterwards.
    pub fn marks_stay(&self, among: &[Program]) -> bool {
        if among.iter().any(Program::deletes_nodes) {
            return false;
        }
        self.steps.iter().all(|step| match step {
            OperationStep::Connect { kind, .. } => {
                let kind = self.name_of(*kind);
                !among.iter().any(|other| other.deletes(kind))
            }
            OperationStep::Merge { path: Path { kind: Some(kind), .. }, .. } => {
                let kind = self.name_of(*kind);
                !among.iter().any(|other| other.deletes(kind))
            }
            _ => true,
        })
    }

    /// How many statements it has: a round trip each where a server is asked.
    pub fn statements(&self) -> usize {
        1 + self.steps.iter().filter(|step| **step == OperationStep::Statement).count()
    }
}

/// All programs of a Plan, by [`OperationKind`].
pub type Programs = Arc<[Program]>;

/// One attempt of a client operation, or one statement of it, as it reaches an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Which operation.
    pub operation: OperationId,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// What to run.
    pub kind: OperationKind,
    /// `$me`.
    pub me: NodeId,
    /// `$other`.
    pub other: NodeId,
    /// `$now`: the application server's clock, in milliseconds.
    pub now_ms: u64,
    /// Whether the client asks statement by statement; else the whole program at once.
    pub by_statement: bool,
    /// The open transaction that it goes on with.
    pub open: Option<TaskId>,
    /// Whether it looks a user up before the operation itself: what it returns is for the
    /// application alone, and no observation of the operation.
    pub looks_up: bool,
    /// Where the answer goes: opaque to the instance.
    pub reply_to: u64,
}
