//! Client operations: a request's way from admission over its transactions, with two-phase
//! commit and push, to the answer. `play` plays the steps.

mod admission;

use alloc::boxed::Box;
use alloc::vec::Vec;

use wavetank_store::{Ledger, MicroStep, Step, StoreError, TokenId, TxHandle, Value};
use wavetank_vocabulary::{
    Fact, OperationId, PlantedBugs, Role, ServerPhase, Status, Subject, Time, TxId,
};

use crate::instance::{Instance, SLICE_RECORDS};
use crate::interface::{Asked, Effect, Now, Reply};
use crate::task::{Phase, RequestTask, Task, TaskId};

/// What one turn on the transaction gave.
pub(crate) enum Turn {
    /// The micro-step is done.
    Done(Value),
    /// It must wait for that ticket.
    Wait(wavetank_store::Ticket),
    /// It failed.
    Failed(Status),
}

impl Instance {
    /// Rolls back and forgets a request for whose answer nobody waits.
    pub(crate) fn forget(
        &mut self,
        task: TaskId,
        status: Status,
        effects: &mut Vec<Effect>,
    ) -> Option<Box<RequestTask>> {
        let Some(Task::Request(request)) = self.tasks.remove(task) else { return None };
        if let Some(tx) = request.tx {
            match status {
                Status::Ok => self.tally.commits(request.writes, false),
                _ => self.tally.rolls_back(request.writes),
            }
            if !self.config.bugs.contains(PlantedBugs::ROLLBACK_FORGOTTEN) {
                self.store.rollback(tx);
            }
        }
        if let Some(session) = request.session {
            self.end_lock_session(session, effects);
        }
        self.open_writes -= u32::from(request.writes);
        Some(request)
    }

    /// The second store beside the graph has answered.
    pub(crate) fn called(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let now = self.clock;
        if let Some(work) = self.tasks.request_mut(task)
            && work.phase == Phase::Calling
        {
            work.phase = Phase::Execute;
            work.watch.enter(now, ServerPhase::Queue);
            effects.push(Effect::Ready(task));
        }
    }

    /// Rolls back, answers and forgets a request whose present transaction has not committed.
    pub(crate) fn finish_request(
        &mut self,
        task: TaskId,
        status: Status,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(request) = self.forget(task, status, effects) {
            effects.push(respond(&request, status, Reply::of(&request), self.clock));
        }
    }

    /// One slice of a request.
    pub(crate) fn run_request(&mut self, now: Now, task: TaskId, effects: &mut Vec<Effect>) {
        let Some(kind) = self.tasks.request_mut(task).map(|work| work.request.kind.index()) else {
            return;
        };
        let Some(tokens) = self.program_tokens(kind) else {
            self.finish_request(task, Status::EntityNotFound, effects);
            return;
        };
        self.run_slice(now, task, &tokens, effects);
        // Back to its place, for the next slice of such a program.
        if let Some(place) = self.tokens.get_mut(kind) {
            *place = Some(tokens);
        }
    }

    fn run_slice(&mut self, now: Now, task: TaskId, tokens: &[TokenId], effects: &mut Vec<Effect>) {
        let Some(mut work) = self.tasks.take_out(task) else { return };
        work.watch.enter(now.mono, ServerPhase::Core);
        let parked = match work.phase {
            Phase::Execute => {
                let faults = work.ledger.faults;
                let parked = self.execute(now, &mut work, tokens, effects);
                if parked.is_some() {
                    // A step that waits for a page has counted a fault, whoever reads it.
                    let page = work.ledger.faults > faults;
                    let waits = if page { ServerPhase::Page } else { ServerPhase::Lock };
                    work.watch.enter(now.mono, waits);
                }
                if let Phase::Syncing(_) = work.phase {
                    effects.push(Effect::Fact(Fact::Logged {
                        instance: self.id(),
                        log: work.push.mark,
                        before: work.before,
                        operation: OperationId::from_word(work.request.operation.to_word()),
                    }));
                }
                parked
            }
            Phase::Syncing(_) | Phase::Applying => {
                let parked = self.run_commit(task, &mut work, effects);
                if parked.is_some() {
                    work.watch.enter(now.mono, ServerPhase::Page);
                }
                parked
            }
            Phase::Blocked
            | Phase::Pushing
            | Phase::AtMaster
            | Phase::Ending(_)
            | Phase::Calling
            | Phase::Between
            | Phase::Replying
            | Phase::Open => None,
        };
        let ledger = work.ledger;
        if parked.is_none() {
            work.ledger = Ledger::default();
        }
        self.tasks.put_back(task, work);
        match parked {
            Some(ticket) => {
                if let Some(waits) = self.ask_master(task, effects)
                    && let Some(request) = self.tasks.request_mut(task)
                {
                    request.watch.enter(now.mono, waits);
                }
                self.park(task, ticket);
            }
            None => effects.push(Effect::Spend { task, ledger }),
        }
    }

    /// Runs program steps until the slice is full, the program ends, or something must be
    /// waited for.
    fn execute(
        &mut self,
        now: Now,
        work: &mut RequestTask,
        tokens: &[TokenId],
        effects: &mut Vec<Effect>,
    ) -> Option<wavetank_store::Ticket> {
        let programs = self.config.programs.clone();
        let program = &programs[work.request.kind.index()];
        while work.ledger.records < SLICE_RECORDS {
            let tx = match work.tx {
                Some(tx) => tx,
                None => {
                    let operation = work.request.operation.to_word();
                    work.guarded = work.writes && self.role() == Role::Slave;
                    work.state_ms = self.puller.state_ms;
                    let tx = match work.guarded {
                        true => self.store.begin_guarded(operation, now.wall_ms),
                        false => self.store.begin(operation, now.wall_ms),
                    };
                    self.store.set_lock_owner(tx, operation, work.request.kind);
                    work.tx = Some(tx);
                    self.tally.begins(work.writes);
                    work.seen = self.store.mark().tx;
                    tx
                }
            };
            let turn = match program.steps.get(usize::from(work.step)) {
                Some(step) => self.play_step(tx, work, (program, step), tokens, effects),
                None => self.conclude(tx, work),
            };
            match turn {
                Turn::Done(_) => {
                    if work.phase != Phase::Execute {
                        return None;
                    }
                }
                Turn::Wait(ticket) => return Some(ticket),
                Turn::Failed(status) => {
                    work.phase = Phase::Ending(status);
                    return None;
                }
            }
        }
        None
    }

    pub(crate) fn micro(&mut self, tx: TxHandle, step: &MicroStep, ledger: &mut Ledger) -> Turn {
        match self.store.step(tx, step, ledger) {
            Step::Done(value) => Turn::Done(value),
            Step::Wait(ticket) => Turn::Wait(ticket),
            Step::Failed(error) => Turn::Failed(status_of(&error)),
        }
    }

    /// The transaction's steps are through: end a read, prepare and commit a write.
    pub(crate) fn conclude(&mut self, tx: TxHandle, work: &mut RequestTask) -> Turn {
        if !work.writes {
            work.phase = Phase::Ending(Status::Ok);
            return Turn::Done(Value::Null);
        }
        let turn = self.micro(tx, &MicroStep::Prepare, &mut work.ledger);
        if !matches!(turn, Turn::Done(_)) {
            return turn;
        }
        if work.guarded {
            return match self.store.prepared(tx, &mut work.ledger) {
                Ok(Some(record)) => {
                    work.prepared = Some(record);
                    work.phase = Phase::AtMaster;
                    turn
                }
                // Nothing was written: there is nothing to commit.
                Ok(None) => {
                    work.phase = Phase::Ending(Status::Ok);
                    turn
                }
                Err(error) => Turn::Failed(status_of(&error)),
            };
        }
        match self.store.commit(tx, &mut work.ledger) {
            // Nothing was written: there is nothing to make durable.
            Ok(committing) if committing.ticket.is_none() => {
                self.store.apply(tx, &mut work.ledger);
                work.tx = None;
                self.tally.commits(work.writes, false);
                work.phase = Phase::Ending(Status::Ok);
                turn
            }
            Ok(committing) => {
                work.push.mark = committing.mark;
                work.before = committing.before;
                work.phase = Phase::Syncing(committing.ticket);
                turn
            }
            Err(error) => Turn::Failed(status_of(&error)),
        }
    }

    /// After the sync: apply to the pages and release the locks.
    fn run_commit(
        &mut self,
        task: TaskId,
        work: &mut RequestTask,
        effects: &mut Vec<Effect>,
    ) -> Option<wavetank_store::Ticket> {
        let tx = work.tx?;
        // A commit that the disk had no space for is refused, as applying it says.
        if let Phase::Syncing(_) = work.phase
            && self.store.mark().tx >= work.push.mark.tx
            && !self.store.is_refused(tx)
        {
            self.committed(work, effects);
        }
        match self.store.apply(tx, &mut work.ledger) {
            Step::Done(_) => {
                work.tx = None;
                self.tally.commits(work.writes, true);
                work.phase = Phase::Pushing;
                self.begin_push(task, &mut work.push, None, effects);
                None
            }
            Step::Wait(ticket) => Some(ticket),
            Step::Failed(error) => {
                work.phase = Phase::Ending(status_of(&error));
                None
            }
        }
    }

    fn committed(&self, work: &mut RequestTask, effects: &mut Vec<Effect>) {
        work.phase = Phase::Applying;
        effects.push(Effect::Fact(Fact::Committed {
            instance: self.id(),
            log: work.push.mark,
            operation: OperationId::from_word(work.request.operation.to_word()),
        }));
    }

    /// The core time of a request's slice has passed.
    pub(crate) fn request_ran(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let durable = self.store.mark().tx;
        let now = self.clock;
        let Some(request) = self.tasks.request_mut(task) else { return };
        request.watch.enter(now, ServerPhase::Queue);
        // The ticket of a commit that was refused meanwhile is done with.
        let refused = request.tx.is_some_and(|tx| self.store.is_refused(tx));
        match request.phase {
            Phase::Execute => effects.push(Effect::Ready(task)),
            Phase::Syncing(ticket) => match ticket {
                Some(ticket) if request.push.mark.tx > durable && !refused => {
                    request.watch.enter(now, ServerPhase::Sync);
                    self.park(task, ticket);
                }
                _ => effects.push(Effect::Ready(task)),
            },
            Phase::Ending(status) => {
                if status == Status::Ok && self.goes_on(task) {
                    self.next_transaction(task, effects);
                } else {
                    self.finish_request(task, status, effects);
                }
            }
            Phase::Calling => {
                request.watch.enter(now, ServerPhase::Calling);
                if let Some((store, node, value)) = request.call.take() {
                    let request = request.request;
                    effects.push(Effect::Call { task, request, store, node, value });
                }
            }
            Phase::Between => {
                request.phase = Phase::Execute;
                effects.push(Effect::Ready(task));
            }
            Phase::Replying => self.reply(task, effects),
            Phase::Pushing => {
                request.watch.enter(now, ServerPhase::Push);
                self.try_finish_push(task, effects);
            }
            Phase::AtMaster => self.commit_at_master(task, effects),
            Phase::Blocked | Phase::Applying | Phase::Open => effects.push(Effect::Ready(task)),
        }
    }

    /// Whether the program has steps left after the present transaction.
    fn goes_on(&mut self, task: TaskId) -> bool {
        let Some(work) = self.tasks.request_mut(task) else { return false };
        let (step, kind) = (usize::from(work.step), work.request.kind.index());
        step < self.config.programs[kind].steps.len()
    }

    /// Ends the present transaction and begins the next one of the same program.
    fn next_transaction(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let now = self.clock;
        let Some(work) = self.tasks.request_mut(task) else { return };
        work.phase = Phase::Execute;
        work.watch.enter(now, ServerPhase::Queue);
        let session = work.session.take();
        if let Some(tx) = work.tx.take() {
            self.tally.commits(work.writes, false);
            self.store.rollback(tx);
        }
        if let Some(session) = session {
            self.end_lock_session(session, effects);
        }
        effects.push(Effect::Ready(task));
    }

    /// A transaction is committed, and pushed as far as it has to be: answers its request,
    /// or goes on with the next one.
    pub(crate) fn acknowledge(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let goes_on = self.goes_on(task);
        let Some(work) = self.tasks.request_mut(task) else { return };
        work.committed = work.push.mark.tx;
        if goes_on {
            self.next_transaction(task, effects);
        } else if let Some(Task::Request(request)) = self.tasks.remove(task) {
            self.open_writes -= 1;
            effects.push(respond(&request, Status::Ok, Reply::of(&request), self.clock));
        }
    }
}

/// The answer to a request.
pub(crate) fn respond(task: &RequestTask, status: Status, reply: Reply, now: Time) -> Effect {
    let asked = Asked::of(&task.request);
    Effect::Respond { asked, status, reply, time: task.watch.stop(now) }
}

impl Reply {
    /// What a request has come to.
    pub(crate) fn of(work: &RequestTask) -> Reply {
        Reply {
            tx: work.committed,
            seen: work.seen,
            left: if work.committed == TxId(0) { Subject::Nothing } else { work.left },
            open: None,
        }
    }
}

/// What the client is told of a failure of the store.
fn status_of(error: &StoreError) -> Status {
    match error {
        StoreError::DeadlockDetected => Status::DeadlockDetected,
        StoreError::NodeNotFound(_) | StoreError::RelationshipNotFound(_) => Status::EntityNotFound,
        StoreError::ConstraintViolation { .. } | StoreError::NodeHasRelationships(_) => {
            Status::ConstraintViolation
        }
        StoreError::TooLarge(_) => Status::TooLarge,
        _ => Status::CouldNotWriteToLog,
    }
}
