//! Micro-steps: what a transaction does, in pieces that touch at most about 64 records.
//!
//! Each step first reads and locks all that it needs, and may stop to wait there; only then
//! does it write, into the overlay. So a step that waits has done nothing and is run again.

mod micro;

use alloc::sync::Arc;
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::disk::FileKind;
use crate::error::StoreError;
use crate::io::Pinner;
use crate::locks::{LockKey, Slot};
use crate::record::{Labels, MAX_ENTITIES, NONE, NodeRecord, RelationshipRecord};
use crate::store::{Ledger, Step, Stop, Store};
use crate::tokens::token_record;
use crate::transactions::{Neighbour, TxHandle};
use crate::value::{Entity, TokenId, TokenKind, Value};

pub use micro::{Direction, MicroStep};

impl Store {
    /// Runs one step. Costs are added to `ledger`: of a step that waits, only the faults.
    pub fn step(&mut self, tx: TxHandle, step: &MicroStep, ledger: &mut Ledger) -> Step {
        let before = *ledger;
        let slot = match self.check_ready().and_then(|()| self.active(tx)) {
            Ok(slot) => slot,
            Err(error) => return Step::Failed(error),
        };
        let result = match self.transactions[slot as usize].guard {
            None => self.run(slot, step, ledger),
            Some(_) => self.ready_ids(slot, step).and_then(|()| self.run(slot, step, ledger)),
        };
        self.finish_step(slot, result, &before, ledger)
    }

    /// The end of every step: pins, counters, and the cost of one that waits.
    #[inline]
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
                self.check_no_schema_change(slot)?;
                self.check_room(FileKind::Nodes)?;
                for label in labels {
                    self.check_token(slot, TokenKind::Label, *label)?;
                }
                Ok(self.create_node(slot, labels, ledger))
            }
            MicroStep::CreateRelationship { from, to, kind } => {
                self.check_token(slot, TokenKind::RelationshipType, *kind)?;
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
            MicroStep::HasLabel { node, label } => self.has_label(slot, *node, *label, ledger),
            MicroStep::AddLabel { node, label } => {
                self.check_token(slot, TokenKind::Label, *label)?;
                self.share_schema(slot)?;
                self.change_label(slot, *node, *label, true, ledger)
            }
            MicroStep::RemoveLabel { node, label } => {
                self.share_schema(slot)?;
                self.change_label(slot, *node, *label, false, ledger)
            }
            MicroStep::ReadProperty { entity, key } => {
                self.read_property(slot, *entity, *key, ledger)
            }
            MicroStep::ReadProperties { entity } => self.count_properties(slot, *entity, ledger),
            MicroStep::SetProperty { entity, key, value } => {
                self.check_token(slot, TokenKind::PropertyKey, *key)?;
                self.share_schema(slot)?;
                self.lock_entity(slot, *entity)?;
                self.set_property(slot, *entity, *key, value, ledger)?;
                Ok(Value::Null)
            }
            MicroStep::RemoveProperty { entity, key } => {
                self.share_schema(slot)?;
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
            MicroStep::ScanLabel { label, from } => {
                self.find_nodes(slot, *label, None, *from, ledger)
            }
            MicroStep::FindNodes { label, key, value, from } => {
                self.find_nodes(slot, *label, Some((*key, value)), *from, ledger)
            }
            MicroStep::CreateIndex { .. }
            | MicroStep::CreateConstraint { .. }
            | MicroStep::DropIndex { .. }
                if self.transactions[slot as usize].guard.is_some() =>
            {
                Err(StoreError::SchemaAtSlave.into())
            }
            MicroStep::CreateIndex { label, key } => {
                self.create_index(slot, *label, *key, false, ledger)
            }
            MicroStep::CreateConstraint { label, key } => {
                self.create_index(slot, *label, *key, true, ledger)
            }
            MicroStep::DropIndex { label, key } => self.drop_index(slot, *label, *key, ledger),
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

    #[inline]
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

    #[inline]
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

    /// Whether the number stands for a name, as the transaction sees it.
    #[inline]
    pub(crate) fn check_token(&self, slot: Slot, kind: TokenKind, id: TokenId) -> Result<(), Stop> {
        let made = &self.transactions[slot as usize].tokens;
        let known = usize::from(id.0) < self.tokens.count(kind);
        if known || made.iter().any(|(of, _, made)| (*of, *made) == (kind, id)) {
            return Ok(());
        }
        Err(StoreError::NoSuchToken { kind, id }.into())
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
        self.share_schema(slot)?;
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
        self.check_no_schema_change(slot)?;
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
        self.share_schema(slot)?;
        self.lock_node(slot, id.0)?;
        let record = self.node(slot, id, ledger)?;
        if self.degree(slot, id.0, &record, ledger)? > 0 {
            return Err(Stop::Failed(StoreError::NodeHasRelationships(id)));
        }
        let pieces = self.label_pieces(slot, &record, ledger)?;
        let entries = self.entries_of_node(slot, id, &record, ledger)?;
        self.delete_properties(slot, record.first_property, ledger)?;
        self.free_pieces(slot, &pieces, ledger);
        self.put_entries(slot, entries, ledger);
        let labels = Labels::default();
        self.put(slot, id.0, &NodeRecord { first_property: NONE, labels, ..record }, ledger);
        self.transactions[slot as usize].deleted_nodes.push(id.0);
        Ok(Value::Null)
    }
}
