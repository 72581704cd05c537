//! Tests of the whole store on a disk in memory.

mod backup;
mod basics;
mod census;
mod check;
mod concurrency;
mod crash;
mod damage;
mod dense;
mod faults;
mod full;
mod ids;
mod index;
mod isolation;
mod log;
mod model;
mod planted;
mod policies;
mod remote;
mod replication;
mod table;
