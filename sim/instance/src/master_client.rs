//! The slave's side of its transactions (HA specification 2.10 and 3): what a guarded
//! transaction needs, it gets from the master's server, and goes on when this instance has
//! applied what the master's answer obliges it to.
//!
//! Whoever may hold locks at the master never queues for a channel: those that wait for its
//! locks may have them all, and it could not even commit.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wavetank_store::{FileKind, Need};
use wavetank_vocabulary::{InstanceId, LogMark, ServerPhase, Span, Status, Time, TxId};

use crate::instance::Instance;
use crate::interface::{Effect, Now, Timer};
use crate::message::{DataMessage, MasterCall, MasterReply, Refusal};
use crate::task::TaskId;

/// Who waits for the answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// A transaction whose first lock comes next.
    Session(TaskId),
    /// A transaction that waits for a lock.
    Lock(TaskId),
    /// Every transaction that waits for ids of this kind.
    Ids(FileKind),
    /// A transaction that commits.
    Commit(TaskId),
}

/// A request that the master has not answered.
#[derive(Clone, Debug)]
struct Outstanding {
    id: u32,
    purpose: Purpose,
    until: Time,
}

/// What follows when a transaction of the master has been applied here.
#[derive(Clone, Copy, Debug)]
enum Then {
    Session(TaskId),
    Lock(TaskId),
    Committed(TaskId, LogMark),
}

/// The connections to the master's server.
#[derive(Clone, Debug, Default)]
pub(crate) struct MasterClient {
    next_call: u32,
    next_session: u32,
    /// Requests under way, by their ids.
    outstanding: Vec<Outstanding>,
    /// Requests that wait for a channel, or for a master.
    queue: VecDeque<(Purpose, u32, MasterCall)>,
    /// Answers that oblige to a transaction which is not applied here yet.
    obligations: Vec<(TxId, Then)>,
}

impl MasterClient {
    /// The last transaction that somebody waits for.
    pub(crate) fn obliged(&self) -> Option<TxId> {
        self.obligations.iter().map(|(tx, _)| *tx).max()
    }

    fn expects(&self, purpose: Purpose) -> bool {
        self.outstanding.iter().any(|call| call.purpose == purpose)
            || self.queue.iter().any(|(queued, ..)| *queued == purpose)
    }

    /// Whether such a request can be sent when there are `channels`
    /// (`ha.max_concurrent_channels_per_slave`).
    fn has_channel(&self, purpose: Purpose, session: u32, channels: usize) -> bool {
        let holds_nothing = match purpose {
            Purpose::Session(_) => true,
            Purpose::Commit(_) => session == 0,
            Purpose::Lock(_) | Purpose::Ids(_) => false,
        };
        !holds_nothing || self.outstanding.len() < channels
    }

    /// Takes what a session still wants out of the queue. True when there was something: then
    /// the master does not know the session.
    fn withdraw(&mut self, session: u32) -> bool {
        let before = self.queue.len();
        self.queue.retain(|(_, queued, _)| *queued != session);
        self.queue.len() < before
    }
}

impl Instance {
    /// A step of the transaction waits: if that is for the master, asks it. Says what the
    /// request waits for then.
    pub(crate) fn ask_master(
        &mut self,
        task: TaskId,
        effects: &mut Vec<Effect>,
    ) -> Option<ServerPhase> {
        let work = self.tasks.request_mut(task)?;
        let (tx, session) = (work.tx?, work.session);
        let (operation, kind) = (work.request.operation, work.request.kind);
        let (purpose, session, call) = match (self.store.need(tx)?, session) {
            (Need::Ids(kind), _) => (Purpose::Ids(kind), 0, MasterCall::AllocateIds(kind)),
            (Need::Lock(request), Some(session)) => {
                (Purpose::Lock(task), session, MasterCall::AcquireLock(request))
            }
            (Need::Lock(_), None) => {
                self.master_client.next_session += 1;
                let session = self.master_client.next_session;
                if let Some(work) = self.tasks.request_mut(task) {
                    work.session = Some(session);
                }
                (Purpose::Session(task), session, MasterCall::NewLockSession { operation, kind })
            }
        };
        if !self.master_client.expects(purpose) {
            self.call_master(purpose, session, call, effects);
        }
        Some(ServerPhase::MasterLock)
    }

    /// Hands the prepared transaction to the master.
    pub(crate) fn commit_at_master(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let now = self.clock;
        let Some(work) = self.tasks.request_mut(task) else { return };
        let Some(record) = work.prepared.take() else { return };
        work.watch.enter(now, ServerPhase::MasterCommit);
        let session = work.session.unwrap_or(0);
        self.call_master(Purpose::Commit(task), session, MasterCall::Commit(record), effects);
    }

    fn call_master(
        &mut self,
        purpose: Purpose,
        session: u32,
        call: MasterCall,
        effects: &mut Vec<Effect>,
    ) {
        let channels = self.config.settings.max_concurrent_channels_per_slave as usize;
        if self.master_client.has_channel(purpose, session, channels) {
            self.master_client.queue.push_front((purpose, session, call));
        } else {
            self.master_client.queue.push_back((purpose, session, call));
        }
        self.send_calls(effects);
    }

    /// Sends what there are channels for.
    fn send_calls(&mut self, effects: &mut Vec<Effect>) {
        let settings = self.config.settings.clone();
        let Some((master, epoch)) = self.member.as_ref().and_then(|member| member.master()) else {
            return;
        };
        let channels = settings.max_concurrent_channels_per_slave as usize;
        while let Some((purpose, session, call)) = self.master_client.queue.pop_front() {
            if !self.master_client.has_channel(purpose, session, channels) {
                self.master_client.queue.push_front((purpose, session, call));
                break;
            }
            self.master_client.next_call = self.master_client.next_call.wrapping_add(1);
            let id = self.master_client.next_call;
            let after = match purpose {
                Purpose::Lock(_) => settings.lock_read_timeout,
                _ => settings.read_timeout,
            };
            let until = self.clock + after;
            self.master_client.outstanding.push(Outstanding { id, purpose, until });
            let mark = self.store.mark();
            self.send_data(master, DataMessage::Call { id, epoch, mark, session, call }, effects);
        }
        self.arm_calls(effects);
    }

    fn arm_calls(&self, effects: &mut Vec<Effect>) {
        let first = self.master_client.outstanding.iter().map(|call| call.until).min();
        match first {
            None => effects.push(Effect::Cancel(Timer::MasterCall)),
            Some(until) => {
                // At its end a wait is over; never arm for a moment that has passed.
                let after = if until > self.clock { until.since(self.clock) } else { Span::ZERO };
                effects.push(Effect::Arm { timer: Timer::MasterCall, after });
            }
        }
    }

    /// The master's answer.
    pub(crate) fn master_replied(
        &mut self,
        now: Now,
        from: InstanceId,
        (id, session): (u32, u32),
        (reply, obligation): (&MasterReply, TxId),
        effects: &mut Vec<Effect>,
    ) {
        if !self.follows(from) {
            return;
        }
        let calls = &mut self.master_client.outstanding;
        let Some(place) = calls.iter().position(|call| call.id == id) else {
            // Nobody waits for it any more, and what ended the session may have been lost: the
            // original's server finds its channel closed, and ends it. Left alone it would keep
            // its locks until it is reaped, and each that waits behind it as long again.
            if session != 0 && *reply == MasterReply::Done {
                self.end_lock_session(session, effects);
            }
            return;
        };
        let call = calls.remove(place);
        self.send_calls(effects);
        match reply {
            MasterReply::Refused(refusal) => {
                // Another reign, or another history: the handshake will tell.
                let stale = matches!(refusal, Refusal::InvalidEpoch | Refusal::Branched);
                self.refused(call.purpose, *refusal, effects);
                if stale {
                    self.follow_anew(now, effects);
                }
            }
            MasterReply::Ids(kind, ids) => {
                if call.purpose == Purpose::Ids(*kind) {
                    self.store.allot(*kind, ids.clone());
                }
            }
            MasterReply::Done => match call.purpose {
                Purpose::Session(task) => self.oblige(obligation, Then::Session(task), effects),
                Purpose::Lock(task) => self.oblige(obligation, Then::Lock(task), effects),
                Purpose::Ids(_) | Purpose::Commit(_) => {}
            },
            MasterReply::Committed(mark) => {
                if let Purpose::Commit(task) = call.purpose {
                    // The session is over with the commit.
                    if let Some(work) = self.tasks.request_mut(task) {
                        work.session = None;
                    }
                    self.oblige(mark.tx, Then::Committed(task, *mark), effects);
                }
            }
        }
    }

    /// Goes on once the transaction is applied here, and sees to it that it will be.
    fn oblige(&mut self, tx: TxId, then: Then, effects: &mut Vec<Effect>) {
        if self.store.applied() >= tx {
            self.go_on(then, effects);
        } else {
            self.master_client.obligations.push((tx, then));
            self.start_pull(effects);
        }
    }

    /// More was applied: who waited for it goes on. Transactions that have committed come
    /// first: what they lock here is free at the master already.
    pub(crate) fn meet_obligations(&mut self, effects: &mut Vec<Effect>) {
        if self.master_client.obligations.is_empty() {
            return;
        }
        let applied = self.store.applied();
        let waiting = core::mem::take(&mut self.master_client.obligations);
        let (met, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(tx, _)| *tx <= applied);
        self.master_client.obligations = left;
        let commits = |then: &Then| matches!(then, Then::Committed(..));
        let (first, rest): (Vec<_>, Vec<_>) = met.into_iter().partition(|(_, then)| commits(then));
        for (_, then) in first.into_iter().chain(rest) {
            self.go_on(then, effects);
        }
    }

    fn go_on(&mut self, then: Then, effects: &mut Vec<Effect>) {
        match then {
            Then::Session(task) => {
                self.ask_master(task, effects);
            }
            Then::Lock(task) => {
                if let Some(tx) = self.tasks.request_mut(task).and_then(|work| work.tx) {
                    self.store.lock_granted(tx);
                }
            }
            Then::Committed(task, mark) => {
                let Some(work) = self.tasks.request_mut(task) else { return };
                work.push.mark = mark;
                if let Some(tx) = work.tx.take() {
                    self.tally.commits(work.writes, true);
                    self.store.rollback(tx);
                }
                self.acknowledge(task, effects);
            }
        }
    }

    /// The master will not do it, or cannot be asked.
    fn refused(&mut self, purpose: Purpose, refusal: Refusal, effects: &mut Vec<Effect>) {
        let status = match refusal {
            Refusal::Deadlock => Status::DeadlockDetected,
            Refusal::NoLockSession | Refusal::ConcurrentRequest => Status::NotOnMaster,
            Refusal::SchemaModified => Status::SchemaModified,
            Refusal::Failed => Status::CouldNotWriteToLog,
            Refusal::NotMaster | Refusal::InvalidEpoch | Refusal::Branched => Status::NoMaster,
            Refusal::Unreachable => match purpose {
                Purpose::Commit(_) => Status::CommitInterrupted,
                Purpose::Session(_) => Status::DatabaseUnavailable,
                Purpose::Lock(_) | Purpose::Ids(_) => Status::NoMaster,
            },
        };
        match purpose {
            Purpose::Session(task) => {
                // There is no session to end.
                if let Some(work) = self.tasks.request_mut(task) {
                    work.session = None;
                }
                self.finish_request(task, status, effects);
            }
            Purpose::Lock(task) | Purpose::Commit(task) => {
                self.finish_request(task, status, effects);
            }
            Purpose::Ids(kind) => {
                let waiting: Vec<TaskId> = self
                    .tasks
                    .requests()
                    .filter(|(_, work)| {
                        work.tx.and_then(|tx| self.store.need(tx)) == Some(Need::Ids(kind))
                    })
                    .map(|(task, _)| task)
                    .collect();
                for task in waiting {
                    self.finish_request(task, status, effects);
                }
            }
        }
    }

    /// Some answers did not come in time (`ha.read_timeout`, `ha.lock_read_timeout`).
    pub(crate) fn calls_timed_out(&mut self, effects: &mut Vec<Effect>) {
        let now = self.clock;
        let calls = core::mem::take(&mut self.master_client.outstanding);
        let (late, left): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.until <= now);
        self.master_client.outstanding = left;
        for call in late {
            self.refused(call.purpose, Refusal::Unreachable, effects);
        }
        self.send_calls(effects);
    }

    /// The connections to the master broke: nothing that was asked of it will be answered.
    pub(crate) fn calls_failed(&mut self, effects: &mut Vec<Effect>) {
        let sent = core::mem::take(&mut self.master_client.outstanding);
        let queue = core::mem::take(&mut self.master_client.queue);
        effects.push(Effect::Cancel(Timer::MasterCall));
        for call in sent {
            self.refused(call.purpose, Refusal::Unreachable, effects);
        }
        // What was never sent was certainly not done.
        for (purpose, ..) in queue {
            self.refused(purpose, Refusal::NotMaster, effects);
        }
    }

    /// The master is no longer followed: what it allotted is void, too.
    pub(crate) fn forget_master(&mut self, effects: &mut Vec<Effect>) {
        self.calls_failed(effects);
        self.obligations_failed(effects);
        self.end_requests(Status::NoMaster, |request| request.guarded, effects);
        self.store.forget_allotted();
    }

    /// The updates that answers oblige to cannot be had.
    pub(crate) fn obligations_failed(&mut self, effects: &mut Vec<Effect>) {
        for (_, then) in core::mem::take(&mut self.master_client.obligations) {
            match then {
                Then::Session(task) | Then::Lock(task) => {
                    self.finish_request(task, Status::NoMaster, effects);
                }
                // Committed there, and not seen here: the client cannot be told.
                Then::Committed(task, _) => {
                    self.finish_request(task, Status::CommitInterrupted, effects);
                }
            }
        }
    }

    /// Tells the master that a transaction is over which it holds locks for, unless it was
    /// never asked for any.
    pub(crate) fn end_lock_session(&mut self, session: u32, effects: &mut Vec<Effect>) {
        if self.master_client.withdraw(session) {
            return;
        }
        let Some((master, epoch)) = self.member.as_ref().and_then(|member| member.master()) else {
            return;
        };
        let (mark, call) = (self.store.mark(), MasterCall::EndLockSession);
        self.send_data(master, DataMessage::Call { id: 0, epoch, mark, session, call }, effects);
    }
}
