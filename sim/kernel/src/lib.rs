//! Virtual time, event queue, timers, keyed random streams and the run digest.
//!
//! The kernel knows nothing of clusters. A simulation owns one [`Kernel`] of its own
//! event type and plays it in a loop:
//!
//! ```
//! use wavetank_kernel::Kernel;
//! use wavetank_vocabulary::{Span, Time};
//!
//! #[derive(Clone, Copy)]
//! enum Event {
//!     Tick(u64),
//! }
//!
//! let mut kernel = Kernel::new();
//! kernel.schedule(Time::ZERO, Event::Tick(1));
//! let end = Time::ZERO + Span::from_secs(10);
//! while let Some(Event::Tick(n)) = kernel.next_before(end) {
//!     kernel.record(&[n]); // into the digest: this event was delivered
//!     kernel.schedule_in(Span::from_secs(1), Event::Tick(n + 1));
//! }
//! assert_eq!(kernel.events(), 11);
//! ```
//!
//! Everything here is plain data and `Clone`: a copy taken at any instant plays on exactly
//! as its original does.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod digest;
pub mod distribution;
mod kernel;
mod normal;
pub mod queue;
pub mod streams;
pub mod timers;
pub mod trail;

pub use digest::Digest;
pub use distribution::{Distribution, QUANTILES};
pub use kernel::Kernel;
pub use queue::EventQueue;
pub use streams::{Stream, Streams};
pub use timers::{Armed, Fired, TimerTable};
pub use trail::{Checkpoint, EventWindow, TracedEvent, Trail};
