//! What a cluster was doing at a moment: the columns of the matrix of faults by states.

use core::ops::BitOr;

macro_rules! states {
    ($($(#[$doc:meta])+ $state:ident, $name:literal;)+) => {
        /// Something that an instance, or the cluster, can be in the middle of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProtocolState {
            $($(#[$doc])+ $state,)+
        }

        impl ProtocolState {
            /// All of them, in the order of the matrix.
            pub const ALL: &[ProtocolState] = &[$(ProtocolState::$state),+];

            /// The name that reports use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ProtocolState::$state => $name,)+
                }
            }
        }
    };
}

states! {
    /// None of the others.
    Quiet, "quiet";
    /// The process runs and its store is opening or recovering.
    Recovery, "recovery";
    /// The instance knows no master.
    Pending, "pending";
    /// An instance that sees the hit one counts the votes of an election.
    Election, "election";
    /// The instance is becoming master.
    ToMaster, "to-master";
    /// The instance is becoming slave.
    ToSlave, "to-slave";
    /// The instance receives a copy of the master's store.
    StoreCopyIn, "store-copy in";
    /// The instance sends one.
    StoreCopyOut, "store-copy out";
    /// The instance takes a checkpoint.
    Checkpoint, "checkpoint";
    /// A transaction is appended to its log and not synced.
    CommitSync, "commit in sync";
    /// A transaction is synced and not applied.
    CommitApply, "commit in apply";
    /// A transaction is applied and being pushed to slaves.
    Push, "push";
    /// It has asked the master for transactions.
    Pull, "pull";
    /// It applies what it has pulled.
    PullApply, "pull in apply";
    /// Another fault is at work on it.
    OtherFault, "other fault";
}

/// A set of states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProtocolStates(u32);

impl ProtocolStates {
    /// No state.
    pub const NONE: ProtocolStates = ProtocolStates(0);

    /// The set with this state, if `is`.
    #[must_use]
    pub const fn with_if(self, state: ProtocolState, is: bool) -> ProtocolStates {
        if is { ProtocolStates(self.0 | 1 << state as u32) } else { self }
    }

    /// Whether the state is in it.
    pub const fn contains(self, state: ProtocolState) -> bool {
        self.0 >> state as u32 & 1 == 1
    }

    /// Whether none is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The same, or `Quiet` where there is none.
    #[must_use]
    pub const fn or_quiet(self) -> ProtocolStates {
        if self.0 == 0 { ProtocolStates(1 << ProtocolState::Quiet as u32) } else { self }
    }

    /// Its states, in order.
    pub fn iter(self) -> impl Iterator<Item = ProtocolState> {
        ProtocolState::ALL.iter().copied().filter(move |state| self.contains(*state))
    }
}

impl BitOr for ProtocolStates {
    type Output = ProtocolStates;
    fn bitor(self, other: ProtocolStates) -> ProtocolStates {
        ProtocolStates(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_into_them() {
        let set = ProtocolStates::NONE
            .with_if(ProtocolState::Push, true)
            .with_if(ProtocolState::Pull, false);
        assert!(set.iter().eq([ProtocolState::Push]));
        assert!(ProtocolStates::NONE.or_quiet().contains(ProtocolState::Quiet));
        assert!(!set.or_quiet().contains(ProtocolState::Quiet));
        assert!(ProtocolState::ALL.len() <= 32);
    }
}
