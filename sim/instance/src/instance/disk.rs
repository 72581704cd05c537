//! The way from the store to its disk and back, and what the store tells of itself.

use alloc::vec::Vec;

use wavetank_store::{LockChange, LockNotice, StoreState, Ticket};
use wavetank_vocabulary::{Fact, LogLine, OperationId, Role, ServerPhase, Span, TxId};

use super::Instance;
use crate::interface::{Effect, Now, Timer};
use crate::task::{Task, TaskId};

/// How long after the disk was full writing pages is tried again.
const DISK_RETRY: Span = Span::from_secs(1);

impl Instance {
    /// Parks a task until the ticket completes.
    pub(crate) fn park(&mut self, task: TaskId, ticket: Ticket) {
        self.waiters.entry(ticket).or_default().push(task);
    }

    /// Carries what the store wants to the disk and wakes who waited, until all is quiet.
    pub(crate) fn pump(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while self.store.stirs() {
            let mut submissions = core::mem::take(&mut self.submissions);
            self.store.submissions(&mut submissions);
            for (op, request) in submissions.drain(..) {
                effects.push(Effect::Disk { op, request });
            }
            self.submissions = submissions;

            let mut tickets = core::mem::take(&mut self.tickets);
            self.store.completed(&mut tickets);
            for ticket in tickets.drain(..) {
                for task in self.waiters.remove(&ticket).unwrap_or_default() {
                    if let Some(request) = self.tasks.request_mut(task) {
                        request.watch.enter(now.mono, ServerPhase::Queue);
                    }
                    effects.push(Effect::Ready(task));
                }
            }
            self.tickets = tickets;
        }
        self.look_after_store(now, effects);
        self.advance_switch(now, effects);
        if !self.background && self.member.is_some() && self.store.wants_background() {
            self.background = true;
            let task = self.tasks.add(Task::Background);
            effects.push(Effect::Ready(task));
        }
    }

    pub(super) fn look_after_store(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.failed {
            return;
        }
        match self.store.state() {
            StoreState::Failed(_) => {
                self.failed = true;
                effects.push(Effect::Fact(Fact::StoreFailed { instance: self.id() }));
                effects.push(Effect::Exit);
            }
            // What is left of a damaged store may be all that there is of some transactions.
            StoreState::Empty if self.member.is_none() && self.store.has_remains() => {
                let instance = self.id();
                let line = LogLine::DamagedStoreSetAside;
                effects.push(Effect::Fact(Fact::Told { instance, line }));
                self.store.set_aside_by(self.config.settings.branched_data_policy, 1);
                self.pump(now, effects);
                return;
            }
            StoreState::Ready | StoreState::Empty if self.member.is_none() => {
                self.opened(now, effects);
            }
            _ => {}
        }
        if self.store.is_disk_full() && !self.disk_full {
            self.disk_full = true;
            effects.push(Effect::Arm { timer: Timer::Disk, after: DISK_RETRY });
        }
        self.tally.look(self.store.is_checkpointing(), self.store.is_rotating_log(), now.mono);
        if self.store.checkpoints() != self.last_checkpoints {
            let counters = self.store.counters();
            self.last_checkpoints = counters.checkpoints;
            effects.push(Effect::Fact(Fact::Checkpoint {
                instance: self.id(),
                tx: TxId(counters.last_checkpoint_tx),
                pages: counters.checkpoint_pages,
            }));
        }
    }

    /// The store is open: enter the cluster.
    pub(super) fn opened(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if let Some(recovery) = self.store.recovery() {
            effects.push(Effect::Fact(Fact::Recovered {
                instance: self.id(),
                log: recovery.mark,
                replayed: recovery.replayed,
                cut: recovery.cut,
            }));
        }
        self.tally.opened(self.store.log_version());
        self.role_changed(Role::Pending, effects);
        self.member = Some(self.new_member(now));
        effects.push(Effect::Arm {
            timer: Timer::Checkpoint,
            after: self.config.settings.checkpoint_interval_time,
        });
        self.join_cluster(now, effects);
    }

    /// Tells what became of locks in this step.
    pub(super) fn tell_locks(&mut self, effects: &mut Vec<Effect>) {
        let instance = self.id();
        self.store.lock_notices(&mut self.notices);
        for LockNotice { lock, owner, change } in self.notices.drain(..) {
            let (operation, kind) = (OperationId::from_word(owner.operation), owner.kind);
            effects.push(Effect::Fact(match change {
                LockChange::Waited { behind, waited, granted } => {
                    let behind = behind.kind;
                    Fact::LockWaited { instance, lock, operation, kind, behind, waited, granted }
                }
                LockChange::Refused { behind } => {
                    Fact::Deadlock { instance, lock, operation, kind, behind: behind.kind }
                }
                LockChange::Released { held } => Fact::LockReleased { instance, lock, kind, held },
            }));
        }
    }
}
