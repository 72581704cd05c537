//! A slave's transaction at the master, from its lock session to the answer; and one that is in
//! the log when the reign ends: it is applied, for it may be known elsewhere, and nobody is told.

use std::sync::Arc;

use wavetank_cluster::{Message, Value};
use wavetank_instance::{DataMessage, Input, MasterCall, MasterReply, PeerMessage};
use wavetank_vocabulary::{InstanceId, LogMark, OperationId, OperationKind, Role, TxId};

use crate::rig::{Rig, prepared};

const SLAVE: InstanceId = InstanceId(1);
const OTHER: InstanceId = InstanceId(3);

fn learn(rig: &mut Rig, value: Value) {
    let instance = rig.instance.member().expect("it is open").delivered();
    let message = PeerMessage::Cluster(Message::Learn { instance, value });
    rig.step(Input::Peer { from: SLAVE, message });
}

fn call(rig: &mut Rig, id: u32, call: MasterCall) {
    let (epoch, mark) = (rig.epoch, LogMark::BASE);
    let message = DataMessage::Call { id, epoch, mark, session: 1, call };
    rig.step(Input::Peer { from: SLAVE, message: PeerMessage::Data(Arc::new(message)) });
}

/// A master whose slave's transaction is in the log and not durable.
fn logged() -> Rig {
    let mut rig = Rig::master();
    learn(&mut rig, Value::Join(OTHER, 0));
    learn(&mut rig, Value::Slave(OTHER));
    let (operation, kind) = (OperationId::default(), OperationKind(0));
    call(&mut rig, 1, MasterCall::NewLockSession { operation, kind });
    rig.sent.clear();
    rig.hold = true;
    call(&mut rig, 2, MasterCall::Commit(prepared()));
    assert_eq!(rig.instance.store().mark(), LogMark::BASE, "it is not durable");
    rig
}

fn data(rig: &mut Rig) -> Vec<(InstanceId, DataMessage)> {
    let sent = core::mem::take(&mut rig.sent).into_iter();
    let data = sent.filter_map(|(to, message)| match message {
        PeerMessage::Data(message) => Some((to, (*message).clone())),
        _ => None,
    });
    data.collect()
}

const PUSHED: TxId = TxId(LogMark::BASE.tx.0 + 1);

fn push_answer(rig: &mut Rig, tx: TxId, applied: Option<TxId>) {
    let message = PeerMessage::Data(Arc::new(DataMessage::PushAnswer { tx, applied }));
    rig.step(Input::Peer { from: OTHER, message });
}

#[test]
fn a_master_pushes_and_answers() {
    let mut rig = logged();
    rig.release();
    let sent = data(&mut rig);
    assert!(matches!(sent[..], [(OTHER, DataMessage::Push { tx: PUSHED, .. })]), "{sent:?}");
    // The slave refuses an earlier push, of which nobody waits for the answer any more.
    push_answer(&mut rig, LogMark::BASE.tx, None);
    assert!(data(&mut rig).is_empty(), "this one is still under way");
    push_answer(&mut rig, PUSHED, Some(PUSHED));
    let sent = data(&mut rig);
    let [(SLAVE, DataMessage::Reply { id: 2, reply, .. })] = &sent[..] else { panic!("{sent:?}") };
    assert!(matches!(reply, MasterReply::Committed(mark) if mark.tx == PUSHED));
    assert_eq!(rig.instance.store().applied(), PUSHED);
}

#[test]
fn who_is_master_no_more_tells_nobody() {
    let mut rig = logged();
    learn(&mut rig, Value::Elected { winner: Some(OTHER), elector: SLAVE, version: 9 });
    assert_eq!(rig.instance.role(), Role::Pending);
    rig.release();
    let sent = data(&mut rig);
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(rig.instance.store().applied(), PUSHED);
    assert_eq!(rig.instance.store().open_transactions(), 0);
}
