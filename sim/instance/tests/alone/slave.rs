//! Storms on a slave: two masters whose histories have parted answer it in any order, late, twice
//! or not at all, the cluster goes over from one to the other, the disk stands still, the process
//! dies; and in between come messages that nobody sent, most of them nearly right.
//!
//! Whatever comes, its store holds the beginning of the history of one of the two, and when the
//! storm is over it follows the master as any other slave does. `WAVETANK_LONG=1` plays more than
//! a million moves of each kind.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use wavetank_cluster::{Message, Value};
use wavetank_instance::{DataMessage, Input, MasterReply, PeerMessage, Timer, Verdict};
use wavetank_store::{Page, PageImage, StoreState, TxRecord};
use wavetank_vocabulary::{Epoch, InstanceId, LogMark, Role, Span, TxId};

use crate::histories::{CREATES, Reigning, SLAVE, histories, learn, request};
use crate::hostile::{data, may_end};
use crate::messages::message;
use crate::rig::{Disk, ME, Rig, formed};

const MASTERS: [InstanceId; 2] = [InstanceId(1), InstanceId(3)];
/// Who is never a master.
const STRANGER: InstanceId = InstanceId(4);

/// A message that nobody sent.
#[derive(Clone, Debug)]
struct Forged {
    from: InstanceId,
    /// Whether it has the numbers that the slave waits for.
    aimed: bool,
    message: DataMessage,
    /// Of which history its transactions and pages are.
    of: usize,
    first: Index,
    count: usize,
    damage: Option<(Index, u8)>,
}

#[derive(Clone, Debug)]
enum Move {
    /// A question of the slave reaches whom it was put to,
    Ask(Index),
    /// an answer the slave,
    Answer(Index),
    /// and one that did so already comes once more.
    Again(Index),
    Forged(Forged),
    UpToDate(InstanceId, bool, u64),
    Cluster(InstanceId, Message),
    /// The cluster elects this master, and it is available.
    Reign(usize),
    /// A client of this master writes.
    Commit(usize),
    /// A client of the slave wants something.
    Request(u16, u64, u32),
    Lost(InstanceId),
    Timer(usize),
    Hold,
    Release,
    Crash,
}

fn forged() -> impl Strategy<Value = Forged> {
    let chunk = (0..4u32, 0..3u32, any::<bool>()).prop_map(|(attempt, chunk, last)| {
        let done = last.then_some(LogMark::BASE);
        DataMessage::StoreChunk { attempt, chunk, pages: Vec::new(), done }
    });
    let transactions = (0..4u32, 0..9u64).prop_map(|(attempt, target)| DataMessage::Transactions {
        attempt,
        records: Vec::new(),
        target: TxId(target),
    });
    let message = prop_oneof![4 => data(), 2 => chunk, 3 => transactions];
    let damage = prop::option::of((any::<Index>(), any::<u8>()));
    let content = (0..2usize, any::<Index>(), 0..4usize, damage);
    (0..5u16, any::<bool>(), message, content).prop_map(
        |(from, aimed, message, (of, first, count, damage))| Forged {
            from: InstanceId(from),
            aimed,
            message,
            of,
            first,
            count,
            damage,
        },
    )
}

fn moves() -> impl Strategy<Value = Move> {
    let id = || (0..5u16).prop_map(InstanceId);
    let index = any::<Index>;
    prop_oneof![
        10 => index().prop_map(Move::Ask),
        10 => index().prop_map(Move::Answer),
        2 => index().prop_map(Move::Again),
        8 => forged().prop_map(Move::Forged),
        1 => (id(), any::<bool>(), 0..9u64).prop_map(|(from, aimed, tx)| Move::UpToDate(from, aimed, tx)),
        1 => (0..2usize).prop_map(Move::Reign),
        2 => (0..2usize).prop_map(Move::Commit),
        2 => (0..6u16, 0..12u64, any::<u32>()).prop_map(|(kind, me, index)| Move::Request(kind, me, index)),
        1 => id().prop_map(Move::Lost),
        2 => (0..Timer::count(3)).prop_map(Move::Timer),
        1 => Just(Move::Hold),
        2 => Just(Move::Release),
        1 => prop::bool::weighted(0.2).prop_map(|crash| if crash { Move::Crash } else { Move::Release }),
    ]
}

/// Moves among which are all messages that members of a cluster can be sent.
fn wild_moves() -> impl Strategy<Value = Move> {
    let from = (0..5u16).prop_map(InstanceId);
    let cluster = (from, message()).prop_map(|(from, message)| Move::Cluster(from, message));
    prop_oneof![8 => moves(), 1 => cluster]
}

/// A slave in its storm.
#[derive(Clone, Debug)]
struct Storm {
    slave: Rig,
    masters: [Reigning; 2],
    questions: Vec<(InstanceId, PeerMessage)>,
    answers: Vec<(InstanceId, PeerMessage)>,
    /// Answers that came in.
    heard: Vec<(InstanceId, PeerMessage)>,
    /// The last numbers that the slave used: of a pull, of a switch with the chunk, of a call
    /// with its lock session.
    pull: u32,
    switch: (u32, u32),
    call: (u32, u32),
    elections: u64,
    commits: u32,
    /// Whether masters may lie to it.
    lies: bool,
}

impl Storm {
    /// With an empty disk, or the beginning of a history on it.
    fn new(disk: usize, lies: bool) -> Storm {
        let masters = histories().clone();
        let slave = match disk {
            0 => Rig::started(Disk::Files(Default::default())),
            1 => Rig::started(Disk::with_graph()),
            disk => masters[disk % 2].rig.restarted(),
        };
        let (questions, answers, heard) = (Vec::new(), Vec::new(), Vec::new());
        let (pull, switch, call) = (0, (0, 0), (0, 0));
        let (elections, commits) = (9, 100);
        let mut storm = Storm {
            slave,
            masters,
            questions,
            answers,
            heard,
            pull,
            switch,
            call,
            elections,
            commits,
            lies,
        };
        storm.joins();
        storm
    }

    /// A process that has just started hears of the cluster.
    fn joins(&mut self) {
        self.slave.wait(Span::from_secs(1));
        self.gives(Input::Peer {
            from: MASTERS[0],
            message: PeerMessage::Cluster(formed(MASTERS[0])),
        });
        self.reign(0);
    }

    fn reign(&mut self, which: usize) {
        let (winner, elector) = (Some(MASTERS[which]), InstanceId(1));
        self.elections += 1;
        let version = self.elections;
        let epoch = self.masters[which].rig.epoch;
        for value in
            [Value::Elected { winner, elector, version }, Value::Master(MASTERS[which], epoch)]
        {
            learn(&mut self.slave, MASTERS[which], value);
            self.listen();
        }
    }

    fn followed(&self) -> Option<(InstanceId, Epoch)> {
        self.slave.instance.member().and_then(|member| member.master())
    }

    fn gives(&mut self, input: Input) {
        self.slave.step(input);
        self.listen();
    }

    /// Takes what the slave has said.
    fn listen(&mut self) {
        for (to, message) in core::mem::take(&mut self.slave.sent) {
            match &message {
                PeerMessage::Pull { attempt, .. } => self.pull = *attempt,
                PeerMessage::Data(data) => match **data {
                    DataMessage::Handshake { attempt, .. } => self.switch = (attempt, 0),
                    DataMessage::CopyStore { attempt, chunk } => self.switch = (attempt, chunk),
                    DataMessage::Call { id, session, .. } => self.call = (id, session),
                    _ => {}
                },
                PeerMessage::Cluster(Message::Propose(_)) => {}
                _ => continue,
            }
            self.questions.push((to, message));
        }
    }

    fn reaches(&mut self, to: InstanceId, message: PeerMessage) {
        if let PeerMessage::Cluster(Message::Propose(value)) = message {
            // What this one says of itself; of others the script knows better.
            if matches!(value, Value::Slave(ME) | Value::Unavailable(ME) | Value::Leave(ME)) {
                learn(&mut self.slave, to, value);
                self.listen();
            }
            return;
        }
        let Some(which) = MASTERS.iter().position(|master| *master == to) else { return };
        let said = self.masters[which].hear(message);
        self.answers.extend(said.into_iter().map(|said| (to, said)));
        self.masters[which].note();
    }

    fn commits(&mut self, which: usize) {
        self.commits += 1;
        let said = self.masters[which].commit(self.commits);
        self.answers.extend(said.into_iter().map(|said| (MASTERS[which], said)));
        self.masters[which].note();
    }

    fn plays(&mut self, step: Move) {
        self.slave.wait(Span::from_millis(150));
        match step {
            Move::Ask(index) if !self.questions.is_empty() => {
                let (to, message) = self.questions.remove(index.index(self.questions.len()));
                self.reaches(to, message);
            }
            Move::Answer(index) if !self.answers.is_empty() => {
                let (from, message) = self.answers.remove(index.index(self.answers.len()));
                self.heard.push((from, message.clone()));
                self.gives(Input::Peer { from, message });
            }
            Move::Again(index) if !self.heard.is_empty() => {
                let (from, message) = index.get(&self.heard).clone();
                self.gives(Input::Peer { from, message });
            }
            Move::Ask(_) | Move::Answer(_) | Move::Again(_) => {}
            Move::Forged(forged) => {
                let (from, message) = self.resolves(forged);
                self.gives(Input::Peer { from, message: PeerMessage::Data(Arc::new(message)) });
            }
            Move::UpToDate(from, aimed, target) => {
                let (attempt, target) = (if aimed { self.pull } else { 0 }, TxId(target));
                let message = PeerMessage::UpToDate { attempt, target };
                let from = self.sender(from, attempt == self.pull);
                self.gives(Input::Peer { from, message });
            }
            Move::Cluster(from, message) => {
                let input = Input::Peer { from, message: PeerMessage::Cluster(message) };
                if !may_end(&input) {
                    self.gives(input);
                }
            }
            Move::Reign(which) => self.reign(which),
            Move::Commit(which) => self.commits(which),
            Move::Request(kind, me, index) => self.gives(request(kind, me, index)),
            Move::Lost(peer) => self.gives(Input::PeerLost(peer)),
            Move::Timer(slot) => {
                let timer = Timer::at_slot(slot, 3).expect("below the count");
                // Of the member's, those that try to join it with others are left out.
                if !matches!(timer, Timer::Cluster(_)) || self.lies {
                    self.gives(Input::Timer(timer));
                }
            }
            Move::Hold => self.slave.hold = true,
            Move::Release => {
                self.slave.release();
                self.listen();
            }
            Move::Crash => {
                self.slave.crash();
                self.disconnects();
                self.joins();
            }
        }
    }

    /// The connections between the slave and the masters break, with what is under way on them.
    fn disconnects(&mut self) {
        self.questions.clear();
        self.answers.clear();
        for (master, id) in self.masters.iter_mut().zip(MASTERS) {
            master.rig.step(Input::PeerLost(SLAVE));
            master.rig.sent.clear();
            self.slave.step(Input::PeerLost(id));
        }
        self.listen();
    }

    /// Who sends what the master alone may, with the right numbers: nobody, unless masters lie.
    fn sender(&self, from: InstanceId, right: bool) -> InstanceId {
        let trusted = self.followed().is_some_and(|(master, _)| master == from);
        if right && trusted && !self.lies { STRANGER } else { from }
    }

    fn resolves(&self, forged: Forged) -> (InstanceId, DataMessage) {
        let Forged { mut from, aimed, mut message, of, first, count, damage } = forged;
        let history = &self.masters[of];
        let reign = self.followed().map_or(Epoch(0), |(_, epoch)| epoch);
        match &mut message {
            DataMessage::HandshakeAnswer { attempt, verdict, epoch, store } => {
                *attempt = if aimed { self.switch.0 } else { *attempt };
                *epoch = if epoch.0 == 0 { reign } else { *epoch };
                if *store == 0 {
                    *store = self.slave.instance.store().store_id();
                } else {
                    from = self.sender(from, *attempt == self.switch.0);
                }
                if *verdict == Verdict::Same {
                    from = self.sender(from, *attempt == self.switch.0);
                }
            }
            DataMessage::Transactions { attempt, records, .. } => {
                let start = first.index(history.records.len());
                let taken = history.records.iter().skip(start).take(count);
                records.extend(taken.map(|record| match damage {
                    Some(damage) => damaged(record, damage),
                    None => record.clone(),
                }));
                *attempt = if aimed { self.pull } else { *attempt };
                if damage.is_some() {
                    from = self.sender(from, *attempt == self.pull);
                }
            }
            DataMessage::PullRefused { attempt, .. } => {
                *attempt = if aimed { self.pull } else { *attempt };
            }
            DataMessage::Push { epoch, .. } => *epoch = if aimed { reign } else { *epoch },
            DataMessage::CopyStore { attempt, .. } | DataMessage::Handshake { attempt, .. } => {
                *attempt = if aimed { self.switch.0 } else { *attempt };
            }
            DataMessage::StoreChunk { attempt, chunk, pages, done } => {
                let start = first.index(history.pages.len());
                let taken = history.pages.iter().skip(start).take(count);
                pages.extend(taken.map(|page| match damage {
                    Some(damage) => resealed(page, damage),
                    None => page.clone(),
                }));
                if done.is_some() {
                    *done = history.records.get(start).map(|record| record.mark());
                }
                if aimed {
                    (*attempt, *chunk) = self.switch;
                }
                from = self.sender(from, (*attempt, *chunk) == self.switch);
            }
            DataMessage::Reply { id, session, .. } => {
                if aimed {
                    (*id, *session) = self.call;
                }
            }
            DataMessage::Call { epoch, .. } => *epoch = if aimed { reign } else { *epoch },
            DataMessage::PushAnswer { .. } => {}
        }
        (from, message)
    }

    /// Its store holds the beginning of one history.
    fn holds_a_history(&self) -> bool {
        let store = self.slave.instance.store();
        if *store.state() != StoreState::Ready {
            return true;
        }
        let mark = store.mark();
        self.masters.iter().any(|master| master.has(mark))
    }

    /// The weather clears: what it asks is answered, and what it waits for comes.
    fn calms(&mut self) {
        self.slave.release();
        self.listen();
        self.disconnects();
        self.reign(0);
        self.commits(0);
        for _ in 0..400 {
            self.slave.wait(Span::from_secs(1));
            if !self.questions.is_empty() {
                let (to, message) = self.questions.remove(0);
                self.reaches(to, message);
            } else if !self.answers.is_empty() {
                let (from, message) = self.answers.remove(0);
                self.gives(Input::Peer { from, message });
            } else if self.slave.instance.role() == Role::Slave && self.is_level() {
                return;
            } else if let Some(timer) = self.next_timer() {
                self.gives(Input::Timer(timer));
            } else {
                self.commits(0);
            }
        }
    }

    fn is_level(&self) -> bool {
        self.slave.instance.store().mark() == self.masters[0].rig.instance.store().mark()
    }

    /// One that is armed and not the member's: in turn, for some arm themselves again.
    fn next_timer(&mut self) -> Option<Timer> {
        let waits = |timer: &&Timer| {
            let again = Timer::Cluster(wavetank_cluster::Timer::Broadcast);
            matches!(timer, Timer::Switch | Timer::PullTimeout | Timer::MasterCall | Timer::Disk)
                || **timer == again
        };
        self.slave.armed.iter().find(waits).copied()
    }
}

fn damaged(record: &TxRecord, (at, byte): (Index, u8)) -> Arc<TxRecord> {
    let mut content = record.content().to_vec();
    let at = at.index(content.len());
    content[at] = byte;
    Arc::new(TxRecord::from_content(&content).unwrap_or_else(|_| record.clone()))
}

/// With a byte changed, and a checksum that agrees with it.
fn resealed(page: &PageImage, (at, byte): (Index, u8)) -> PageImage {
    let mut image = Page::clone(&page.image);
    let body = image.body_mut();
    let at = at.index(body.len());
    body[at] = byte;
    PageImage { image: Arc::new(image.sealed(1)), ..page.clone() }
}

fn cases() -> u32 {
    if std::env::var_os("WAVETANK_LONG").is_some() { 15_000 } else { 250 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn a_slave_holds_the_beginning_of_one_history(
        disk in 0..4usize,
        storm in prop::collection::vec(moves(), 0..150),
    ) {
        let mut at = Storm::new(disk, false);
        for step in storm {
            let told = format!("{step:?}");
            at.plays(step);
            prop_assert!(!at.slave.ended, "{told} ends it");
            prop_assert!(at.holds_a_history(), "{told}: {:?}", at.slave.instance.store().mark());
        }
        at.calms();
        let slave = &at.slave.instance;
        prop_assert_eq!(slave.role(), Role::Slave, "{:?} {:?}", slave.waits_for(), at.slave.armed);
        prop_assert!(at.is_level(), "it is at {:?}", slave.store().mark());
        prop_assert_eq!(at.slave.contents(), at.masters[0].rig.contents());
    }

    #[test]
    fn no_lie_of_a_master_makes_a_slave_panic(
        disk in 0..4usize,
        storm in prop::collection::vec(wild_moves(), 0..150),
    ) {
        let mut at = Storm::new(disk, true);
        for step in storm {
            at.plays(step);
            if at.slave.ended {
                // Its store found itself damaged, and the process ended.
                at = Storm::new(disk, true);
            }
        }
    }
}

/// What the storms are made of takes effect when it comes in order.
#[test]
fn a_slave_copies_pulls_and_writes() {
    for disk in 0..4 {
        let mut at = Storm::new(disk, false);
        at.calms();
        assert_eq!(at.slave.instance.role(), Role::Slave, "{:?}", at.slave.instance.waits_for());
        assert_eq!(at.slave.contents(), at.masters[0].rig.contents());
        let before = at.masters[0].records.len();
        at.gives(request(CREATES, 0, 77));
        let mut replies = Vec::new();
        while !at.questions.is_empty() || !at.answers.is_empty() {
            for (to, message) in core::mem::take(&mut at.questions) {
                at.reaches(to, message);
            }
            for (from, message) in core::mem::take(&mut at.answers) {
                if let PeerMessage::Data(data) = &message
                    && let DataMessage::Reply { reply, .. } = &**data
                {
                    replies.push(reply.clone());
                }
                at.gives(Input::Peer { from, message });
            }
        }
        assert!(matches!(replies.last(), Some(MasterReply::Committed(_))), "{replies:?}");
        assert_eq!(at.masters[0].records.len(), before + 1);
        assert!(at.is_level());
        assert_eq!(at.slave.contents(), at.masters[0].rig.contents());
    }
}
