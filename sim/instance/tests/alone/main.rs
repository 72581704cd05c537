//! An instance alone with its disk: what it makes of whatever comes in.

mod copy;
mod deposed;
mod handshake;
mod histories;
mod hostile;
#[path = "../../../cluster/tests/messages/mod.rs"]
mod messages;
mod rig;
mod slave;
