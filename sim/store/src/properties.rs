//! Properties: reading, setting and deleting values in chains of property records.
//!
//! A new value goes to the record that held the old one if it fits there, else to the first
//! of the chain, else to a new first. Texts and arrays that do not fit into a property record
//! stand in dynamic records.

use alloc::vec::Vec;

use crate::error::StoreError;
use crate::locks::Slot;
use crate::pieces::PieceKey;
use crate::record::{
    ArrayRecord, DynamicRecord, NONE, NodeRecord, PropertyRecord, RelationshipRecord,
};
use crate::store::{Ledger, Step, Stop, Store};
use crate::transactions::TxHandle;
use crate::value::{
    Array, Entity, Long, Packed, TokenId, Unpacked, Value, block_count, block_key, blocks_used,
    long_text, long_value, pack, pack_long, pack_long_array, unpack, values, without,
};

/// A chain longer than this must be a circle: there are only so many keys.
const LONGEST_CHAIN: usize = 1 << 16;

fn circle() -> StoreError {
    StoreError::Inconsistent("a property chain never ends".into())
}

fn broken(what: &str) -> StoreError {
    StoreError::Inconsistent(what.into())
}

/// A property record in the chain that is being changed.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    id: u64,
    record: PropertyRecord,
    changed: bool,
}

impl Store {
    fn first_property(
        &mut self,
        slot: Slot,
        entity: Entity,
        ledger: &mut Ledger,
    ) -> Result<u64, Stop> {
        Ok(match entity {
            Entity::Node(id) => self.node(slot, id, ledger)?.first_property,
            Entity::Relationship(id) => self.relationship(slot, id, ledger)?.first_property,
        })
    }

    fn property_record(
        &mut self,
        slot: Slot,
        id: u64,
        ledger: &mut Ledger,
    ) -> Result<PropertyRecord, Stop> {
        let record: PropertyRecord = self.get(slot, id, ledger)?;
        if !record.in_use() {
            return Err(broken("a property chain leads to an unused record").into());
        }
        Ok(record)
    }

    pub(crate) fn read_property(
        &mut self,
        slot: Slot,
        entity: Entity,
        key: TokenId,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        let mut at = self.first_property(slot, entity, ledger)?;
        for _ in 0..LONGEST_CHAIN {
            if at == NONE {
                return Ok(Value::Null);
            }
            let record = self.property_record(slot, at, ledger)?;
            for (place, count) in values(&record.blocks) {
                if block_key(record.blocks[place]) == key {
                    return self.value(slot, &record.blocks[place..place + count], ledger);
                }
            }
            at = record.next;
        }
        Err(circle().into())
    }

    pub(crate) fn count_properties(
        &mut self,
        slot: Slot,
        entity: Entity,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        let mut at = self.first_property(slot, entity, ledger)?;
        let mut count = 0;
        for _ in 0..LONGEST_CHAIN {
            if at == NONE {
                return Ok(Value::Int(count));
            }
            let record = self.property_record(slot, at, ledger)?;
            count += values(&record.blocks).count() as i64;
            at = record.next;
        }
        Err(circle().into())
    }

    /// Reads all properties of a node or relationship into `out`, in no particular order.
    pub fn properties(
        &mut self,
        tx: TxHandle,
        entity: Entity,
        out: &mut Vec<(TokenId, Value)>,
        ledger: &mut Ledger,
    ) -> Step {
        let before = *ledger;
        let slot = match self.check_ready().and_then(|()| self.active(tx)) {
            Ok(slot) => slot,
            Err(error) => return Step::Failed(error),
        };
        out.clear();
        let result = self.collect_properties(slot, entity, out, ledger);
        self.finish_step(slot, result.map(|()| Value::Null), &before, ledger)
    }

    fn collect_properties(
        &mut self,
        slot: Slot,
        entity: Entity,
        out: &mut Vec<(TokenId, Value)>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let mut at = self.first_property(slot, entity, ledger)?;
        for _ in 0..LONGEST_CHAIN {
            if at == NONE {
                return Ok(());
            }
            let record = self.property_record(slot, at, ledger)?;
            for (place, count) in values(&record.blocks) {
                let value = self.value(slot, &record.blocks[place..place + count], ledger)?;
                out.push((block_key(record.blocks[place]), value));
            }
            at = record.next;
        }
        Err(circle().into())
    }

    fn value(&mut self, slot: Slot, blocks: &[u64], ledger: &mut Ledger) -> Result<Value, Stop> {
        match unpack(blocks) {
            Unpacked::Value(value) => {
                if let Value::Text(text) = &value {
                    ledger.allocated += text.len() as u64;
                }
                Ok(value)
            }
            Unpacked::Damaged => Err(broken("a property value cannot be read").into()),
            Unpacked::Long(first) => {
                let bytes = self.load_pieces::<DynamicRecord>(slot, first, ledger)?;
                long_text(bytes).ok_or_else(|| broken("a text is not UTF-8").into())
            }
            Unpacked::LongArray(first) => {
                let bytes = self.load_pieces::<ArrayRecord>(slot, first, ledger)?;
                let array = Array::from_bytes(&bytes).map(Value::Array);
                array.ok_or_else(|| broken("an array cannot be read").into())
            }
        }
    }

    fn chain(
        &mut self,
        slot: Slot,
        first: u64,
        chain: &mut Vec<Link>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        chain.clear();
        let mut at = first;
        while at != NONE {
            if chain.len() > LONGEST_CHAIN {
                return Err(circle().into());
            }
            let record = self.property_record(slot, at, ledger)?;
            chain.push(Link { id: at, record, changed: false });
            at = record.next;
        }
        Ok(())
    }

    /// The dynamic records of a value, if it has any.
    fn value_pieces(
        &mut self,
        slot: Slot,
        head: u64,
        out: &mut Vec<PieceKey>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        match long_value(head) {
            Some(Long::Text(first)) => self.piece_keys::<DynamicRecord>(slot, first, out, ledger),
            Some(Long::Array(first)) => self.piece_keys::<ArrayRecord>(slot, first, out, ledger),
            None => Ok(()),
        }
    }

    /// Sets, or with `Null` removes. Returns whether there was a value before.
    pub(crate) fn set_property(
        &mut self,
        slot: Slot,
        entity: Entity,
        key: TokenId,
        value: &Value,
        ledger: &mut Ledger,
    ) -> Result<bool, Stop> {
        let mut chain = core::mem::take(&mut self.chain);
        let result = self.set_in_chain(slot, entity, key, value, &mut chain, ledger);
        self.chain = chain;
        result
    }

    fn set_in_chain(
        &mut self,
        slot: Slot,
        entity: Entity,
        key: TokenId,
        value: &Value,
        chain: &mut Vec<Link>,
        ledger: &mut Ledger,
    ) -> Result<bool, Stop> {
        let packed = match value {
            Value::Null => None,
            value => Some(pack(key, value).ok_or(StoreError::NotAProperty)?),
        };
        let first = self.first_property(slot, entity, ledger)?;
        self.chain(slot, first, chain, ledger)?;
        let mut freed = Vec::new();
        let mut home = None;
        'found: for (place, link) in chain.iter().enumerate() {
            for (at, _) in values(&link.record.blocks) {
                let head = link.record.blocks[at];
                if block_key(head) == key {
                    home = Some((place, at));
                    self.value_pieces(slot, head, &mut freed, ledger)?;
                    break 'found;
                }
            }
        }
        let mut entries = Vec::new();
        if let (Entity::Node(node), false) = (entity, self.schema.is_empty()) {
            let old = match home {
                Some((place, at)) => {
                    let blocks = chain[place].record.blocks;
                    self.value(slot, &blocks[at..at + block_count(blocks[at]).min(4 - at)], ledger)?
                }
                None => Value::Null,
            };
            entries = self.entries_of_value(slot, node, key, &old, value, ledger)?;
        }
        // Everything is read: from here on nothing waits.
        self.put_entries(slot, entries, ledger);
        self.free_pieces(slot, &freed, ledger);
        if let Some((place, at)) = home {
            let link = &mut chain[place];
            link.record.blocks = without(&link.record.blocks, at);
            link.changed = true;
        }
        if let Some(packed) = packed {
            let (blocks, count) = match packed {
                Packed::Blocks(blocks, count) => (blocks, count),
                Packed::Long(text) => {
                    let text = text.as_bytes();
                    (pack_long(key, self.store_pieces::<DynamicRecord>(slot, text, ledger)), 1)
                }
                Packed::LongArray(bytes) => {
                    let first = self.store_pieces::<ArrayRecord>(slot, &bytes, ledger);
                    (pack_long_array(key, first), 1)
                }
            };
            self.place(slot, chain, home.map(|(place, _)| place), &blocks[..count], ledger);
        }
        self.write_chain(slot, entity, first, chain, ledger)?;
        Ok(home.is_some())
    }

    /// Puts a value's blocks where there is room, or into a new first record.
    fn place(
        &mut self,
        slot: Slot,
        chain: &mut Vec<Link>,
        home: Option<usize>,
        blocks: &[u64],
        ledger: &mut Ledger,
    ) {
        let fits = |link: &Link| blocks_used(&link.record.blocks) + blocks.len() <= 4;
        let choice = home.into_iter().chain([0]).find(|place| chain.get(*place).is_some_and(fits));
        if let Some(place) = choice {
            let link = &mut chain[place];
            let used = blocks_used(&link.record.blocks);
            link.record.blocks[used..used + blocks.len()].copy_from_slice(blocks);
            link.changed = true;
            return;
        }
        let mut record = PropertyRecord::UNUSED;
        record.blocks[..blocks.len()].copy_from_slice(blocks);
        let id = self.add(slot, &record, ledger);
        chain.insert(0, Link { id, record, changed: true });
    }

    /// Writes what changed in a chain: empty records leave it, the rest is linked again.
    fn write_chain(
        &mut self,
        slot: Slot,
        entity: Entity,
        first: u64,
        chain: &mut Vec<Link>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        for link in chain.iter().filter(|link| !link.record.in_use()) {
            self.put(slot, link.id, &PropertyRecord::UNUSED, ledger);
        }
        chain.retain(|link| link.record.in_use());
        let mut previous = NONE;
        for place in 0..chain.len() {
            let next = chain.get(place + 1).map_or(NONE, |link| link.id);
            let link = &mut chain[place];
            if link.changed || (link.record.previous, link.record.next) != (previous, next) {
                link.record = PropertyRecord { previous, next, ..link.record };
                self.put(slot, link.id, &link.record, ledger);
            }
            previous = link.id;
        }
        let new_first = chain.first().map_or(NONE, |link| link.id);
        if new_first != first {
            match entity {
                Entity::Node(id) => {
                    let record: NodeRecord = self.get(slot, id.0, ledger)?;
                    let record = NodeRecord { first_property: new_first, ..record };
                    self.put(slot, id.0, &record, ledger);
                }
                Entity::Relationship(id) => {
                    let record: RelationshipRecord = self.get(slot, id.0, ledger)?;
                    let record = RelationshipRecord { first_property: new_first, ..record };
                    self.put(slot, id.0, &record, ledger);
                }
            }
        }
        Ok(())
    }

    /// Marks a whole chain, texts included, as unused.
    pub(crate) fn delete_properties(
        &mut self,
        slot: Slot,
        first: u64,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let mut chain = Vec::new();
        self.chain(slot, first, &mut chain, ledger)?;
        let mut freed = Vec::new();
        for link in &chain {
            for (at, _) in values(&link.record.blocks) {
                self.value_pieces(slot, link.record.blocks[at], &mut freed, ledger)?;
            }
        }
        self.free_pieces(slot, &freed, ledger);
        for link in chain {
            self.put(slot, link.id, &PropertyRecord::UNUSED, ledger);
        }
        Ok(())
    }
}
