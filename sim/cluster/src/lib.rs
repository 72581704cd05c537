//! The cluster protocol of a Neo4j HA instance as state machines.
#![no_std]

extern crate alloc;
