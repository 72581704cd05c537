//! Virtual time, event queue, timers, keyed random streams and the run digest.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod distribution;
pub mod streams;

pub use distribution::Distribution;
pub use streams::{Stream, Streams};
