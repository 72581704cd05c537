//! Whatever peers, clients and timers come up with, an instance does not panic: more than a
//! million messages, half of them to one that never has a whole store, half to a master that has,
//! which is asked for locks and commits.

use std::sync::Arc;

use proptest::prelude::*;
use wavetank_cluster::{Accepted, Message, Value};
use wavetank_instance::{
    DataMessage, Input, MasterCall, MasterReply, PeerMessage, Refusal, Request, Timer, Verdict,
};
use wavetank_store::{FileKind, LockRequest, TxRecord};
use wavetank_vocabulary::{
    Epoch, InstanceId, LogMark, NodeId, OperationId, OperationKind, Span, TxId,
};

use crate::messages::message;
use crate::rig::{Disk, Rig, prepared};

fn mark() -> impl Strategy<Value = LogMark> {
    prop_oneof![
        2 => (0..5u64, 0..3u64).prop_map(|(tx, checksum)| LogMark { tx: TxId(tx), checksum }),
        1 => Just(LogMark::BASE),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(vec![
        Verdict::Same,
        Verdict::Branched,
        Verdict::OutOfDate,
        Verdict::NotMaster,
    ])
}

fn call() -> impl Strategy<Value = MasterCall> {
    prop_oneof![
        Just(MasterCall::NewLockSession {
            operation: OperationId::default(),
            kind: OperationKind(0),
        }),
        Just(MasterCall::EndLockSession),
        kind().prop_map(MasterCall::AllocateIds),
        (prop_oneof![4 => 0..9u64, 1 => any::<u64>()], any::<bool>())
            .prop_map(|words| MasterCall::AcquireLock(LockRequest::from_words(words))),
        record().prop_map(|record| MasterCall::Commit(Arc::new(record))),
    ]
}

/// What a slave prepared, whole or with a byte changed.
pub(crate) fn record() -> impl Strategy<Value = TxRecord> {
    prop_oneof![
        Just((*prepared()).clone()),
        (any::<prop::sample::Index>(), any::<u8>()).prop_filter_map("damaged", |(at, byte)| {
            let mut content = prepared().content().to_vec();
            let at = at.index(content.len());
            content[at] = byte;
            TxRecord::from_content(&content).ok()
        }),
    ]
}

fn kind() -> impl Strategy<Value = FileKind> {
    (0..32u8).prop_filter_map("no such kind", FileKind::from_number)
}

fn reply() -> impl Strategy<Value = MasterReply> {
    prop_oneof![
        Just(MasterReply::Done),
        (kind(), any::<u64>(), any::<u64>())
            .prop_map(|(kind, from, to)| MasterReply::Ids(kind, from..to)),
        mark().prop_map(MasterReply::Committed),
        prop::sample::select(vec![
            Refusal::InvalidEpoch,
            Refusal::NotMaster,
            Refusal::Branched,
            Refusal::NoLockSession,
            Refusal::Deadlock,
        ])
        .prop_map(MasterReply::Refused),
    ]
}

pub(crate) fn data() -> impl Strategy<Value = DataMessage> {
    let attempt = 0..4u32;
    let epoch = (0..3u64).prop_map(Epoch);
    prop_oneof![
        (attempt.clone(), mark())
            .prop_map(|(attempt, mark)| DataMessage::Handshake { attempt, mark }),
        (attempt.clone(), verdict(), epoch.clone(), 0..3u64).prop_map(
            |(attempt, verdict, epoch, store)| DataMessage::HandshakeAnswer {
                attempt,
                verdict,
                epoch,
                store
            }
        ),
        (attempt.clone(), 0..9u64).prop_map(|(attempt, tx)| DataMessage::Transactions {
            attempt,
            records: Vec::new(),
            target: TxId(tx),
        }),
        (attempt.clone(), verdict())
            .prop_map(|(attempt, verdict)| DataMessage::PullRefused { attempt, verdict }),
        (0..9u64, epoch).prop_map(|(tx, epoch)| DataMessage::Push { tx: TxId(tx), epoch }),
        (0..9u64, prop::option::of(0..9u64)).prop_map(|(tx, applied)| DataMessage::PushAnswer {
            tx: TxId(tx),
            applied: applied.map(TxId),
        }),
        (attempt.clone(), 0..3u32)
            .prop_map(|(attempt, chunk)| DataMessage::CopyStore { attempt, chunk }),
        (attempt.clone(), 0..3u32, prop::option::of(mark())).prop_map(|(attempt, chunk, done)| {
            DataMessage::StoreChunk { attempt, chunk, pages: Vec::new(), done }
        }),
        (attempt.clone(), (0..3u64).prop_map(Epoch), mark(), 0..3u32, call()).prop_map(
            |(id, epoch, mark, session, call)| DataMessage::Call { id, epoch, mark, session, call }
        ),
        (attempt, 0..3u32, reply(), 0..9u64).prop_map(|(id, session, reply, tx)| {
            DataMessage::Reply { id, session, reply, obligation: TxId(tx) }
        }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    // Mostly the other members: what strangers say goes no further.
    let from = prop_oneof![4 => Just(1), 4 => Just(3), 1 => 0..5u16].prop_map(InstanceId);
    prop_oneof![
        4 => (from.clone(), data()).prop_map(|(from, message)| Input::Peer {
            from,
            message: PeerMessage::Data(Arc::new(message)),
        }),
        1 => (from.clone(), 0..4u32, mark()).prop_map(|(from, attempt, mark)| Input::Peer {
            from,
            message: PeerMessage::Pull { attempt, mark },
        }),
        1 => (from.clone(), 0..4u32, 0..9u64).prop_map(|(from, attempt, tx)| Input::Peer {
            from,
            message: PeerMessage::UpToDate { attempt, target: TxId(tx) },
        }),
        4 => (from.clone(), message()).prop_map(|(from, message)| Input::Peer {
            from,
            message: PeerMessage::Cluster(message),
        }),
        1 => from.prop_map(Input::PeerLost),
        2 => (0..Timer::count(3))
            .prop_map(|slot| Input::Timer(Timer::at_slot(slot, 3).expect("below the count"))),
        2 => (0..9u16, 0..9u64, any::<u32>()).prop_map(|(kind, me, index)| {
            Input::Request(Request {
                operation: OperationId { index, ..OperationId::default() },
                attempt: 1,
                kind: OperationKind(kind),
                me: NodeId(me),
                other: NodeId(me + 1),
                now_ms: 0,
                by_statement: me % 2 == 0,
                open: None,
                looks_up: false,
                reply_to: 0,
            })
        }),
    ]
}

/// The first epoch that storms speak of stands for the one that the instance reigns in.
fn in_its_epoch(input: Input, reign: Epoch) -> Input {
    match input {
        Input::Peer { from, message: PeerMessage::Data(data) } => {
            let mut data = (*data).clone();
            if let DataMessage::Call { epoch, .. } | DataMessage::Push { epoch, .. } = &mut data
                && *epoch == Epoch(0)
            {
                *epoch = reign;
            }
            Input::Peer { from, message: PeerMessage::Data(Arc::new(data)) }
        }
        other => other,
    }
}

fn weather(mut rig: Rig, storm: Vec<Input>) {
    for input in storm {
        rig.wait(Span::from_millis(700));
        rig.sent.clear();
        let input = in_its_epoch(input, rig.epoch);
        rig.step(input);
    }
}

/// The messages that may end a process: they tell that its server id is taken (HA specification
/// 2.1). A driver whose members cannot move lets none of them in.
pub(crate) fn may_end(input: &Input) -> bool {
    let Input::Peer { message: PeerMessage::Cluster(message), .. } = input else { return false };
    match *message {
        Message::JoinDenied => true,
        Message::ConfigurationRequest { address }
        | Message::ConfigurationResponse { address, .. }
        | Message::Propose(Value::Join(_, address))
        | Message::Accept { value: Value::Join(_, address), .. }
        | Message::Learn { value: Value::Join(_, address), .. }
        | Message::Promise {
            accepted: Some(Accepted { value: Value::Join(_, address), .. }),
            ..
        } => address != 0,
        _ => false,
    }
}

// Storms have a hundred inputs on average, seven in ten of them messages.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(7_500))]

    #[test]
    fn no_input_makes_an_instance_panic(storm in prop::collection::vec(input(), 0..200)) {
        weather(Rig::started(Disk::Forgetful), storm);
    }

    #[test]
    fn no_other_message_ends_an_instance(storm in prop::collection::vec(input(), 0..40)) {
        for mut rig in [Rig::started(Disk::with_graph()), Rig::master()] {
            for input in storm.iter().filter(|input| !may_end(input)) {
                rig.wait(Span::from_millis(700));
                rig.step(in_its_epoch(input.clone(), rig.epoch));
                prop_assert!(!rig.ended, "{input:?} ends it");
            }
        }
    }

    #[test]
    fn no_input_makes_a_master_panic(storm in prop::collection::vec(input(), 0..200)) {
        weather(Rig::master(), storm);
    }
}

/// What the storms are made of takes effect when it comes in order.
#[test]
fn a_master_takes_locks_and_commits() {
    let mut rig = Rig::master();
    let (operation, kind) = (OperationId::default(), OperationKind(0));
    let calls = [
        MasterCall::NewLockSession { operation, kind },
        MasterCall::AcquireLock(LockRequest::from_words((3, false))),
        MasterCall::Commit(prepared()),
    ];
    for (id, call) in (0..).zip(calls) {
        let (epoch, mark) = (Epoch(0), LogMark::BASE);
        let message = DataMessage::Call { id, epoch, mark, session: 1, call };
        let input =
            Input::Peer { from: InstanceId(1), message: PeerMessage::Data(Arc::new(message)) };
        rig.step(in_its_epoch(input, rig.epoch));
    }
    let replies = rig.sent.iter().filter_map(|(_, message)| match message {
        PeerMessage::Data(data) => match &**data {
            DataMessage::Reply { reply, .. } => Some(reply.clone()),
            _ => None,
        },
        _ => None,
    });
    let replies: Vec<_> = replies.collect();
    assert!(
        matches!(replies[..], [MasterReply::Done, MasterReply::Done, MasterReply::Committed(_)]),
        "{replies:?}"
    );
}

#[test]
fn two_at_different_addresses_under_one_server_id_end_the_start() {
    for addresses in [[0, 0], [0, 1]] {
        let mut rig = Rig::started(Disk::with_graph());
        for address in addresses {
            let message = Message::ConfigurationRequest { address };
            let input = Input::Peer { from: InstanceId(3), message: PeerMessage::Cluster(message) };
            assert_eq!(may_end(&input), address != 0);
            rig.step(input);
        }
        assert_eq!(rig.ended, addresses[0] != addresses[1]);
    }
}

#[test]
fn timers_and_slots_are_one_to_one() {
    for total in [1, 3, 64] {
        for slot in 0..Timer::count(total) {
            let timer = Timer::at_slot(slot, total).expect("below the count");
            assert_eq!(timer.slot(total), slot);
        }
        assert_eq!(Timer::at_slot(Timer::count(total), total), None);
    }
}
