//! Micro-steps: what a transaction does, in pieces that touch at most about 64 records.
//!
//! Each step first reads and locks all that it needs, and may stop to wait there; only then
//! does it write, into the overlay. So a step that waits has done nothing and is run again.

use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::disk::FileKind;
use crate::error::StoreError;
use crate::io::Pinner;
use crate::locks::{LockKey, Slot};
use crate::record::{
    GroupRecord, Labels, MAX_ENTITIES, NONE, NodeRecord, RelationshipRecord, Side, Which,
};
use crate::store::{Ledger, Step, Stop, Store};
use crate::tokens::token_record;
use crate::transactions::{Neighbour, TxHandle};
use crate::value::{Entity, ExpandCursor, TokenId, TokenKind, Value};

/// Which relationships of a node are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Those that begin at the node.
    Outgoing,
    /// Those that end at the node.
    Incoming,
    /// All of them; loops once.
    Both,
}

/// How many records an expansion looks at in one step.
const EXPANDED_AT_ONCE: u32 = 64;

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum MicroStep {
    /// The number of a name, made if it is new: `Value::Token`.
    Token {
        /// What the name stands for.
        kind: TokenKind,
        /// The name, at most 120 bytes.
        name: Arc<str>,
    },
    /// A new node: `Value::Node`.
    CreateNode {
        /// Its labels, in any order.
        labels: Vec<TokenId>,
    },
    /// A new relationship: `Value::Relationship`. Locks both nodes.
    CreateRelationship {
        /// The node where it begins.
        from: NodeId,
        /// The node where it ends.
        to: NodeId,
        /// Its type.
        kind: TokenId,
    },
    /// Deletes a relationship and its properties. Locks both nodes and the relationship.
    DeleteRelationship {
        /// Which.
        relationship: RelationshipId,
    },
    /// Deletes a node without relationships, and its properties.
    DeleteNode {
        /// Which.
        node: NodeId,
    },
    /// Reads a node: `Value::Node`.
    ReadNode {
        /// Which.
        node: NodeId,
    },
    /// Reads a relationship: `Value::Relationship`. Its ends go to the results: first the
    /// node where it begins, then the one where it ends.
    ReadRelationship {
        /// Which.
        relationship: RelationshipId,
    },
    /// Whether the node has the label: `Value::Bool`.
    HasLabel {
        /// The node.
        node: NodeId,
        /// The label.
        label: TokenId,
    },
    /// Gives the node a label. Locks the node.
    AddLabel {
        /// The node.
        node: NodeId,
        /// The label.
        label: TokenId,
    },
    /// Takes a label away. Locks the node.
    RemoveLabel {
        /// The node.
        node: NodeId,
        /// The label.
        label: TokenId,
    },
    /// The value of a property; `Value::Null` if it has none.
    ReadProperty {
        /// Whose.
        entity: Entity,
        /// Which.
        key: TokenId,
    },
    /// How many properties there are: `Value::Int`. Reads all their records.
    ReadProperties {
        /// Whose.
        entity: Entity,
    },
    /// Sets a property. Locks the entity.
    SetProperty {
        /// Whose.
        entity: Entity,
        /// Which.
        key: TokenId,
        /// To what; `Null` removes it.
        value: Value,
    },
    /// Removes a property, if it is there: `Value::Bool`. Locks the entity.
    RemoveProperty {
        /// Whose.
        entity: Entity,
        /// Which.
        key: TokenId,
    },
    /// How many relationships the node has: `Value::Int`. Loops count once.
    Degree {
        /// Whose.
        node: NodeId,
    },
    /// Finds relationships of a node: `Value::Expanded`; they are added to the results.
    /// One step looks at up to 64; go on with the cursor it gives until there is none. A
    /// relationship that another transaction deletes in between ends the expansion.
    Expand {
        /// Whose.
        node: NodeId,
        /// In which direction.
        direction: Direction,
        /// Only of this type.
        kind: Option<TokenId>,
        /// At most this many in all.
        limit: u32,
        /// Where to go on; none begins, and clears the results.
        from: Option<ExpandCursor>,
    },
    /// Locks a node.
    Lock {
        /// Which.
        node: NodeId,
    },
    /// Puts created relationships into their chains and takes deleted ones out, with the
    /// locks that takes, so that the commit needs no further lock.
    Prepare,
}

impl Store {
    /// Runs one step. Costs are added to `ledger`: of a step that waits, only the faults.
    pub fn step(&mut self, tx: TxHandle, step: &MicroStep, ledger: &mut Ledger) -> Step {
        let before = *ledger;
        let slot = match self.check_ready().and_then(|()| self.active(tx)) {
            Ok(slot) => slot,
            Err(error) => return Step::Failed(error),
        };
        let result = self.run(slot, step, ledger);
        self.finish_step(slot, result, &before, ledger)
    }

    /// The end of every step: pins, counters, and the cost of one that waits.
    pub(crate) fn finish_step(
        &mut self,
        slot: Slot,
        result: Result<Value, Stop>,
        before: &Ledger,
        ledger: &mut Ledger,
    ) -> Step {
        match result {
            Err(Stop::Wait(ticket)) => {
                *ledger = Ledger { faults: ledger.faults, ..*before };
                self.account(before, ledger);
                Step::Wait(ticket)
            }
            Ok(value) => {
                self.unpin(Pinner::transaction(slot));
                self.account(before, ledger);
                Step::Done(value)
            }
            Err(Stop::Failed(error)) => {
                self.unpin(Pinner::transaction(slot));
                self.account(before, ledger);
                Step::Failed(error)
            }
        }
    }

    fn run(&mut self, slot: Slot, step: &MicroStep, ledger: &mut Ledger) -> Result<Value, Stop> {
        match step {
            MicroStep::Token { kind, name } => self.get_or_create_token(slot, *kind, name, ledger),
            MicroStep::CreateNode { labels } => {
                let node = NodeRecord::new(pack_labels(labels)?);
                self.check_room(FileKind::Nodes)?;
                Ok(Value::Node(NodeId(self.add(slot, &node, ledger))))
            }
            MicroStep::CreateRelationship { from, to, kind } => {
                self.create_relationship(slot, *from, *to, *kind, ledger)
            }
            MicroStep::DeleteRelationship { relationship } => {
                self.delete_relationship(slot, *relationship, ledger)
            }
            MicroStep::DeleteNode { node } => self.delete_node(slot, *node, ledger),
            MicroStep::ReadNode { node } => {
                self.node(slot, *node, ledger)?;
                Ok(Value::Node(*node))
            }
            MicroStep::ReadRelationship { relationship } => {
                let record = self.relationship(slot, *relationship, ledger)?;
                let ends = record
                    .nodes
                    .map(|node| Neighbour { relationship: *relationship, node: NodeId(node) });
                let results = &mut self.transactions[slot as usize].results;
                results.clear();
                results.extend_from_slice(&ends);
                Ok(Value::Relationship(*relationship))
            }
            MicroStep::HasLabel { node, label } => {
                let record = self.node(slot, *node, ledger)?;
                Ok(Value::Bool(record.labels.iter().any(|id| id == u32::from(label.0))))
            }
            MicroStep::AddLabel { node, label } => {
                self.change_label(slot, *node, *label, true, ledger)
            }
            MicroStep::RemoveLabel { node, label } => {
                self.change_label(slot, *node, *label, false, ledger)
            }
            MicroStep::ReadProperty { entity, key } => {
                self.read_property(slot, *entity, *key, ledger)
            }
            MicroStep::ReadProperties { entity } => self.count_properties(slot, *entity, ledger),
            MicroStep::SetProperty { entity, key, value } => {
                self.lock_entity(slot, *entity)?;
                self.set_property(slot, *entity, *key, value, ledger)?;
                Ok(Value::Null)
            }
            MicroStep::RemoveProperty { entity, key } => {
                self.lock_entity(slot, *entity)?;
                self.set_property(slot, *entity, *key, &Value::Null, ledger).map(Value::Bool)
            }
            MicroStep::Degree { node } => {
                let record = self.node(slot, *node, ledger)?;
                self.degree(slot, node.0, &record, ledger).map(|n| Value::Int(n as i64))
            }
            MicroStep::Expand { node, direction, kind, limit, from } => {
                self.expand(slot, *node, *direction, *kind, *limit, *from, ledger)
            }
            MicroStep::Lock { node } => {
                self.lock_node(slot, node.0)?;
                self.node(slot, *node, ledger)?;
                Ok(Value::Null)
            }
            MicroStep::Prepare => {
                self.prepare(slot, ledger)?;
                Ok(Value::Null)
            }
        }
    }

    pub(crate) fn node(
        &mut self,
        slot: Slot,
        id: NodeId,
        ledger: &mut Ledger,
    ) -> Result<NodeRecord, Stop> {
        let record: NodeRecord = self.get(slot, id.0, ledger)?;
        let tx = &self.transactions[slot as usize];
        if !record.in_use || tx.deleted_nodes.contains(&id.0) {
            return Err(Stop::Failed(StoreError::NodeNotFound(id)));
        }
        Ok(record)
    }

    pub(crate) fn relationship(
        &mut self,
        slot: Slot,
        id: RelationshipId,
        ledger: &mut Ledger,
    ) -> Result<RelationshipRecord, Stop> {
        let record: RelationshipRecord = self.get(slot, id.0, ledger)?;
        let tx = &self.transactions[slot as usize];
        if !record.in_use || tx.deleted.contains(&id.0) {
            return Err(Stop::Failed(StoreError::RelationshipNotFound(id)));
        }
        Ok(record)
    }

    /// Locks a node, unless the transaction made it.
    pub(crate) fn lock_node(&mut self, slot: Slot, id: u64) -> Result<(), Stop> {
        if self.made_here(slot, FileKind::Nodes, id) {
            return Ok(());
        }
        self.lock(slot, LockKey::node(id))
    }

    pub(crate) fn lock_relationship(&mut self, slot: Slot, id: u64) -> Result<(), Stop> {
        if self.made_here(slot, FileKind::Relationships, id) {
            return Ok(());
        }
        self.lock(slot, LockKey::relationship(id))
    }

    fn lock_entity(&mut self, slot: Slot, entity: Entity) -> Result<(), Stop> {
        match entity {
            Entity::Node(id) => self.lock_node(slot, id.0),
            Entity::Relationship(id) => self.lock_relationship(slot, id.0),
        }
    }

    /// Locks both ends in ascending order, so that two transactions cannot cross.
    fn lock_ends(&mut self, slot: Slot, ends: [u64; 2]) -> Result<(), Stop> {
        self.lock_node(slot, ends[0].min(ends[1]))?;
        self.lock_node(slot, ends[0].max(ends[1]))
    }

    fn check_room(&self, kind: FileKind) -> Result<(), Stop> {
        if self.high[kind as usize] >= MAX_ENTITIES {
            return Err(Stop::Failed(StoreError::Inconsistent("all ids are in use".into())));
        }
        Ok(())
    }

    fn get_or_create_token(
        &mut self,
        slot: Slot,
        kind: TokenKind,
        name: &Arc<str>,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        let made = |store: &Store| {
            let mut tokens = store.transactions[slot as usize].tokens.iter();
            tokens.find(|(of, token, _)| *of == kind && token == name).map(|(_, _, id)| *id)
        };
        if let Some(id) = self.tokens.id(kind, name).or_else(|| made(self)) {
            return Ok(Value::Token(id));
        }
        self.lock(slot, LockKey::TOKENS)?;
        // Whoever held the lock may have made it.
        if let Some(id) = self.tokens.id(kind, name) {
            return Ok(Value::Token(id));
        }
        let tx = &self.transactions[slot as usize];
        let own = tx.tokens.iter().filter(|(of, _, _)| *of == kind).count();
        let id = u16::try_from(self.tokens.count(kind) + own).map(TokenId);
        let id = id.map_err(|_| StoreError::TokenLimit)?;
        let record = token_record(kind, id, name).ok_or(StoreError::TokenLimit)?;
        // Only the holder of the lock adds token records, so their ids leave no gaps.
        self.high[FileKind::Tokens as usize] = self.tokens.total() + tx.tokens.len() as u64;
        self.add(slot, &record, ledger);
        self.transactions[slot as usize].tokens.push((kind, name.clone(), id));
        Ok(Value::Token(id))
    }

    fn create_relationship(
        &mut self,
        slot: Slot,
        from: NodeId,
        to: NodeId,
        kind: TokenId,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        self.lock_ends(slot, [from.0, to.0])?;
        self.node(slot, from, ledger)?;
        self.node(slot, to, ledger)?;
        self.check_room(FileKind::Relationships)?;
        let record = RelationshipRecord {
            in_use: true,
            nodes: [from.0, to.0],
            kind: u32::from(kind.0),
            ..RelationshipRecord::UNUSED
        };
        let id = self.add(slot, &record, ledger);
        self.transactions[slot as usize].created.push(id);
        Ok(Value::Relationship(RelationshipId(id)))
    }

    fn delete_relationship(
        &mut self,
        slot: Slot,
        id: RelationshipId,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        let record = self.relationship(slot, id, ledger)?;
        self.lock_ends(slot, record.nodes)?;
        self.lock_relationship(slot, id.0)?;
        // Another transaction may have deleted it before the locks were granted.
        let record = self.relationship(slot, id, ledger)?;
        self.delete_properties(slot, record.first_property, ledger)?;
        let record = RelationshipRecord { first_property: NONE, ..record };
        self.put(slot, id.0, &record, ledger);
        self.transactions[slot as usize].deleted.push(id.0);
        Ok(Value::Null)
    }

    fn delete_node(&mut self, slot: Slot, id: NodeId, ledger: &mut Ledger) -> Result<Value, Stop> {
        self.lock_node(slot, id.0)?;
        let record = self.node(slot, id, ledger)?;
        if self.degree(slot, id.0, &record, ledger)? > 0 {
            return Err(Stop::Failed(StoreError::NodeHasRelationships(id)));
        }
        self.delete_properties(slot, record.first_property, ledger)?;
        self.put(slot, id.0, &NodeRecord { first_property: NONE, ..record }, ledger);
        self.transactions[slot as usize].deleted_nodes.push(id.0);
        Ok(Value::Null)
    }

    fn change_label(
        &mut self,
        slot: Slot,
        id: NodeId,
        label: TokenId,
        present: bool,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        self.lock_node(slot, id.0)?;
        let record = self.node(slot, id, ledger)?;
        let mut ids = [0; Labels::MOST + 1];
        let mut len = 0;
        for other in record.labels.iter().filter(|other| *other != u32::from(label.0)) {
            ids[len] = other;
            len += 1;
        }
        if present {
            ids[len] = u32::from(label.0);
            len += 1;
            ids[..len].sort_unstable();
        }
        let labels = Labels::pack(&ids[..len]).ok_or(StoreError::TooManyLabels)?;
        if labels != record.labels {
            self.put(slot, id.0, &NodeRecord { labels, ..record }, ledger);
        }
        Ok(Value::Null)
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one step")]
    fn expand(
        &mut self,
        slot: Slot,
        node: NodeId,
        direction: Direction,
        kind: Option<TokenId>,
        limit: u32,
        from: Option<ExpandCursor>,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        let mut at = match from {
            Some(cursor) => cursor,
            None => {
                let record = self.node(slot, node, ledger)?;
                self.transactions[slot as usize].results.clear();
                let first = record.first_relationship;
                let (chain, group) = if record.dense { (NONE, first) } else { (first, NONE) };
                ExpandCursor { created: 0, chain, group, which: 0, found: 0 }
            }
        };
        let mut found = 0;
        let mut looked_at = 0;
        while at.found < limit && looked_at < EXPANDED_AT_ONCE {
            let tx = &self.transactions[slot as usize];
            // First those made here that are not linked yet, then the chain.
            let pending = at.created as usize + tx.linked;
            let id = match tx.created.get(pending) {
                Some(id) => *id,
                None if at.chain == NONE && at.group != NONE => {
                    match self.next_chain(slot, node.0, direction, kind, &mut at, ledger) {
                        Err(Stop::Wait(_)) if looked_at > 0 => break,
                        other => other?,
                    }
                    looked_at += 1;
                    continue;
                }
                None if at.chain == NONE => break,
                None => at.chain,
            };
            let in_chain = pending >= tx.created.len();
            let record: RelationshipRecord = match self.get(slot, id, ledger) {
                // What was found so far is kept; the next step waits for this page.
                Err(Stop::Wait(_)) if looked_at > 0 => break,
                other => other?,
            };
            looked_at += 1;
            let deleted = self.transactions[slot as usize].deleted.contains(&id);
            let side = record.side(node.0).filter(|_| record.in_use);
            if in_chain {
                at.chain = match side {
                    Some(side) => record.next[side as usize],
                    None => NONE,
                };
            } else {
                at.created += 1;
            }
            let fits = match (side, direction) {
                (None, _) => false,
                (Some(_), Direction::Both) => true,
                (Some(_), _) if record.is_loop() => true,
                (Some(side), Direction::Outgoing) => side == Side::First,
                (Some(side), Direction::Incoming) => side == Side::Second,
            };
            if fits && !deleted && kind.is_none_or(|kind| u32::from(kind.0) == record.kind) {
                let other = NodeId(record.other(node.0));
                let neighbour = Neighbour { relationship: RelationshipId(id), node: other };
                self.transactions[slot as usize].results.push(neighbour);
                at.found += 1;
                found += 1;
            }
        }
        let tx = &self.transactions[slot as usize];
        let more = at.chain != NONE
            || at.group != NONE
            || at.created as usize + tx.linked < tx.created.len();
        let rest = (more && at.found < limit).then_some(at);
        Ok(Value::Expanded { found, rest })
    }

    /// Moves an expansion of a dense node on to its next chain of interest.
    fn next_chain(
        &mut self,
        slot: Slot,
        node: u64,
        direction: Direction,
        kind: Option<TokenId>,
        at: &mut ExpandCursor,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let group: GroupRecord = self.get(slot, at.group, ledger)?;
        if !group.in_use || group.owner != node {
            // It went meanwhile: the expansion ends, as at a deleted relationship.
            at.group = NONE;
            return Ok(());
        }
        let wanted = kind.is_none_or(|kind| u32::from(kind.0) == group.kind);
        let mut rest = Which::ALL.into_iter().skip(usize::from(at.which)).filter(|which| {
            let fits = match which {
                Which::Outgoing => direction != Direction::Incoming,
                Which::Incoming => direction != Direction::Outgoing,
                Which::Loops => true,
            };
            fits && group.first[*which as usize] != NONE
        });
        match rest.next().filter(|_| wanted) {
            Some(which) => {
                at.chain = group.first[which as usize];
                at.which = which as u8 + 1;
            }
            None => (at.group, at.which) = (group.next, 0),
        }
        Ok(())
    }
}

pub(crate) fn pack_labels(labels: &[TokenId]) -> Result<Labels, StoreError> {
    let mut sorted = [0; Labels::MOST];
    let mut len = 0;
    for label in labels {
        if !sorted[..len].contains(&u32::from(label.0)) {
            *sorted.get_mut(len).ok_or(StoreError::TooManyLabels)? = u32::from(label.0);
            len += 1;
        }
    }
    sorted[..len].sort_unstable();
    Labels::pack(&sorted[..len]).ok_or(StoreError::TooManyLabels)
}
