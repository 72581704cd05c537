//! One database instance: store, protocol, transactions, endpoints.
#![no_std]

extern crate alloc;
