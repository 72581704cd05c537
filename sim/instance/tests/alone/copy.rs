//! A store copy from a master, as the slave to be lives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_cluster::{Message, Value};
use wavetank_instance::{DataMessage, Input, PeerMessage, Verdict};
use wavetank_vocabulary::{Epoch, InstanceId, Role};

use crate::rig::{Disk, ME, Rig, formed};

const MASTER: InstanceId = InstanceId(1);
const REIGN: Epoch = Epoch(7);

fn peer(rig: &mut Rig, message: PeerMessage) {
    rig.step(Input::Peer { from: MASTER, message });
}

fn data(rig: &mut Rig, message: DataMessage) {
    peer(rig, PeerMessage::Data(Arc::new(message)));
}

fn learn(rig: &mut Rig, value: Value) {
    let instance = rig.instance.member().expect("it is open").delivered();
    peer(rig, PeerMessage::Cluster(Message::Learn { instance, value }));
}

/// The data messages sent since this was last asked.
fn said(rig: &mut Rig) -> Vec<Arc<DataMessage>> {
    let sent = rig.sent.drain(..).filter_map(|(_, message)| match message {
        PeerMessage::Data(data) => Some(data),
        _ => None,
    });
    sent.collect()
}

/// The slave to be has asked for what it lacks, and hears that there is nothing.
fn nothing_is_lacking(rig: &mut Rig) {
    let attempt = rig.sent.drain(..).find_map(|(_, message)| match message {
        PeerMessage::Pull { attempt, .. } => Some(attempt),
        _ => None,
    });
    let attempt = attempt.expect("it pulls");
    let target = rig.instance.store().mark().tx;
    peer(rig, PeerMessage::UpToDate { attempt, target });
}

/// With an empty disk, and a copy of a master's store that has come in but for its checkpoint.
fn copied() -> Rig {
    let (mut master, mut slave) = (Rig::master(), Rig::started(Disk::Files(BTreeMap::new())));
    peer(&mut slave, PeerMessage::Cluster(formed(MASTER)));
    learn(&mut slave, Value::Master(MASTER, REIGN));
    loop {
        if slave.sent.iter().any(|(_, message)| matches!(message, PeerMessage::Pull { .. })) {
            return slave;
        }
        let asked = said(&mut slave);
        let [asked] = &asked[..] else { panic!("{asked:?}") };
        assert!(matches!(**asked, DataMessage::CopyStore { .. }), "{asked:?}");
        peer(&mut master, PeerMessage::Data(asked.clone()));
        let chunks = said(&mut master);
        let [chunk] = &chunks[..] else { panic!("{chunks:?}") };
        peer(&mut slave, PeerMessage::Data(chunk.clone()));
    }
}

fn announces_itself(rig: &Rig) -> bool {
    rig.sent.iter().any(|(_, message)| {
        matches!(message, PeerMessage::Cluster(Message::Propose(Value::Slave(ME))))
    })
}

#[test]
fn a_copied_store_gets_its_checkpoint_before_it_serves() {
    let mut rig = copied();
    rig.hold = true;
    nothing_is_lacking(&mut rig);
    assert!(!announces_itself(&rig));
    rig.release();
    assert!(announces_itself(&rig), "{:?}", rig.instance.waits_for());
}

#[test]
fn a_checkpoint_that_ends_while_there_is_no_master_is_not_waited_for_again() {
    let mut rig = copied();
    rig.hold = true;
    nothing_is_lacking(&mut rig);
    let (winner, elector, version) = (Some(InstanceId(3)), MASTER, 9);
    learn(&mut rig, Value::Elected { winner, elector, version });
    assert_eq!(rig.instance.role(), Role::Pending);
    rig.release();
    rig.sent.clear();
    learn(&mut rig, Value::Elected { winner: Some(MASTER), elector, version: 10 });
    learn(&mut rig, Value::Master(MASTER, REIGN));
    assert_eq!(rig.instance.role(), Role::ToSlave);
    let asked = rig.sent.iter().find_map(|(_, message)| match message {
        PeerMessage::Data(data) => match **data {
            DataMessage::Handshake { attempt, .. } => Some(attempt),
            _ => None,
        },
        _ => None,
    });
    let (attempt, store) = (asked.expect("it asks"), rig.instance.store().store_id());
    let verdict = Verdict::Same;
    data(&mut rig, DataMessage::HandshakeAnswer { attempt, verdict, epoch: REIGN, store });
    nothing_is_lacking(&mut rig);
    assert!(announces_itself(&rig), "{:?}", rig.instance.waits_for());
}

/// Votes are asked for before the store is set aside, and the result comes after that.
#[test]
fn who_is_elected_without_a_whole_store_asks_for_another_election() {
    let mut rig = Rig::started(Disk::Files(BTreeMap::new()));
    peer(&mut rig, PeerMessage::Cluster(formed(MASTER)));
    learn(&mut rig, Value::Master(MASTER, REIGN));
    assert_eq!(rig.instance.role(), Role::ToSlave);
    rig.sent.clear();
    learn(&mut rig, Value::Elected { winner: Some(ME), elector: MASTER, version: 9 });
    assert_eq!((rig.instance.role(), rig.epoch), (Role::ToSlave, Epoch(0)), "it goes on copying");
    let asks = |(_, message): &(_, PeerMessage)| {
        matches!(message, PeerMessage::Cluster(Message::PerformRoleElections))
    };
    assert!(rig.sent.iter().any(asks), "the cluster elects another: {:?}", rig.sent);
}
