//! What a pull brought is appended, forced and applied, batch by batch.

use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_store::{Ledger, Step, TxRecord};
use wavetank_vocabulary::{Fact, Status};

use super::PullState;
use crate::instance::{Instance, SLICE_RECORDS};
use crate::interface::{Effect, Now};
use crate::task::{Phase, RequestTask, Task, TaskId};

impl Instance {
    /// Appends the next `ha.pull_apply_batch_size` transactions, or ends the pull.
    pub(super) fn next_batch(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let size = self.config.settings.pull_apply_batch_size as usize;
        let take = size.min(self.puller.records.len());
        if take == 0 {
            self.pull_ended(now, effects);
            return;
        }
        let batch: Vec<_> = self.puller.records.drain(..take).collect();
        match self.store.receive(&batch) {
            Ok(ticket) => {
                self.guard_readers(&batch, effects);
                self.puller.state = PullState::Applying;
                self.puller.batch = take as u32;
                let task = self.tasks.add(Task::Apply);
                self.park(task, ticket);
            }
            // Not what follows our log: the logs differ, so look at them again.
            Err(_) => {
                self.puller.records.clear();
                self.puller.state = PullState::Idle;
                self.follow_anew(now, effects);
            }
        }
    }

    /// Ends transactions that began in a state so old that ids which they may hold are in
    /// use again after this batch; lets none begin while it is applied if it spans as much
    /// (2.3.6 and later).
    pub(super) fn guard_readers(&mut self, batch: &[Arc<TxRecord>], effects: &mut Vec<Effect>) {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return };
        let zone = self.config.settings.id_reuse_safe_zone.as_nanos() / 1_000_000;
        let end = last.time_ms();
        if zone > 0 {
            let oldest = end.saturating_sub(zone);
            self.puller.blocked |= first.time_ms() < oldest;
            // One that the master is committing already has its locks there.
            let outdated = |request: &RequestTask| {
                request.phase == Phase::Execute && request.state_ms.is_some_and(|ms| ms < oldest)
            };
            self.end_requests(Status::Outdated, outdated, effects);
        }
        self.puller.state_ms = Some(end);
    }

    /// One slice of applying what was received.
    pub(crate) fn run_apply(&mut self, now: Now, task: TaskId, effects: &mut Vec<Effect>) {
        let mut ledger = Ledger::default();
        while ledger.records < SLICE_RECORDS && self.store.received_left() > 0 {
            match self.store.apply_received(&mut ledger) {
                Step::Done(_) => {}
                Step::Wait(ticket) => {
                    self.park(task, ticket);
                    return;
                }
                // The store stopped itself; the process ends.
                Step::Failed(_) => {
                    self.tasks.remove(task);
                    self.pump(now, effects);
                    return;
                }
            }
        }
        effects.push(Effect::Spend { task, ledger });
    }

    /// The core time of an apply slice has passed.
    pub(crate) fn apply_ran(&mut self, now: Now, task: TaskId, effects: &mut Vec<Effect>) {
        if self.store.received_left() > 0 {
            effects.push(Effect::Ready(task));
            return;
        }
        self.tasks.remove(task);
        effects.push(Effect::Fact(Fact::Applied {
            instance: self.id(),
            log: self.store.mark(),
            transactions: self.puller.batch,
        }));
        self.answer_pushes(effects);
        self.meet_obligations(effects);
        self.next_batch(now, effects);
    }
}
