//! The words that all rooms share: units, identifiers, [`Fact`] and [`LookupMap`].
//!
//! Types only: nothing here acts, waits or draws. Whatever two rooms both need to name
//! stands here once, so that a quantity never travels as a bare `u64` with its unit in
//! a comment.
#![no_std]

extern crate alloc;

mod coverage;
mod date;
mod fact;
mod fault;
mod ids;
mod locked;
mod lookup;
mod planted;
mod server_time;
mod status;
mod units;

pub use coverage::{ProtocolState, ProtocolStates};
pub use date::{Date, WALL_START_MS};
pub use fact::{
    Classes, Fact, HaRole, Metric, Monitored, Observation, Observer, OperationOutcome, Role,
    SecondWrite, Seq, Subject,
};
pub use fault::{FaultFamily, FaultKind};
pub use ids::{
    BalancerId, ClientId, Epoch, FaultId, InstanceId, LogMark, MachineId, NodeId, OperationId,
    OperationKind, RelationshipId, TxId,
};
pub use locked::Locked;
pub use lookup::LookupMap;
pub use planted::PlantedBugs;
pub use server_time::{Micros, ServerPhase, ServerTime, Stopwatch};
pub use status::{Classification, Status, StatusSet};
pub use units::{Bytes, Rate, Ratio, Span, Time};
