//! The cluster protocol of one Neo4j HA instance, as state machines.
//!
//! [`Member`] takes an [`Input`] and gives [`Effect`]s; it owns no timer, socket or clock.
//! Of the database it knows log positions only: which transaction is the last one decides
//! elections, what is in it is somebody else's business.
//!
//! * [`heartbeat`](Heartbeat): who is suspected, and who counts as failed (a quorum suspects it)
//! * [`election`](Election): who is to be coordinator, that is, master
//! * [`broadcast`](Broadcast): spreads results and availability to all members
//! * [`role`](RoleMachine): PENDING, TO_MASTER, MASTER, TO_SLAVE, SLAVE
//!
//! Facts about the modelled system: Neo4j 2.3 and 3.x, as the HA specification cites them.
//! Membership is fixed by the configuration, and the broadcast takes one round: every member
//! spreads its own values and repeats them until heartbeats show that they were learned.
#![no_std]

extern crate alloc;

mod broadcast;
mod configuration;
mod election;
mod heartbeat;
mod interface;
mod member;
mod message;
mod role;
mod settings;

pub use broadcast::Broadcast;
pub use configuration::{Configuration, ConfigurationError, MemberSet};
pub use election::{Candidate, Credentials, Election};
pub use heartbeat::Heartbeat;
pub use interface::{Effect, Input, Moment, Switch, Timer};
pub use member::Member;
pub use message::{Availability, Message, Value};
pub use role::RoleMachine;
pub use settings::{Compat, PushStrategy, Settings};
