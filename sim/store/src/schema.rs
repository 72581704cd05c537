//! Indexes and uniqueness constraints: the rules, keeping them, finding nodes by them.
//!
//! A rule is about the nodes with a label and their values under a key. Its entries in the
//! index tree hold a hash of the value; who looks one up reads the property to be sure. Every
//! step that changes a label or a value collects the entries that come and go before it
//! writes anything. A unique value is locked by its hash, so that of two transactions that
//! want it the second waits for the first.

use alloc::vec::Vec;
use wavetank_vocabulary::{NodeId, PlantedBugs};

use crate::disk::FileKind;
use crate::error::StoreError;
use crate::locks::{LockKey, Slot};
use crate::record::{NodeRecord, SchemaRecord};
use crate::store::{Ledger, Stop, Store};
use crate::transactions::TxHandle;
use crate::tree::IndexKey;
use crate::value::{Entity, FindCursor, TokenId, TokenKind, Value, index_hash, same};

/// Entries and nodes that one step looks at.
const AT_ONCE: usize = 64;

/// Committed rules by their ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    rules: Vec<(u64, SchemaRecord)>,
}

impl Schema {
    /// Takes over what an applied record says.
    pub(crate) fn learn(&mut self, id: u64, record: SchemaRecord) {
        self.rules.retain(|(other, _)| *other != id);
        if record.in_use {
            let place = self.rules.partition_point(|(other, _)| *other < id);
            self.rules.insert(place, (id, record));
        }
    }

    pub(crate) fn rules(&self) -> &[(u64, SchemaRecord)] {
        &self.rules
    }

    fn find(&self, label: TokenId, key: TokenId) -> Option<(u64, SchemaRecord)> {
        let fits = |(_, rule): &&(u64, SchemaRecord)| rule.label == label.0 && rule.key == key.0;
        self.rules.iter().find(fits).copied()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// An index that a transaction builds or takes down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Building {
    rule: u64,
    record: SchemaRecord,
    /// Where to go on; none at the end.
    from: Option<IndexKey>,
}

impl Building {
    pub(crate) fn is_done(&self) -> bool {
        self.from.is_none()
    }
}

/// An index, as [`Store::indexes`] lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexInfo {
    /// Its nodes have this label.
    pub label: TokenId,
    /// Their values under this key are indexed.
    pub key: TokenId,
    /// No two nodes may have the same value.
    pub unique: bool,
}

/// Entries that a step is about to put in (true) or take out.
pub(crate) type Entries = Vec<(IndexKey, bool)>;

impl Store {
    /// All indexes, constraints among them, in the order of their creation.
    pub fn indexes(&self) -> impl Iterator<Item = IndexInfo> + '_ {
        self.schema.rules().iter().map(|(_, rule)| IndexInfo {
            label: TokenId(rule.label),
            key: TokenId(rule.key),
            unique: rule.unique,
        })
    }

    /// The nodes that the transaction's last scan or search found.
    pub fn found(&self, handle: TxHandle) -> &[NodeId] {
        match self.slot(handle) {
            Ok(slot) => &self.transactions[slot as usize].found,
            Err(_) => &[],
        }
    }

    /// Puts collected entries into the transaction.
    pub(crate) fn put_entries(&mut self, slot: Slot, entries: Entries, ledger: &mut Ledger) {
        ledger.records += entries.len() as u32;
        ledger.allocated += (entries.len() * IndexKey::IMAGE) as u64;
        self.transactions[slot as usize].index.extend(entries);
    }

    /// The entry of a value that comes or goes under a rule.
    #[expect(clippy::too_many_arguments, reason = "they are one entry and where it goes")]
    fn entry_of(
        &mut self,
        slot: Slot,
        (rule, record): (u64, SchemaRecord),
        node: u64,
        value: &Value,
        present: bool,
        out: &mut Entries,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let mut scratch = Vec::new();
        let Some(hash) = index_hash(value, &mut scratch) else { return Ok(()) };
        if present && record.unique {
            self.check_unique(slot, (rule, record), node, value, hash, ledger)?;
        }
        out.push((IndexKey::value(rule, hash, node), present));
        Ok(())
    }

    /// Locks the value, and makes sure that no other node has it.
    fn check_unique(
        &mut self,
        slot: Slot,
        (rule, record): (u64, SchemaRecord),
        node: u64,
        value: &Value,
        hash: u64,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        if !self.config.bugs.contains(PlantedBugs::UNIQUE_UNLOCKED) {
            self.lock(slot, LockKey::index_entry(rule, hash))?;
        }
        let key = TokenId(record.key);
        let mut from = Some(IndexKey::value(rule, hash, 0));
        let to = IndexKey::value(rule, hash, u64::MAX);
        let mut some = Vec::new();
        while let Some(start) = from {
            from = self.index_range(slot, start, to, AT_ONCE, &mut some, ledger)?;
            for other in some.iter().map(|entry| NodeId(entry.node)) {
                if other.0 == node {
                    continue;
                }
                let held = match self.read_property(slot, Entity::Node(other), key, ledger) {
                    Err(Stop::Failed(StoreError::NodeNotFound(_))) => continue,
                    held => held?,
                };
                if same(&held, value) {
                    let label = TokenId(record.label);
                    let error = StoreError::ConstraintViolation { label, key, node: other };
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// The entries that come and go when a node's value under a key changes.
    pub(crate) fn entries_of_value(
        &mut self,
        slot: Slot,
        node: NodeId,
        key: TokenId,
        old: &Value,
        new: &Value,
        ledger: &mut Ledger,
    ) -> Result<Entries, Stop> {
        let mut entries = Vec::new();
        let record = self.node(slot, node, ledger)?;
        let mut labels = Vec::new();
        self.labels(slot, &record, &mut labels, ledger)?;
        for place in 0..self.schema.rules().len() {
            let (id, rule) = self.schema.rules()[place];
            if rule.key == key.0 && labels.contains(&u32::from(rule.label)) {
                self.entry_of(slot, (id, rule), node.0, old, false, &mut entries, ledger)?;
                self.entry_of(slot, (id, rule), node.0, new, true, &mut entries, ledger)?;
            }
        }
        Ok(entries)
    }

    /// The entries that come or go when a node gets or loses a label.
    pub(crate) fn entries_of_label(
        &mut self,
        slot: Slot,
        node: NodeId,
        label: u32,
        present: bool,
        entries: &mut Entries,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        entries.push((IndexKey::label(label, node.0), present));
        for place in 0..self.schema.rules().len() {
            let (id, rule) = self.schema.rules()[place];
            if u32::from(rule.label) == label {
                let key = TokenId(rule.key);
                let value = self.read_property(slot, Entity::Node(node), key, ledger)?;
                self.entry_of(slot, (id, rule), node.0, &value, present, entries, ledger)?;
            }
        }
        Ok(())
    }

    /// All entries of a node, which is about to be deleted.
    pub(crate) fn entries_of_node(
        &mut self,
        slot: Slot,
        node: NodeId,
        record: &NodeRecord,
        ledger: &mut Ledger,
    ) -> Result<Entries, Stop> {
        let (mut entries, mut labels) = (Vec::new(), Vec::new());
        self.labels(slot, record, &mut labels, ledger)?;
        for label in labels {
            self.entries_of_label(slot, node, label, false, &mut entries, ledger)?;
        }
        Ok(entries)
    }

    /// Nodes with a label; with `of`, those whose value under the key equals the value.
    pub(crate) fn find_nodes(
        &mut self,
        slot: Slot,
        label: TokenId,
        of: Option<(TokenId, &Value)>,
        from: Option<FindCursor>,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        if from.is_none() {
            self.transactions[slot as usize].found.clear();
        }
        let mut scratch = Vec::new();
        let rule = of.and_then(|(key, _)| self.schema.find(label, key));
        let (start, to) = match (rule, of) {
            (Some((rule, _)), Some((_, value))) => match index_hash(value, &mut scratch) {
                Some(hash) => {
                    (IndexKey::value(rule, hash, 0), IndexKey::value(rule, hash, u64::MAX))
                }
                None => return Ok(Value::Found { found: 0, rest: None }),
            },
            _ => {
                let label = u32::from(label.0);
                (IndexKey::label(label, 0), IndexKey::label(label, u64::MAX))
            }
        };
        let start = from.map_or(start, |cursor| cursor.0);
        let mut entries = Vec::new();
        let rest = self.index_range(slot, start, to, AT_ONCE, &mut entries, ledger)?;
        let mut found = Vec::new();
        for node in entries.iter().map(|entry| NodeId(entry.node)) {
            if let Some((key, value)) = of {
                let held = match self.read_property(slot, Entity::Node(node), key, ledger) {
                    Err(Stop::Failed(StoreError::NodeNotFound(_))) => continue,
                    held => held?,
                };
                if !same(&held, value) {
                    continue;
                }
            }
            found.push(node);
        }
        let count = found.len() as u32;
        self.transactions[slot as usize].found.extend(found);
        Ok(Value::Found { found: count, rest: rest.map(FindCursor) })
    }

    /// Makes an index or a constraint, and fills it: each call does a part.
    pub(crate) fn create_index(
        &mut self,
        slot: Slot,
        label: TokenId,
        key: TokenId,
        unique: bool,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        let record = SchemaRecord { in_use: true, unique, label: label.0, key: key.0 };
        let building = match self.transactions[slot as usize].building {
            Some(building) if building.record == record => building,
            Some(_) => return Err(StoreError::SchemaAndData.into()),
            None => {
                self.check_token(slot, TokenKind::Label, label)?;
                self.check_token(slot, TokenKind::PropertyKey, key)?;
                self.begin_schema_change(slot)?;
                if let Some((_, rule)) = self.schema.find(label, key) {
                    return Err(StoreError::IndexExists { unique: rule.unique }.into());
                }
                let rule = self.add(slot, &record, ledger);
                let from = Some(IndexKey::label(u32::from(label.0), 0));
                let building = Building { rule, record, from };
                self.transactions[slot as usize].building = Some(building);
                building
            }
        };
        let Some(start) = building.from else { return Ok(Value::Bool(true)) };
        let to = IndexKey::label(u32::from(label.0), u64::MAX);
        let (mut nodes, mut entries) = (Vec::new(), Vec::new());
        let from = self.index_range(slot, start, to, AT_ONCE, &mut nodes, ledger)?;
        for node in nodes.iter().map(|entry| NodeId(entry.node)) {
            let value = self.read_property(slot, Entity::Node(node), key, ledger)?;
            let rule = (building.rule, building.record);
            self.entry_of(slot, rule, node.0, &value, true, &mut entries, ledger)?;
            // Later nodes of this part are compared with this one as well.
            self.put_entries(slot, core::mem::take(&mut entries), ledger);
        }
        self.transactions[slot as usize].building = Some(Building { from, ..building });
        Ok(Value::Bool(from.is_none()))
    }

    /// Takes an index or constraint away, with all its entries: each call does a part.
    pub(crate) fn drop_index(
        &mut self,
        slot: Slot,
        label: TokenId,
        key: TokenId,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        let building = match self.transactions[slot as usize].building {
            Some(building)
                if !building.record.in_use
                    && self
                        .schema
                        .find(label, key)
                        .is_some_and(|(rule, _)| rule == building.rule) =>
            {
                building
            }
            Some(_) => return Err(StoreError::SchemaAndData.into()),
            None => {
                self.begin_schema_change(slot)?;
                let (rule, _) = self.schema.find(label, key).ok_or(StoreError::NoSuchIndex)?;
                self.put(slot, rule, &SchemaRecord::UNUSED, ledger);
                let from = Some(IndexKey::value(rule, 0, 0));
                let building = Building { rule, record: SchemaRecord::UNUSED, from };
                self.transactions[slot as usize].building = Some(building);
                building
            }
        };
        let Some(start) = building.from else { return Ok(Value::Bool(true)) };
        let to = IndexKey::value(building.rule, u64::MAX, u64::MAX);
        let mut some = Vec::new();
        let from = self.index_range(slot, start, to, AT_ONCE, &mut some, ledger)?;
        let gone = some.into_iter().map(|entry| (entry, false)).collect();
        self.put_entries(slot, gone, ledger);
        self.transactions[slot as usize].building = Some(Building { from, ..building });
        Ok(Value::Bool(from.is_none()))
    }

    /// Schema changes stand alone in their transaction, with the schema locked.
    fn begin_schema_change(&mut self, slot: Slot) -> Result<(), Stop> {
        let tx = &self.transactions[slot as usize];
        let writes = tx.overlay.iter().any(|(key, _)| key.kind() != FileKind::Tokens);
        if writes {
            return Err(StoreError::SchemaAndData.into());
        }
        self.lock(slot, LockKey::SCHEMA)
    }
}
