//! Which requests may run now, which wait for the database to become available, and the open
//! transactions that wait for their next statement.

use alloc::boxed::Box;
use alloc::vec::Vec;

use wavetank_vocabulary::{PlantedBugs, Role, ServerPhase, ServerTime, Status, Stopwatch};

use super::respond;
use crate::instance::Instance;
use crate::interface::{Asked, Effect, Now, Reply, Timer};
use crate::play::StepState;
use crate::program::Request;
use crate::task::{Phase, RequestTask, Task, TaskId};

/// Whether a request may run now.
enum Access {
    Granted,
    Blocked,
    Refused(Status),
}

impl Instance {
    fn access(&self, writes: bool) -> Access {
        match self.role() {
            Role::Master => Access::Granted,
            // The batch that is being applied reuses ids that a new transaction could follow.
            Role::Slave if self.puller.blocks() => Access::Blocked,
            Role::Slave => Access::Granted,
            Role::Detached if !writes => Access::Granted,
            Role::Detached if self.config.bugs.contains(PlantedBugs::DETACHED_TAKES_WRITES) => {
                Access::Granted
            }
            Role::Detached | Role::Arbiter => Access::Refused(Status::NoMaster),
            Role::Down | Role::Starting | Role::Pending | Role::ToMaster | Role::ToSlave => {
                Access::Blocked
            }
        }
    }

    /// A client's request came in.
    pub(crate) fn request(&mut self, now: Now, request: Request, effects: &mut Vec<Effect>) {
        if let Some(open) = request.open {
            self.resume(open, request, effects);
            return;
        }
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
        let work = RequestTask::new(request, writes, phase, watch, self.id());
        let task = self.tasks.add(Task::Request(Box::new(work)));
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

    /// The next statement of an open transaction came in.
    pub(super) fn resume(&mut self, open: TaskId, request: Request, effects: &mut Vec<Effect>) {
        let now = self.clock;
        match self.tasks.request_mut(open) {
            Some(work)
                if work.phase == Phase::Open
                    && work.request.operation == request.operation
                    && work.request.attempt == request.attempt =>
            {
                if work.request.kind != request.kind {
                    // A statement that the client has only now: it begins with no variables.
                    (work.step, work.at) = (0, StepState::default());
                    (work.slots, work.found) = (Default::default(), 0);
                }
                work.request = request;
                work.phase = Phase::Execute;
                work.watch = Stopwatch::start(now, ServerPhase::Queue);
                effects.push(Effect::Ready(open));
            }
            _ => refuse(request, Status::UnknownId, effects),
        }
    }

    /// A statement is done: its client is answered and asks for the next one.
    pub(super) fn reply(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let now = self.clock;
        let Some(work) = self.tasks.request_mut(task) else { return };
        work.phase = Phase::Open;
        let most = self.config.settings.transaction_timeout;
        work.idle_until = now + most;
        let reply = Reply { open: Some(task), ..Reply::of(work) };
        effects.push(respond(work, Status::Ok, reply, now));
        if self.idle.is_empty() {
            effects.push(Effect::Arm { timer: Timer::Idle, after: most });
        }
        self.idle.push_back((now + most, task));
    }

    /// Whether a transaction is open and waits for its next statement.
    pub fn is_open(&self, open: TaskId) -> bool {
        self.tasks.requests().any(|(task, work)| task == open && work.phase == Phase::Open)
    }

    /// A client gives its open transaction up. A statement of it that is still at work, or
    /// waits, ends with it; one that commits goes on.
    pub(crate) fn roll_back(&mut self, open: TaskId, effects: &mut Vec<Effect>) {
        match self.tasks.request_mut(open).map(|work| work.phase) {
            Some(Phase::Open) => {
                self.forget(open, Status::UnknownId, effects);
            }
            Some(Phase::Execute) => self.finish_request(open, Status::UnknownId, effects),
            _ => {}
        }
    }

    /// The oldest of the open transactions may have waited long enough.
    pub(crate) fn idle_expired(&mut self, effects: &mut Vec<Effect>) {
        let now = self.clock;
        while let Some((until, task)) = self.idle.front().copied() {
            if until > now {
                effects.push(Effect::Arm { timer: Timer::Idle, after: until.since(now) });
                break;
            }
            self.idle.pop_front();
            let expired =
                |work: &mut RequestTask| work.phase == Phase::Open && work.idle_until == until;
            if let Some(work) = self.tasks.request_mut(task)
                && expired(work)
            {
                self.tally.terminates(work.writes);
                self.forget(task, Status::UnknownId, effects);
            }
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
            self.answer(task, Status::AccessTimeout, effects);
        }
    }

    /// Answers and forgets a request that has no transaction.
    pub(super) fn answer(&mut self, task: TaskId, status: Status, effects: &mut Vec<Effect>) {
        if let Some(Task::Request(request)) = self.tasks.remove(task) {
            effects.push(respond(&request, status, Reply::default(), self.clock));
        }
    }
}

/// Answers a request that gets no task.
fn refuse(request: Request, status: Status, effects: &mut Vec<Effect>) {
    let (reply, time) = (Reply::default(), ServerTime::default());
    effects.push(Effect::Respond { asked: Asked::of(&request), status, reply, time });
}
