//! An embedded property-graph database whose every wait is a ticket.
#![no_std]

extern crate alloc;
