//! One database instance: store, cluster protocol, transactions, endpoints and operations.
//!
//! An [`Instance`] takes [`Input`]s and gives [`Effect`]s and never waits: what it needs of
//! disk, network, cores and time it asks for by an effect, and is told by an input. The
//! simulated world and a real process drive the same code.
//!
//! * `interface`: inputs and effects, the border to the driver
//! * `instance`: the one door, and the way to store and member
//! * `program`: what an operation does, as data; `play` and `follow` play it,
//!   `binding` computes
//! * `returned`: what a program says about itself, for checks
//! * `request`: client operations as transactions
//! * `replication`: pulls, pushes, application of what was received
//! * `master_client`, `conversations`: writes at a slave, with locks and commit at the master
//! * `switch`: becoming master or slave, handshake, store copy
//! * `tally`: what only metrics files show
//! * [`Endpoint`]: what load balancers are told; [`HighAvailability`]: what monitoring is
#![no_std]

extern crate alloc;

mod at_rest;
mod bean;
mod binding;
mod branched;
mod conversations;
mod endpoint;
mod follow;
mod instance;
mod interface;
mod master_client;
mod message;
mod play;
mod program;
mod replication;
mod request;
mod returned;
mod settings;
mod states;
mod switch;
mod tally;
mod task;

pub use at_rest::PullDue;
pub use bean::{ClusterMember, HighAvailability};
pub use branched::BranchedStore;
pub use endpoint::{Answer, Endpoint};
pub use instance::{Instance, Promises};
pub use interface::{Asked, Effect, Input, InstanceConfig, Now, Reply, Timer};
pub use message::{DataMessage, MasterCall, MasterReply, PeerMessage, Refusal, Verdict};
pub use program::{
    Comparison, Exit, Expression, FOLLOWS, LOCKED_AT_ONCE, Name, OP, Operand, OperationStep, Path,
    Program, Programs, Request, SLOTS, STATUS_BY, Slot, Test, USER,
};
pub use returned::{Appends, Lists, Returned, Tells};
pub use settings::Settings;
pub use task::TaskId;
pub use wavetank_cluster::{AcceptorMemory, Compat, Flaws, PushStrategy, Quorum};
pub use wavetank_store::{BranchedDataPolicy, LogRetention, NotARetention};
pub use wavetank_store::{Direction, TokenKind};
