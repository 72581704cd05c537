//! The cluster protocol of one Neo4j HA instance, as state machines.
//!
//! [`Member`] takes an [`Input`] and gives [`Effect`]s; it owns no timer, socket or clock.
//! Of the database it knows log positions only: which transaction is the last one decides
//! elections, what is in it is somebody else's business.
//!
//! Eight state machines make a member (HA specification 2), and a ninth is its role:
//! * [`cluster`](Cluster): finds the cluster, joins and leaves it, or creates it
//! * [`heartbeat`](Heartbeat): who is suspected, and who counts as failed (a quorum suspects it)
//! * [`proposer`](Proposer), [`acceptor`](Acceptor), [`learner`](Learner): multi-Paxos
//! * [`broadcast`](Broadcast): brings results and availability into Paxos
//! * [`election`](Election): who is to be coordinator, that is, master
//! * [`snapshot`](Snapshot): asks the coordinator who serves in which role
//! * [`role`](RoleMachine): PENDING, TO_MASTER, MASTER, TO_SLAVE, SLAVE; arbiters have none
//!
//! Facts about the modelled system: Neo4j 2.3 and 3.x, as the HA specification cites them.
//! Its known flaws are kept: all Paxos state dies with the process, and a majority of those
//! that are *alive* decides. Any instance that can ever be a member is named by the
//! [`Configuration`], the initial hosts; who is a member at a time is a [`MemberSet`].
#![no_std]

extern crate alloc;

mod acceptor;
mod broadcast;
mod cluster;
mod configuration;
mod election;
mod flaws;
mod heartbeat;
mod interface;
mod learner;
mod member;
mod message;
mod out;
#[cfg(test)]
mod paxos_tests;
mod proposer;
mod role;
mod settings;
mod snapshot;
#[cfg(test)]
mod testing;

pub use acceptor::{Acceptor, Kept};
pub use broadcast::Broadcast;
pub use cluster::{Cluster, ClusterState};
pub use configuration::{Configuration, ConfigurationError, MemberSet};
pub use election::{Candidate, Credentials, Election};
pub use flaws::Flaws;
pub use heartbeat::Heartbeat;
pub use interface::{Effect, Input, JoinFailure, Moment, Switch, Timer};
pub use learner::Learner;
pub use member::Member;
pub use message::{Accepted, Address, Availability, Ballot, Message, PaxosInstance, Value};
pub use proposer::Proposer;
pub use role::RoleMachine;
pub use settings::{AcceptorMemory, Compat, PushStrategy, Quorum, Settings};
pub use snapshot::Snapshot;
