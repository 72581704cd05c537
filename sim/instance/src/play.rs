//! Plays the steps of a program: each as micro-steps of the store, one at a time.
//!
//! A step that touches more records than a micro-step may goes on over several; how far it
//! has come is kept in the request's [`StepState`]. Reads take no lock. Writes take theirs
//! inside the store's micro-steps, at the moment Neo4j does (HA specification 4.1).

use alloc::vec::Vec;

use wavetank_store::{Entity, ExpandCursor, FindCursor, MicroStep, TokenId, TxHandle, Value};
use wavetank_vocabulary::{Fact, NodeId, Observation, PlantedBugs, Status, Subject};

use crate::binding::{self, Binding};
use crate::follow::Search;
use crate::instance::Instance;
use crate::interface::Effect;
use crate::program::{Exit, Expression, Name, OP, OperationStep, Program, STATUS_BY, Slot, Test};
use crate::request::Turn;
use crate::task::{Phase, RequestTask};

/// How far the present step has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepState {
    /// Which part of a step of several parts.
    pub(crate) stage: u8,
    /// How many of the things of that part are done.
    pub(crate) done: u32,
    /// How many results of an expansion were looked at.
    pub(crate) seen: u32,
    /// Where the expansion goes on.
    pub(crate) expand: Option<ExpandCursor>,
    /// Where the search for nodes goes on.
    pub(crate) find: Option<FindCursor>,
    /// The node that a walk has reached.
    pub(crate) node: NodeId,
}

impl RequestTask {
    /// The step is complete.
    pub(crate) fn step_done(&mut self) -> Turn {
        self.step += 1;
        self.at = StepState::default();
        Turn::Done(Value::Null)
    }

    pub(crate) fn bind(&mut self, slot: Slot, binding: Binding) {
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = binding;
        }
    }

    fn bound(&self, slot: Slot) -> &Binding {
        self.slots.get(usize::from(slot)).unwrap_or(&Binding::Null)
    }

    pub(crate) fn entity(&self, slot: Slot) -> Result<Entity, Status> {
        match self.bound(slot) {
            Binding::Node(node) => Ok(Entity::Node(*node)),
            Binding::Relationship(relationship) => Ok(Entity::Relationship(*relationship)),
            _ => Err(Status::EntityNotFound),
        }
    }

    pub(crate) fn node(&self, slot: Slot) -> Result<NodeId, Status> {
        match self.bound(slot) {
            Binding::Node(node) => Ok(*node),
            _ => Err(Status::EntityNotFound),
        }
    }

    pub(crate) fn observed(
        &self,
        what: Observation,
        place: u8,
        index: u32,
        of: NodeId,
        value: Option<i64>,
    ) -> Fact {
        Fact::Observed {
            operation: self.request.operation,
            attempt: self.request.attempt,
            instance: self.instance,
            what,
            place,
            index,
            node: of,
            value,
        }
    }
}

/// What one turn of a search for a node gave.
enum Found {
    /// It must go on, wait or fail.
    Turn(Turn),
    /// The node, if there is one.
    Node(Option<NodeId>),
}

/// The token of a name. Names are resolved before a program is played.
pub(crate) fn token(tokens: &[TokenId], name: Name) -> TokenId {
    tokens.get(usize::from(name.0)).copied().unwrap_or_default()
}

impl Instance {
    /// One turn on the present step of the program.
    pub(crate) fn play_step(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        (program, step): (&Program, &OperationStep),
        tokens: &[TokenId],
        effects: &mut Vec<Effect>,
    ) -> Turn {
        self.try_step(tx, work, (program, step), tokens, effects).unwrap_or_else(Turn::Failed)
    }

    fn try_step(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        (program, step): (&Program, &OperationStep),
        tokens: &[TokenId],
        effects: &mut Vec<Effect>,
    ) -> Result<Turn, Status> {
        use OperationStep as Do;
        let turn = match step {
            Do::Node { into, label, id } => {
                let Binding::Int(number) = binding::value(work, id) else {
                    return Ok(Turn::Failed(Status::Aborted));
                };
                let node = NodeId(number as u64);
                let micro = match label {
                    Some(label) => MicroStep::HasLabel { node, label: token(tokens, *label) },
                    None => MicroStep::ReadNode { node },
                };
                match self.micro(tx, &micro, &mut work.ledger) {
                    Turn::Done(Value::Bool(false)) | Turn::Failed(Status::EntityNotFound) => {
                        Turn::Failed(Status::Aborted)
                    }
                    Turn::Done(_) => {
                        work.bind(*into, Binding::Node(node));
                        work.step_done()
                    }
                    other => other,
                }
            }
            Do::Find { into, label, key, value } => {
                match self.find(tx, work, (*label, *key, value), tokens) {
                    Found::Turn(turn) => turn,
                    Found::Node(None) => Turn::Failed(Status::Aborted),
                    Found::Node(Some(node)) => {
                        work.bind(*into, Binding::Node(node));
                        work.step_done()
                    }
                }
            }
            Do::Follow { path, relationship, node } => {
                match self.search(tx, work, path, tokens)? {
                    Search::Turn(turn) => turn,
                    Search::Miss => Turn::Failed(Status::Aborted),
                    Search::Hit(hit) => {
                        if let Some(slot) = relationship {
                            work.bind(*slot, Binding::Relationship(hit.relationship));
                        }
                        if let Some(slot) = node {
                            work.bind(*slot, Binding::Node(hit.node));
                        }
                        work.step_done()
                    }
                }
            }
            Do::Read(of) => {
                let micro = MicroStep::ReadProperties { entity: work.entity(*of)? };
                self.one(tx, work, &micro)
            }
            Do::Load { into, of, key } => {
                let micro =
                    MicroStep::ReadProperty { entity: work.entity(*of)?, key: token(tokens, *key) };
                match self.micro(tx, &micro, &mut work.ledger) {
                    Turn::Done(value) => {
                        work.bind(*into, value.into());
                        work.step_done()
                    }
                    other => other,
                }
            }
            Do::Let { into, value } => {
                let value = binding::value(work, value);
                work.bind(*into, value);
                work.step_done()
            }
            Do::Count { into, path } => self.count(tx, work, *into, path, tokens)?,
            Do::Set { of, key, value } => {
                let entity = work.entity(*of)?;
                let micro = MicroStep::SetProperty {
                    entity,
                    key: token(tokens, *key),
                    value: binding::value(work, value).into_property(),
                };
                let turn = self.one(tx, work, &micro);
                if matches!(turn, Turn::Done(_)) {
                    if program.is_mark(*key, value, OP) {
                        work.left = Subject::Created;
                    } else if let Entity::Node(node) = entity
                        && program.is_mark(*key, value, STATUS_BY)
                    {
                        work.left = Subject::Property(node);
                    }
                }
                turn
            }
            Do::Unset { of, key } => {
                let micro = MicroStep::RemoveProperty {
                    entity: work.entity(*of)?,
                    key: token(tokens, *key),
                };
                self.one(tx, work, &micro)
            }
            Do::Label { of, label, given } => {
                let (node, label) = (work.node(*of)?, token(tokens, *label));
                let micro = match given {
                    true => MicroStep::AddLabel { node, label },
                    false => MicroStep::RemoveLabel { node, label },
                };
                self.one(tx, work, &micro)
            }
            Do::Create { into, labels } => {
                let mut list = core::mem::take(&mut self.labels);
                list.clear();
                list.extend(labels.iter().map(|label| token(tokens, *label)));
                let micro = MicroStep::CreateNode { labels: list };
                let turn = self.micro(tx, &micro, &mut work.ledger);
                if let MicroStep::CreateNode { labels } = micro {
                    self.labels = labels;
                }
                self.made(work, *into, turn)
            }
            Do::Connect { into, from, to, kind } => {
                let micro = MicroStep::CreateRelationship {
                    from: work.node(*from)?,
                    to: work.node(*to)?,
                    kind: token(tokens, *kind),
                };
                let turn = self.micro(tx, &micro, &mut work.ledger);
                self.made(work, *into, turn)
            }
            Do::Merge { into, path, locked, new_only } => {
                self.merge(tx, work, (*into, path, *locked, *new_only), tokens)?
            }
            Do::Delete(of) => {
                let micro = match work.entity(*of)? {
                    Entity::Node(node) => MicroStep::DeleteNode { node },
                    Entity::Relationship(relationship) => {
                        MicroStep::DeleteRelationship { relationship }
                    }
                };
                self.one(tx, work, &micro)
            }
            Do::DetachDelete(of) => self.detach_delete(tx, work, *of)?,
            Do::Lower { path, key, through } => {
                self.lower(tx, work, (path, *key, *through), tokens)?
            }
            Do::Expand { path, limit, each, place } => {
                let each = each.map(|each| token(tokens, each));
                self.expand(tx, work, (path, *limit, each, *place), tokens, effects)?
            }
            Do::Walk { path, limit, each, place } => {
                let each = each.map(|each| token(tokens, each));
                self.walk(tx, work, (path, *limit, each, *place), tokens, effects)?
            }
            Do::Lock(_) if self.config.bugs.contains(PlantedBugs::LOCKS_IGNORED) => {
                work.step_done()
            }
            Do::Lock(nodes) => {
                let mut ids = [NodeId(u64::MAX); crate::program::LOCKED_AT_ONCE];
                for (id, slot) in ids.iter_mut().zip(nodes) {
                    if let Some(slot) = slot {
                        *id = work.node(*slot)?;
                    }
                }
                ids.sort_unstable();
                match ids.get(work.at.done as usize) {
                    Some(node) if *node != NodeId(u64::MAX) => {
                        let micro = MicroStep::Lock { node: *node };
                        let turn = self.micro(tx, &micro, &mut work.ledger);
                        work.at.done += u32::from(matches!(turn, Turn::Done(_)));
                        turn
                    }
                    _ => work.step_done(),
                }
            }
            Do::Leave { test, when, exit } => {
                let holds = match test {
                    Test::Always => true,
                    Test::Compare(left, by, right) => binding::compare(
                        &binding::value(work, left),
                        *by,
                        &binding::value(work, right),
                    ),
                    Test::Label(of, label) => {
                        let (node, label) = (work.node(*of)?, token(tokens, *label));
                        let micro = MicroStep::HasLabel { node, label };
                        match self.micro(tx, &micro, &mut work.ledger) {
                            Turn::Done(value) => value == Value::Bool(true),
                            other => return Ok(other),
                        }
                    }
                    Test::Found(label, key, value) => {
                        match self.find(tx, work, (*label, *key, value), tokens) {
                            Found::Turn(turn) => return Ok(turn),
                            Found::Node(node) => node.is_some(),
                        }
                    }
                    Test::Path(path) => match self.search(tx, work, path, tokens)? {
                        Search::Turn(turn) => return Ok(turn),
                        Search::Hit(_) => true,
                        Search::Miss => false,
                    },
                };
                match exit {
                    _ if holds != *when => work.step_done(),
                    Exit::Abort => Turn::Failed(Status::Aborted),
                    Exit::Skip(steps) => {
                        work.step += steps;
                        work.step_done()
                    }
                    Exit::Done => {
                        let turn = work.step_done();
                        work.step = program.steps.len() as u16;
                        turn
                    }
                }
            }
            Do::Return { of, place, value, wrote } => {
                let value = binding::value(work, value).number();
                let what = if *wrote { Observation::Wrote } else { Observation::Read };
                let fact = work.observed(what, *place, work.found, work.node(*of)?, value);
                effects.push(match work.request.looks_up {
                    true => Effect::LookedUp { reply_to: work.request.reply_to, value },
                    false => Effect::Fact(fact),
                });
                work.step_done()
            }
            Do::Call { store, of, value } => {
                let value = binding::value(work, value).number();
                work.call = Some((*store, work.node(*of)?, value));
                work.phase = Phase::Calling;
                work.step_done()
            }
            Do::Commit => {
                let turn = self.conclude(tx, work);
                if work.phase != Phase::Execute {
                    work.step_done();
                }
                turn
            }
            Do::Statement => {
                work.phase = match work.request.by_statement {
                    true => Phase::Replying,
                    false => Phase::Between,
                };
                work.step_done()
            }
        };
        Ok(turn)
    }

    /// One turn on the search for a node by label and property.
    fn find(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        (label, key, value): (Name, Name, &Expression),
        tokens: &[TokenId],
    ) -> Found {
        let micro = MicroStep::FindNodes {
            label: token(tokens, label),
            key: token(tokens, key),
            value: binding::value(work, value).into_property(),
            from: work.at.find,
        };
        let turn = self.micro(tx, &micro, &mut work.ledger);
        if let Turn::Done(Value::Found { rest, .. }) = &turn {
            work.at.find = *rest;
            let node = self.store.found(tx).first().copied();
            if node.is_some() || rest.is_none() {
                return Found::Node(node);
            }
        }
        Found::Turn(turn)
    }

    /// A step of one micro-step whose value nobody asks for.
    pub(crate) fn one(&mut self, tx: TxHandle, work: &mut RequestTask, micro: &MicroStep) -> Turn {
        match self.micro(tx, micro, &mut work.ledger) {
            Turn::Done(_) => work.step_done(),
            other => other,
        }
    }

    /// The end of a micro-step that makes a node or relationship.
    pub(crate) fn made(&mut self, work: &mut RequestTask, into: Slot, turn: Turn) -> Turn {
        match turn {
            Turn::Done(value) => {
                work.bind(into, value.into());
                work.step_done()
            }
            other => other,
        }
    }
}
