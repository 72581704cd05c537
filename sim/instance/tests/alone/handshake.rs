//! The handshake of a slave: whose store is it, and is its master one still?

use std::sync::Arc;

use wavetank_cluster::{ClusterState, Message, Value};
use wavetank_instance::{DataMessage, Input, MasterCall, PeerMessage, Timer, Verdict};
use wavetank_vocabulary::{Epoch, InstanceId, LogMark, Role, TxId};

use crate::rig::{Disk, ME, Rig, formed, prepared};

const MASTER: InstanceId = InstanceId(1);
const REIGN: Epoch = Epoch(7);

fn cluster(rig: &mut Rig, message: Message) {
    rig.step(Input::Peer { from: MASTER, message: PeerMessage::Cluster(message) });
}

fn learn(rig: &mut Rig, value: Value) {
    let instance = rig.instance.member().expect("it is open").delivered();
    cluster(rig, Message::Learn { instance, value });
}

/// Has it follow the master, and answers its handshake for one with the same store, or with
/// another: what the slave sends then.
fn answered(rig: &mut Rig, same: bool) -> Vec<PeerMessage> {
    cluster(rig, formed(MASTER));
    learn(rig, Value::Master(MASTER, REIGN));
    assert_eq!(rig.instance.role(), Role::ToSlave);
    answer(rig, Verdict::Same, same)
}

/// Answers the handshake that a slave has sent.
fn answer(rig: &mut Rig, verdict: Verdict, same: bool) -> Vec<PeerMessage> {
    let store = rig.instance.store().store_id() ^ u64::from(!same);
    let asked = rig.sent.drain(..).find_map(|(_, message)| match message {
        PeerMessage::Data(data) => match *data {
            DataMessage::Handshake { attempt, .. } => Some(attempt),
            _ => None,
        },
        _ => None,
    });
    let attempt = asked.expect("it asks the master");
    let answer = DataMessage::HandshakeAnswer { attempt, verdict, epoch: REIGN, store };
    rig.step(Input::Peer { from: MASTER, message: PeerMessage::Data(Arc::new(answer)) });
    rig.sent.drain(..).map(|(_, message)| message).collect()
}

/// A store with a transaction of its own.
fn with_data() -> Rig {
    let mut rig = Rig::master();
    let (epoch, mark, call) = (rig.epoch, LogMark::BASE, MasterCall::Commit(prepared()));
    let message = DataMessage::Call { id: 1, epoch, mark, session: 0, call };
    rig.step(Input::Peer { from: MASTER, message: PeerMessage::Data(Arc::new(message)) });
    let rig = rig.restarted();
    assert_eq!(rig.instance.store().mark().tx, TxId(LogMark::BASE.tx.0 + 1));
    rig
}

#[test]
fn a_store_of_this_cluster_is_caught_up() {
    let sent = answered(&mut with_data(), true);
    assert!(matches!(sent[..], [PeerMessage::Pull { .. }]), "{sent:?}");
}

#[test]
fn a_foreign_store_without_transactions_is_replaced() {
    let sent = answered(&mut Rig::started(Disk::with_graph()), false);
    let [PeerMessage::Data(data)] = &sent[..] else { panic!("{sent:?}") };
    assert!(matches!(**data, DataMessage::CopyStore { chunk: 0, .. }), "{data:?}");
}

#[test]
fn a_foreign_store_with_data_is_kept_and_stays_out() {
    let mut rig = with_data();
    let sent = answered(&mut rig, false);
    let leaves = |message: &PeerMessage| {
        matches!(message, PeerMessage::Cluster(Message::Propose(Value::Leave(ME))))
    };
    assert!(matches!(&sent[..], [message] if leaves(message)), "{sent:?}");
    learn(&mut rig, Value::Leave(ME));
    let state = |rig: &Rig| rig.instance.member().expect("it is open").cluster_state();
    assert_eq!((rig.instance.role(), state(&rig)), (Role::Pending, ClusterState::Start));
    assert!(rig.instance.waits_for().is_some_and(|why| why.contains("of another cluster")));
    assert_eq!(rig.instance.store().mark().tx, TxId(LogMark::BASE.tx.0 + 1), "it is all there");
    rig.step(Input::Timer(Timer::Switch));
    assert_eq!(state(&rig), ClusterState::Discovery, "and tries again");
}

#[test]
fn who_is_told_twice_that_its_master_is_none_can_be_elected_again() {
    let mut rig = with_data();
    cluster(&mut rig, formed(MASTER));
    learn(&mut rig, Value::Master(MASTER, REIGN));
    assert!(answer(&mut rig, Verdict::NotMaster, true).is_empty(), "it may be on its way");
    assert_eq!(rig.instance.role(), Role::ToSlave);
    rig.step(Input::Timer(Timer::Switch));
    let sent = answer(&mut rig, Verdict::NotMaster, true);
    assert_eq!(rig.instance.role(), Role::Pending);
    let asks = |it: &PeerMessage| {
        matches!(it, PeerMessage::Cluster(Message::PerformRoleElections | Message::Vote { .. }))
    };
    assert!(sent.iter().any(asks), "{sent:?}");
}
