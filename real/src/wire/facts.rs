//! What an instance tells of itself, as bytes.
//!
//! The facts that a node tells. The others are told by whoever plays the scenario: what its
//! clients saw, and which faults it caused.

use wavetank_vocabulary::{Fact, HaRole, LogLine, Metric, Observation, Role, Subject};

use super::{Wire, wire_enum};

/// The facts that nodes tell, and that they never do.
macro_rules! wire_facts {
    ($($tag:literal => $variant:ident {$($field:ident),+};)+) => {
        /// A fact that a node can tell.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(crate) struct Told(Fact);

        impl Told {
            /// None if it is none that a node tells.
            pub(crate) fn new(fact: Fact) -> Option<Told> {
                match fact {
                    $(Fact::$variant { .. })|+ => Some(Told(fact)),
                    _ => None,
                }
            }

            /// The fact.
            pub(crate) fn fact(self) -> Fact {
                self.0
            }
        }

        impl Wire for Told {
            fn put(&self, out: &mut Vec<u8>) {
                match &self.0 {
                    $(Fact::$variant { $($field),+ } => {
                        out.push($tag);
                        $($field.put(out);)+
                    })+
                    // `new` lets no other in.
                    _ => {}
                }
            }

            fn get(reader: &mut super::Reader<'_>) -> Result<Self, super::Garbage> {
                Ok(Told(match u8::get(reader)? {
                    $($tag => {
                        $(let $field = Wire::get(reader)?;)+
                        Fact::$variant { $($field),+ }
                    })+
                    _ => return Err(super::Garbage("an unknown kind of fact")),
                }))
            }
        }
    };
}

wire_facts! {
    0 => RoleChanged { instance, from, to, log };
    1 => Suspected { by, whom };
    2 => Cleared { by, whom };
    3 => MemberFailed { by, whom };
    4 => MemberAlive { by, whom };
    5 => JoinFailed { instance, denied };
    6 => Left { instance };
    7 => ElectionBegan { elector, version };
    8 => ElectionEnded { elector, version, winner };
    9 => EpochBegan { instance, epoch, log };
    10 => Logged { instance, log, before, operation };
    11 => Committed { instance, log, operation };
    12 => Applied { instance, log, transactions };
    13 => Pushed { instance, to, tx, ok };
    14 => LockSessionReaped { instance, slave };
    15 => Branched { instance, master, log };
    16 => BranchDiscarded { instance, log };
    17 => StoreCopy { instance, master, pages, done };
    18 => Recovered { instance, log, replayed, cut };
    19 => Checkpoint { instance, tx, pages };
    20 => StoreFailed { instance };
    21 => Observed { operation, attempt, instance, what, place, index, node, value };
    22 => Sample { instance, metric, value };
    23 => Final { instance, role, log, contents, open_transactions };
    24 => Inconsistent { instance, records };
    25 => Found { operation, subject };
    26 => FinalValue { property, node, value };
    27 => FinalRelationship { kind, from, to, operation };
    28 => Told { instance, line };
}

wire_enum!(Role, "role" {
    0 => Down;
    1 => Starting;
    2 => Pending;
    3 => Detached;
    4 => ToMaster;
    5 => Master;
    6 => ToSlave;
    7 => Slave;
    8 => Arbiter;
});

wire_enum!(HaRole, "role of HA" {
    0 => Master;
    1 => Slave;
    2 => Unknown;
});

wire_enum!(LogLine, "line of a user log" {
    0 => Joined(member);
    1 => HasLeft(member);
    2 => Elected(member);
    3 => Demoted(member);
    4 => Available(member, role);
    5 => Unavailable(member, role);
    6 => MovingToSlave(master);
    7 => CheckingConsistency;
    8 => CatchingUp(tx);
    9 => CaughtUp(tx);
    10 => DamagedStoreSetAside;
    11 => Copied;
});

wire_enum!(Observation, "observation" {
    0 => Read;
    1 => Wrote;
    2 => Listed;
    3 => End;
});

wire_enum!(Subject, "subject" {
    0 => Nothing;
    1 => Created;
    2 => Property(node);
});

wire_enum!(Metric, "metric" {
    0 => PageCacheHits;
    1 => PageCacheFaults;
    2 => PageCacheEvictions;
    3 => PageCacheFlushes;
    4 => LastCommittedTx;
    5 => DiskQueue;
    6 => DiskBusy;
    7 => CoreBusy;
    8 => OpenTransactions;
    9 => LogBytes;
    10 => Paused;
    11 => HeartbeatGap;
    12 => ResidentPages;
    13 => PageCacheFrames;
    14 => TransactionsStarted;
    15 => PeakTransactions;
    16 => ActiveReads;
    17 => ActiveWrites;
    18 => CommittedReads;
    19 => CommittedWrites;
    20 => RolledBackReads;
    21 => RolledBackWrites;
    22 => TerminatedReads;
    23 => TerminatedWrites;
    24 => LastClosedTx;
    25 => NodeIds;
    26 => RelationshipIds;
    27 => PropertyIds;
    28 => RelationshipTypeIds;
    29 => SlaveTxWrites;
    30 => MasterTxWrites;
    31 => MasterStoreWrites;
    32 => Checkpoints;
    33 => CheckpointTime;
    34 => LastCheckpointTime;
    35 => LogRotations;
    36 => LogRotationTime;
    37 => LastLogRotationTime;
    38 => PullUpdates;
    39 => PulledUpTo;
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode;
    use wavetank_vocabulary::{InstanceId, LogMark, NodeId, OperationId, TxId};

    #[test]
    fn facts_survive_the_way() {
        let instance = InstanceId(3);
        let log = LogMark { tx: TxId(9), checksum: u64::MAX };
        let operation = OperationId::from_word(1 << 32 | 7);
        let facts = [
            Fact::RoleChanged { instance, from: Role::ToMaster, to: Role::Master, log },
            Fact::ElectionEnded { elector: instance, version: 4, winner: None },
            Fact::Logged { instance, log, before: 5, operation },
            Fact::Sample { instance, metric: Metric::HeartbeatGap, value: 12 },
            Fact::Told { instance, line: LogLine::Available(InstanceId(2), HaRole::Slave) },
            Fact::Told { instance, line: LogLine::CheckingConsistency },
            Fact::Final {
                instance,
                role: Role::Slave,
                log,
                contents: Some([1, 2]),
                open_transactions: 0,
            },
            Fact::Found { operation: operation.unwrap(), subject: Subject::Property(NodeId(4)) },
            Fact::Observed {
                operation: operation.unwrap(),
                attempt: 2,
                instance,
                what: Observation::Listed,
                place: 1,
                index: 3,
                node: NodeId(8),
                value: Some(-1),
            },
        ];
        for fact in facts {
            let told = Told::new(fact).unwrap();
            let mut bytes = Vec::new();
            told.put(&mut bytes);
            assert_eq!(decode::<Told>(&bytes), Ok(told));
        }
        assert_eq!(Told::new(Fact::Healed), None);
    }
}
