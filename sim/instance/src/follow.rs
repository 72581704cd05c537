//! Steps that follow relationships: searches, counts, merges, expansions, walks, and the
//! deletion of a node with its relationships.

use alloc::vec::Vec;

use wavetank_store::{Direction, Entity, MicroStep, Neighbour, TokenId, TxHandle, Value};
use wavetank_vocabulary::{NodeId, Observation, Status};

use crate::binding::Binding;
use crate::instance::Instance;
use crate::interface::Effect;
use crate::play::token;
use crate::program::{Name, Path, Slot};
use crate::request::Turn;
use crate::returned::merge_bit;
use crate::task::RequestTask;

/// What one turn of a search for a relationship gave.
pub(crate) enum Search {
    /// It must go on, wait or fail.
    Turn(Turn),
    Hit(Neighbour),
    Miss,
}

impl Instance {
    /// One turn on the search for the first relationship of a path.
    pub(crate) fn search(
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

    pub(crate) fn count(
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

    pub(crate) fn merge(
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
                    work.found |= merge_bit(into);
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
    pub(crate) fn detach_delete(
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

    /// First the chain, then the number of each neighbour, or of a part of it.
    pub(crate) fn lower(
        &mut self,
        tx: TxHandle,
        work: &mut RequestTask,
        (path, key, through): (&Path, Name, Option<Name>),
        tokens: &[TokenId],
    ) -> Result<Turn, Status> {
        match work.at.stage {
            0 => {
                let turn = self.look(tx, work, work.node(path.from)?, path, u32::MAX, tokens);
                if matches!(turn, Turn::Done(_)) && work.at.expand.is_none() {
                    work.nodes.clear();
                    work.nodes.extend(self.store.results(tx).iter().map(|found| found.node));
                    work.nodes.sort_unstable();
                    work.at.stage = 1;
                }
                Ok(turn)
            }
            1 => {
                let Some(next) = work.nodes.get(work.at.done as usize).copied() else {
                    return Ok(work.step_done());
                };
                let Some(kind) = through else {
                    work.at.node = next;
                    work.at.stage = 2;
                    return Ok(Turn::Done(Value::Null));
                };
                let direction = Direction::Outgoing;
                let on = Path { from: path.from, direction, kind: Some(kind), to: None };
                let turn = self.look(tx, work, next, &on, 1, tokens);
                if matches!(turn, Turn::Done(_)) && work.at.expand.is_none() {
                    match self.store.results(tx).first() {
                        Some(part) => (work.at.node, work.at.stage) = (part.node, 2),
                        None => work.at.done += 1,
                    }
                }
                Ok(turn)
            }
            2 => {
                let turn =
                    self.micro(tx, &MicroStep::Lock { node: work.at.node }, &mut work.ledger);
                work.at.stage += u8::from(matches!(turn, Turn::Done(_)));
                Ok(turn)
            }
            _ => {
                let (entity, key) = (Entity::Node(work.at.node), token(tokens, key));
                let read = MicroStep::ReadProperty { entity, key };
                let held = match self.micro(tx, &read, &mut work.ledger) {
                    Turn::Done(value) => Binding::from(value).number().unwrap_or(0),
                    other => return Ok(other),
                };
                let value = Value::Int(held.saturating_sub(1));
                let set = MicroStep::SetProperty { entity, key, value };
                let turn = self.micro(tx, &set, &mut work.ledger);
                if matches!(turn, Turn::Done(_)) {
                    work.at.done += 1;
                    work.at.stage = 1;
                }
                Ok(turn)
            }
        }
    }

    /// First the chain, then each neighbour.
    pub(crate) fn expand(
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

    pub(crate) fn walk(
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
