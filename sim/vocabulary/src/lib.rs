//! The words that all rooms share: units, identifiers, [`Fact`] and [`LookupMap`].
//!
//! Types only: nothing here acts, waits or draws. Whatever two rooms both need to name
//! stands here once, so that a quantity never travels as a bare `u64` with its unit in
//! a comment.
#![no_std]

extern crate alloc;

mod classes;
mod coverage;
mod date;
mod fact;
mod fault;
mod ids;
mod locked;
mod lookup;
mod metric;
mod observed;
mod planted;
mod role;
mod server_time;
mod status;
mod units;
mod user_log;

pub use classes::Classes;
pub use coverage::{ProtocolState, ProtocolStates};
pub use date::{Date, WALL_START_MS};
pub use fact::{Fact, Observer, Seq};
pub use fault::{FaultFamily, FaultKind};
pub use ids::{
    BalancerId, ClientId, Epoch, FaultId, InstanceId, LogMark, MachineId, NodeId, OperationId,
    OperationKind, RelationshipId, TxId,
};
pub use locked::Locked;
pub use lookup::LookupMap;
pub use metric::Metric;
pub use observed::{Observation, OperationOutcome, SecondWrite, Subject};
pub use planted::PlantedBugs;
pub use role::{HaRole, Monitored, Role};
pub use server_time::{Micros, ServerPhase, ServerTime, Stopwatch};
pub use status::{Classification, Status, StatusSet};
pub use units::{Bytes, Rate, Ratio, Span, Time};
pub use user_log::LogLine;
