//! What an operation does: a short program of steps over the graph.
//!
//! Programs are data in the Plan. An instance runs one step at a time; each becomes one or
//! more micro-steps of the store, between which other requests take their turns.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_vocabulary::{NodeId, OperationId, OperationKind, Subject};

/// Which node a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// `$me`: the user that the request is for.
    Me,
    /// `$other`: another user, drawn by the client.
    Other,
    /// The node that this program created.
    Created,
}

/// What is written into a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The operation's identifier: it marks the effect for the audit.
    Operation,
    /// Text of that many bytes.
    Text(u16),
}

/// One step of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationStep {
    /// Read a node and all its properties.
    Read(Operand),
    /// Follow outgoing FOLLOWS relationships of a node and read each neighbour.
    Expand {
        /// From where.
        from: Operand,
        /// How many neighbours at the most.
        limit: u32,
    },
    /// Create a `User` node.
    CreateUser,
    /// Create a FOLLOWS relationship.
    Follow {
        /// The follower.
        from: Operand,
        /// Who is followed.
        to: Operand,
    },
    /// Set a property.
    Set {
        /// Of which node.
        on: Operand,
        /// Which: an index into [`PROPERTIES`].
        key: u8,
        /// To what.
        value: Source,
    },
}

/// The property keys that programs use. `op` marks what an operation created, `status_by`
/// the last writer of `status`.
pub const PROPERTIES: [&str; 4] = ["name", "op", "status", "status_by"];
/// The index of `name`.
pub const NAME: u8 = 0;
/// The index of `op`.
pub const OP: u8 = 1;
/// The index of `status`.
pub const STATUS: u8 = 2;
/// The index of `status_by`.
pub const STATUS_BY: u8 = 3;

/// The label of users.
pub const USER: &str = "User";
/// The type of the relationships between users.
pub const FOLLOWS: &str = "FOLLOWS";

/// A kind of operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in scenarios and reports.
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// What it does, in order.
    pub steps: Vec<OperationStep>,
}

impl Program {
    /// Whether the program changes anything, and so needs the master.
    pub fn writes(&self) -> bool {
        self.steps.iter().any(|step| {
            matches!(
                step,
                OperationStep::CreateUser
                    | OperationStep::Follow { .. }
                    | OperationStep::Set { .. }
            )
        })
    }

    /// What a request of this kind leaves behind that can be looked for afterwards.
    pub fn subject(&self, request: &Request) -> Subject {
        self.steps
            .iter()
            .find_map(|step| match step {
                OperationStep::CreateUser | OperationStep::Follow { .. } => Some(Subject::Created),
                OperationStep::Set { on, value: Source::Operation, .. } => match on {
                    Operand::Me => Some(Subject::Property(request.me)),
                    Operand::Other => Some(Subject::Property(request.other)),
                    Operand::Created => Some(Subject::Created),
                },
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The operations of the `social` workload.
    pub fn social() -> Vec<Program> {
        let program = |name: &str, about: &str, steps: &[OperationStep]| Program {
            name: String::from(name),
            about: String::from(about),
            steps: Vec::from(steps),
        };
        use Operand::{Me, Other};
        use OperationStep::{CreateUser, Expand, Follow, Read, Set};
        alloc::vec![
            program(
                "home_stream",
                "Reads a user and the users that it follows, up to 20.",
                &[Read(Me), Expand { from: Me, limit: 20 }],
            ),
            program("profile", "Reads one user.", &[Read(Me)]),
            program(
                "follow",
                "Lets a user follow another.",
                &[Read(Me), Follow { from: Me, to: Other }],
            ),
            program(
                "status",
                "Changes the text that a user shows.",
                &[
                    Set { on: Me, key: STATUS, value: Source::Text(64) },
                    Set { on: Me, key: STATUS_BY, value: Source::Operation },
                ],
            ),
            program("sign_up", "Creates a user.", &[CreateUser]),
        ]
    }
}

/// All programs of a Plan, by [`OperationKind`].
pub type Programs = Arc<[Program]>;

/// One attempt of a client operation, as it reaches an instance.
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
    /// Where the answer goes: opaque to the instance.
    pub reply_to: u64,
}
