//! Whatever peers, clients and timers come up with, an instance does not panic.
//!
//! The instance is alone with a disk that forgets everything and answers at once, so its
//! store is never whole; what a whole one does is tried in the world's voyages.

#[path = "../../cluster/tests/messages/mod.rs"]
mod messages;

use std::sync::Arc;

use messages::message;
use proptest::prelude::*;
use wavetank_cluster::Configuration;
use wavetank_instance::{
    Compat, DataMessage, Effect, Input, Instance, InstanceConfig, MasterCall, MasterReply, Now,
    Operand, OperationStep, PeerMessage, Program, Refusal, Request, Settings, Timer, Verdict,
};
use wavetank_store::{CachePolicy, DiskError, DiskReply, DiskRequest, FileKind};
use wavetank_vocabulary::{
    Epoch, InstanceId, LogMark, NodeId, OperationId, OperationKind, PlantedBugs, Span, Time, TxId,
};

fn instance() -> Instance {
    let members = [1, 2, 3].map(InstanceId);
    Instance::new(InstanceConfig {
        configuration: Configuration::new(InstanceId(2), &members).unwrap(),
        settings: Arc::new(Settings::defaults(Compat::V2_3_6)),
        slave_only: false,
        arbiter: false,
        address: 0,
        frames: 64,
        cache_policy: CachePolicy::ClockSweep,
        programs: programs().into(),
        bugs: PlantedBugs::NONE,
        watch_locks: true,
    })
}

/// Programs that read, write, and write in two transactions.
fn programs() -> Vec<Program> {
    use OperationStep as Do;
    let me = || Do::Node { into: 0, label: None, id: Operand::Me.into() };
    let of = |steps: Vec<Do>| Program { steps, ..Program::default() };
    vec![
        of(vec![me(), Do::Read(0)]),
        of(vec![me(), Do::Lock([Some(0), None, None, None])]),
        of(vec![me(), Do::DetachDelete(0), Do::Commit, Do::Statement, Do::Delete(7)]),
    ]
}

/// Gives the instance an input and serves its disk and its tasks until it is quiet.
fn step(instance: &mut Instance, now: Now, input: Input) {
    let mut inputs = vec![input];
    let mut turns = 0;
    while let Some(input) = inputs.pop() {
        turns += 1;
        assert!(turns < 10_000, "the instance never comes to rest");
        let mut effects = Vec::new();
        instance.step(now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Disk { op, request } => {
                    let result = match request {
                        DiskRequest::List => Ok(DiskReply::Files(Vec::new())),
                        DiskRequest::ReadPage { .. } | DiskRequest::ReadAt { .. } => {
                            Err(DiskError::NotFound)
                        }
                        _ => Ok(DiskReply::Done),
                    };
                    inputs.insert(0, Input::Disk { op, result });
                }
                Effect::Ready(task) => inputs.insert(0, Input::Run(task)),
                Effect::Spend { task, .. } => inputs.insert(0, Input::Ran(task)),
                _ => {}
            }
        }
    }
}

fn mark() -> impl Strategy<Value = LogMark> {
    (0..5u64, 0..3u64).prop_map(|(tx, checksum)| LogMark { tx: TxId(tx), checksum })
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

fn data() -> impl Strategy<Value = DataMessage> {
    let attempt = 0..4u32;
    let epoch = (0..3u64).prop_map(Epoch);
    prop_oneof![
        (attempt.clone(), mark())
            .prop_map(|(attempt, mark)| DataMessage::Handshake { attempt, mark }),
        (attempt.clone(), verdict(), epoch.clone()).prop_map(|(attempt, verdict, epoch)| {
            DataMessage::HandshakeAnswer { attempt, verdict, epoch }
        }),
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
        (attempt.clone(), any::<bool>())
            .prop_map(|(attempt, first)| DataMessage::CopyStore { attempt, first }),
        (attempt.clone(), prop::option::of(mark())).prop_map(|(attempt, done)| {
            DataMessage::StoreChunk { attempt, pages: Vec::new(), done }
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
    let from = (0..5u16).prop_map(InstanceId);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_input_makes_an_instance_panic(inputs in prop::collection::vec(input(), 0..120)) {
        let mut instance = instance();
        let mut now = Now { mono: Time::ZERO, wall_ms: 1_000 };
        step(&mut instance, now, Input::Start);
        for input in inputs {
            now.mono += Span::from_millis(700);
            now.wall_ms += 700;
            step(&mut instance, now, input);
        }
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
