//! What proves a violation: where the story is read backwards from.

use wavetank_vocabulary::{InstanceId, OperationId, Time};

/// What proves that an expectation broke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// When it broke; none when only the end shows it.
    pub at: Option<Time>,
    /// Client operations that it is about.
    pub operations: Vec<OperationId>,
    /// Instances that it is about; with no operation and none of these, all are.
    pub instances: Vec<InstanceId>,
}
