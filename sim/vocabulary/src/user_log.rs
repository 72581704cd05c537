//! What an instance writes to its user log and no other fact says: what *it* has learned of the
//! others, and the steps of its way to become a slave (HA specification 5).

use crate::ids::{InstanceId, TxId};
use crate::role::HaRole;

/// A line of the user log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLine {
    /// A member joined the cluster.
    Joined(InstanceId),
    /// A member left the cluster.
    HasLeft(InstanceId),
    /// A member was elected as coordinator.
    Elected(InstanceId),
    /// A member is coordinator no longer: it failed or left, or an election had no winner.
    Demoted(InstanceId),
    /// A member serves in that role.
    Available(InstanceId, HaRole),
    /// A member no longer serves in that role.
    Unavailable(InstanceId, HaRole),
    /// The switch to slave of that master begins.
    MovingToSlave(InstanceId),
    /// The end of its log goes to the master, to be compared.
    CheckingConsistency,
    /// The last page of a store copy is written.
    Copied,
    /// What it lacks is pulled from the master; where it stands.
    CatchingUp(TxId),
    /// It has what the master had when it was asked last.
    CaughtUp(TxId),
    /// Its store is damaged: no page of `neostore` is whole. It is treated as a branch.
    DamagedStoreSetAside,
}
