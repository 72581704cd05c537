//! The instance's tasks on the cores: who runs a slice, what follows it, and which tasks a role
//! no longer allows.

use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_store::{Ledger, TokenId};
use wavetank_vocabulary::{OperationKind, Status};

use super::{Instance, SLICE_RECORDS};
use crate::interface::{Effect, Now};
use crate::program::Program;
use crate::task::{Phase, RequestTask, Task, TaskId};

impl Instance {
    /// Puts a program in the place of an operation that no request uses, or behind all others: what
    /// a client has written itself is played like what the Plan has.
    pub fn define(&mut self, kind: OperationKind, program: Program) {
        let place = kind.index();
        if place < self.config.programs.len() {
            Arc::make_mut(&mut self.config.programs)[place] = program;
        } else {
            let all = self.config.programs.iter().cloned();
            self.config.programs = all.chain([program]).collect();
        }
        if let Some(tokens) = self.tokens.get_mut(place) {
            *tokens = None;
        }
    }

    /// Hands out the tokens of a program's names, looked up once; the caller puts them back.
    pub(crate) fn program_tokens(&mut self, kind: usize) -> Option<Vec<TokenId>> {
        if self.tokens.len() < self.config.programs.len() {
            self.tokens.resize(self.config.programs.len(), None);
        }
        if let Some(tokens) = self.tokens.get_mut(kind)?.take() {
            return Some(tokens);
        }
        let names = &self.config.programs.get(kind)?.names;
        names.iter().map(|(kind, name)| self.store.token(*kind, name)).collect()
    }

    pub(super) fn run(&mut self, now: Now, task: TaskId, effects: &mut Vec<Effect>) {
        match self.tasks.get_mut(task) {
            None => {}
            Some(Task::Request(_)) => self.run_request(now, task, effects),
            Some(Task::Apply) => self.run_apply(now, task, effects),
            Some(Task::Serve(_)) => self.run_serve(task, effects),
            Some(Task::CopyOut(_)) => self.run_copy(task, effects),
            Some(Task::Call(_)) => self.run_call(now, task, effects),
            Some(Task::CopyIn) => {
                self.tasks.remove(task);
                self.copy_advanced(now, effects);
            }
            Some(Task::Background) => {
                let mut ledger = Ledger::default();
                self.store.background(SLICE_RECORDS, &mut ledger);
                effects.push(Effect::Spend { task, ledger });
            }
        }
    }

    pub(super) fn ran(&mut self, now: Now, task: TaskId, effects: &mut Vec<Effect>) {
        match self.tasks.get_mut(task) {
            None => {}
            Some(Task::Request(_)) => self.request_ran(task, effects),
            Some(Task::Apply) => self.apply_ran(now, task, effects),
            // They are over with their slice.
            Some(Task::Serve(_) | Task::CopyIn) => {}
            Some(Task::CopyOut(copy)) if copy.asked => effects.push(Effect::Ready(task)),
            Some(Task::CopyOut(_)) => {}
            Some(Task::Call(_)) => self.call_ran(task, effects),
            Some(Task::Background) => {
                self.tasks.remove(task);
                self.background = false;
            }
        }
    }

    /// Ends the tasks that a role no longer allows. Requests whose transaction is in the log
    /// already go on: they are committed.
    pub(crate) fn end_requests(
        &mut self,
        status: Status,
        which: impl Fn(&RequestTask) -> bool,
        effects: &mut Vec<Effect>,
    ) {
        let ending: Vec<(TaskId, bool)> = self
            .tasks
            .iter()
            .filter_map(|(id, task)| match task {
                Task::Request(request) if which(request) => match request.phase {
                    Phase::Execute
                    | Phase::AtMaster
                    | Phase::Calling
                    | Phase::Between
                    | Phase::Replying => Some((id, true)),
                    Phase::Open => Some((id, false)),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        for (id, asked) in ending {
            if let Some(request) = self.tasks.request_mut(id)
                && request.tx.is_some()
            {
                self.tally.terminates(request.writes);
            }
            if asked {
                self.finish_request(id, status, effects);
            } else {
                // Its next statement is told that the transaction is not known.
                self.forget(id, status, effects);
            }
        }
    }
}
