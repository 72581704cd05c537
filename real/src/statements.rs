//! Statements that HTTP clients have written themselves: each is a program that the instance has
//! while its request, and the transaction that it leaves open, need it.

use std::collections::BTreeMap;

use wavetank_instance::{Instance, Reply};
use wavetank_vocabulary::{NodeId, OperationKind, Status};
use wavetank_world::Program;
use wavetank_world::operation::Operand;

/// Compiles a statement in the step language, with the values of its parameters; what is wrong is
/// told with its place. The scenario's room knows the language, not this one.
pub type Compile = fn(&str, &BTreeMap<String, Operand>) -> Result<Program, String>;

/// More transactions are not open at a time.
const MOST: usize = 4_096;

/// A value that was returned, and the node that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) node: NodeId,
    pub(crate) value: Option<i64>,
}

/// The answer to an HTTP client's request.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: Status,
    pub(crate) reply: Reply,
    pub(crate) rows: Vec<Row>,
}

impl Answered {
    /// One without anything in it.
    pub(crate) fn bare(status: Status) -> Answered {
        Answered { status, reply: Reply::default(), rows: Vec::new() }
    }
}

/// Places behind the operations of the Plan.
#[derive(Debug)]
pub(crate) struct Statements {
    first: usize,
    made: usize,
    free: Vec<OperationKind>,
}

impl Statements {
    /// The places behind so many operations.
    pub(crate) fn behind(operations: usize) -> Statements {
        Statements { first: operations, made: 0, free: Vec::new() }
    }

    /// Whether that is a client's own statement.
    pub(crate) fn are(&self, kind: OperationKind) -> bool {
        kind.index() >= self.first
    }

    /// Gives the instance a program; none when there are too many.
    pub(crate) fn define(
        &mut self,
        instance: &mut Instance,
        program: Program,
    ) -> Option<OperationKind> {
        let kind = match self.free.pop() {
            Some(kind) => kind,
            None if self.made < MOST => {
                let kind = OperationKind(u16::try_from(self.first + self.made).ok()?);
                self.made += 1;
                kind
            }
            None => return None,
        };
        instance.define(kind, program);
        Some(kind)
    }

    /// Nobody needs it any more. Operations of the Plan stay.
    pub(crate) fn give_back(&mut self, kind: OperationKind) {
        if self.are(kind) {
            self.free.push(kind);
        }
    }
}
