//! Workloads in code: what a population of clients asks for, where a mix of weights does not
//! say it. How often they ask, through which balancer and what they try again stays with the
//! Plan's [`ClientPlan`](crate::ClientPlan).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use wavetank_kernel::Stream;
use wavetank_vocabulary::{OperationKind, OperationOutcome, Status, Time};

use crate::plan::Plan;

/// Decides what the clients of one `[[clients]]` ask for. A state machine that is cloned with
/// its World: it may remember what it likes, but all chance must come from the stream that it is
/// handed, which belongs to that one operation, so that leaving one out moves no other.
///
/// ```
/// use wavetank_kernel::Stream;
/// use wavetank_world::{Call, Turn, Workload};
///
/// /// Everybody follows one celebrity, and looks at the profile now and then.
/// #[derive(Clone, Debug)]
/// struct Celebrity;
///
/// impl Workload for Celebrity {
///     fn operations(&self) -> &[&str] {
///         &["follow", "profile"]
///     }
///
///     fn next(&mut self, turn: &Turn, stream: &mut Stream) -> Option<Call> {
///         let fan = 1 + stream.below(turn.users.max(2) - 1);
///         let operation = usize::from(turn.index % 10 == 9);
///         Some(Call { operation, me: fan, other: 0 })
///     }
/// }
/// ```
pub trait Workload: CloneWorkload + fmt::Debug + Send + Sync {
    /// The names of the operations that it asks for. Each must be in the `mix` of its clients;
    /// what weight it has there does not matter.
    fn operations(&self) -> &[&str];

    /// What is asked for in this turn; none for nothing at all. Told every turn, even one whose
    /// operation the Plan leaves out.
    fn next(&mut self, turn: &Turn, stream: &mut Stream) -> Option<Call>;

    /// An operation has ended, its retries included. Most workloads need not know.
    fn ended(&mut self, ended: &Ended) {
        let _ = ended;
    }
}

/// Makes a boxed workload `Clone`: there for every workload that is.
pub trait CloneWorkload {
    /// A copy that goes on from here on its own.
    fn boxed(&self) -> Box<dyn Workload>;
}

impl<W: Workload + Clone + 'static> CloneWorkload for W {
    fn boxed(&self) -> Box<dyn Workload> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Workload> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

/// An operation is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The number of the operation among those of these clients, from 0.
    pub index: u32,
    /// When.
    pub at: Time,
    /// Who of a closed loop acts, as a node of the graph; none of an open one.
    pub user: Option<u64>,
    /// How many users the graph began with: nodes 0 up to this.
    pub users: u64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its place in [`Workload::operations`]. A place beyond is an error of the workload: the run
    /// ends with a panic that says so.
    pub operation: usize,
    /// The node that operations call `$me`.
    pub me: u64,
    /// The node that operations call `$other`.
    pub other: u64,
}

/// An operation that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The number of the operation, as in its [`Turn`].
    pub index: u32,
    /// When.
    pub at: Time,
    /// How, for the client.
    pub outcome: OperationOutcome,
    /// The last answer.
    pub status: Status,
}

/// Why a workload does not fit a Plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadError {
    /// No `[[clients]]` has this name.
    NoSuchClients {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The `mix` of these clients has no such operation.
    NoSuchOperation {
        /// The clients.
        clients: String,
        /// The operation that the workload asks for.
        name: String,
        /// Those of the mix.
        known: Vec<String>,
    },
}

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkloadError::NoSuchClients { name, known } => {
                write!(f, "no [[clients]] has the name `{name}`; known: {}", known.join(", "))
            }
            WorkloadError::NoSuchOperation { clients, name, known } => write!(
                f,
                "the workload of `{clients}` asks for `{name}`, which is not in their mix; in it: {}",
                known.join(", ")
            ),
        }
    }
}

impl core::error::Error for WorkloadError {}

/// A workload and the clients that it drives.
#[derive(Clone, Debug)]
pub struct Driven {
    pub(crate) client: usize,
    /// Of each of the workload's operations.
    kinds: Vec<OperationKind>,
    workload: Box<dyn Workload>,
}

impl Driven {
    /// Lets a workload drive the clients of that name.
    ///
    /// # Errors
    /// When the Plan has no such clients, or they no such operation.
    pub fn new(plan: &Plan, name: &str, workload: &dyn Workload) -> Result<Self, WorkloadError> {
        let Some(client) = plan.clients.iter().position(|client| client.name == name) else {
            let known = plan.clients.iter().map(|client| client.name.clone()).collect();
            return Err(WorkloadError::NoSuchClients { name: name.to_owned(), known });
        };
        let mix = &plan.clients[client].mix;
        let called =
            |kind: OperationKind| plan.operations.get(kind.index()).map(|program| &program.name);
        let kind = |operation: &&str| {
            let known = mix.iter().find(|(kind, _)| called(*kind).is_some_and(|n| n == operation));
            known.map(|(kind, _)| *kind).ok_or_else(|| WorkloadError::NoSuchOperation {
                clients: name.to_owned(),
                name: operation.to_string(),
                known: mix.iter().filter_map(|(kind, _)| called(*kind).cloned()).collect(),
            })
        };
        let kinds = workload.operations().iter().map(kind).collect::<Result<_, _>>()?;
        Ok(Driven { client, kinds, workload: workload.boxed() })
    }

    /// The next operation: its kind, and whom it is about.
    pub(crate) fn next(
        &mut self,
        turn: &Turn,
        stream: &mut Stream,
    ) -> Option<(OperationKind, u64, u64)> {
        let call = self.workload.next(turn, stream)?;
        let Some(kind) = self.kinds.get(call.operation) else {
            panic!(
                "a workload of {} operations asked for number {}: {:?}",
                self.kinds.len(),
                call.operation,
                self.workload
            )
        };
        Some((*kind, call.me, call.other))
    }

    pub(crate) fn ended(&mut self, ended: &Ended) {
        self.workload.ended(ended);
    }
}
