//! Machines, disks, network, balancer, clients and faults: plays a Plan.
#![no_std]

extern crate alloc;
