//! Virtual time, event queue, timers, keyed random streams and the run digest.
#![no_std]

extern crate alloc;
