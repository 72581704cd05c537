//! What an instance is in the middle of, for the record of what faults met.

use wavetank_store::StoreState;
use wavetank_vocabulary::{ProtocolState, ProtocolStates, Role};

use crate::instance::Instance;
use crate::replication::PullState;
use crate::task::{Phase, Task};

impl Instance {
    /// What it is in the middle of at this moment.
    pub fn states(&self) -> ProtocolStates {
        let role = self.role();
        let mut states = ProtocolStates::NONE
            .with_if(ProtocolState::Recovery, role == Role::Starting)
            .with_if(ProtocolState::Pending, matches!(role, Role::Pending | Role::Detached))
            .with_if(ProtocolState::ToMaster, role == Role::ToMaster)
            .with_if(ProtocolState::ToSlave, role == Role::ToSlave)
            .with_if(ProtocolState::StoreCopyIn, self.is_copying_in())
            .with_if(ProtocolState::Pull, self.puller.state == PullState::Asked)
            .with_if(
                ProtocolState::PullApply,
                self.puller.state == PullState::Applying || self.store.received_left() > 0,
            )
            .with_if(
                ProtocolState::Checkpoint,
                matches!(self.store.state(), StoreState::Ready) && self.store.is_checkpointing(),
            )
            .with_if(
                ProtocolState::Election,
                self.member().is_some_and(|member| member.counts_votes()),
            );
        for (_, task) in self.tasks.iter() {
            let state = match task {
                Task::CopyOut(_) => ProtocolState::StoreCopyOut,
                Task::Request(request) => match request.phase {
                    Phase::Syncing(_) => ProtocolState::CommitSync,
                    Phase::Applying => ProtocolState::CommitApply,
                    Phase::Pushing => ProtocolState::Push,
                    _ => continue,
                },
                _ => continue,
            };
            states = states.with_if(state, true);
        }
        states
    }
}
