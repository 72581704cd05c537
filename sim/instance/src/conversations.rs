//! The master's side of transactions that are begun at slaves (HA specification 2.10 and 3):
//! lock sessions, and the requests that come in under them. The original calls it the
//! conversation manager.
//!
//! A session is an ordinary transaction of the master's store that holds the locks. It ends
//! with the commit or the slave's word, or is reaped when it was idle for
//! `ha.lock_read_timeout` and five seconds more.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use wavetank_store::{FileKind, Ledger, MarkOf, Step, StoreError, TxHandle, TxRecord};
use wavetank_vocabulary::{Epoch, Fact, InstanceId, LogMark, OperationId, Role, Span, Time};

use crate::instance::Instance;
use crate::interface::{Effect, Now, Timer};
use crate::message::{DataMessage, MasterCall, MasterReply, Refusal};
use crate::task::{CallTask, CommitPhase, PushState, Task, TaskId};

/// How many ids a slave gets at once (`IdTypeConfiguration`): many of the kinds of records that
/// come and go with every change of a property, whose ids are used again at once.
const fn ids_at_once(kind: FileKind) -> u64 {
    match kind {
        FileKind::Properties | FileKind::Dynamic | FileKind::Arrays | FileKind::NodeLabels => {
            50_000
        }
        _ => 1024,
    }
}

/// How often idle sessions are looked for.
const LOOK_EVERY: Span = Span::from_secs(1);
/// By how much a session may be idle for longer than `ha.lock_read_timeout`.
const GRACE: Span = Span::from_secs(5);

/// The lock sessions of slaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversations {
    sessions: BTreeMap<(InstanceId, u32), Session>,
}

#[derive(Clone, Debug)]
struct Session {
    tx: TxHandle,
    /// When it was last used.
    used: Time,
    /// The request that is being served.
    serving: Option<TaskId>,
}

impl Instance {
    /// How many lock sessions slaves have here.
    pub fn lock_sessions(&self) -> usize {
        self.conversations.sessions.len()
    }

    /// A request of a slave for one of its transactions.
    pub(crate) fn master_called(
        &mut self,
        now: Now,
        (from, id, session): (InstanceId, u32, u32),
        (epoch, mark): (Epoch, LogMark),
        call: &MasterCall,
        effects: &mut Vec<Effect>,
    ) {
        if self.config.configuration.index_of(from).is_none() {
            return;
        }
        if self.role() != Role::Master {
            self.answer_call(
                (from, id, session),
                MasterReply::Refused(Refusal::NotMaster),
                effects,
            );
            return;
        }
        if epoch != self.epoch {
            self.answer_call(
                (from, id, session),
                MasterReply::Refused(Refusal::InvalidEpoch),
                effects,
            );
            return;
        }
        let key = (from, session);
        match call {
            MasterCall::EndLockSession => {
                self.end_session(key);
                return;
            }
            MasterCall::NewLockSession { operation, kind } => {
                if self.conversations.sessions.contains_key(&key) {
                    let refused = MasterReply::Refused(Refusal::ConcurrentRequest);
                    self.answer_call((from, id, session), refused, effects);
                    return;
                }
                if self.conversations.sessions.is_empty() {
                    effects.push(Effect::Arm { timer: Timer::Sessions, after: LOOK_EVERY });
                }
                let tx = self.store.begin(0, now.wall_ms);
                self.store.set_lock_owner(tx, operation.to_word(), *kind);
                let session = Session { tx, used: now.mono, serving: None };
                self.conversations.sessions.insert(key, session);
            }
            MasterCall::AllocateIds(_) => {}
            // A transaction that needed no lock has no session.
            MasterCall::Commit(_) if session == 0 => {}
            MasterCall::AcquireLock(_) | MasterCall::Commit(_) => {
                let refusal = match self.conversations.sessions.get(&key) {
                    None => Some(Refusal::NoLockSession),
                    Some(session) if session.serving.is_some() => Some(Refusal::ConcurrentRequest),
                    Some(_) => None,
                };
                if let Some(refusal) = refusal {
                    self.answer_call((from, id, session), MasterReply::Refused(refusal), effects);
                    return;
                }
            }
        }
        let task = self.tasks.add(Task::Call(CallTask {
            to: from,
            id,
            session,
            mark: Some(mark),
            call: call.clone(),
            phase: CommitPhase::Called,
            tx: None,
            operation: 0,
            push: PushState::default(),
            deposed: false,
        }));
        if let Some(session) = self.conversations.sessions.get_mut(&key) {
            session.serving = Some(task);
            session.used = now.mono;
        }
        effects.push(Effect::Ready(task));
    }

    fn answer_call(
        &mut self,
        (to, id, session): (InstanceId, u32, u32),
        reply: MasterReply,
        effects: &mut Vec<Effect>,
    ) {
        // What the slave must have applied before it goes on.
        let obligation = self.store.mark().tx;
        self.send_data(to, DataMessage::Reply { id, session, reply, obligation }, effects);
    }

    fn finish_call(&mut self, task: TaskId, reply: MasterReply, effects: &mut Vec<Effect>) {
        let Some(Task::Call(call)) = self.tasks.remove(task) else { return };
        let now = self.clock;
        if let Some(session) = self.conversations.sessions.get_mut(&(call.to, call.session))
            && session.serving == Some(task)
        {
            session.serving = None;
            session.used = now;
        }
        self.answer_call((call.to, call.id, call.session), reply, effects);
    }

    /// One slice of serving a slave's request.
    pub(crate) fn run_call(&mut self, now: Now, task: TaskId, effects: &mut Vec<Effect>) {
        let Some(Task::Call(work)) = self.tasks.get_mut(task) else { return };
        if matches!(work.phase, CommitPhase::Syncing(_) | CommitPhase::Applying) {
            self.apply_call(task, effects);
            return;
        }
        let (key, call, mark) = ((work.to, work.session), work.call.clone(), work.mark);
        let branched = match mark.map(|mark| (mark, self.store.mark_of(mark.tx))) {
            Some((_, MarkOf::Wait(ticket))) => return self.park(task, ticket),
            Some((mark, MarkOf::Known(known))) => mark != known,
            // What cannot be looked up is accepted here: handshakes and pulls are stricter.
            Some((_, MarkOf::Missing | MarkOf::TooOld | MarkOf::Failed(_))) | None => false,
        };
        if let Some(Task::Call(work)) = self.tasks.get_mut(task) {
            work.mark = None;
        }
        let ledger = Ledger { records: 1, ..Ledger::default() };
        let reply = match call {
            _ if branched => {
                if let Some(session) = self.conversations.sessions.remove(&key) {
                    self.store.rollback(session.tx);
                }
                MasterReply::Refused(Refusal::Branched)
            }
            MasterCall::NewLockSession { .. } => MasterReply::Done,
            MasterCall::EndLockSession => MasterReply::Done,
            MasterCall::AllocateIds(kind) => match self.allocate(kind) {
                Some(ids) => MasterReply::Ids(kind, ids),
                None => MasterReply::Refused(Refusal::Failed),
            },
            MasterCall::AcquireLock(request) => {
                let Some(tx) = self.conversations.sessions.get(&key).map(|s| s.tx) else {
                    let refused = MasterReply::Refused(Refusal::NoLockSession);
                    self.finish_call(task, refused, effects);
                    return;
                };
                match self.store.lock_for(tx, request) {
                    Step::Done(_) => MasterReply::Done,
                    Step::Wait(ticket) => return self.park(task, ticket),
                    Step::Failed(StoreError::DeadlockDetected) => {
                        MasterReply::Refused(Refusal::Deadlock)
                    }
                    Step::Failed(_) => MasterReply::Refused(Refusal::Failed),
                }
            }
            MasterCall::Commit(record) => {
                self.commit_call(now, task, key, &record, effects);
                return;
            }
        };
        if let Some(Task::Call(work)) = self.tasks.get_mut(task) {
            work.phase = CommitPhase::Answer(reply);
        }
        effects.push(Effect::Spend { task, ledger });
    }

    fn allocate(&mut self, kind: FileKind) -> Option<Range<u64>> {
        self.store.allocate_ids(kind, ids_at_once(kind))
    }

    /// Takes the slave's prepared transaction and logs it under the session's locks.
    fn commit_call(
        &mut self,
        now: Now,
        task: TaskId,
        key: (InstanceId, u32),
        record: &Arc<TxRecord>,
        effects: &mut Vec<Effect>,
    ) {
        let mut ledger = Ledger { records: 1, ..Ledger::default() };
        let tx = match self.conversations.sessions.get(&key) {
            Some(session) => session.tx,
            None if key.1 == 0 => self.store.begin(0, now.wall_ms),
            None => {
                let refused = MasterReply::Refused(Refusal::NoLockSession);
                self.finish_call(task, refused, effects);
                return;
            }
        };
        // The session's end is the transaction's from here on.
        self.conversations.sessions.remove(&key);
        let author = u32::from(key.0.0);
        let committing = if !self.store.try_share_schema(tx) {
            Err(Refusal::SchemaModified)
        } else {
            let adopted = self.store.adopt(tx, record, author);
            let logged = adopted.and_then(|()| self.store.commit(tx, &mut ledger));
            logged.map_err(|_| Refusal::Failed)
        };
        let instance = self.id();
        let Some(Task::Call(work)) = self.tasks.get_mut(task) else { return };
        match committing {
            Ok(committing) => {
                work.tx = Some(tx);
                work.push.mark = committing.mark;
                work.operation = record.operation();
                work.phase = CommitPhase::Syncing(committing.ticket);
                effects.push(Effect::Fact(Fact::Logged {
                    instance,
                    log: committing.mark,
                    before: committing.before,
                    operation: OperationId::from_word(record.operation()),
                }));
            }
            Err(refusal) => {
                work.phase = CommitPhase::Answer(MasterReply::Refused(refusal));
                self.store.rollback(tx);
            }
        }
        effects.push(Effect::Spend { task, ledger });
    }

    /// After the sync: apply to the pages and release the locks.
    fn apply_call(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let durable = self.store.mark().tx;
        let instance = self.id();
        let Some(Task::Call(work)) = self.tasks.get_mut(task) else { return };
        let Some(tx) = work.tx else { return };
        let refused = self.store.is_refused(tx);
        // A commit that the disk had no space for is refused, as applying it says.
        if let CommitPhase::Syncing(_) = work.phase
            && durable >= work.push.mark.tx
            && !refused
        {
            work.phase = CommitPhase::Applying;
            effects.push(Effect::Fact(Fact::Committed {
                instance,
                log: work.push.mark,
                operation: OperationId::from_word(work.operation),
            }));
        }
        let mut ledger = Ledger::default();
        let applied = self.store.apply(tx, &mut ledger);
        let Some(Task::Call(work)) = self.tasks.get_mut(task) else { return };
        match applied {
            Step::Wait(ticket) => return self.park(task, ticket),
            _ if work.deposed => {
                self.tasks.remove(task);
                effects.push(Effect::SpendLast { task, ledger });
                return;
            }
            Step::Failed(_) => {
                work.tx = None;
                work.phase = CommitPhase::Answer(MasterReply::Refused(Refusal::Failed));
            }
            Step::Done(_) => {
                work.tx = None;
                work.phase = CommitPhase::Pushing;
                let (author, mut push) = (work.to, work.push);
                self.begin_push(task, &mut push, Some(author), effects);
                if let Some(Task::Call(work)) = self.tasks.get_mut(task) {
                    work.push = push;
                }
            }
        }
        effects.push(Effect::Spend { task, ledger });
    }

    /// The core time of a slice has passed.
    pub(crate) fn call_ran(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let durable = self.store.mark().tx;
        let Some(Task::Call(work)) = self.tasks.get_mut(task) else { return };
        let refused = work.tx.is_some_and(|tx| self.store.is_refused(tx));
        match &work.phase {
            CommitPhase::Answer(reply) => {
                let reply = reply.clone();
                self.finish_call(task, reply, effects);
            }
            CommitPhase::Syncing(Some(ticket)) if work.push.mark.tx > durable && !refused => {
                let ticket = *ticket;
                self.park(task, ticket);
            }
            CommitPhase::Called | CommitPhase::Syncing(_) | CommitPhase::Applying => {
                effects.push(Effect::Ready(task));
            }
            CommitPhase::Pushing => self.try_finish_push(task, effects),
        }
    }

    /// The slave's transaction is committed, and pushed as far as it has to be.
    pub(crate) fn call_pushed(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let Some(Task::Call(work)) = self.tasks.get_mut(task) else { return };
        let mark: LogMark = work.push.mark;
        self.finish_call(task, MasterReply::Committed(mark), effects);
    }

    /// Rolls a session back and releases its locks.
    fn end_session(&mut self, key: (InstanceId, u32)) {
        let Some(session) = self.conversations.sessions.remove(&key) else { return };
        if let Some(task) = session.serving {
            self.tasks.remove(task);
        }
        self.store.rollback(session.tx);
    }

    /// The connections to a slave broke: the original's server rolls back what came over them.
    pub(crate) fn end_sessions_of(&mut self, slave: InstanceId) {
        let keys = self.conversations.sessions.keys().copied();
        let keys: Vec<(InstanceId, u32)> = keys.filter(|key| key.0 == slave).collect();
        for key in keys {
            self.end_session(key);
        }
    }

    /// Looks for sessions that were idle for too long.
    pub(crate) fn reap_sessions(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let most = self.config.settings.lock_read_timeout + GRACE;
        let idle: Vec<(InstanceId, u32)> = self
            .conversations
            .sessions
            .iter()
            .filter(|(_, s)| s.serving.is_none() && now.mono.since(s.used) >= most)
            .map(|(key, _)| *key)
            .collect();
        for key in idle {
            self.end_session(key);
            let fact = Fact::LockSessionReaped { instance: self.id(), slave: key.0 };
            effects.push(Effect::Fact(fact));
        }
        if !self.conversations.sessions.is_empty() {
            effects.push(Effect::Arm { timer: Timer::Sessions, after: LOOK_EVERY });
        }
    }

    /// The reign is over: no slave's transaction can go on. What is in the log already will
    /// be applied; its slave is not told.
    pub(crate) fn end_conversations(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Cancel(Timer::Sessions));
        let keys: Vec<(InstanceId, u32)> = self.conversations.sessions.keys().copied().collect();
        for key in keys {
            self.end_session(key);
        }
        let calls = self.tasks.iter().filter(|(_, task)| matches!(task, Task::Call(_)));
        let calls: Vec<TaskId> = calls.map(|(id, _)| id).collect();
        for task in calls {
            let Some(Task::Call(call)) = self.tasks.get_mut(task) else { continue };
            if matches!(call.phase, CommitPhase::Syncing(_) | CommitPhase::Applying) {
                call.deposed = true;
            } else {
                self.tasks.remove(task);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_used_again_at_once_come_in_large_ranges() {
        let entities = [FileKind::Nodes, FileKind::Relationships, FileKind::Groups];
        assert_eq!(entities.map(ids_at_once), [1024; 3]);
        let values =
            [FileKind::Properties, FileKind::Dynamic, FileKind::Arrays, FileKind::NodeLabels];
        assert_eq!(values.map(ids_at_once), [50_000; 4]);
    }
}
