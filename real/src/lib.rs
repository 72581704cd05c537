//! Instances as processes: the same `wavetank-instance` that the world plays in virtual time,
//! on real sockets, files and clocks.
//!
//! * [`run`]: one instance as a process, `driver` its loop; `peers` connects it, `disk` and `home` keep its store,
//!   `web`, `transactional` and `http` answer its clients, `statements` are their own, `link`
//!   reports to the one who started it
//! * [`soak()`]: a scenario on such processes, with its own clients and faults
//! * `wire`: what passes between processes, as bytes
//! * `clock`, `system`, `deadline`: time and processes, and reads that end
//!
//! Threads that block, and the standard library alone: a node has few connections, each is
//! either read or written, and syncs need threads anyway. Nothing of the instance knows of
//! it: a driver with another runtime would take the same inputs and effects.

mod clock;
mod config;
mod crowd;
mod deadline;
mod disk;
mod driver;
mod home;
mod http;
mod link;
mod log;
mod node;
mod peers;
mod soak;
mod statements;
mod system;
mod transactional;
mod web;
mod wire;

pub use config::{NodeFile, NodeFileError, parse_node_file};
pub use home::HomeError;
pub use node::{NodeConfig, NodeError, STORE_STOPPED, run};
pub use soak::{Death, NodeSize, SoakConfig, SoakError, Soaked, WorkFolder, soak, usual_limit};
pub use statements::Compile;
pub use system::{NoProcess, Process};
