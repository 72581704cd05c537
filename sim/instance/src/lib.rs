//! One database instance: store, cluster protocol, transactions, endpoints and operations.
//!
//! An [`Instance`] takes [`Input`]s and gives [`Effect`]s and never waits: what it needs of
//! disk, network, cores and time it asks for by an effect, and is told by an input. The
//! simulated world and a real process drive the same code.
//!
//! * `interface`: inputs and effects, the border to the driver
//! * `instance`: the one door, and the way to store and member
//! * `request`: client operations as transactions
//! * `replication`: pulls, pushes, application of what was received
//! * `switch`: becoming master or slave, handshake, store copy
//! * [`Endpoint`]: what load balancers are told; [`HighAvailability`]: what monitoring is
#![no_std]

extern crate alloc;

mod bean;
mod endpoint;
mod instance;
mod interface;
mod message;
mod program;
mod replication;
mod request;
mod settings;
mod states;
mod switch;
mod task;

pub use bean::{ClusterMember, HighAvailability};
pub use endpoint::{Answer, Endpoint};
pub use instance::Instance;
pub use interface::{Effect, Input, InstanceConfig, Now, Timer};
pub use message::{DataMessage, PeerMessage, Verdict};
pub use program::{
    FOLLOWS, NAME, OP, Operand, OperationStep, PROPERTIES, Program, Programs, Request, STATUS,
    STATUS_BY, Source, USER,
};
pub use settings::Settings;
pub use task::TaskId;
pub use wavetank_cluster::{Compat, PushStrategy};
pub use wavetank_store::BranchedDataPolicy;
