//! Tests of the whole store on a disk in memory.

mod basics;
mod crash;
mod model;
