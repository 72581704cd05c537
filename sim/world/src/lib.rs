//! The world: machines, disks, network, balancers, clients and faults. Plays a [`Plan`].
//!
//! A [`World`] is one cluster in virtual time. It is made from a Plan and the Plan's graph,
//! played by [`World::advance`], read through an observer of facts, and can be cloned at any
//! instant: the clone plays on to the same end. [`World::outside`] is one whose instances are
//! processes elsewhere.
#![no_std]

extern crate alloc;

mod anomaly;
mod audit;
mod balancer;
mod beside;
mod client_plan;
mod clients;
mod cores;
mod costs;
mod disk;
mod ending;
mod event;
mod expectation;
mod fault_plan;
mod faults;
mod graph;
mod machine;
mod meter;
mod network;
mod outside;
mod plan;
mod processes;
mod surroundings;
mod traffic;
mod trigger;
mod view;
mod workload;
mod world;

pub use anomaly::{Anomaly, Audited, Forbidden};
pub use audit::audited;
pub use balancer::Roles;
pub use client_plan::{
    AccessTable, ClientPlan, Deployment, Popularity, Recorded, RetryPlan, Routing, UsersPlan,
};
pub use costs::CostTable;
pub use disk::DiskState;
pub use expectation::{Bounds, Expectation, Expected, SeedRule, SessionGuarantee};
pub use fault_plan::{FaultPlan, Members, Strength, Target};
pub use graph::BaseGraph;
pub use meter::{QueueKind, QueueTotals};
pub use network::{LinkState, MOST_RETRANSMITS, RETRANSMIT};
pub use outside::{Order, Standing};
pub use plan::{
    BalancerPlan, EdgeList, GraphModel, GraphPlan, GraphSource, InstancePlan, LinkPlan,
    NetworkPlan, Plan, VolumePlan,
};
pub use surroundings::Surroundings;
pub use trigger::Trigger;
pub use view::{MemberView, OperationView};

/// What operations are made of: see [`Program`].
pub mod operation {
    pub use wavetank_instance::{
        Comparison, Direction, Exit, Expression, LOCKED_AT_ONCE, Name, Operand, OperationStep,
        Path, Program, SLOTS, Slot, Test, TokenKind,
    };
}

pub use wavetank_instance::{
    AcceptorMemory, Appends, BranchedDataPolicy, Compat, Endpoint, Flaws, Instance, Lists,
    LogRetention, NotARetention, Program, PushStrategy, Quorum, Settings, Tells,
};
pub use wavetank_kernel::{Distribution, QUANTILES};
pub use wavetank_store::CachePolicy;
pub use workload::{Call, CloneWorkload, Driven, Ended, Turn, Workload, WorkloadError};
pub use world::{Phase, World};
