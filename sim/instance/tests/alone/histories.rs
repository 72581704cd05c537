//! Two masters with a common beginning, whose histories have parted.

use std::sync::{Arc, OnceLock};

use wavetank_cluster::{Message, Value};
use wavetank_instance::{DataMessage, Input, PeerMessage, Request};
use wavetank_store::{PageImage, TxRecord};
use wavetank_vocabulary::{InstanceId, LogMark, NodeId, OperationId, OperationKind, Span};

use crate::rig::Rig;

/// As whom the masters know the slave: inside, they are instance 2 themselves.
pub(crate) const SLAVE: InstanceId = InstanceId(1);
/// The program that creates a node.
pub(crate) const CREATES: u16 = 3;

/// A master and its history.
#[derive(Clone, Debug)]
pub(crate) struct Reigning {
    pub(crate) rig: Rig,
    pub(crate) records: Vec<Arc<TxRecord>>,
    /// The pages of its store.
    pub(crate) pages: Vec<PageImage>,
}

impl Reigning {
    fn new(rig: Rig) -> Reigning {
        let mut master = Reigning { rig, records: Vec::new(), pages: Vec::new() };
        for value in [Value::Join(SLAVE, 0), Value::Slave(SLAVE)] {
            learn(&mut master.rig, SLAVE, value);
        }
        master
    }

    pub(crate) fn hear(&mut self, message: PeerMessage) -> Vec<PeerMessage> {
        self.rig.step(Input::Peer { from: SLAVE, message });
        self.rig.sent.drain(..).filter(|(to, _)| *to == SLAVE).map(|(_, said)| said).collect()
    }

    pub(crate) fn commit(&mut self, index: u32) -> Vec<PeerMessage> {
        self.rig.wait(Span::from_millis(50));
        self.rig.step(request(CREATES, 0, index));
        self.rig.sent.drain(..).filter(|(to, _)| *to == SLAVE).map(|(_, said)| said).collect()
    }

    /// Looks up what has been committed since.
    pub(crate) fn note(&mut self) {
        let mark = self.records.last().map_or(LogMark::BASE, |record| record.mark());
        if self.rig.instance.store().mark() == mark {
            return;
        }
        let mut twin = Reigning { rig: self.rig.clone(), ..Reigning::new(self.rig.clone()) };
        for said in twin.hear(PeerMessage::Pull { attempt: 1, mark }) {
            if let PeerMessage::Data(data) = said
                && let DataMessage::Transactions { records, .. } = &*data
            {
                self.records.extend(records.iter().cloned());
            }
        }
    }

    /// Copies its store, for the pages.
    fn with_pages(mut self) -> Reigning {
        let mut rig = self.rig.clone();
        for chunk in 0.. {
            let ask = Arc::new(DataMessage::CopyStore { attempt: 1, chunk });
            rig.step(Input::Peer { from: SLAVE, message: PeerMessage::Data(ask) });
            let Some((_, PeerMessage::Data(answer))) = rig.sent.pop() else { panic!("it answers") };
            let DataMessage::StoreChunk { pages, done, .. } = &*answer else {
                panic!("{answer:?}")
            };
            self.pages.extend(pages.iter().cloned());
            if done.is_some() {
                return self;
            }
        }
        unreachable!("a copy has an end")
    }

    pub(crate) fn has(&self, mark: LogMark) -> bool {
        mark == LogMark::BASE || self.records.iter().any(|record| record.mark() == mark)
    }
}

pub(crate) fn learn(rig: &mut Rig, from: InstanceId, value: Value) {
    let Some(instance) = rig.instance.member().map(|member| member.delivered()) else { return };
    let message = PeerMessage::Cluster(Message::Learn { instance, value });
    rig.step(Input::Peer { from, message });
}

pub(crate) fn request(kind: u16, me: u64, index: u32) -> Input {
    Input::Request(Request {
        operation: OperationId { index, ..OperationId::default() },
        attempt: 1,
        kind: OperationKind(kind),
        me: NodeId(me),
        other: NodeId(me + 1),
        now_ms: 0,
        by_statement: me.is_multiple_of(3),
        open: None,
        looks_up: false,
        reply_to: 0,
    })
}

/// Two masters with a common beginning, and one that has been restarted since.
pub(crate) fn histories() -> &'static [Reigning; 2] {
    static HISTORIES: OnceLock<[Reigning; 2]> = OnceLock::new();
    HISTORIES.get_or_init(|| {
        let mut one = Reigning::new(Rig::master());
        for index in 0..2 {
            one.commit(index);
            one.note();
        }
        let mut again = one.rig.restarted();
        again.wait(Span::from_secs(60));
        let mut other = Reigning { rig: again.elected(), ..one.clone() };
        for index in 10..12 {
            one.commit(index);
            one.note();
        }
        other.commit(20);
        other.note();
        assert_eq!(one.records[1].mark(), other.records[1].mark());
        assert_ne!(one.records[2].mark(), other.records[2].mark());
        [one.with_pages(), other.with_pages()]
    })
}
