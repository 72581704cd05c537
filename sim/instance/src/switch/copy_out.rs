//! The master's side of a store copy: the pages go out in chunks, as the slave asks for them.

use alloc::vec::Vec;

use wavetank_store::{CopyStep, Ledger, PAGE_SIZE};
use wavetank_vocabulary::{InstanceId, PlantedBugs, Role};

use crate::instance::Instance;
use crate::interface::Effect;
use crate::message::DataMessage;
use crate::task::{CopyTask, Task, TaskId};

impl Instance {
    /// The master's side: a slave asks for the store, or for its next chunk.
    pub(crate) fn copy_asked(
        &mut self,
        to: InstanceId,
        attempt: u32,
        chunk: u32,
        effects: &mut Vec<Effect>,
    ) {
        if self.role() != Role::Master {
            return;
        }
        let running = self.tasks.iter().find_map(|(id, task)| match task {
            Task::CopyOut(copy) if copy.to == to => Some((id, (copy.attempt, copy.sent))),
            _ => None,
        });
        if chunk == 0 {
            if let Some((id, _)) = running {
                self.end_copy(id);
            }
            let cursor = self.store.begin_copy();
            let copy = CopyTask { to, attempt, cursor, sent: 0, asked: true };
            let task = self.tasks.add(Task::CopyOut(copy));
            effects.push(Effect::Ready(task));
        } else if let Some((id, running)) = running
            && running == (attempt, chunk)
            && let Some(Task::CopyOut(copy)) = self.tasks.get_mut(id)
        {
            copy.asked = true;
            effects.push(Effect::Ready(id));
        }
    }

    /// One slice of the master's side: the next chunk of pages.
    pub(crate) fn run_copy(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let most = (self.config.settings.com_chunk_size.0 as usize / PAGE_SIZE).max(1);
        let Some(Task::CopyOut(copy)) = self.tasks.get_mut(task) else { return };
        if !copy.asked {
            return;
        }
        let mut cursor = copy.cursor.clone();
        let (to, attempt, chunk) = (copy.to, copy.attempt, copy.sent);
        let mut ledger = Ledger::default();
        let (pages, done) = match self.store.copy_pages(&mut cursor, most, &mut ledger) {
            CopyStep::Pages(pages) => (pages, None),
            CopyStep::Done { .. } if self.config.bugs.contains(PlantedBugs::COPY_MARK_TOO_LATE) => {
                (Vec::new(), Some(self.store.mark()))
            }
            CopyStep::Done { from } => (Vec::new(), Some(from)),
            CopyStep::Failed(_) => {
                self.end_copy(task);
                return;
            }
            CopyStep::Wait(ticket) => {
                if let Some(Task::CopyOut(copy)) = self.tasks.get_mut(task) {
                    copy.cursor = cursor;
                }
                return self.park(task, ticket);
            }
        };
        if let Some(Task::CopyOut(copy)) = self.tasks.get_mut(task) {
            copy.cursor = cursor;
            copy.asked = false;
            copy.sent += 1;
        }
        let finished = done.is_some();
        self.send_data(to, DataMessage::StoreChunk { attempt, chunk, pages, done }, effects);
        effects.push(Effect::Spend { task, ledger });
        if finished {
            self.end_copy(task);
        }
    }

    /// A copy is complete, or the slave begins anew: the log that it needed may go.
    pub(super) fn end_copy(&mut self, task: TaskId) {
        if let Some(Task::CopyOut(copy)) = self.tasks.remove(task) {
            self.store.end_copy(&copy.cursor);
        }
    }
}
