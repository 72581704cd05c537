//! Client operations: a program's steps as micro-steps of one transaction, two-phase commit,
//! push, answer.

use alloc::vec::Vec;

use wavetank_store::{Direction, Entity, Ledger, MicroStep, Step, StoreError, TxHandle, Value};
use wavetank_vocabulary::{
    Fact, NodeId, OperationId, Role, ServerPhase, ServerTime, Status, Stopwatch, Time, TxId,
};

use crate::instance::{Instance, ProgramTokens, SLICE_RECORDS};
use crate::interface::{Effect, Now, Timer};
use crate::program::{OP, Operand, OperationStep, Request, Source};
use crate::task::{Phase, RequestTask, Task, TaskId};

/// Whether a request may run now.
enum Access {
    Granted,
    Blocked,
    Refused(Status),
}

/// What one turn on the transaction gave.
enum Turn {
    /// The micro-step is done.
    Done(Value),
    /// It must wait for that ticket.
    Wait(wavetank_store::Ticket),
    /// It failed.
    Failed(Status),
}

/// The text that `Source::Text` writes: as long as asked, telling the operation.
const FILLER: &str = "the quick brown fox jumps over the lazy dog and goes on to chase the \
                      next one, which is a little slower than the one before it was, and so \
                      on until the status of this user has grown as long as it has to be.";

impl Instance {
    fn access(&self, writes: bool) -> Access {
        match self.role() {
            Role::Master => Access::Granted,
            Role::Slave | Role::Detached if !writes => Access::Granted,
            // Writes at a slave come with its lock sessions; until then they are refused as
            // if there were no master to forward them to.
            Role::Slave | Role::Detached => Access::Refused(Status::NoMaster),
            Role::Arbiter => Access::Refused(Status::NoMaster),
            Role::Down | Role::Starting | Role::Pending | Role::ToMaster | Role::ToSlave => {
                Access::Blocked
            }
        }
    }

    /// A client's request came in.
    pub(crate) fn request(&mut self, now: Now, request: Request, effects: &mut Vec<Effect>) {
        let Some(program) = self.config.programs.get(request.kind.index()) else {
            refuse(request, Status::EntityNotFound, effects);
            return;
        };
        let writes = program.writes();
        let phase = match self.access(writes) {
            Access::Refused(status) => {
                refuse(request, status, effects);
                return;
            }
            Access::Granted => Phase::Execute,
            Access::Blocked => Phase::Blocked,
        };
        let waits = if phase == Phase::Blocked { ServerPhase::Access } else { ServerPhase::Queue };
        let watch = Stopwatch::start(now.mono, waits);
        let task = self.tasks.add(Task::Request(RequestTask::new(request, writes, phase, watch)));
        if phase == Phase::Execute {
            self.open_writes += u32::from(writes);
            effects.push(Effect::Ready(task));
        } else {
            if self.blocked.is_empty() {
                let after = self.config.settings.state_switch_timeout;
                effects.push(Effect::Arm { timer: Timer::Access, after });
            }
            let deadline = now.mono + self.config.settings.state_switch_timeout;
            self.blocked.push_back((deadline, task));
        }
    }

    /// The role allows transactions again, or no longer some: look at who waits.
    pub(crate) fn release_blocked(&mut self, effects: &mut Vec<Effect>) {
        let waiting = core::mem::take(&mut self.blocked);
        for (deadline, task) in waiting {
            let Some(request) = self.tasks.request_mut(task) else { continue };
            let writes = request.writes;
            match self.access(writes) {
                Access::Blocked => self.blocked.push_back((deadline, task)),
                Access::Refused(status) => self.answer(task, status, effects),
                Access::Granted => {
                    let now = self.clock;
                    if let Some(request) = self.tasks.request_mut(task) {
                        request.phase = Phase::Execute;
                        request.watch.enter(now, ServerPhase::Queue);
                    }
                    self.open_writes += u32::from(writes);
                    effects.push(Effect::Ready(task));
                }
            }
        }
        if self.blocked.is_empty() {
            effects.push(Effect::Cancel(Timer::Access));
        }
    }

    pub(crate) fn access_timed_out(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some((deadline, task)) = self.blocked.front().copied() {
            if deadline > now.mono {
                effects.push(Effect::Arm { timer: Timer::Access, after: deadline.since(now.mono) });
                break;
            }
            self.blocked.pop_front();
            self.answer(task, Status::DatabaseUnavailable, effects);
        }
    }

    /// Answers and forgets a request that has no transaction.
    fn answer(&mut self, task: TaskId, status: Status, effects: &mut Vec<Effect>) {
        if let Some(Task::Request(request)) = self.tasks.remove(task) {
            effects.push(respond(&request, status, TxId(0), self.clock));
        }
    }

    /// Rolls back, answers and forgets a request that has not committed.
    pub(crate) fn finish_request(
        &mut self,
        task: TaskId,
        status: Status,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(Task::Request(request)) = self.tasks.remove(task) {
            if let Some(tx) = request.tx {
                self.store.rollback(tx);
            }
            self.open_writes -= u32::from(request.writes);
            effects.push(respond(&request, status, TxId(0), self.clock));
        }
    }

    /// One slice of a request.
    pub(crate) fn run_request(&mut self, now: Now, task: TaskId, effects: &mut Vec<Effect>) {
        let Some(tokens) = self.program_tokens() else {
            self.finish_request(task, Status::EntityNotFound, effects);
            return;
        };
        let Some(request) = self.tasks.request_mut(task) else { return };
        // Taken out for the slice, so that store and request can be used side by side.
        request.watch.enter(now.mono, ServerPhase::Core);
        let stand_in =
            RequestTask::new(request.request, request.writes, request.phase, request.watch);
        let mut work = core::mem::replace(request, stand_in);
        let parked = match work.phase {
            Phase::Execute => {
                let faults = work.ledger.faults;
                let parked = self.execute(now, &mut work, tokens);
                if parked.is_some() {
                    // A step that waits for a page has counted a fault, whoever reads it.
                    let page = work.ledger.faults > faults;
                    let waits = if page { ServerPhase::Page } else { ServerPhase::Lock };
                    work.watch.enter(now.mono, waits);
                }
                if let Phase::Syncing(_) = work.phase {
                    effects.push(Effect::Fact(Fact::Logged {
                        instance: self.id(),
                        log: work.mark,
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
            Phase::Blocked | Phase::Pushing | Phase::Ending(_) => None,
        };
        let ledger = work.ledger;
        if parked.is_none() {
            work.ledger = Ledger::default();
        }
        if let Some(request) = self.tasks.request_mut(task) {
            *request = work;
        }
        match parked {
            Some(ticket) => self.park(task, ticket),
            None => effects.push(Effect::Spend { task, ledger }),
        }
    }

    /// Runs program steps until the slice is full, the program ends, or something must be
    /// waited for.
    fn execute(
        &mut self,
        now: Now,
        work: &mut RequestTask,
        tokens: ProgramTokens,
    ) -> Option<wavetank_store::Ticket> {
        let tx = match work.tx {
            Some(tx) => tx,
            None => {
                let tx = self.store.begin(work.request.operation.to_word(), now.wall_ms);
                work.tx = Some(tx);
                work.seen = self.store.mark().tx;
                tx
            }
        };
        let programs = self.config.programs.clone();
        let steps = &programs[work.request.kind.index()].steps;
        while work.ledger.records < SLICE_RECORDS {
            let turn = match steps.get(usize::from(work.step)) {
                Some(step) => self.program_step(tx, work, *step, tokens),
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

    fn micro(&mut self, tx: TxHandle, step: &MicroStep, ledger: &mut Ledger) -> Turn {
        match self.store.step(tx, step, ledger) {
            Step::Done(value) => Turn::Done(value),
            Step::Wait(ticket) => Turn::Wait(ticket),
            Step::Failed(error) => Turn::Failed(status_of(&error)),
        }
    }

    /// One micro-step of a program step. The step's counter moves on when it is complete.
    fn program_step(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        step: OperationStep,
        tokens: ProgramTokens,
    ) -> Turn {
        let mut ledger = work.ledger;
        let turn = match step {
            OperationStep::Read(of) => {
                let step = MicroStep::ReadProperties { entity: Entity::Node(operand(work, of)) };
                self.micro(tx, &step, &mut ledger)
            }
            OperationStep::Expand { from, limit } => {
                work.ledger = ledger;
                return self.expand(tx, work, operand(work, from), limit, tokens);
            }
            OperationStep::CreateUser => {
                work.ledger = ledger;
                return self.create_user(tx, work, tokens);
            }
            OperationStep::Follow { from, to } => {
                work.ledger = ledger;
                return self.follow(tx, work, [operand(work, from), operand(work, to)], tokens);
            }
            OperationStep::Set { on, key, value } => {
                let value = match value {
                    Source::Operation => Value::Int(work.request.operation.to_word() as i64),
                    Source::Text(bytes) => {
                        let bytes = usize::from(bytes).min(FILLER.len());
                        Value::Text(FILLER[..bytes].into())
                    }
                };
                let step = MicroStep::SetProperty {
                    entity: Entity::Node(operand(work, on)),
                    key: tokens.properties[usize::from(key)],
                    value,
                };
                self.micro(tx, &step, &mut ledger)
            }
        };
        work.ledger = ledger;
        if matches!(turn, Turn::Done(_)) {
            work.step += 1;
        }
        turn
    }

    /// First the chain, then each neighbour.
    fn expand(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        node: NodeId,
        limit: u32,
        tokens: ProgramTokens,
    ) -> Turn {
        if work.progress == 0 {
            let step = MicroStep::Expand {
                node,
                direction: Direction::Outgoing,
                kind: Some(tokens.follows),
                limit,
                from: work.cursor,
            };
            let turn = self.micro(tx, &step, &mut work.ledger);
            if let Turn::Done(value) = &turn {
                work.cursor = match value {
                    Value::Expanded { rest, .. } => *rest,
                    _ => None,
                };
                if work.cursor.is_none() {
                    work.neighbours.extend(self.store.results(tx).iter().map(|n| n.node));
                    work.progress = 1;
                }
            }
            return turn;
        }
        let Some(next) = work.neighbours.get(work.progress as usize - 1).copied() else {
            work.progress = 0;
            work.step += 1;
            work.neighbours.clear();
            return Turn::Done(Value::Null);
        };
        let turn = self.micro(
            tx,
            &MicroStep::ReadProperties { entity: Entity::Node(next) },
            &mut work.ledger,
        );
        match turn {
            // A neighbour that was deleted meanwhile is no error for the reader.
            Turn::Done(_) | Turn::Failed(Status::EntityNotFound) => {
                work.progress += 1;
                Turn::Done(Value::Null)
            }
            other => other,
        }
    }

    fn create_user(&mut self, tx: TxHandle, work: &mut RequestTask, tokens: ProgramTokens) -> Turn {
        let entity = Entity::Node(work.created);
        let operation = work.request.operation.to_word() as i64;
        let step = match work.progress {
            0 => MicroStep::CreateNode { labels: alloc::vec![tokens.user] },
            1 => MicroStep::SetProperty {
                entity,
                key: tokens.properties[usize::from(crate::program::NAME)],
                value: Value::Text("a new user".into()),
            },
            _ => MicroStep::SetProperty {
                entity,
                key: tokens.properties[usize::from(OP)],
                value: Value::Int(operation),
            },
        };
        let turn = self.micro(tx, &step, &mut work.ledger);
        if let Turn::Done(value) = &turn {
            if let Value::Node(id) = value {
                work.created = *id;
            }
            work.progress += 1;
            if work.progress == 3 {
                work.progress = 0;
                work.step += 1;
            }
        }
        turn
    }

    fn follow(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        [from, to]: [NodeId; 2],
        tokens: ProgramTokens,
    ) -> Turn {
        let step = if work.progress == 0 {
            MicroStep::CreateRelationship { from, to, kind: tokens.follows }
        } else {
            MicroStep::SetProperty {
                entity: Entity::Relationship(wavetank_vocabulary::RelationshipId(work.created.0)),
                key: tokens.properties[usize::from(OP)],
                value: Value::Int(work.request.operation.to_word() as i64),
            }
        };
        let turn = self.micro(tx, &step, &mut work.ledger);
        if let Turn::Done(value) = &turn {
            if let Value::Relationship(id) = value {
                work.created = NodeId(id.0);
            }
            work.progress += 1;
            if work.progress == 2 {
                work.progress = 0;
                work.step += 1;
            }
        }
        turn
    }

    /// The program is through: end a read, prepare and commit a write.
    fn conclude(&mut self, tx: TxHandle, work: &mut RequestTask) -> Turn {
        if !work.writes {
            work.phase = Phase::Ending(Status::Ok);
            return Turn::Done(Value::Null);
        }
        let turn = self.micro(tx, &MicroStep::Prepare, &mut work.ledger);
        if !matches!(turn, Turn::Done(_)) {
            return turn;
        }
        match self.store.commit(tx, &mut work.ledger) {
            Ok(committing) => {
                work.mark = committing.mark;
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
            && self.store.mark().tx >= work.mark.tx
            && !self.store.is_refused(tx)
        {
            self.committed(work, effects);
        }
        match self.store.apply(tx, &mut work.ledger) {
            Step::Done(_) => {
                work.tx = None;
                work.phase = Phase::Pushing;
                self.begin_push(task, work, effects);
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
            log: work.mark,
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
                Some(ticket) if request.mark.tx > durable && !refused => {
                    request.watch.enter(now, ServerPhase::Sync);
                    self.park(task, ticket);
                }
                _ => effects.push(Effect::Ready(task)),
            },
            Phase::Ending(status) => self.finish_request(task, status, effects),
            Phase::Pushing => {
                request.watch.enter(now, ServerPhase::Push);
                self.try_finish_push(task, effects);
            }
            Phase::Blocked | Phase::Applying => effects.push(Effect::Ready(task)),
        }
    }

    /// Answers a committed request.
    pub(crate) fn acknowledge(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        if let Some(Task::Request(request)) = self.tasks.remove(task) {
            self.open_writes -= 1;
            effects.push(respond(&request, Status::Ok, request.mark.tx, self.clock));
        }
    }
}

/// Answers a request that gets no task.
fn refuse(request: Request, status: Status, effects: &mut Vec<Effect>) {
    let (seen, time) = (TxId(0), ServerTime::default());
    effects.push(Effect::Respond { request, status, tx: TxId(0), seen, time });
}

/// The answer to a request whose task is over.
pub(crate) fn respond(task: &RequestTask, status: Status, tx: TxId, now: Time) -> Effect {
    let (seen, time) = (task.seen, task.watch.stop(now));
    Effect::Respond { request: task.request, status, tx, seen, time }
}

fn operand(work: &RequestTask, operand: Operand) -> NodeId {
    match operand {
        Operand::Me => work.request.me,
        Operand::Other => work.request.other,
        Operand::Created => work.created,
    }
}

/// What the client is told of a failure of the store.
fn status_of(error: &StoreError) -> Status {
    match error {
        StoreError::DeadlockDetected => Status::DeadlockDetected,
        StoreError::NodeNotFound(_) | StoreError::RelationshipNotFound(_) => Status::EntityNotFound,
        _ => Status::CouldNotWriteToLog,
    }
}
