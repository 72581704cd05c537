//! What instances say to each other, as bytes.

use std::ops::Range;
use std::sync::Arc;

use wavetank_cluster::{Accepted, Address, Candidate, Credentials, MemberSet, Message, Value};
use wavetank_instance::{DataMessage, MasterCall, MasterReply, PeerMessage, Refusal, Verdict};
use wavetank_store::{FileKind, FileName, LockRequest, PAGE_SIZE, Page, PageImage, TxRecord};
use wavetank_vocabulary::{
    ClientId, Epoch, InstanceId, LogMark, NodeId, OperationId, OperationKind, TxId,
};

use super::{Garbage, Reader, Wire, wire_enum, wire_struct};

/// The address that every member says it has: its own is always the one that it had before.
pub(crate) const HERE: Address = 0;

wire_struct!(InstanceId { 0 });
wire_struct!(ClientId { 0 });
wire_struct!(OperationKind { 0 });
wire_struct!(NodeId { 0 });
wire_struct!(TxId { 0 });
wire_struct!(Epoch { 0 });
wire_struct!(LogMark { tx, checksum });
wire_struct!(OperationId { client, index });
wire_struct!(Accepted { ballot, value });
wire_struct!(Candidate { tx, master });
wire_struct!(PageImage { file, page, image });

wire_enum!(PeerMessage, "message" {
    0 => Cluster(message);
    1 => Data(message);
    2 => Pull { attempt, mark };
    3 => UpToDate { attempt, target };
});

wire_enum!(Message, "cluster message" {
    0 => IAmAlive { learned };
    1 => Suspicions(members);
    2 => PerformRoleElections;
    3 => Vote { version };
    4 => Voted { version, credentials };
    5 => ConfigurationRequest { address };
    6 => ConfigurationResponse { address, known, members, moved, coordinator, delivered };
    7 => JoinDenied;
    8 => Propose(value);
    9 => Prepare { instance, ballot };
    10 => Promise { instance, ballot, accepted };
    11 => RejectPrepare { instance, ballot, promised };
    12 => Accept { instance, ballot, value };
    13 => Accepted { instance, ballot };
    14 => RejectAccept { instance, ballot };
    15 => Learn { instance, value };
    16 => LearnRequest { instance };
    17 => LearnFailed { instance };
    18 => SnapshotRequest;
    19 => Snapshot { delivered, master, slaves };
    20 => MemberAt { whom, address };
});

wire_enum!(Value, "decision" {
    0 => Join(whom, address);
    1 => Leave(whom);
    2 => Elected { winner, elector, version };
    3 => Master(whom, epoch);
    4 => Slave(whom);
    5 => Unavailable(whom);
});

wire_enum!(Credentials, "credentials" {
    0 => NotElectable;
    1 => Electable(candidate);
});

wire_enum!(DataMessage, "data message" {
    0 => Handshake { attempt, mark };
    1 => HandshakeAnswer { attempt, verdict, epoch, store };
    2 => Transactions { attempt, records, target };
    3 => PullRefused { attempt, verdict };
    4 => Push { tx, epoch };
    5 => PushAnswer { tx, applied };
    6 => CopyStore { attempt, chunk };
    7 => StoreChunk { attempt, chunk, pages, done };
    8 => Call { id, epoch, mark, session, call };
    9 => Reply { id, session, reply, obligation };
});

wire_enum!(MasterCall, "call" {
    0 => NewLockSession { operation, kind };
    1 => AcquireLock(lock);
    2 => EndLockSession;
    3 => AllocateIds(kind);
    4 => Commit(record);
});

wire_enum!(MasterReply, "reply" {
    0 => Done;
    1 => Ids(kind, ids);
    2 => Committed(mark);
    3 => Refused(why);
});

wire_enum!(Refusal, "refusal" {
    0 => InvalidEpoch;
    1 => NotMaster;
    2 => NoLockSession;
    3 => ConcurrentRequest;
    4 => Deadlock;
    5 => SchemaModified;
    6 => Failed;
    7 => Unreachable;
    8 => Branched;
});

wire_enum!(Verdict, "verdict" {
    0 => Same;
    1 => Branched;
    2 => OutOfDate;
    3 => NotMaster;
});

impl Wire for MemberSet {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_word().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        Ok(MemberSet::from_word(u64::get(from)?))
    }
}

impl Wire for LockRequest {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_words().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        Ok(LockRequest::from_words(Wire::get(from)?))
    }
}

impl Wire for FileKind {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        FileKind::from_number(u8::get(from)?).ok_or(Garbage("an unknown kind of file"))
    }
}

impl Wire for FileName {
    fn put(&self, out: &mut Vec<u8>) {
        self.kind.put(out);
    }

    /// Only files of the live store travel, and no logs.
    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        Ok(FileName::live(FileKind::get(from)?))
    }
}

impl Wire for Range<u64> {
    fn put(&self, out: &mut Vec<u8>) {
        self.start.put(out);
        self.end.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        Ok(u64::get(from)?..u64::get(from)?)
    }
}

impl Wire for Arc<DataMessage> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        DataMessage::get(from).map(Arc::new)
    }
}

impl Wire for Arc<Page> {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        let mut bytes = [0; PAGE_SIZE];
        bytes.copy_from_slice(from.take(PAGE_SIZE)?);
        Ok(Arc::new(Page::from_bytes(&bytes)))
    }
}

impl Wire for Arc<TxRecord> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.content().len() as u32).put(out);
        out.extend_from_slice(self.content());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        let length = u32::get(from)? as usize;
        let content = from.take(length)?;
        let record = TxRecord::from_content(content);
        record.map(Arc::new).map_err(|_| Garbage("a damaged transaction"))
    }
}

/// Whether a member of a cluster of `total` could have sent the message. Indexes beyond would be
/// bugs of a sender, and are not to become panics of the receiver. Where each member is stands in
/// the nodes' files, so that all of them say [`HERE`] as their address, and nobody is denied for
/// another: both would end the receiver (HA specification 2.1: joinFailure, joinDenied).
pub(crate) fn is_of_a_member(message: &PeerMessage, total: usize) -> bool {
    let PeerMessage::Cluster(message) = message else { return true };
    let everyone = MemberSet::first(total);
    let known = |set: MemberSet| set.difference(everyone).is_empty();
    let stays = |value: Value| !matches!(value, Value::Join(_, address) if address != HERE);
    match *message {
        Message::JoinDenied | Message::MemberAt { .. } => false,
        Message::ConfigurationRequest { address } => address == HERE,
        Message::Suspicions(members) => known(members),
        Message::ConfigurationResponse { address, members, moved, .. } => {
            address == HERE && known(members) && moved.is_empty()
        }
        Message::Snapshot { slaves, .. } => known(slaves),
        Message::Propose(value) | Message::Accept { value, .. } | Message::Learn { value, .. } => {
            stays(value)
        }
        Message::Promise { accepted, .. } => accepted.is_none_or(|it| stays(it.value)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn id() -> impl Strategy<Value = InstanceId> {
        any::<u16>().prop_map(InstanceId)
    }

    fn mark() -> impl Strategy<Value = LogMark> {
        any::<(u64, u64)>().prop_map(|(tx, checksum)| LogMark { tx: TxId(tx), checksum })
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            (id(), any::<u16>()).prop_map(|(whom, address)| Value::Join(whom, address)),
            id().prop_map(Value::Leave),
            (proptest::option::of(id()), id(), any::<u64>())
                .prop_map(|(winner, elector, version)| Value::Elected { winner, elector, version }),
            (id(), any::<u64>()).prop_map(|(whom, epoch)| Value::Master(whom, Epoch(epoch))),
            id().prop_map(Value::Slave),
            id().prop_map(Value::Unavailable),
        ]
    }

    fn cluster() -> impl Strategy<Value = Message> {
        let set = || any::<u64>().prop_map(MemberSet::from_word);
        let numbers = || any::<(u32, u32)>();
        prop_oneof![
            any::<u32>().prop_map(|learned| Message::IAmAlive { learned }),
            set().prop_map(Message::Suspicions),
            Just(Message::PerformRoleElections),
            any::<u64>().prop_map(|version| Message::Vote { version }),
            any::<(u64, u64, bool)>().prop_map(|(version, tx, master)| Message::Voted {
                version,
                credentials: Credentials::Electable(Candidate { tx: TxId(tx), master }),
            }),
            any::<u64>().prop_map(|version| Message::Voted {
                version,
                credentials: Credentials::NotElectable,
            }),
            any::<u16>().prop_map(|address| Message::ConfigurationRequest { address }),
            (any::<(u16, bool, u32)>(), (set(), set()), proptest::option::of(id())).prop_map(
                |((address, known, delivered), (members, moved), coordinator)| {
                    Message::ConfigurationResponse {
                        address,
                        known,
                        members,
                        moved,
                        coordinator,
                        delivered,
                    }
                }
            ),
            Just(Message::JoinDenied),
            (id(), any::<u16>()).prop_map(|(whom, address)| Message::MemberAt { whom, address }),
            value().prop_map(Message::Propose),
            numbers().prop_map(|(instance, ballot)| Message::Prepare { instance, ballot }),
            (numbers(), proptest::option::of((any::<u32>(), value()))).prop_map(
                |((instance, ballot), accepted)| Message::Promise {
                    instance,
                    ballot,
                    accepted: accepted.map(|(ballot, value)| Accepted { ballot, value }),
                }
            ),
            (numbers(), any::<u32>()).prop_map(|((instance, ballot), promised)| {
                Message::RejectPrepare { instance, ballot, promised }
            }),
            (numbers(), value()).prop_map(|((instance, ballot), value)| Message::Accept {
                instance,
                ballot,
                value
            }),
            numbers().prop_map(|(instance, ballot)| Message::Accepted { instance, ballot }),
            numbers().prop_map(|(instance, ballot)| Message::RejectAccept { instance, ballot }),
            (any::<u32>(), value())
                .prop_map(|(instance, value)| Message::Learn { instance, value }),
            any::<u32>().prop_map(|instance| Message::LearnRequest { instance }),
            any::<u32>().prop_map(|instance| Message::LearnFailed { instance }),
            Just(Message::SnapshotRequest),
            (any::<u32>(), proptest::option::of((id(), any::<u64>())), set()).prop_map(
                |(delivered, master, slaves)| Message::Snapshot {
                    delivered,
                    master: master.map(|(id, epoch)| (id, Epoch(epoch))),
                    slaves,
                }
            ),
        ]
    }

    /// An empty transaction: a header, and no records.
    fn record() -> impl Strategy<Value = Arc<TxRecord>> {
        vec(any::<u8>(), 40).prop_map(|mut content| {
            content.extend_from_slice(&[0; 4]);
            Arc::new(TxRecord::from_content(&content).expect("a header alone is well-formed"))
        })
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![
            Just(Verdict::Same),
            Just(Verdict::Branched),
            Just(Verdict::OutOfDate),
            Just(Verdict::NotMaster)
        ]
    }

    fn page() -> impl Strategy<Value = PageImage> {
        any::<(u32, u64)>().prop_map(|(page, sequence)| PageImage {
            file: FileName::live(FileKind::Nodes),
            page,
            image: Arc::new(Page::empty(FileKind::Nodes, page).sealed(sequence)),
        })
    }

    fn call() -> impl Strategy<Value = MasterCall> {
        prop_oneof![
            any::<(u16, u32, u16)>().prop_map(|(client, index, kind)| MasterCall::NewLockSession {
                operation: OperationId { client: ClientId(client), index },
                kind: OperationKind(kind),
            }),
            any::<(u64, bool)>()
                .prop_map(|words| MasterCall::AcquireLock(LockRequest::from_words(words))),
            Just(MasterCall::EndLockSession),
            Just(MasterCall::AllocateIds(FileKind::Arrays)),
            record().prop_map(MasterCall::Commit),
        ]
    }

    fn reply() -> impl Strategy<Value = MasterReply> {
        let refusals = [
            Refusal::InvalidEpoch,
            Refusal::NotMaster,
            Refusal::NoLockSession,
            Refusal::ConcurrentRequest,
            Refusal::Deadlock,
            Refusal::SchemaModified,
            Refusal::Failed,
            Refusal::Unreachable,
            Refusal::Branched,
        ];
        prop_oneof![
            Just(MasterReply::Done),
            any::<(u64, u64)>().prop_map(|(a, b)| MasterReply::Ids(FileKind::Groups, a..b)),
            mark().prop_map(MasterReply::Committed),
            (0..refusals.len()).prop_map(move |which| MasterReply::Refused(refusals[which])),
        ]
    }

    fn data() -> impl Strategy<Value = DataMessage> {
        prop_oneof![
            (any::<u32>(), mark())
                .prop_map(|(attempt, mark)| DataMessage::Handshake { attempt, mark }),
            (any::<(u32, u64, u64)>(), verdict()).prop_map(|((attempt, epoch, store), verdict)| {
                DataMessage::HandshakeAnswer { attempt, verdict, epoch: Epoch(epoch), store }
            }),
            (any::<(u32, u64)>(), vec(record(), 0..3)).prop_map(|((attempt, target), records)| {
                DataMessage::Transactions { attempt, records, target: TxId(target) }
            }),
            (any::<u32>(), verdict())
                .prop_map(|(attempt, verdict)| DataMessage::PullRefused { attempt, verdict }),
            any::<(u64, u64)>()
                .prop_map(|(tx, epoch)| DataMessage::Push { tx: TxId(tx), epoch: Epoch(epoch) }),
            (any::<u64>(), any::<Option<u64>>()).prop_map(|(tx, applied)| {
                DataMessage::PushAnswer { tx: TxId(tx), applied: applied.map(TxId) }
            }),
            any::<(u32, u32)>()
                .prop_map(|(attempt, chunk)| DataMessage::CopyStore { attempt, chunk }),
            (any::<(u32, u32)>(), vec(page(), 0..2), proptest::option::of(mark())).prop_map(
                |((attempt, chunk), pages, done)| DataMessage::StoreChunk {
                    attempt,
                    chunk,
                    pages,
                    done
                }
            ),
            (any::<(u32, u64, u32)>(), mark(), call()).prop_map(
                |((id, epoch, session), mark, call)| {
                    DataMessage::Call { id, epoch: Epoch(epoch), mark, session, call }
                }
            ),
            (any::<(u32, u64, u32)>(), reply()).prop_map(|((id, obligation, session), reply)| {
                DataMessage::Reply { id, session, reply, obligation: TxId(obligation) }
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn every_message_survives_the_way(
            message in prop_oneof![
                cluster().prop_map(PeerMessage::Cluster),
                data().prop_map(|message| PeerMessage::Data(Arc::new(message))),
                (any::<u32>(), mark())
                    .prop_map(|(attempt, mark)| PeerMessage::Pull { attempt, mark }),
                any::<(u32, u64)>().prop_map(|(attempt, target)| PeerMessage::UpToDate {
                    attempt,
                    target: TxId(target),
                }),
            ]
        ) {
            let mut bytes = Vec::new();
            message.put(&mut bytes);
            let back = decode::<PeerMessage>(&bytes);
            prop_assert_eq!(format!("{back:?}"), format!("Ok({message:?})"));
            // No part of it is another message, and what is more is too much.
            prop_assert!(decode::<PeerMessage>(&bytes[..bytes.len() - 1]).is_err());
            bytes.push(0);
            prop_assert!(decode::<PeerMessage>(&bytes).is_err());
        }

        #[test]
        fn garbage_is_refused_without_panic(bytes in vec(any::<u8>(), 0..300), kind in 0..30u8) {
            let _ = decode::<PeerMessage>(&bytes);
            // With a plausible beginning it gets further.
            let _ = decode::<PeerMessage>(&[&[kind % 4, kind], &bytes[..]].concat());
        }
    }

    fn accepted(message: Message) -> bool {
        is_of_a_member(&PeerMessage::Cluster(message), 3)
    }

    #[test]
    fn members_beyond_the_cluster_are_not_known() {
        let about = |word| accepted(Message::Suspicions(MemberSet::from_word(word)));
        assert!(about(0b111) && !about(0b1000));
    }

    #[test]
    fn nobody_moves_and_nobody_is_denied() {
        assert!(accepted(Message::ConfigurationRequest { address: HERE }));
        assert!(!accepted(Message::ConfigurationRequest { address: HERE + 1 }));
        assert!(!accepted(Message::JoinDenied));
        assert!(!accepted(Message::MemberAt { whom: InstanceId(2), address: HERE + 1 }));
        let join = |address| Value::Join(InstanceId(2), address);
        let (instance, ballot) = (1, 1_001);
        for (address, good) in [(HERE, true), (HERE + 1, false)] {
            let value = join(address);
            assert_eq!(accepted(Message::Propose(value)), good);
            assert_eq!(accepted(Message::Accept { instance, ballot, value }), good);
            assert_eq!(accepted(Message::Learn { instance, value }), good);
            let before = Some(Accepted { ballot, value });
            assert_eq!(accepted(Message::Promise { instance, ballot, accepted: before }), good);
            let answer = Message::ConfigurationResponse {
                address,
                known: true,
                members: MemberSet::first(3),
                moved: MemberSet::EMPTY,
                coordinator: None,
                delivered: 0,
            };
            assert_eq!(accepted(answer), good);
        }
    }
}
