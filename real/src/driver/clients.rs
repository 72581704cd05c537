//! What HTTP clients ask of a node: operations, statements of their own, and transactions that stay
//! open in between.

use std::sync::mpsc::Sender;

use wavetank_instance::{Input, Reply, Request, TaskId};
use wavetank_vocabulary::{NodeId, OperationId, OperationKind, Status};

use super::{Asker, Node, WEB_CLIENT};
use crate::statements::{Answered, Row};
use crate::web::{FromWeb, Run};

impl Node {
    pub(super) fn asked(&mut self, asked: FromWeb) {
        match asked {
            FromWeb::Look(look) => look(&self.instance),
            FromWeb::Run(Run::Begin { kind, me, other, open }, tell) => {
                let request = self.begun(kind, (me, other), open);
                self.web_request(request, tell);
            }
            FromWeb::Run(Run::Play { program, open }, tell) => {
                let before = match open {
                    None => None,
                    Some(word) => match self.take_open(word) {
                        Some(before) if self.statements.are(before.kind) => Some(before),
                        // An operation has its own statements; an error ends it.
                        Some(_) => {
                            self.input(Input::Rollback(TaskId::from_word(word)));
                            let _ = tell.send(Answered::bare(Status::Aborted));
                            return;
                        }
                        None => {
                            let _ = tell.send(Answered::bare(self.why_not_open(word)));
                            return;
                        }
                    },
                };
                let Some(kind) = self.statements.define(&mut self.instance, *program) else {
                    // An error ends the transaction; none of what it holds is to stay.
                    if let (Some(before), Some(word)) = (before, open) {
                        self.statements.give_back(before.kind);
                        self.input(Input::Rollback(TaskId::from_word(word)));
                    }
                    let _ = tell.send(Answered::bare(Status::Aborted));
                    return;
                };
                let request = match before {
                    Some(before) => {
                        self.statements.give_back(before.kind);
                        Request { kind, ..before }
                    }
                    None => self.begun(kind, (NodeId(0), NodeId(0)), true),
                };
                self.web_request(request, tell);
            }
            FromWeb::Run(Run::Next(word), tell) => match self.take_open(word) {
                Some(request) => self.web_request(request, tell),
                None => {
                    let _ = tell.send(Answered::bare(self.why_not_open(word)));
                }
            },
            FromWeb::Rollback(word, tell) => {
                let was_in_use = self.in_use.contains(&word);
                let open = self.take_open(word);
                if let Some(request) = open {
                    self.statements.give_back(request.kind);
                }
                if open.is_some() || was_in_use {
                    self.input(Input::Rollback(TaskId::from_word(word)));
                }
                // One that commits cannot be ended any more.
                let status = match (open, self.why_not_open(word)) {
                    (None, Status::UnknownId) if was_in_use => Status::Ok,
                    (None, why) => why,
                    (Some(_), _) => Status::Ok,
                };
                let _ = tell.send(status);
            }
        }
    }

    /// A request of an HTTP client that begins a transaction.
    fn begun(
        &mut self,
        kind: OperationKind,
        nodes: (NodeId, NodeId),
        by_statement: bool,
    ) -> Request {
        let operation = OperationId { client: WEB_CLIENT, index: self.web_operations };
        self.web_operations = self.web_operations.wrapping_add(1);
        Request {
            operation,
            attempt: 1,
            kind,
            me: nodes.0,
            other: nodes.1,
            now_ms: self.clock.now().wall_ms,
            by_statement,
            looks_up: false,
            open: None,
            reply_to: 0,
        }
    }

    /// Why a transaction does not take another request.
    fn why_not_open(&self, word: u64) -> Status {
        match self.in_use.contains(&word) {
            true => Status::ConcurrentRequest,
            false => Status::UnknownId,
        }
    }

    /// The request by which an open transaction goes on; none when it is not open any more.
    fn take_open(&mut self, word: u64) -> Option<Request> {
        let request = self.open.remove(&word)?;
        let open = TaskId::from_word(word);
        if !self.instance.is_open(open) {
            self.statements.give_back(request.kind);
            return None;
        }
        Some(Request { open: Some(open), ..request })
    }

    /// An HTTP client has its answer; a transaction that stays open is kept for what comes next.
    pub(super) fn answer(&mut self, request: Request, status: Status, reply: Reply) -> Answered {
        if let Some(open) = request.open {
            self.in_use.remove(&open.to_word());
        }
        // Those that have expired meanwhile.
        let is_open = |word: &u64| self.instance.is_open(TaskId::from_word(*word));
        let expired: Vec<u64> = self.open.keys().copied().filter(|word| !is_open(word)).collect();
        for word in expired {
            self.take_open(word);
        }
        match reply.open.filter(|_| status == Status::Ok) {
            Some(open) => {
                self.open.insert(open.to_word(), Request { open: None, ..request });
            }
            None => self.statements.give_back(request.kind),
        }
        let own = |(operation, _): &mut (OperationId, Row)| *operation == request.operation;
        let rows = self.rows.extract_if(.., own).map(|(_, row)| row).collect();
        Answered { status, reply, rows }
    }

    fn web_request(&mut self, request: Request, tell: Sender<Answered>) {
        if let Some(open) = request.open {
            self.in_use.insert(open.to_word());
        }
        self.request(request, Asker::Web(request, tell));
    }
}
