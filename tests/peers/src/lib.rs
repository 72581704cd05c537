//! An exhaustive, bounded explorer of the cluster protocol.
//!
//! Three real [`Member`](wavetank_cluster::Member)s; every order of what may happen to them is
//! tried, breadth first, so that the first violation found is a shortest one. No general model
//! checker is used, because this one can make use of what a member is: `Clone + Eq + Hash`,
//! without clock, timer or socket inside.
//! * [`nodes`]: one member with its armed timers; the same input to the same local state is
//!   computed once and remembered, so that a step of the whole is three numbers and a list
//! * [`model`]: the whole: three nodes, messages in flight, what is left of each fault's budget
//! * [`explore`]: breadth-first search over 128-bit fingerprints, with the way back
//! * [`heal`]: the one fair schedule, in time, without faults: who began it has to converge
//! * [`script`]: a way through the model as text, to be read, kept and replayed
//!
//! Time is abstracted: any armed timer may fire next. Messages to oneself are handled within
//! a step. Server ids decide elections, so that states have no symmetry worth folding; steps
//! of different members commute, but here they meet in the same state and are counted once.

pub mod explore;
pub mod heal;
pub mod model;
pub mod nodes;
pub mod script;
