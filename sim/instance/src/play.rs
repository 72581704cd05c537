//! Plays the steps of a program: each as micro-steps of the store, one at a time.
//!
//! A step that touches more records than a micro-step may goes on over several; how far it
//! has come is kept in the request's [`StepState`]. Reads take no lock. Writes take theirs
//! inside the store's micro-steps, at the moment Neo4j does (HA specification 4.1).

use alloc::vec::Vec;

use wavetank_store::{
    Direction, Entity, ExpandCursor, FindCursor, MicroStep, Neighbour, TokenId, TxHandle, Value,
};
use wavetank_vocabulary::{Fact, NodeId, Observation, Status, Subject};

use crate::binding::{self, Binding};
use crate::instance::Instance;
use crate::interface::Effect;
use crate::program::{Exit, Name, OP, OperationStep, Path, Program, STATUS_BY, Slot, Test};
use crate::request::Turn;
use crate::task::{Phase, RequestTask};

/// How far the present step has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepState {
    /// Which part of a step of several parts.
    stage: u8,
    /// How many of the things of that part are done.
    done: u32,
    /// How many results of an expansion were looked at.
    seen: u32,
    /// Where the expansion goes on.
    expand: Option<ExpandCursor>,
    /// Where the search for nodes goes on.
    find: Option<FindCursor>,
    /// The node that a walk has reached.
    node: NodeId,
}

/// What one turn of a search for a relationship gave.
enum Search {
    /// It must go on, wait or fail.
    Turn(Turn),
    Hit(Neighbour),
    Miss,
}

impl RequestTask {
    /// The step is complete.
    pub(crate) fn step_done(&mut self) -> Turn {
        self.step += 1;
        self.at = StepState::default();
        Turn::Done(Value::Null)
    }

    fn bind(&mut self, slot: Slot, binding: Binding) {
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = binding;
        }
    }

    fn bound(&self, slot: Slot) -> &Binding {
        self.slots.get(usize::from(slot)).unwrap_or(&Binding::Null)
    }

    fn entity(&self, slot: Slot) -> Result<Entity, Status> {
        match self.bound(slot) {
            Binding::Node(node) => Ok(Entity::Node(*node)),
            Binding::Relationship(relationship) => Ok(Entity::Relationship(*relationship)),
            _ => Err(Status::EntityNotFound),
        }
    }

    fn node(&self, slot: Slot) -> Result<NodeId, Status> {
        match self.bound(slot) {
            Binding::Node(node) => Ok(*node),
            _ => Err(Status::EntityNotFound),
        }
    }

    fn observed(
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

/// The token of a name. Names are resolved before a program is played.
fn token(tokens: &[TokenId], name: Name) -> TokenId {
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
                let micro = MicroStep::FindNodes {
                    label: token(tokens, *label),
                    key: token(tokens, *key),
                    value: binding::value(work, value).into_property(),
                    from: work.at.find,
                };
                let turn = self.micro(tx, &micro, &mut work.ledger);
                if let Turn::Done(Value::Found { rest, .. }) = &turn {
                    match (self.store.found(tx).first(), rest) {
                        (Some(node), _) => {
                            work.bind(*into, Binding::Node(*node));
                            return Ok(work.step_done());
                        }
                        (None, None) => return Ok(Turn::Failed(Status::Aborted)),
                        (None, rest) => work.at.find = *rest,
                    }
                }
                turn
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
            Do::Expand { path, limit, each, place } => {
                let each = each.map(|each| token(tokens, each));
                self.expand(tx, work, (path, *limit, each, *place), tokens, effects)?
            }
            Do::Walk { path, limit, each, place } => {
                let each = each.map(|each| token(tokens, each));
                self.walk(tx, work, (path, *limit, each, *place), tokens, effects)?
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
                let fact = work.observed(what, *place, 0, work.node(*of)?, value);
                effects.push(Effect::Fact(fact));
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

    /// A step of one micro-step whose value nobody asks for.
    fn one(&mut self, tx: TxHandle, work: &mut RequestTask, micro: &MicroStep) -> Turn {
        match self.micro(tx, micro, &mut work.ledger) {
            Turn::Done(_) => work.step_done(),
            other => other,
        }
    }

    /// The end of a micro-step that makes a node or relationship.
    fn made(&mut self, work: &mut RequestTask, into: Slot, turn: Turn) -> Turn {
        match turn {
            Turn::Done(value) => {
                work.bind(into, value.into());
                work.step_done()
            }
            other => other,
        }
    }

    /// One turn on the search for the first relationship of a path.
    fn search(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        path: &Path,
        tokens: &[TokenId],
    ) -> Result<Search, Status> {
        let to = path.to.map(|slot| work.node(slot)).transpose()?;
        let limit = if to.is_some() { u32::MAX } else { 1 };
        let turn = self.look(tx, work, work.node(path.from)?, path, limit, tokens);
        if !matches!(turn, Turn::Done(_)) {
            return Ok(Search::Turn(turn));
        }
        let results = self.store.results(tx);
        let new = results.get(work.at.seen as usize..).unwrap_or_default();
        let hit = new.iter().find(|found| to.is_none_or(|to| found.node == to)).copied();
        let ended = work.at.expand.is_none();
        work.at.seen = if hit.is_some() || ended { 0 } else { results.len() as u32 };
        Ok(match hit {
            Some(hit) => {
                work.at.expand = None;
                Search::Hit(hit)
            }
            None if ended => Search::Miss,
            None => Search::Turn(turn),
        })
    }

    /// One micro-step of an expansion. It is complete when the cursor is none.
    fn look(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        node: NodeId,
        path: &Path,
        limit: u32,
        tokens: &[TokenId],
    ) -> Turn {
        let micro = MicroStep::Expand {
            node,
            direction: path.direction,
            kind: path.kind.map(|kind| token(tokens, kind)),
            limit,
            from: work.at.expand,
        };
        let turn = self.micro(tx, &micro, &mut work.ledger);
        if let Turn::Done(value) = &turn {
            work.at.expand = match value {
                Value::Expanded { rest, .. } => *rest,
                _ => None,
            };
        }
        turn
    }

    fn count(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        into: Slot,
        path: &Path,
        tokens: &[TokenId],
    ) -> Result<Turn, Status> {
        let to = path.to.map(|slot| work.node(slot)).transpose()?;
        let turn = self.look(tx, work, work.node(path.from)?, path, u32::MAX, tokens);
        if !matches!(turn, Turn::Done(_)) || work.at.expand.is_some() {
            return Ok(turn);
        }
        let found = self.store.results(tx).iter();
        let count = found.filter(|found| to.is_none_or(|to| found.node == to)).count();
        work.bind(into, Binding::Int(count as i64));
        Ok(work.step_done())
    }

    fn merge(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        (into, path, locked, new_only): (Slot, &Path, bool, u16),
        tokens: &[TokenId],
    ) -> Result<Turn, Status> {
        let from = work.node(path.from)?;
        let to = path.to.map_or(Err(Status::EntityNotFound), |slot| work.node(slot))?;
        match work.at.stage {
            // Look; and once more under the locks.
            0 | 3 => match self.search(tx, work, path, tokens)? {
                Search::Turn(turn) => Ok(turn),
                Search::Hit(hit) => {
                    work.bind(into, Binding::Relationship(hit.relationship));
                    work.step += new_only;
                    Ok(work.step_done())
                }
                Search::Miss => {
                    work.at.stage = if locked { work.at.stage + 1 } else { 4 };
                    Ok(Turn::Done(Value::Null))
                }
            },
            1 | 2 => {
                let node = if work.at.stage == 1 { from.min(to) } else { from.max(to) };
                let turn = self.micro(tx, &MicroStep::Lock { node }, &mut work.ledger);
                work.at.stage += u8::from(matches!(turn, Turn::Done(_)));
                Ok(turn)
            }
            _ => {
                let (from, to) = match path.direction {
                    Direction::Incoming => (to, from),
                    Direction::Outgoing | Direction::Both => (from, to),
                };
                let kind = path.kind.ok_or(Status::EntityNotFound)?;
                let kind = token(tokens, kind);
                let micro = MicroStep::CreateRelationship { from, to, kind };
                let turn = self.micro(tx, &micro, &mut work.ledger);
                Ok(self.made(work, into, turn))
            }
        }
    }

    /// Two-phase: finds all nodes involved and locks them in the order of their numbers,
    /// looks again, and deletes.
    fn detach_delete(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        of: Slot,
    ) -> Result<Turn, Status> {
        let node = work.node(of)?;
        match work.at.stage {
            // Find the neighbours; and once more when all are locked.
            0 | 2 => {
                let all = Path { from: of, direction: Direction::Both, kind: None, to: None };
                let turn = self.look(tx, work, node, &all, u32::MAX, &[]);
                if !matches!(turn, Turn::Done(_)) || work.at.expand.is_some() {
                    return Ok(turn);
                }
                let found = self.store.results(tx);
                let known = |found: &Neighbour| work.nodes.binary_search(&found.node).is_ok();
                if work.at.stage == 2 && found.iter().all(known) {
                    work.at.stage = 3;
                } else {
                    work.nodes.clear();
                    work.nodes.push(node);
                    work.nodes.extend(found.iter().map(|found| found.node));
                    work.nodes.sort_unstable();
                    work.nodes.dedup();
                    work.at.stage = 1;
                }
                work.at.done = 0;
                Ok(turn)
            }
            1 => {
                let Some(next) = work.nodes.get(work.at.done as usize).copied() else {
                    work.at.stage = 2;
                    return Ok(Turn::Done(Value::Null));
                };
                match self.micro(tx, &MicroStep::Lock { node: next }, &mut work.ledger) {
                    // Gone meanwhile, and its relationships with it.
                    Turn::Failed(Status::EntityNotFound) if next != node => {}
                    Turn::Done(_) => {}
                    other => return Ok(other),
                }
                work.at.done += 1;
                Ok(Turn::Done(Value::Null))
            }
            3 => {
                let next = self.store.results(tx).get(work.at.done as usize).copied();
                let Some(Neighbour { relationship, .. }) = next else {
                    work.at.stage = 4;
                    return Ok(Turn::Done(Value::Null));
                };
                let micro = MicroStep::DeleteRelationship { relationship };
                let turn = self.micro(tx, &micro, &mut work.ledger);
                work.at.done += u32::from(matches!(turn, Turn::Done(_)));
                Ok(turn)
            }
            _ => Ok(self.one(tx, work, &MicroStep::DeleteNode { node })),
        }
    }

    /// First the chain, then each neighbour.
    fn expand(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        (path, limit, each, place): (&Path, u32, Option<TokenId>, u8),
        tokens: &[TokenId],
        effects: &mut Vec<Effect>,
    ) -> Result<Turn, Status> {
        if work.at.stage == 0 {
            let turn = self.look(tx, work, work.node(path.from)?, path, limit, tokens);
            if matches!(turn, Turn::Done(_)) && work.at.expand.is_none() {
                work.at.stage = 1;
            }
            return Ok(turn);
        }
        let Some(next) = self.store.results(tx).get(work.at.done as usize).copied() else {
            if each.is_some() {
                let (of, count) = (work.node(path.from)?, work.at.done);
                let end = work.observed(Observation::End, place, count, of, None);
                effects.push(Effect::Fact(end));
            }
            return Ok(work.step_done());
        };
        let turn = self.visit(tx, work, (path, each, place), next.node, effects)?;
        work.at.done += u32::from(matches!(turn, Turn::Done(_)));
        Ok(turn)
    }

    fn walk(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        (path, limit, each, place): (&Path, u32, Option<TokenId>, u8),
        tokens: &[TokenId],
        effects: &mut Vec<Effect>,
    ) -> Result<Turn, Status> {
        if work.at.stage == 1 {
            let turn = self.visit(tx, work, (path, each, place), work.at.node, effects)?;
            if matches!(turn, Turn::Done(_)) {
                work.at.done += 1;
                work.at.stage = 0;
            }
            return Ok(turn);
        }
        if work.at.done < limit {
            let from = if work.at.done == 0 { work.node(path.from)? } else { work.at.node };
            let turn = self.look(tx, work, from, path, 1, tokens);
            match turn {
                Turn::Done(_) if work.at.expand.is_some() => return Ok(turn),
                Turn::Done(_) => {
                    if let Some(next) = self.store.results(tx).first() {
                        work.at.node = next.node;
                        work.at.stage = 1;
                        return Ok(turn);
                    }
                }
                // The chain was cut here meanwhile: it ends.
                Turn::Failed(Status::EntityNotFound) if work.at.done > 0 => {}
                other => return Ok(other),
            }
        }
        if each.is_some() {
            let (of, count) = (work.node(path.from)?, work.at.done);
            effects.push(Effect::Fact(work.observed(Observation::End, place, count, of, None)));
        }
        Ok(work.step_done())
    }

    /// Reads a node that an expansion or a walk came to.
    fn visit(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        (path, each, place): (&Path, Option<TokenId>, u8),
        node: NodeId,
        effects: &mut Vec<Effect>,
    ) -> Result<Turn, Status> {
        let entity = Entity::Node(node);
        let micro = match each {
            Some(key) => MicroStep::ReadProperty { entity, key },
            None => MicroStep::ReadProperties { entity },
        };
        Ok(match self.micro(tx, &micro, &mut work.ledger) {
            Turn::Done(value) => {
                if each.is_some() {
                    let (of, value) = (work.node(path.from)?, Binding::from(value).number());
                    let fact = work.observed(Observation::Listed, place, work.at.done, of, value);
                    effects.push(Effect::Fact(fact));
                }
                Turn::Done(Value::Null)
            }
            // One that was deleted meanwhile is no error for the reader.
            Turn::Failed(Status::EntityNotFound) => Turn::Done(Value::Null),
            other => other,
        })
    }
}
